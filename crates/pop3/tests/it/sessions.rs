use std::fmt::Write;

use crate::world::World;

const FIRST: &str = "Subject: one\r\n\r\nfirst\r\n.dot\r\n..two\r\n";

#[tokio::test]
async fn mail_is_listed_and_read_as_it_was_kept() {
    let world = World::new().await;
    let mut large = String::from("Subject: large\r\n\r\n");
    for number in 0..20_000 {
        write!(large, "line {number} of a message that is read in parts\r\n").unwrap();
    }
    world.deliver(FIRST).await;
    world.deliver(&large).await;
    let mut client = world.signed_in().await;
    let octets = FIRST.len() + large.len();
    assert_eq!(client.ok("STAT").await, format!("2 {octets}"));
    let list = [format!("1 {}", FIRST.len()), format!("2 {}", large.len())];
    assert_eq!(client.lines("LIST").await, list);
    assert_eq!(client.lines("RETR 1").await.join("\r\n") + "\r\n", FIRST);
    assert_eq!(client.lines("RETR 2").await.join("\r\n") + "\r\n", large);
    assert_eq!(client.lines("TOP 1 1").await, ["Subject: one", "", "first"]);
    assert_eq!(client.lines("TOP 2 0").await, ["Subject: large", ""]);
    assert!(client.say("RETR 3").await.starts_with("-ERR "));
    client.ok("QUIT").await;
    client.closed().await;
    assert_eq!(world.uids(), [1, 2]);
}

#[tokio::test]
async fn unique_ids_stay_and_never_come_twice() {
    let world = World::new().await;
    for _ in 0..3 {
        world.deliver(FIRST).await;
    }
    let mut client = world.signed_in().await;
    let before = client.lines("UIDL").await;
    client.ok("DELE 3").await;
    client.ok("QUIT").await;
    client.closed().await;
    // The same bytes again are another message.
    world.deliver(FIRST).await;
    let mut client = world.signed_in().await;
    let after = client.lines("UIDL").await;
    assert_eq!(after[..2], before[..2]);
    assert_ne!(after[2], before[2]);
    client.ok("QUIT").await;
}

#[tokio::test]
async fn quit_removes_what_was_marked_and_nothing_else() {
    let world = World::new().await;
    for _ in 0..5 {
        world.deliver(FIRST).await;
    }
    let mut client = world.signed_in().await;
    client.ok("DELE 1").await;
    client.ok("DELE 2").await;
    client.ok("DELE 4").await;
    // Came after sign-in: not this session's to remove.
    world.deliver(FIRST).await;
    assert_eq!(world.uids(), [1, 2, 3, 4, 5, 6]);
    client.ok("QUIT").await;
    assert_eq!(world.uids(), [3, 5, 6]);
}

#[tokio::test]
async fn without_quit_nothing_is_removed() {
    let world = World::new().await;
    world.deliver(FIRST).await;
    let mut client = world.signed_in().await;
    client.ok("DELE 1").await;
    drop(client);
    // The lost session gives its lock back.
    let mut client = world.signed_in().await;
    assert_eq!(client.ok("STAT").await, format!("1 {}", FIRST.len()));
    client.ok("DELE 1").await;
    // Nor does a server that stops.
    let store = world.store.clone();
    let ann = world.ann;
    world.stop().await;
    client.closed().await;
    assert_eq!(store.mailbox(ann, "INBOX").unwrap().unwrap().messages, 1);
}

#[tokio::test]
async fn one_session_at_a_time() {
    let world = World::new().await;
    let mut first = world.signed_in().await;
    let mut second = world.client().await;
    second.ok("USER ann@example.org").await;
    assert!(second.say("PASS correct horse").await.starts_with("-ERR [IN-USE] "));
    second.closed().await;
    first.ok("QUIT").await;
    first.closed().await;
}

#[tokio::test]
async fn what_another_session_removes_can_be_read_to_the_end() {
    let world = World::new().await;
    world.deliver(FIRST).await;
    let mut client = world.signed_in().await;
    client.ok("DELE 1").await;
    client.ok("RSET").await;
    world.remove(vec![(1, 1)]).await;
    assert_eq!(client.lines("RETR 1").await.len(), 5);
    client.ok("DELE 1").await;
    client.ok("QUIT").await;
    assert_eq!(world.uids(), [0_u32; 0]);
}

#[tokio::test]
async fn a_wrong_password_opens_nothing() {
    let world = World::new().await;
    let mut client = world.client().await;
    client.ok("USER ann@example.org").await;
    assert!(client.say("PASS wrong").await.starts_with("-ERR [AUTH] "));
    assert!(client.say("STAT").await.starts_with("-ERR "));
    // SASL PLAIN: NUL ann@example.org NUL correct horse.
    client.ok("AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBjb3JyZWN0IGhvcnNl").await;
    assert_eq!(client.ok("STAT").await, "0 0");
    client.ok("QUIT").await;
}

/// Small messages are read ahead in order, large ones in pieces; whatever the order, each comes whole.
#[tokio::test]
async fn any_order_of_reading_gives_the_same() {
    let world = World::new().await;
    let mut letters = Vec::new();
    for number in 0..150 {
        let mut letter = format!("Subject: {number}\r\n\r\n");
        // Some are larger than what is read at once, some are nearly so.
        let lines = if number % 50 == 7 { 30_000 } else { number * 40 };
        for line in 0..lines {
            write!(letter, "line {line} of {number}\r\n").unwrap();
        }
        world.deliver(&letter).await;
        letters.push(letter);
    }
    let mut client = world.signed_in().await;
    let forth = 0..letters.len();
    let back = (0..letters.len()).rev();
    let leaps = (0..letters.len()).map(|number| number * 7 % 150);
    for number in forth.chain(back).chain(leaps) {
        let read = client.lines(&format!("RETR {}", number + 1)).await.join("\r\n") + "\r\n";
        assert!(read == letters[number], "{number}: {} octets", read.len());
        if number % 3 == 0 {
            let top = client.lines(&format!("TOP {} 0", number + 2 - number % 2)).await;
            assert_eq!(top.len(), 2);
        }
    }
    client.ok("QUIT").await;
}
