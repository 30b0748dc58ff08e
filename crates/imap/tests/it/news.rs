use std::sync::Arc;

use crate::world::World;

const MAIL: &str = "Subject: hello\r\n\r\ntext\r\n";

#[tokio::test]
async fn an_idle_session_hears_of_new_mail_and_of_others() {
    let world = World::new().await;
    let mut idle = world.in_inbox().await;
    let tag = idle.idle().await;
    world.deliver(MAIL).await;
    assert_eq!(idle.response().await, "* 1 EXISTS");
    assert_eq!(idle.response().await, "* 1 RECENT");
    world.deliver(MAIL).await;
    assert_eq!(idle.response().await, "* 2 EXISTS");
    assert_eq!(idle.response().await, "* 2 RECENT");
    let mut other = world.in_inbox().await;
    other.ok("STORE 2 +FLAGS (\\Flagged $Work)").await;
    assert_eq!(idle.response().await, "* 2 FETCH (FLAGS (\\Recent \\Flagged $Work))");
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(idle.response().await, "* 1 FETCH (FLAGS (\\Recent \\Deleted))");
    other.ok("EXPUNGE").await;
    assert_eq!(idle.response().await, "* 1 EXPUNGE");
    idle.send("DONE\r\n").await;
    assert_eq!(idle.until(&tag).await.len(), 1);
}

/// RFC 3501 §2.3.2: `\Recent` in one session that can change the mailbox, and in none after it.
#[tokio::test]
async fn a_message_is_recent_to_one_session() {
    let world = World::new().await;
    let mut first = world.in_inbox().await;
    let mut second = world.in_inbox().await;
    let mut looking = world.signed_in().await;
    world.deliver(MAIL).await;
    // Neither STATUS nor EXAMINE takes it from whoever comes next.
    let status = "* STATUS INBOX (RECENT 1)";
    assert_eq!(looking.ok("STATUS INBOX (RECENT)").await, [status]);
    assert!(looking.ok("EXAMINE INBOX").await.contains(&"* 1 RECENT".to_owned()));
    assert_eq!(first.ok("NOOP").await, ["* 1 EXISTS", "* 1 RECENT"]);
    assert_eq!(second.ok("NOOP").await, ["* 1 EXISTS", "* 0 RECENT"]);
    world.deliver(MAIL).await;
    assert_eq!(second.ok("NOOP").await, ["* 2 EXISTS", "* 1 RECENT"]);
    assert_eq!(first.ok("NOOP").await, ["* 2 EXISTS", "* 1 RECENT"]);
    assert_eq!(second.ok("SEARCH RECENT").await, ["* SEARCH 2"]);
    assert_eq!(first.ok("SEARCH RECENT").await, ["* SEARCH 1"]);
    let mut third = world.in_inbox().await;
    assert_eq!(third.ok("SEARCH RECENT").await, ["* SEARCH"]);
    assert_eq!(third.ok("STATUS INBOX (RECENT)").await, ["* STATUS INBOX (RECENT 0)"]);
    world.stop().await;
}

#[tokio::test]
async fn a_session_that_does_not_idle_hears_at_its_next_command() {
    let world = World::new().await;
    world.deliver(MAIL).await;
    let mut first = world.in_inbox().await;
    let mut second = world.in_inbox().await;
    second.ok("STORE 1 FLAGS (\\Seen \\Answered)").await;
    world.deliver(MAIL).await;
    second.ok("STORE 1 -FLAGS (\\Answered)").await;
    let news = first.ok("NOOP").await;
    assert_eq!(news[0], "* 1 FETCH (FLAGS (\\Seen))");
    assert_eq!(news[1], "* 2 EXISTS");
    // A message that came and went in between is none.
    world.deliver(MAIL).await;
    second.ok("NOOP").await;
    second.ok("STORE 3 +FLAGS.SILENT (\\Deleted)").await;
    second.ok("UID EXPUNGE 3").await;
    first.ok("NOOP").await;
    assert_eq!(first.ok("UID FETCH 1:* (FLAGS)").await.len(), 2);
}

#[tokio::test]
async fn messages_are_copied_and_moved() {
    let world = World::new().await;
    for _ in 0..3 {
        world.deliver(MAIL).await;
    }
    let mut first = world.in_inbox().await;
    let mut second = world.in_inbox().await;
    assert!(first.no("COPY 1 Elsewhere").await.starts_with("[TRYCREATE] "));
    assert!(first.no("MOVE 1 Elsewhere").await.starts_with("[TRYCREATE] "));
    let copied = first.ok_text("COPY 1:2 Archive").await;
    assert!(copied.starts_with("[COPYUID "), "{copied}");
    assert!(copied.contains(" 1:2 1:2] "), "{copied}");
    let moved = first.ok("MOVE 2:3 Archive").await;
    assert!(moved[0].starts_with("* OK [COPYUID ") && moved[0].contains(" 2:3 3:4] "), "{moved:?}");
    assert_eq!(moved[1..], ["* 2 EXPUNGE", "* 2 EXPUNGE"]);
    assert_eq!(second.ok("NOOP").await, ["* 2 EXPUNGE", "* 2 EXPUNGE"]);
    let status = first.ok("STATUS Archive (MESSAGES UIDNEXT)").await;
    assert_eq!(status, ["* STATUS Archive (MESSAGES 4 UIDNEXT 5)"]);
    // Into itself: behind itself, with a new UID.
    first.ok("MOVE 1 INBOX").await;
    assert_eq!(first.ok("UID FETCH 1:* (UID)").await, ["* 1 FETCH (UID 4)"]);
    second.ok("NOOP").await;
    assert_eq!(second.ok("UID FETCH 1:* (UID)").await, ["* 1 FETCH (UID 4)"]);
}

