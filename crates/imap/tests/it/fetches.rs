use std::fmt::Write;

use crate::world::World;

const MAIL: &str = "From: Eve <eve@example.net>\r\nTo: ann@example.org\r\nSubject: hello\r\n\
                    Date: Mon, 1 Jun 2026 10:00:00 +0000\r\nMessage-ID: <a@example.net>\r\n\r\n\
                    text\r\n";

#[tokio::test]
async fn parts_of_messages_are_fetched_as_they_were_kept() {
    let world = World::new().await;
    world.deliver(MAIL).await;
    let mut client = world.in_inbox().await;
    let eve = "((\"Eve\" NIL \"eve\" \"example.net\"))";
    let envelope = format!(
        "* 1 FETCH (ENVELOPE (\"Mon, 1 Jun 2026 10:00:00 +0000\" \"hello\" {eve} {eve} {eve} \
         ((NIL NIL \"ann\" \"example.org\")) NIL NIL NIL \"<a@example.net>\"))"
    );
    // The second time from memory.
    for _ in 0..2 {
        assert_eq!(client.ok("FETCH 1 (ENVELOPE)").await[..], [&*envelope]);
    }
    let structure = client.ok("FETCH 1 BODYSTRUCTURE").await;
    assert!(
        structure[0].starts_with("* 1 FETCH (BODYSTRUCTURE (\"TEXT\" \"PLAIN\" "),
        "{structure:?}"
    );
    let fetched = client.ok("FETCH 1 (FLAGS BODY.PEEK[])").await;
    assert_eq!(fetched, [format!("* 1 FETCH (FLAGS () BODY[] {{{}}}\r\n{MAIL})", MAIL.len())]);
    let fetched = client.ok("FETCH 1 (RFC822.SIZE BODY[TEXT]<1.2>)").await;
    let size = MAIL.len();
    let seen = format!("* 1 FETCH (RFC822.SIZE {size} BODY[TEXT]<1> {{2}}\r\nex FLAGS (\\Seen))");
    let apart = format!("* 1 FETCH (RFC822.SIZE {size} BODY[TEXT]<1> {{2}}\r\nex)");
    assert!(fetched[0] == seen || fetched[0] == apart, "{fetched:?}");
    assert_eq!(client.ok("FETCH 1 FLAGS").await, ["* 1 FETCH (FLAGS (\\Seen))"]);
}

#[tokio::test]
async fn a_message_larger_than_a_batch_comes_whole() {
    let world = World::new().await;
    let mut large = String::from("Subject: large\r\n\r\n");
    while large.len() < 3 << 20 {
        let at = large.len();
        write!(large, "this line begins at octet {at} of the message\r\n").unwrap();
    }
    world.deliver(MAIL).await;
    world.deliver(&large).await;
    world.deliver(MAIL).await;
    let mut client = world.in_inbox().await;
    let fetched = client.ok("FETCH 1:3 BODY.PEEK[]").await;
    assert_eq!(fetched.len(), 3);
    assert_eq!(fetched[1], format!("* 2 FETCH (BODY[] {{{}}}\r\n{large})", large.len()));
    assert_eq!(fetched[2], format!("* 3 FETCH (BODY[] {{{}}}\r\n{MAIL})", MAIL.len()));
}

#[tokio::test]
async fn what_another_session_expunged_can_be_fetched_until_it_is_told() {
    let world = World::new().await;
    world.deliver(MAIL).await;
    let mut first = world.in_inbox().await;
    let mut second = world.in_inbox().await;
    second.ok("STORE 1 +FLAGS (\\Deleted)").await;
    second.ok("EXPUNGE").await;
    // RFC 2180 §4.1.2; and RFC 3501 §7.4.1 forbids to tell it during FETCH.
    let fetched = first.ok("FETCH 1 BODY.PEEK[TEXT]").await;
    assert_eq!(fetched[0], "* 1 FETCH (BODY[TEXT] {6}\r\ntext\r\n)");
    assert!(first.ok("NOOP").await.contains(&"* 1 EXPUNGE".to_owned()));
}

// RFC 3516: what is sent in pieces is decoded ahead, and is the same octets.
#[tokio::test]
async fn a_large_part_comes_whole_without_its_transfer_encoding() {
    let world = World::new().await;
    let octets: Vec<u8> = (0..11_000_000_u32).map(|at| b'a' + (at / 7 % 26) as u8).collect();
    let base64: Vec<String> =
        octets.chunks(57).map(sasl::base64_encode).map(|line| line + "\r\n").collect();
    let head = "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n";
    world.deliver(&format!("{head}\r\n{}", base64.concat())).await;
    let mut client = world.in_inbox().await;
    let text = String::from_utf8(octets).unwrap();
    let whole = client.ok("FETCH 1 (BINARY.PEEK[1])").await.remove(0);
    assert!(whole.ends_with(&format!("{{11000000}}\r\n{text})")), "{}", whole.len());
    let part = client.ok("FETCH 1 (BINARY.PEEK[1]<8000000.2500000>)").await.remove(0);
    assert!(part.ends_with(&format!("{{2500000}}\r\n{})", &text[8_000_000..10_500_000])));
}
