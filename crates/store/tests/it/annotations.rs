//! Annotations of mailboxes and of the server.

use mail_types::Rights;
use store::{AclChange, ActFilter, ActKind, Grantee, METADATA_BYTES_MAX, Refused, Store};

use crate::support::{options, populate, session};

const SHARED: &str = "Other Users/ann@example.org/Team";

fn set(
    store: &Store,
    account: mail_types::AccountId,
    mailbox: Option<&str>,
    entries: &[(&str, Option<&str>)],
) -> Result<(), Refused> {
    let changes = entries
        .iter()
        .map(|(entry, value)| ((*entry).to_owned(), value.map(|value| value.as_bytes().to_vec())));
    store.set_metadata(session(account), mailbox.map(str::to_owned), changes.collect()).wait()
}

fn names(store: &Store, account: mail_types::AccountId, mailbox: Option<&str>) -> Vec<String> {
    let id = mailbox.map(|name| store.reach(account, name).unwrap().0.id);
    let all = ["/private".to_owned(), "/shared".to_owned()];
    store.metadata(account, id, &all, None).unwrap().into_keys().collect()
}

#[test]
fn private_ones_are_private_and_shared_ones_follow_the_rights() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, bob) = populate(&store);
    store.create_mailbox(session(ann), "Team", None).wait().unwrap();
    let both = [("/private/comment", Some("mine")), ("/shared/comment", Some("ours"))];
    set(&store, ann, Some("Team"), &both).unwrap();
    let refused = set(&store, bob, Some(SHARED), &both);
    assert_eq!(refused, Err(Refused::Missing("the mailbox".to_owned())));
    let grant = |letters: &str| {
        let who = Grantee { account: Some(bob), negative: false };
        let change = AclChange::Replace(Rights::parse(letters).unwrap());
        store.set_acl(session(ann), "Team", who, change).wait().unwrap();
    };
    grant("l");
    assert_eq!(set(&store, bob, Some(SHARED), &both[..1]), Err(Refused::NotAllowed));
    grant("lr");
    // All or none.
    assert_eq!(set(&store, bob, Some(SHARED), &both), Err(Refused::NotAllowed));
    assert_eq!(names(&store, bob, Some(SHARED)), ["/shared/comment"]);
    set(&store, bob, Some(SHARED), &[("/private/color", Some("red"))]).unwrap();
    assert_eq!(names(&store, bob, Some(SHARED)), ["/private/color", "/shared/comment"]);
    assert_eq!(names(&store, ann, Some("Team")), ["/private/comment", "/shared/comment"]);
    grant("lrw");
    set(&store, bob, Some(SHARED), &[("/shared/comment", None)]).unwrap();
    assert_eq!(names(&store, ann, Some("Team")), ["/private/comment"]);
    // What the server says to everybody is not theirs to say.
    assert_eq!(set(&store, ann, None, &both), Err(Refused::NotAllowed));
    set(&store, ann, None, &both[..1]).unwrap();
    assert_eq!(names(&store, ann, None), ["/private/comment"]);
    assert!(names(&store, bob, None).is_empty());

    // They follow a rename, are copied where INBOX is, and go with their mailbox.
    store.rename_mailbox(session(ann), "Team", "Group").wait().unwrap();
    assert_eq!(names(&store, ann, Some("Group")), ["/private/comment"]);
    set(&store, ann, Some("INBOX"), &both).unwrap();
    store.rename_mailbox(session(ann), "INBOX", "Old").wait().unwrap();
    for name in ["INBOX", "Old"] {
        assert_eq!(names(&store, ann, Some(name)).len(), 2);
    }
    store.delete_mailbox(session(ann), "Group").wait().unwrap();
    store.create_mailbox(session(ann), "Group", None).wait().unwrap();
    assert!(names(&store, ann, Some("Group")).is_empty());
    store.close();
    let scratch = tempfile::tempdir().unwrap();
    let report = store::verify(root.path(), scratch.path(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.violations);
}

#[test]
fn values_and_their_number_are_limited() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, _) = populate(&store);
    let most = "x".repeat(METADATA_BYTES_MAX);
    set(&store, ann, Some("INBOX"), &[("/private/a", Some(&most))]).unwrap();
    let more = format!("{most}x");
    let set_more = set(&store, ann, Some("INBOX"), &[("/private/a", Some(&more))]);
    assert_eq!(set_more, Err(Refused::MetadataTooLarge));
    let names: Vec<String> = (0..100).map(|number| format!("/private/n{number}")).collect();
    let all: Vec<_> = names.iter().map(|name| (name.as_str(), Some("x"))).collect();
    assert_eq!(set(&store, ann, Some("INBOX"), &all), Err(Refused::MetadataTooMany));
    set(&store, ann, Some("INBOX"), &all[1..]).unwrap();
    // Room again, in the same command.
    let swap = [("/private/a", None), ("/private/n0", Some("x"))];
    set(&store, ann, Some("INBOX"), &swap).unwrap();
}

/// Bob's private entry of a mailbox that Ann shares with him is another thing than hers of the same
/// name.
#[test]
fn private_ones_of_two_accounts_do_not_overtake_each_other() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, bob) = populate(&store);
    store.create_mailbox(session(ann), "Team", None).wait().unwrap();
    let who = Grantee { account: Some(bob), negative: false };
    let change = AclChange::Replace(Rights::parse("lrw").unwrap());
    store.set_acl(session(ann), "Team", who, change).wait().unwrap();
    set(&store, ann, Some("Team"), &[("/private/comment", Some("hers"))]).unwrap();
    set(&store, bob, Some(SHARED), &[("/private/comment", Some("his"))]).unwrap();
    set(&store, bob, Some(SHARED), &[("/shared/comment", Some("ours"))]).unwrap();
    let annotated = |owner| {
        let mut found = Vec::new();
        let filter = ActFilter { owner: Some(owner), ..ActFilter::default() };
        let acts = store.acts(&filter, &mut |act| {
            if act.kind == ActKind::Annotated {
                found.push((act.seq, act.subject));
            }
            true
        });
        acts.unwrap();
        found
    };
    let (hers, his) = (annotated(ann), annotated(bob));
    let subjects = |acts: &[(_, String)]| acts.iter().map(|(_, s)| s.clone()).collect::<Vec<_>>();
    assert_eq!(subjects(&hers), ["/shared/comment", "/private/comment"]);
    assert_eq!(subjects(&his), ["/private/comment"]);
    // What is Bob's own, Ann cannot take back, and she takes back hers though his is later.
    let actor = session(ann).into();
    let outcome = store.undo(&actor, Some(ann), &[his[0].0]).unwrap();
    assert!(outcome.undone.is_empty(), "{outcome:?}");
    let outcome = store.undo(&actor, Some(ann), &[hers[1].0]).unwrap();
    assert_eq!(outcome.undone, [hers[1].0], "{outcome:?}");
    assert_eq!(names(&store, ann, Some("Team")), ["/shared/comment"]);
    assert_eq!(names(&store, bob, Some(SHARED)), ["/private/comment", "/shared/comment"]);
    store.close();
    let scratch = tempfile::tempdir().unwrap();
    let report = store::verify(root.path(), scratch.path(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.violations);
}
