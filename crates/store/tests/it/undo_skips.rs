//! What cannot be taken back is skipped, stops nothing else, and costs nobody a mailbox.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mail_types::{AccountId, Flags, RecordSeq, SystemFlag, Timestamp, Uid};
use store::{
    ActFilter, ActKind, ComeBack, FlagsChange, Refused, RelayLogin, RelayPassword, Store,
    UndoOutcome,
};

use crate::support::{arrived, operator, populate, session};
use crate::undo::{acts, append, flag, in_session, of_session, open, proved, undo_all};

fn last_of(store: &Store, kind: ActKind) -> RecordSeq {
    acts(store, &ActFilter::default()).iter().find(|act| act.kind == kind).unwrap().seq
}

fn undo_one(store: &Store, act: RecordSeq) -> UndoOutcome {
    store.undo(&operator(), None, &[act]).unwrap()
}

fn why(outcome: &UndoOutcome) -> Vec<&str> {
    outcome.skipped.keys().map(String::as_str).collect()
}

/// Flips a bit of an act's record.
fn damage(root: &Path, act: RecordSeq) {
    let index = rusqlite::Connection::open(root.join("index.sqlite")).unwrap();
    let query = format!("SELECT segment, place FROM act WHERE seq = {}", act.0);
    let (segment, place): (u32, i64) =
        index.query_row(&query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let path = root.join(format!("journal/{segment:08}.seg"));
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let place = u64::try_from(place).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, place + 64 + 1).unwrap();
    file.write_all_at(&[byte[0] ^ 1], place + 64 + 1).unwrap();
}

#[test]
fn a_smart_host_comes_back_with_its_login() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    populate(&store);
    let logins = || -> Vec<(String, String)> {
        let directory = store.directory();
        let logins = directory.logins();
        logins.map(|(relay, login)| (relay.to_owned(), login.name.clone())).collect()
    };
    let login = |name: &str| RelayLogin {
        name: name.to_owned(),
        password: RelayPassword("secret".to_owned()),
    };
    let host = "relay.example.net";
    let known = vec![("relay.example.net:587".to_owned(), "us".to_owned())];
    store.set_route(operator(), None, host.to_owned(), 587).wait().unwrap();
    store.set_relay_login(operator(), host, 587, login("us")).wait().unwrap();
    store.remove_route(operator(), None).wait().unwrap();
    assert_eq!(logins(), []);

    let undone = undo_one(&store, last_of(&store, ActKind::Route));
    assert_eq!((undone.undone.len(), logins()), (1, known.clone()));
    // Taken back in turn, the login goes with the route; and comes back again.
    let redone = undo_all(&store, &ActFilter { undoing: undone.records, ..ActFilter::default() });
    assert_eq!((redone.undone.len(), logins()), (1, Vec::new()));
    let again = undo_all(&store, &ActFilter { undoing: redone.records, ..ActFilter::default() });
    assert_eq!((again.undone.len(), logins()), (1, known));
    // What was told anew since holds.
    store.remove_route(operator(), None).wait().unwrap();
    store.set_relay_login(operator(), host, 587, login("new")).wait().unwrap();
    assert_eq!(undo_one(&store, last_of(&store, ActKind::Route)).undone.len(), 1);
    assert_eq!(logins()[0].1, "new");
    proved(store, root.path());
}

/// An account with as many mailboxes as it may have gets none back; all else comes back.
#[test]
fn an_act_that_is_refused_stops_no_other() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    let thief = in_session(ann, 2);
    store.create_mailbox(session(ann), "Gone", None).wait().unwrap();
    store.set_subscribed(thief, "Before", true).wait().unwrap();
    store.delete_mailbox(thief, "Gone").wait().unwrap();
    store.set_subscribed(thief, "Behind", true).wait().unwrap();
    let room =
        10_000 - store.mailboxes(ann).unwrap().iter().filter(|m| m.mailbox.is_some()).count();
    let made: Vec<_> =
        (0..room).map(|n| store.create_mailbox(session(ann), &format!("M{n}"), None)).collect();
    for made in made {
        made.wait().unwrap();
    }

    let outcome = undo_all(&store, &of_session(2));
    assert_eq!(outcome.undone.len(), 2, "{outcome:?}");
    assert_eq!(why(&outcome), [Refused::OverQuota.to_string()]);
    let listed = store.mailboxes(ann).unwrap();
    assert!(!listed.iter().any(|one| one.name == "Before" || one.name == "Behind"));
    proved(store, root.path());
}

