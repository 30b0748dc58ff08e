use crate::world::World;

const MAIL: &str = "Subject: hello\r\n\r\ntext\r\n";

#[tokio::test]
async fn a_new_account_has_its_special_mailboxes() {
    let world = World::new().await;
    let mut client = world.signed_in().await;
    let listed = client.ok("LIST \"\" *").await;
    let has = |line: &str| listed.iter().any(|listed| listed == line);
    assert!(has("* LIST (\\HasNoChildren) \"/\" INBOX"), "{listed:?}");
    for name in ["Archive", "Drafts", "Junk", "Sent", "Trash"] {
        let line = format!("* LIST (\\HasNoChildren \\{name}) \"/\" {name}");
        assert!(has(&line), "{line} is not in {listed:?}");
    }
}

#[tokio::test]
async fn mailboxes_are_made_renamed_subscribed_and_deleted() {
    let world = World::new().await;
    let mut client = world.signed_in().await;
    client.ok("CREATE Work/2026/Q3").await;
    assert!(client.no("CREATE Work/2026").await.starts_with("[ALREADYEXISTS] "));
    assert!(client.no("DELETE Elsewhere").await.starts_with("[NONEXISTENT] "));
    assert!(client.no("RENAME Elsewhere There").await.starts_with("[NONEXISTENT] "));
    assert!(client.no("RENAME Work Sent").await.starts_with("[ALREADYEXISTS] "));
    assert!(client.no("RENAME Work Work/below").await.starts_with("[CANNOT] "));
    assert!(client.no("SELECT Elsewhere").await.starts_with("[NONEXISTENT] "));
    assert!(client.no("STATUS Elsewhere (MESSAGES)").await.starts_with("[NONEXISTENT] "));
    client.ok("SUBSCRIBE Work/2026").await;
    client.ok("RENAME Work Arbeit").await;
    let listed = client.ok("LIST \"\" Arbeit*").await;
    let names = ["Arbeit", "Arbeit/2026", "Arbeit/2026/Q3"];
    let listed: Vec<_> = listed.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(listed, names);
    assert_eq!(client.ok("LSUB \"\" Work/*").await.len(), 1);
    client.ok("DELETE Arbeit/2026/Q3").await;
    assert_eq!(client.ok("LIST \"\" Arbeit/2026/%").await, [""; 0]);
}

#[tokio::test]
async fn a_rename_never_makes_names_that_cannot_be_shown() {
    let world = World::new().await;
    let mut client = world.signed_in().await;
    let deep = vec!["d"; 20].join("/");
    client.ok(&format!("CREATE {deep}")).await;
    assert!(
        client.no(&format!("RENAME d {}", vec!["e"; 20].join("/"))).await.starts_with("[CANNOT] ")
    );
    assert_eq!(client.ok(&format!("LIST \"\" {deep}")).await.len(), 1);
}

#[tokio::test]
async fn a_selected_mailbox_may_be_renamed_and_its_deletion_ends_the_session() {
    let world = World::new().await;
    let mut first = world.signed_in().await;
    let mut second = world.signed_in().await;
    first.ok("CREATE Work").await;
    first.append("Work", MAIL).await;
    first.ok("SELECT Work").await;
    second.ok("RENAME Work Arbeit").await;
    // Same mailbox, another name.
    assert_eq!(first.ok("FETCH 1 (UID)").await, ["* 1 FETCH (UID 1)"]);
    second.append("Arbeit", MAIL).await;
    assert_eq!(first.ok("NOOP").await[0], "* 2 EXISTS");
    let tag = first.idle().await;
    second.ok("DELETE Arbeit").await;
    assert!(first.response().await.starts_with("* BYE "), "{tag}");
    assert_eq!(first.response().await, "");
    // What was in it is in no mailbox any more, and no other one is touched.
    assert!(second.no("SELECT Arbeit").await.starts_with("[NONEXISTENT] "));
}

#[tokio::test]
async fn renaming_inbox_moves_its_messages() {
    let world = World::new().await;
    world.deliver(MAIL).await;
    let mut client = world.in_inbox().await;
    client.ok("RENAME INBOX Old").await;
    assert_eq!(client.ok("NOOP").await, ["* 1 EXPUNGE"]);
    let status = client.ok("STATUS Old (MESSAGES UIDNEXT UNSEEN)").await;
    assert_eq!(status, ["* STATUS Old (MESSAGES 1 UIDNEXT 2 UNSEEN 1)"]);
    world.deliver(MAIL).await;
    assert_eq!(client.ok("NOOP").await[0], "* 1 EXISTS");
}
