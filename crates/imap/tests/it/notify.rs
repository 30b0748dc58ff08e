//! NOTIFY (RFC 5465) through the store.

use mail_types::{Right, Rights};
use store::{AclChange, Actor, Grantee};

use crate::world::{PASSWORD, World};

const MAIL: &str = "Subject: hello\r\n\r\ntext\r\n";

#[tokio::test]
async fn other_mailboxes_are_told_of_as_soon_as_they_change() {
    let world = World::new().await;
    let mut watching = world.signed_in().await;
    watching.ok("CREATE Lists").await;
    watching.ok("SELECT Lists").await;
    let personal = "(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)";
    let begun = watching.ok(&format!("NOTIFY SET STATUS (personal {personal})")).await;
    let inbox = begun.iter().find(|line| line.starts_with("* STATUS INBOX "));
    assert!(inbox.is_some_and(|line| line.contains("MESSAGES 0 UIDNEXT 1")), "{begun:?}");
    assert!(!begun.iter().any(|line| line.starts_with("* STATUS Lists ")), "{begun:?}");
    world.deliver(MAIL).await;
    assert_eq!(watching.response().await, "* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UNSEEN 1)");
    let mut other = world.in_inbox().await;
    other.ok("STORE 1 +FLAGS.SILENT (\\Seen \\Deleted)").await;
    let told = watching.response().await;
    assert!(told.starts_with("* STATUS INBOX (UIDVALIDITY "), "{told}");
    assert!(told.ends_with(" UNSEEN 0)"), "{told}");
    other.ok("EXPUNGE").await;
    assert_eq!(watching.response().await, "* STATUS INBOX (MESSAGES 0 UIDNEXT 2 UNSEEN 0)");
    other.ok("CREATE A/B").await;
    assert_eq!(watching.response().await, "* LIST (\\HasChildren) \"/\" A");
    assert_eq!(watching.response().await, "* LIST (\\HasNoChildren) \"/\" A/B");
    // Both appear under names that had no UIDVALIDITY.
    assert!(watching.response().await.starts_with("* STATUS A "));
    assert!(watching.response().await.starts_with("* STATUS A/B "));
    // Children follow without a word.
    other.ok("RENAME A C").await;
    let told = watching.response().await;
    assert_eq!(told, "* LIST (\\HasChildren) \"/\" C (\"OLDNAME\" (A))");
    assert!(watching.response().await.starts_with("* STATUS C "));
    assert!(watching.response().await.starts_with("* STATUS C/B "));
    other.ok("SUBSCRIBE C/B").await;
    assert_eq!(watching.response().await, "* LIST (\\HasNoChildren \\Subscribed) \"/\" C/B");
    // What it does itself is no news, and nothing else is left.
    assert_eq!(watching.ok("CREATE Own").await.len(), 0);
    assert_eq!(watching.ok("SUBSCRIBE Own").await.len(), 0);
    assert_eq!(watching.ok("NOTIFY NONE").await.len(), 0);
    world.deliver(MAIL).await;
    assert_eq!(watching.ok("NOOP").await.len(), 0);
}

#[tokio::test]
async fn a_mailbox_of_somebody_else_comes_and_goes_with_its_rights() {
    let world = World::new().await;
    let operator = || Actor::Operator { name: "root".to_owned() };
    let credentials = sign_in::credentials(PASSWORD, &[8; 16]).unwrap();
    let bob = mail_types::Address::parse("bob@example.org").unwrap();
    let bob = world.store.add_account(operator(), bob, credentials).await.unwrap();
    let mut watching = world.client().await;
    watching.ok(&format!("LOGIN bob@example.org \"{PASSWORD}\"")).await;
    let tree = "(subtree \"Other Users\" (MessageNew MessageExpunge MailboxName))";
    watching.ok(&format!("NOTIFY SET {tree}")).await;
    world.deliver(MAIL).await;
    let grantee = Grantee { account: Some(bob), negative: false };
    let actor =
        store::SessionActor { account: world.ann, ip: None, via: store::Via::Imap, session: None };
    let rights = Rights::from_iter([Right::Lookup, Right::Read]);
    let set = |change| world.store.set_acl(actor, "INBOX", grantee, change);
    set(AclChange::Replace(rights)).await.unwrap();
    let name = "\"Other Users/ann@example.org/INBOX\"";
    let parent = "* LIST (\\NonExistent \\HasChildren) \"/\" \"Other Users/ann@example.org\"";
    assert_eq!(watching.response().await, parent);
    assert_eq!(watching.response().await, format!("* LIST (\\HasNoChildren) \"/\" {name}"));
    assert!(watching.response().await.starts_with(&format!("* STATUS {name} (MESSAGES 1 ")));
    world.deliver(MAIL).await;
    let told = watching.response().await;
    assert_eq!(told, format!("* STATUS {name} (MESSAGES 2 UIDNEXT 3)"));
    set(AclChange::Remove(Rights::from_iter([Right::Read]))).await.unwrap();
    let barred = watching.response().await;
    assert_eq!(barred, format!("* LIST (\\NoAccess \\HasNoChildren) \"/\" {name}"));
    world.deliver(MAIL).await;
    set(AclChange::Delete).await.unwrap();
    let parent = "* LIST (\\NonExistent \\HasNoChildren) \"/\" \"Other Users/ann@example.org\"";
    assert_eq!(watching.response().await, parent);
    let gone = watching.response().await;
    assert_eq!(gone, format!("* LIST (\\NonExistent \\HasNoChildren) \"/\" {name}"));
}
