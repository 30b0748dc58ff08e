use mail_types::Address;
use store::Actor;

use crate::client::Client;
use crate::world::{PASSWORD, World};

const MAIL: &str = "Subject: hello\r\n\r\ntext\r\n";
const SHARED: &str = "\"Other Users/ann@example.org/Team\"";

/// A second account, signed in.
async fn bob(world: &World) -> Client {
    let operator = Actor::Operator { name: "root".to_owned() };
    let bob = Address::parse("bob@example.org").unwrap();
    let credentials = sign_in::credentials(PASSWORD, &[8; 16]).unwrap();
    world.store.add_account(operator, bob, credentials).await.unwrap();
    let mut client = world.client().await;
    client.ok(&format!("LOGIN bob@example.org \"{PASSWORD}\"")).await;
    client
}

// RFC 4314
#[tokio::test]
async fn a_mailbox_is_shared_as_far_as_its_list_says() {
    let world = World::new().await;
    let mut ann = world.signed_in().await;
    let mut bob = bob(&world).await;
    ann.ok("CREATE Team").await;
    ann.append("Team", MAIL).await;
    // What is not shared does not exist.
    for command in ["SELECT", "EXAMINE", "MYRIGHTS", "GETACL", "DELETE"] {
        let refused = bob.no(&format!("{command} {SHARED}")).await;
        assert!(refused.starts_with("[NONEXISTENT] "), "{command}: {refused}");
    }
    assert!(bob.no(&format!("STATUS {SHARED} (MESSAGES)")).await.starts_with("[NONEXISTENT] "));
    assert_eq!(bob.ok("LIST \"\" \"Other Users*\"").await, [""; 0]);

    ann.ok("SETACL Team bob@example.org lr").await;
    let acl = ann.ok("GETACL Team").await;
    assert_eq!(acl, ["* ACL Team ann@example.org lrswipkxteacd bob@example.org lr"]);
    assert!(ann.no("SETACL Team nobody@example.org lr").await.starts_with("[NONEXISTENT] "));
    let listed = bob.ok("LIST \"\" \"Other*\" RETURN (MYRIGHTS STATUS (MESSAGES))").await;
    let name = SHARED.trim_matches('"');
    assert_eq!(
        listed,
        [
            "* LIST (\\NonExistent \\HasChildren) \"/\" \"Other Users\"".to_owned(),
            "* LIST (\\NonExistent \\HasChildren) \"/\" \"Other Users/ann@example.org\"".to_owned(),
            format!("* LIST (\\HasNoChildren) \"/\" \"{name}\""),
            format!("* MYRIGHTS \"{name}\" lr"),
            format!("* STATUS \"{name}\" (MESSAGES 1)"),
        ]
    );
    assert!(bob.ok_text(&format!("SELECT {SHARED}")).await.starts_with("[READ-ONLY] "));
    assert_eq!(bob.ok("FETCH 1 (BODY[])").await.len(), 1);
    assert!(bob.no("STORE 1 +FLAGS (\\Seen)").await.starts_with("[READ-ONLY] "));
    assert!(bob.no(&format!("GETACL {SHARED}")).await.starts_with("[NOPERM] "));
    assert!(bob.no(&format!("DELETE {SHARED}")).await.starts_with("[NOPERM] "));
    assert!(
        bob.no("COPY 1 \"Other Users/ann@example.org/INBOX\"").await.starts_with("[TRYCREATE]")
    );
    bob.ok("COPY 1 INBOX").await;

    // What both may see, both are told of.
    ann.ok("SETACL Team bob@example.org +stei").await;
    assert!(bob.ok_text(&format!("SELECT {SHARED}")).await.starts_with("[READ-WRITE] "));
    ann.ok("SELECT Team").await;
    bob.ok("STORE 1 +FLAGS (\\Seen \\Flagged)").await;
    assert_eq!(ann.ok("NOOP").await, ["* 1 FETCH (FLAGS (\\Seen))"]);
    bob.append(SHARED, MAIL).await;
    assert!(ann.ok("NOOP").await.iter().any(|line| line == "* 2 EXISTS"));
    bob.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    bob.ok("EXPUNGE").await;
    assert!(ann.ok("NOOP").await.iter().any(|line| line == "* 1 EXPUNGE"));

    // Rights that are taken away in between no longer count: the mailbox is gone (RFC 4314 §5.1.1).
    ann.ok("DELETEACL Team bob@example.org").await;
    bob.begin("STORE 1 +FLAGS (\\Deleted)").await;
    assert!(bob.response().await.starts_with("* BYE "));
    world.stop().await;
}

// RFC 5464
#[tokio::test]
async fn annotations_are_kept() {
    let world = World::new().await;
    let mut ann = world.signed_in().await;
    ann.ok("SETMETADATA INBOX (/private/comment \"mine\" /shared/comment \"ours\")").await;
    ann.ok("SETMETADATA \"\" (/private/vendor/x \"of the server\")").await;
    assert!(ann.no("SETMETADATA \"\" (/shared/comment \"x\")").await.starts_with("[NOPERM] "));
    let large = "x".repeat(16_385);
    let refused = ann.no(&format!("SETMETADATA INBOX (/private/a \"{large}\")")).await;
    assert!(refused.starts_with("[METADATA MAXSIZE 16384] "), "{refused}");
    assert!(ann.no("GETMETADATA Elsewhere /private/a").await.starts_with("[NONEXISTENT] "));
    let found = ann.ok("GETMETADATA INBOX (DEPTH infinity) (/private /shared)").await;
    assert_eq!(found, ["* METADATA INBOX (/private/comment \"mine\" /shared/comment \"ours\")"]);
    let found = ann.ok("GETMETADATA \"\" (DEPTH 1) /private/vendor").await;
    assert_eq!(found, ["* METADATA \"\" (/private/vendor/x \"of the server\")"]);
    world.stop().await;
}

// RFC 4314 §4: rights count from the moment they change, in a selected mailbox too.
#[tokio::test]
async fn whoever_may_no_longer_read_reads_no_more() {
    let world = World::new().await;
    let mut ann = world.signed_in().await;
    let mut bob = bob(&world).await;
    ann.ok("CREATE Team").await;
    ann.append("Team", MAIL).await;
    ann.ok("SETACL Team bob@example.org lr").await;
    bob.ok(&format!("SELECT {SHARED}")).await;
    assert_eq!(bob.ok("FETCH 1 (BODY[])").await.len(), 1);
    ann.ok("SETACL Team bob@example.org l").await;
    for command in ["FETCH 1 (BODY[])", "SEARCH TEXT \"text\"", "SORT (SUBJECT) UTF-8 ALL"] {
        let refused = bob.no(command).await;
        assert!(refused.starts_with("[NOPERM] "), "{command}: {refused}");
    }
    // And hears of nothing.
    ann.append("Team", MAIL).await;
    let tag = bob.begin("NOOP").await;
    assert_eq!(bob.response().await, format!("{tag} OK Done"));
    assert!(bob.response().await.starts_with("* BYE "));
}