/// More than a group of the journal takes comes back in several.
#[test]
fn deleted_mailboxes_with_many_annotations_come_back() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    let thief = in_session(ann, 2);
    for number in 0..11 {
        let name = format!("M{number}");
        store.create_mailbox(session(ann), &name, None).wait().unwrap();
        for kind in ["private", "shared"] {
            let notes = (0..100).map(|note| (format!("/{kind}/{note}"), Some(vec![b'x'; 16_384])));
            store.set_metadata(session(ann), Some(name.clone()), notes.collect()).wait().unwrap();
        }
        store.delete_mailbox(thief, &name).wait().unwrap();
    }
    let outcome = undo_all(&store, &of_session(2));
    assert_eq!((outcome.undone.len(), why(&outcome).len()), (11, 0), "{outcome:?}");
    for number in 0..11 {
        let mailbox = store.mailbox(ann, &format!("M{number}")).unwrap().unwrap().id;
        let names = ["/private".to_owned(), "/shared".to_owned()];
        assert_eq!(store.metadata(ann, Some(mailbox), &names, None).unwrap().len(), 200);
    }
    store.close();
}

/// A record that the disk lost costs its own act, and what only it said.
#[test]
fn a_damaged_record_stops_no_other() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    append(&store, session(ann), "INBOX", "one").unwrap();
    let inbox = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    let thief = in_session(ann, 2);
    store.set_subscribed(thief, "Other", true).wait().unwrap();
    let words = Flags::from_iter([SystemFlag::Answered]);
    let add = FlagsChange::Add;
    store.set_flags(session(ann), inbox, vec![(1, 1)], add, words, None).wait().unwrap();
    let earlier = last_of(&store, ActKind::Flags);
    flag(&store, thief, "INBOX", &[SystemFlag::Seen], 1);
    let later = last_of(&store, ActKind::Flags);
    store.move_messages(thief, inbox, vec![(1, 1)], "Trash").wait().unwrap();
    let moved = last_of(&store, ActKind::Moved);
    let then = Timestamp(acts(&store, &ActFilter::default())[0].at.0 - 1);
    damage(root.path(), earlier);
    damage(root.path(), moved);

    assert_eq!(store.mailbox_at(ann, inbox, Timestamp(then.0 - 1)).unwrap().len(), 1);
    let outcome = undo_all(&store, &of_session(2));
    assert_eq!(outcome.undone.len(), 1, "{outcome:?}");
    let reasons = ["messages whose earlier flags are not known", "what it said cannot be read"];
    assert_eq!(why(&outcome), reasons);
    // Nothing was recorded of it: it is not taken back, and may be where the disk is mended.
    assert_eq!(
        acts(&store, &ActFilter { seq: Some(later), ..ActFilter::default() })[0].undone,
        None
    );
    store.close();
}

#[test]
fn flags_that_are_not_known_any_more_are_told() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    append(&store, session(ann), "INBOX", "one").unwrap();
    let inbox = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    flag(&store, session(ann), "INBOX", &[SystemFlag::Answered], 1);
    let earlier = last_of(&store, ActKind::Flags);
    let then = acts(&store, &ActFilter::default())[0].at;
    flag(&store, session(ann), "INBOX", &[SystemFlag::Seen], 1);
    let flags = || store.mailbox_at(ann, inbox, then).unwrap().remove(0).flags;
    assert!(flags().unwrap().has(SystemFlag::Answered));
    damage(root.path(), earlier);
    assert_eq!(flags(), None);
    store.close();
}

#[test]
fn no_inbox_is_taken_away() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    let made = ActFilter { owner: Some(ann), ..ActFilter::default() };
    let outcome = undo_all(&store, &made);
    assert!(why(&outcome).contains(&"an account always has an INBOX"), "{outcome:?}");
    // The account came with it: it is brought back, and mail comes in.
    let directory = store.directory();
    if directory.account(ann).is_none() {
        let removed = last_of(&store, ActKind::Account);
        assert_eq!(undo_one(&store, removed).undone.len(), 1);
    }
    assert!(store.mailbox(ann, "INBOX").unwrap().is_some());
    store.accept(arrived(&store, true, &["ann@example.org"], "hello")).wait().unwrap();
    proved(store, root.path());
}

#[test]
fn a_restored_mailbox_with_new_mail_stays() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    store.create_mailbox(session(ann), "Work", None).wait().unwrap();
    append(&store, session(ann), "Work", "old").unwrap();
    store.delete_mailbox(in_session(ann, 2), "Work").wait().unwrap();
    let undone = undo_all(&store, &of_session(2));
    let redo = ActFilter { undoing: undone.records, ..ActFilter::default() };
    append(&store, session(ann), "Work", "new").unwrap();
    let refused = undo_all(&store, &redo);
    assert_eq!(
        (refused.undone.len(), why(&refused)),
        (0, vec!["mail came into the mailbox since"])
    );
    assert_eq!(store.mailbox(ann, "Work").unwrap().unwrap().messages, 2);
    // Without it, it goes as it went.
    let work = store.mailbox(ann, "Work").unwrap().unwrap().id;
    store.remove(session(ann), work, vec![(2, 2)]).wait().unwrap();
    assert_eq!(undo_all(&store, &redo).undone.len(), 1);
    assert!(store.mailbox(ann, "Work").unwrap().is_none());
    proved(store, root.path());
}