#[tokio::test]
async fn unchangedsince_leaves_alone_what_others_changed() {
    let world = World::new().await;
    world.deliver(MAIL).await;
    let mut first = world.in_inbox().await;
    let mut second = world.in_inbox().await;
    let known = first.ok("FETCH 1 (MODSEQ)").await;
    let modseq = known.last().unwrap().split(['(', ')']).nth(2).unwrap().to_owned();
    second.ok("STORE 1 +FLAGS (\\Flagged)").await;
    let store = format!("STORE 1 (UNCHANGEDSINCE {modseq}) +FLAGS (\\Deleted)");
    let tagged = first.say(&store).await.pop().unwrap();
    assert!(tagged.contains("[MODIFIED 1]"), "{tagged}");
    let flags = second.ok("FETCH 1 (FLAGS)").await;
    assert_eq!(flags, ["* 1 FETCH (FLAGS (\\Flagged))"]);
}

/// More changes than a subscription keeps: the session looks at the mailbox anew, and numbers stay
/// true.
#[tokio::test]
async fn a_session_that_missed_too_much_looks_anew() {
    let world = World::new().await;
    for _ in 0..4 {
        world.deliver(MAIL).await;
    }
    let mut late = world.in_inbox().await;
    let mut other = world.in_inbox().await;
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("STORE 3 +FLAGS.SILENT (\\Flagged)").await;
    other.ok("EXPUNGE").await;
    world.deliver(MAIL).await;
    // Behind which all of that is forgotten.
    world.change_flags_often(1, 10_001).await;
    let news = late.ok("NOOP").await;
    let (first, third) = ("* 1 FETCH (FLAGS (\\Answered))", "* 3 FETCH (FLAGS (\\Flagged))");
    for line in [first, third, "* 2 EXPUNGE", "* 4 EXISTS"] {
        assert!(news.iter().any(|news| news == line), "{line} is not in {news:?}");
    }
    let uids = late.ok("FETCH 1:* (UID)").await;
    let uids: Vec<_> = uids.iter().map(|line| line.trim_end_matches(')')).collect();
    assert!(uids[1].ends_with("UID 3") && uids[3].ends_with("UID 5"), "{uids:?}");
    // And from there on it hears as before.
    let tag = late.idle().await;
    world.deliver(MAIL).await;
    assert_eq!(late.response().await, "* 5 EXISTS", "{tag}");
}

/// Wherever a delivery stands while a mailbox is being selected, the session has the message in its
/// snapshot or hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_falls_between_snapshot_and_subscription() {
    let world = Arc::new(World::new().await);
    let mut client = world.signed_in().await;
    for count in 1..=200 {
        let delivering = tokio::spawn({
            let world = Arc::clone(&world);
            async move { world.deliver(MAIL).await }
        });
        client.ok("SELECT INBOX").await;
        delivering.await.unwrap();
        client.ok("NOOP").await;
        let found = client.ok(&format!("UID SEARCH UID {count}")).await;
        assert_eq!(found, [format!("* SEARCH {count}")]);
        client.ok("UNSELECT").await;
    }
}

#[tokio::test]
async fn a_stop_says_goodbye() {
    let world = World::new().await;
    let mut idle = world.in_inbox().await;
    idle.idle().await;
    let hears = async move {
        assert!(idle.response().await.starts_with("* BYE "));
        assert_eq!(idle.response().await, "");
    };
    tokio::join!(hears, world.stop());
}

/// RFC 7162 §3.2: what went and what changed while a client was away, from the store's own memory.
#[tokio::test]
async fn who_was_away_is_told_what_was_missed() {
    let world = World::new().await;
    for _ in 0..5 {
        world.deliver(MAIL).await;
    }
    let mut other = world.in_inbox().await;
    let mut away = world.signed_in().await;
    away.ok("ENABLE QRESYNC").await;
    let selected = away.ok("SELECT INBOX").await;
    let number = |name: &str| {
        let line = selected.iter().find(|line| line.contains(name)).unwrap();
        line.split([' ', ']']).nth(3).unwrap().to_owned()
    };
    let (validity, highest) = (number("[UIDVALIDITY "), number("[HIGHESTMODSEQ "));
    away.ok("UNSELECT").await;
    other.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    other.ok("STORE 3 +FLAGS.SILENT (\\Flagged)").await;
    world.deliver(MAIL).await;
    let told = away.ok(&format!("SELECT INBOX (QRESYNC ({validity} {highest}))")).await;
    let missed: Vec<_> = told.iter().filter(|line| !line.starts_with("* OK")).collect();
    assert!(missed.iter().any(|line| *line == "* 4 EXISTS"), "{told:?}");
    assert!(missed.iter().any(|line| *line == "* VANISHED (EARLIER) 2,4"), "{told:?}");
    let fetched: Vec<_> = missed.iter().filter(|line| line.contains(" FETCH ")).collect();
    assert_eq!(fetched.len(), 2, "{told:?}");
    assert!(fetched[0].starts_with("* 3 FETCH (UID 5 FLAGS (\\Flagged) MODSEQ ("), "{told:?}");
    assert!(fetched[1].starts_with("* 4 FETCH (UID 6 FLAGS ("), "{told:?}");
    // Now it counts along.
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    assert_eq!(away.ok("NOOP").await, ["* VANISHED 1"]);
}
