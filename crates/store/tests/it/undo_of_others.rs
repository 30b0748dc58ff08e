//! Taking back one's own acts changes nothing that somebody else has by now; what a thief does by
//! taking back is taken back like anything else.

use mail_types::{AccountId, Flags, MailboxId, Right, Rights, SystemFlag};
use store::{
    AclChange, Act, ActFilter, ActKind, BroughtBack, FlagsChange, Grantee, Refused, Store, Vanished,
};

use crate::support::{operator, populate, session};
use crate::undo::{acts, append, in_session, of_session, open, proved, undo_all};

const BOSS: &str = "Other Users/bob@example.org/Inbound";

/// Bob's mailbox into which Ann may put messages, with their flags, and no more.
fn shared(store: &Store, ann: AccountId, bob: AccountId) -> MailboxId {
    store.create_mailbox(session(bob), "Inbound", None).wait().unwrap();
    let grantee = Grantee { account: Some(ann), negative: false };
    let rights = Rights::from_iter([Right::Lookup, Right::Insert, Right::Write]);
    let change = AclChange::Replace(rights);
    store.set_acl(session(bob), "Inbound", grantee, change).wait().unwrap();
    store.mailbox(bob, "Inbound").unwrap().unwrap().id
}

fn own_acts(store: &Store, owner: AccountId, kind: ActKind) -> Vec<Act> {
    let mut found = acts(store, &ActFilter { owner: Some(owner), ..ActFilter::default() });
    found.retain(|act| act.kind == kind);
    found
}

fn count(store: &Store, account: AccountId, mailbox: &str) -> u64 {
    store.mailbox(account, mailbox).unwrap().unwrap().messages
}

#[test]
fn what_somebody_else_has_by_now_stays_theirs() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, bob) = populate(&store);
    let inbound = shared(&store, ann, bob);
    let inbox = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    append(&store, session(ann), "INBOX", "one").unwrap();
    let words = Flags::from_iter([SystemFlag::Answered]);
    let add = FlagsChange::Add;
    store.set_flags(session(ann), inbox, vec![(1, 1)], add, words, None).wait().unwrap();
    store.move_messages(session(ann), inbox, vec![(1, 1)], BOSS).wait().unwrap();
    store.create_mailbox(session(bob), "Filed", None).wait().unwrap();
    store.move_messages(session(bob), inbound, vec![(1, 1)], "Filed").wait().unwrap();

    let take_back = |kind| {
        let wanted: Vec<_> = own_acts(&store, ann, kind).iter().map(|act| act.seq).collect();
        assert_eq!(wanted.len(), 1);
        store.undo(&session(ann).into(), Some(ann), &wanted).unwrap()
    };
    for kind in [ActKind::Appended, ActKind::Flags] {
        let outcome = take_back(kind);
        assert_eq!(outcome.undone, [], "{kind:?}: {outcome:?}");
        assert_eq!(outcome.skipped["messages that somebody else has by now"], 1);
    }
    let filed = store.mailbox(bob, "Filed").unwrap().unwrap().id;
    let mut mailbox = store.open_mailbox(filed).unwrap().unwrap();
    let flags = mailbox.take().unwrap().row(0).flags;
    assert!(flags.has(SystemFlag::Answered));
    // What she moved away she has back; bob keeps his.
    assert_eq!(take_back(ActKind::Moved).undone.len(), 1);
    assert_eq!((count(&store, ann, "INBOX"), count(&store, bob, "Filed")), (1, 1));

    // What bob deleted of it stays deleted for her.
    store.remove(session(bob), filed, vec![(1, 1)]).wait().unwrap();
    let removed = own_acts(&store, bob, ActKind::Expunged)[0].seq;
    let refused = store.undo(&session(ann).into(), Some(ann), &[removed]).unwrap();
    assert_eq!(refused.undone, []);
    // An operator may do all of that.
    assert_eq!(store.undo(&operator(), None, &[removed]).unwrap().undone.len(), 1);
    proved(store, root.path());
}

#[test]
fn what_a_thief_does_by_taking_back_is_taken_back() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    let owner = in_session(ann, 1);
    store.create_mailbox(owner, "Work", None).wait().unwrap();
    append(&store, owner, "INBOX", "one").unwrap();
    let before: Vec<_> = acts(&store, &of_session(1)).iter().map(|act| act.seq).collect();
    let thief = in_session(ann, 2);
    assert_eq!(store.undo(&thief.into(), Some(ann), &before).unwrap().undone.len(), 2);
    assert!(store.mailbox(ann, "Work").unwrap().is_none());

    let healed = undo_all(&store, &of_session(2));
    assert_eq!(healed.undone.len(), 2, "{healed:?}");
    assert_eq!(count(&store, ann, "INBOX"), 1);
    assert!(store.mailbox(ann, "Work").unwrap().is_some());

    // What a session did and took back itself comes to nothing.
    let third = in_session(ann, 3);
    store.create_mailbox(third, "Third", None).wait().unwrap();
    let made: Vec<_> = acts(&store, &of_session(3)).iter().map(|act| act.seq).collect();
    store.undo(&third.into(), Some(ann), &made).unwrap();
    assert_eq!(acts(&store, &of_session(3)), []);
    proved(store, root.path());
}