/// What others took back between two jobs of one undo is theirs.
#[test]
fn a_redo_takes_nothing_of_others_back() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, bob) = populate(&store);
    for (account, number, name) in [(ann, 2, "One"), (bob, 3, "Two"), (ann, 4, "Three")] {
        store.create_mailbox(in_session(account, number), name, None).wait().unwrap();
    }
    let [one, two, three] = [2, 3, 4].map(|number| undo_all(&store, &of_session(number)));
    assert_eq!(two.undone.len(), 1);
    let undoing = [one.records, three.records].concat();
    let redone = undo_all(&store, &ActFilter { undoing, ..ActFilter::default() });
    assert_eq!(redone.undone.len(), 2, "{redone:?}");
    assert!(store.mailbox(bob, "Two").unwrap().is_none());
    assert!(store.mailbox(ann, "One").unwrap().is_some());
    proved(store, root.path());
}

/// An undo of many acts says which records it made, while others go on working between its jobs.
#[test]
fn an_undo_claims_no_records_of_others() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, bob) = populate(&store);
    let subscribe =
        |number: u32| store.set_subscribed(in_session(ann, 2), &format!("News {number}"), true);
    let waiting: Vec<_> = (0..2000).map(subscribe).collect();
    waiting.into_iter().for_each(|done| done.wait().unwrap());
    let done = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for subscribed in [true, false] {
                    store.set_subscribed(session(bob), "News", subscribed).wait().unwrap();
                }
            }
        });
        let outcome = undo_all(&store, &of_session(2));
        done.store(true, Ordering::Relaxed);
        outcome
    });
    assert_eq!((outcome.undone.len(), why(&outcome).len()), (2000, 0));
    let of_bob = acts(&store, &ActFilter { owner: Some(bob), ..ActFilter::default() });
    let claimed = |seq| outcome.records.iter().any(|&(first, last)| (first..=last).contains(&seq));
    assert!(!of_bob.iter().any(|act| claimed(act.seq)));
    let made = ActFilter { undoing: outcome.records.clone(), ..ActFilter::default() };
    assert_eq!(acts(&store, &made).len(), 2000);
    store.close();
}

#[test]
fn what_another_account_did_overtakes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, bob) = populate(&store);
    store.set_subscribed(in_session(ann, 2), "News", true).wait().unwrap();
    store.set_subscribed(in_session(bob, 3), "News", true).wait().unwrap();
    let outcome = undo_all(&store, &of_session(2));
    assert_eq!((outcome.undone.len(), why(&outcome).len()), (1, 0), "{outcome:?}");
    assert!(!store.mailboxes(ann).unwrap().iter().any(|one| one.name == "News"));
    assert!(store.mailboxes(bob).unwrap().iter().any(|one| one.name == "News"));
    proved(store, root.path());
}

/// An account's acts are listed without gap or twin, however they lie among those of others.
#[test]
fn an_account_s_acts_are_all_listed() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, bob) = populate(&store);
    let mut waiting = Vec::new();
    for number in 0..6000_u32 {
        // First some of both, then only bob, then only ann.
        let account = match number {
            0..200 if number % 3 == 0 => ann,
            0..4500 => bob,
            _ => ann,
        };
        waiting.push(store.set_subscribed(session(account), "News", number % 2 == 0));
    }
    waiting.into_iter().for_each(|done| done.wait().unwrap());
    for account in [Some(ann), Some(bob), Some(AccountId(9))] {
        let of = |owner| acts(&store, &ActFilter { owner, ..ActFilter::default() });
        let all: Vec<_> = of(None).into_iter().filter(|act| act.owner == account).collect();
        assert_eq!(of(account), all);
    }
    proved(store, root.path());
}

/// What a search found comes back together: into a mailbox that is made again, once, nobody else's; and
/// goes together.
#[test]
fn many_come_back_at_once_and_are_taken_back() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, bob) = populate(&store);
    let thief = in_session(ann, 9);
    store.create_mailbox(thief, "Work", None).wait().unwrap();
    for _ in 0..4 {
        store.accept(arrived(&store, true, &["ann@example.org"], "hello")).wait().unwrap();
    }
    let inbox = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    store.move_messages(thief, inbox, vec![(1, 2)], "Work").wait().unwrap();
    store.delete_mailbox(thief, "Work").wait().unwrap();
    store.remove(thief, inbox, vec![(3, 3)]).wait().unwrap();
    let come =
        |uid, account| ComeBack { mailbox: inbox, uid: Uid::new(uid).unwrap(), account, to: None };
    let wanted =
        vec![come(1, ann), come(1, ann), come(2, ann), come(3, ann), come(4, ann), come(3, bob)];
    let came = store.bring_back_all(operator(), wanted).wait().unwrap();
    assert_eq!((came.messages, came.there, came.lost), (3, 1, 2), "{came:?}");
    let count = |name: &str| store.mailbox(ann, name).unwrap().map(|found| found.messages);
    assert_eq!((count("Work"), count("INBOX")), (Some(2), Some(2)));
    let outcome = store.undo(&operator(), None, &came.acts).unwrap();
    assert_eq!(outcome.undone.len(), came.acts.len(), "{outcome:?}");
    assert_eq!((count("Work"), count("INBOX")), (None, Some(1)));
    proved(store, root.path());
}
