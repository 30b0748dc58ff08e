use std::fmt::Write;

use crate::world::World;

fn mail(id: &str, references: &str, subject: &str, date: &str) -> String {
    let mut mail =
        format!("From: {id}@example.net\r\nSubject: {subject}\r\nMessage-ID: <{id}@x>\r\n");
    if !references.is_empty() {
        write!(mail, "References: {references}\r\n").unwrap();
    }
    format!("{mail}Date: {date}\r\n\r\n{subject} from {id}\r\n")
}

/// Four messages of two threads.
async fn threads(world: &World) {
    for text in [
        mail("dora", "<ann@x>", "Re: Zebra", "Tue, 2 Jun 2026 10:00:00 +0000"),
        mail("carl", "", "apple", "Wed, 3 Jun 2026 10:00:00 +0000"),
        mail("ann", "", "zebra", "Mon, 1 Jun 2026 10:00:00 +0000"),
        mail("bob", "<ann@x> <dora@x>", "Re: [l] Zebra", "Thu, 4 Jun 2026 10:00:00 +0000"),
    ] {
        world.deliver(&text).await;
    }
}

#[tokio::test]
async fn messages_are_sorted_and_threaded() {
    let world = World::new().await;
    threads(&world).await;
    let mut client = world.in_inbox().await;
    // The second time from what was made of them once.
    for _ in 0..2 {
        assert_eq!(client.ok("SORT (DATE) UTF-8 ALL").await, ["* SORT 3 1 2 4"]);
        assert_eq!(client.ok("UID SORT (SUBJECT FROM) UTF-8 ALL").await, ["* SORT 2 3 4 1"]);
        assert_eq!(client.ok("SORT (REVERSE FROM) UTF-8 BODY zebra").await, ["* SORT 1 4 3"]);
        assert_eq!(client.ok("THREAD REFERENCES UTF-8 ALL").await, ["* THREAD (3 1 4)(2)"]);
        assert_eq!(client.ok("THREAD ORDEREDSUBJECT UTF-8 ALL").await, ["* THREAD (3 (1)(4))(2)"]);
    }
    let fetched = client.ok("FETCH 1:4 THREADID").await;
    let thread = |line: &str| line.split_once("THREADID ").unwrap().1.to_owned();
    assert_eq!(thread(&fetched[0]), thread(&fetched[2]));
    assert_eq!(thread(&fetched[0]), thread(&fetched[3]));
    assert_ne!(thread(&fetched[0]), thread(&fetched[1]));
    let id = thread(&fetched[0]);
    let id = id.trim_matches(['(', ')']);
    assert_eq!(client.ok(&format!("SEARCH THREADID {id}")).await, ["* SEARCH 1 3 4"]);
}

#[tokio::test]
async fn several_mailboxes_are_searched_at_once() {
    let world = World::new().await;
    threads(&world).await;
    let mut client = world.in_inbox().await;
    client.ok("CREATE Archive/2026").await;
    client.ok("COPY 2:3 Archive/2026").await;
    client.ok("CLOSE").await;
    let found =
        client.ok("ESEARCH IN (inboxes subtree Archive) RETURN (COUNT ALL) TEXT zebra").await;
    assert_eq!(found.len(), 2, "{found:?}");
    let in_archive = found.iter().find(|line| line.contains("MAILBOX Archive/2026 ")).unwrap();
    assert!(in_archive.ends_with(") UID COUNT 1 ALL 2"), "{in_archive}");
    let in_inbox = found.iter().find(|line| line.contains("MAILBOX INBOX ")).unwrap();
    assert!(in_inbox.ends_with(") UID COUNT 3 ALL 1,3:4"), "{in_inbox}");
}

#[tokio::test]
async fn a_followed_result_takes_in_new_mail() {
    let world = World::new().await;
    threads(&world).await;
    let mut client = world.in_inbox().await;
    client.ok("UID SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 BODY zebra").await;
    let late = mail("eve", "", "a zebra", "Fri, 5 Jun 2026 10:00:00 +0000");
    world.deliver(&late).await;
    let mut told = Vec::new();
    while !told.iter().any(|line: &String| line.contains("EXISTS")) {
        told.extend(client.ok("NOOP").await);
    }
    let update = told.iter().find(|line| line.starts_with("* ESEARCH")).unwrap();
    assert!(update.ends_with(") UID ADDTO (1 5)"), "{told:?}");
}

#[tokio::test]
async fn parts_are_decoded_and_previewed() {
    let world = World::new().await;
    let body = "SGVsbG8sIHdvcmxkIQAB\r\n";
    let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nA short  note.\r\n";
    let part = "--b\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    world.deliver(&format!("{head}{part}{body}--b--\r\n")).await;
    // One that is decoded in pieces.
    let many = body.repeat(60_000);
    world.deliver(&format!("{head}{part}{many}--b--\r\n")).await;
    let mut client = world.in_inbox().await;
    let small = "Hello, world!\0\u{1}";
    let large = small.repeat(60_000);
    let sizes = client.ok("FETCH 1:2 (BINARY.SIZE[2] PREVIEW)").await;
    let preview = "PREVIEW \"A short note.\"";
    assert_eq!(sizes[0], format!("* 1 FETCH (BINARY.SIZE[2] 15 {preview})"));
    assert_eq!(sizes[1], format!("* 2 FETCH (BINARY.SIZE[2] {} {preview})", large.len()));
    let fetched = client.ok("FETCH 1:2 BINARY.PEEK[2]").await;
    assert_eq!(fetched[0], format!("* 1 FETCH (BINARY[2] ~{{15}}\r\n{small})"));
    assert_eq!(fetched[1], format!("* 2 FETCH (BINARY[2] ~{{{}}}\r\n{large})", large.len()));
    let partial = client.ok("FETCH 2 BINARY.PEEK[2]<800000.20>").await;
    let some = &large[800_000..800_020];
    assert_eq!(partial, [format!("* 2 FETCH (BINARY[2]<800000> ~{{20}}\r\n{some})")]);
    let saved = client.ok("FETCH 1 (SAVEDATE EMAILID)").await;
    assert!(saved[0].contains("SAVEDATE \"") && saved[0].contains("EMAILID (M"), "{saved:?}");
    assert_eq!(client.ok("SEARCH SAVEDSINCE 1-Jan-2024 YOUNGER 3600").await, ["* SEARCH 1 2"]);
}