/// Made, taken back, had back, taken away again.
#[test]
fn an_undo_of_an_undo_of_an_undo_takes_the_first_act_back() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    append(&store, in_session(ann, 1), "INBOX", "one").unwrap();
    let first = own_acts(&store, ann, ActKind::Appended)[0].seq;
    let state = || {
        let one = ActFilter { seq: Some(first), ..ActFilter::default() };
        (acts(&store, &one)[0].undone.is_some(), count(&store, ann, "INBOX"))
    };
    let mut taken = store.undo(&operator(), None, &[first]).unwrap();
    assert_eq!(state(), (true, 0));
    for turn in 0..5 {
        let undoing = std::mem::take(&mut taken.records);
        taken = undo_all(&store, &ActFilter { undoing, ..ActFilter::default() });
        let there = turn % 2 == 0;
        assert_eq!(state(), (!there, u64::from(there)), "turn {turn}: {taken:?}");
    }
    // Once taken back, it is not taken back again.
    while state().0 {
        let undoing = std::mem::take(&mut taken.records);
        taken = undo_all(&store, &ActFilter { undoing, ..ActFilter::default() });
    }
    assert_eq!(undo_all(&store, &of_session(1)).undone, [first]);
    assert_eq!(undo_all(&store, &of_session(1)).undone, []);
    proved(store, root.path());
}

/// More records than a group of the journal takes.
#[test]
fn an_undo_of_very_much_comes_in_several_groups() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    for number in 0..40 {
        let name = format!("M{number}");
        store.create_mailbox(session(ann), &name, None).wait().unwrap();
        let notes = (0..100).map(|note| (format!("/private/{note}"), Some(vec![b'x'])));
        store.set_metadata(session(ann), Some(name.clone()), notes.collect()).wait().unwrap();
        store.delete_mailbox(in_session(ann, 2), &name).wait().unwrap();
    }
    let outcome = undo_all(&store, &of_session(2));
    assert_eq!(outcome.undone.len(), 40);
    assert!(outcome.skipped.is_empty(), "{outcome:?}");
    proved(store, root.path());
}

#[test]
fn nobody_gets_a_message_back_whose_body_is_gone() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    append(&store, session(ann), "INBOX", "one").unwrap();
    let inbox = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    let mut open = store.open_mailbox(inbox).unwrap().unwrap();
    let row = open.take().unwrap().row(0);
    drop(open);
    let mail = mail_types::MailId(row.mail);
    store.purge(&operator(), mail, "erasure".to_owned(), true).unwrap();
    let places = vec![(inbox, row.uid)];
    let refused = store.bring_back(operator(), places.clone(), ann, "INBOX".to_owned()).wait();
    assert!(matches!(refused, Err(Refused::Invalid(_))), "{refused:?}");
    assert_eq!(count(&store, ann, "INBOX"), 0);
    // Another one does come back.
    append(&store, session(ann), "INBOX", "two").unwrap();
    store.remove(session(ann), inbox, vec![(2, 2)]).wait().unwrap();
    let places = vec![(inbox, mail_types::Uid::new(2).unwrap())];
    let put = store.bring_back(operator(), places, ann, "INBOX".to_owned()).wait().unwrap();
    assert!(matches!(put, BroughtBack::Put(_)));
    proved(store, root.path());
}

fn keywords(prefix: &str, count: usize) -> Flags {
    let word = |n| mail_types::Keyword::new(&format!("{prefix}{n:0>60}")).unwrap();
    Flags::from_parts(0, (0..count).map(word).collect())
}

/// 2 KiB of keywords is what a message may have.
#[test]
fn keywords_of_a_message_are_limited() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    append(&store, session(ann), "INBOX", "one").unwrap();
    let inbox = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    let set = |change, flags| {
        let done = store.set_flags(session(ann), inbox, vec![(1, 1)], change, flags, None);
        done.wait().map(drop)
    };
    assert_eq!(set(FlagsChange::Add, keywords("a", 30)), Ok(()));
    let refused = Err(Refused::TooManyKeywords);
    assert_eq!(set(FlagsChange::Add, keywords("b", 30)), refused);
    assert_eq!(set(FlagsChange::Replace, keywords("b", 256)), refused);
    assert_eq!(set(FlagsChange::Replace, keywords("b", 30)), Ok(()));
    assert_eq!(set(FlagsChange::Remove, keywords("b", 30)), Ok(()));
    proved(store, root.path());
}

/// RFC 7162 §3.2.5.1: who saw the mailbox before it was deleted is told what did not come back.
#[test]
fn a_mailbox_that_comes_back_tells_what_does_not() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    store.create_mailbox(session(ann), "Work", None).wait().unwrap();
    append(&store, session(ann), "Work", "one").unwrap();
    append(&store, session(ann), "Work", "two").unwrap();
    let work = store.mailbox(ann, "Work").unwrap().unwrap();
    let mut open_one = store.open_mailbox(work.id).unwrap().unwrap();
    let first = mail_types::MailId(open_one.take().unwrap().row(0).mail);
    drop(open_one);
    store.delete_mailbox(in_session(ann, 2), "Work").wait().unwrap();
    store.purge(&operator(), first, "erasure".to_owned(), false).unwrap();
    assert_eq!(undo_all(&store, &of_session(2)).undone.len(), 1);
    assert_eq!(count(&store, ann, "Work"), 1);
    let vanished = store.vanished(work.id, work.mod_seq, 10).unwrap();
    assert_eq!(vanished, Vanished::Uids(vec![1]));
    proved(store, root.path());
}

#[test]
fn what_changes_nothing_is_no_act() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    for subscribed in [true, true, false, false] {
        store.set_subscribed(in_session(ann, 2), "News", subscribed).wait().unwrap();
    }
    assert_eq!(acts(&store, &of_session(2)).len(), 2);
    proved(store, root.path());
}
