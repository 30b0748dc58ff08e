//! What people did to mailboxes and to the directory, and taking it back.

use std::collections::BTreeMap;

use mail_types::{AccountId, Flags, Right, Rights, SystemFlag, Timestamp};
use store::{
    AclChange, Act, ActFilter, ActKind, Actor, Append, FlagsChange, Grantee, MailboxThen,
    NewMessage, Options, Quota, Refused, SessionActor, SessionId, Store, UndoOutcome, Via, verify,
};

use crate::support::{PEER, address, arrived, operator, options, populate};

const NAMES: [&str; 6] = ["INBOX", "Work", "Work/2026", "Old", "Sent", "Trash"];
const ALL: [(u32, u32); 1] = [(1, u32::MAX)];

pub fn in_session(account: AccountId, number: u64) -> SessionActor {
    SessionActor { account, ip: Some(PEER), via: Via::Imap, session: Some(SessionId(number)) }
}

pub fn acts(store: &Store, filter: &ActFilter) -> Vec<Act> {
    let mut found = Vec::new();
    store
        .acts(filter, &mut |act| {
            found.push(act);
            true
        })
        .unwrap();
    found
}

pub fn of_session(number: u64) -> ActFilter {
    ActFilter { session: Some(SessionId(number)), standing: true, ..ActFilter::default() }
}

pub fn undo_all(store: &Store, filter: &ActFilter) -> UndoOutcome {
    let acts: Vec<_> = acts(store, filter).iter().map(|act| act.seq).collect();
    store.undo(&operator(), None, &acts).unwrap()
}

/// A message as a person sees it: which, its flags (but `\Deleted`, which what comes back has no
/// more), its date.
type Seen = (u64, String, i64);

/// Messages, who shares it, annotations.
type InMailbox = (Vec<Seen>, Vec<String>, Vec<(String, Vec<u8>)>);

/// Everything that a person would miss: by mailbox its messages, who shares it, its annotations;
/// the subscriptions.
#[derive(Debug, PartialEq, Eq)]
struct State {
    mailboxes: BTreeMap<String, InMailbox>,
    subscribed: Vec<String>,
}

fn state(store: &Store, account: AccountId) -> State {
    let (mut mailboxes, mut subscribed) = (BTreeMap::new(), Vec::new());
    for listed in store.mailboxes(account).unwrap() {
        if listed.subscribed {
            subscribed.push(listed.name.clone());
        }
        let Some(mailbox) = listed.mailbox else { continue };
        let mut open = store.open_mailbox(mailbox.id).unwrap().unwrap();
        let rows = open.take().unwrap();
        let mut seen: Vec<Seen> = (0..rows.len())
            .map(|place| {
                let row = rows.row(place);
                let mut flags = row.flags;
                flags.remove(SystemFlag::Deleted);
                (row.mail, flags.to_string(), row.internal_date.0)
            })
            .collect();
        seen.sort();
        assert_eq!(seen.len() as u64, mailbox.messages, "{}", listed.name);
        let mut acl: Vec<String> =
            store.acl(&mailbox).unwrap().iter().map(|entry| format!("{entry:?}")).collect();
        acl.sort();
        let private = ["/private/comment".to_owned()];
        let notes = store.metadata(account, Some(mailbox.id), &private, None).unwrap();
        mailboxes.insert(listed.name, (seen, acl, notes.into_iter().collect()));
    }
    State { mailboxes, subscribed }
}

pub fn append(
    store: &Store,
    actor: SessionActor,
    mailbox: &str,
    text: &str,
) -> Result<(), Refused> {
    let mut arrival = store.arrival();
    arrival.write(text.as_bytes()).unwrap();
    let message = NewMessage {
        mail: store.next_mail(),
        body: arrival.finish().unwrap(),
        flags: Flags::from_iter([SystemFlag::Flagged]),
        internal_date: Some(Timestamp(1_700_000_000_000)),
        message_id: None,
        subject: None,
    };
    let mailbox = mailbox.to_owned();
    let append = Append { actor, mailbox, messages: vec![message], replaces: None, room: None };
    store.append(append).wait().map(drop)
}

pub fn flag(store: &Store, actor: SessionActor, mailbox: &str, flags: &[SystemFlag], some: u32) {
    let Some(mailbox) = store.mailbox(actor.account, mailbox).unwrap() else { return };
    let uids = vec![(some, some + 2)];
    let flags = Flags::from_iter(flags.iter().copied());
    store.set_flags(actor, mailbox.id, uids, FlagsChange::Add, flags, None).wait().unwrap();
}

/// A little of everything; what is refused is refused.
fn something(
    store: &Store,
    actor: SessionActor,
    other: AccountId,
    random: &mut impl FnMut(u64) -> u64,
) {
    let name = NAMES[random(6) as usize];
    let to = NAMES[random(6) as usize];
    let of_name = |name: &str| store.mailbox(actor.account, name).unwrap().map(|found| found.id);
    let uid = 1 + random(8) as u32;
    match random(13) {
        0 => append(store, actor, name, "appended").ok(),
        1 => {
            flag(store, actor, name, &[SystemFlag::Seen, SystemFlag::Answered], uid);
            None
        }
        2 => {
            flag(store, actor, name, &[SystemFlag::Deleted], uid);
            None
        }
        3 | 4 => of_name(name).and_then(|id| store.expunge(actor, id, None).wait().ok()).map(drop),
        5 => of_name(name)
            .and_then(|id| store.remove(actor, id, vec![(uid, uid + 1)]).wait().ok())
            .map(drop),
        6 => of_name(name)
            .and_then(|id| store.move_messages(actor, id, vec![(uid, uid + 3)], to).wait().ok())
            .map(drop),
        7 => of_name(name)
            .and_then(|id| store.copy(actor, id, vec![(uid, uid)], to).wait().ok())
            .map(drop),
        8 => store.create_mailbox(actor, name, None).wait().ok().map(drop),
        9 => store.delete_mailbox(actor, name).wait().ok(),
        10 => store.rename_mailbox(actor, name, to).wait().ok(),
        11 => store.set_subscribed(actor, name, random(2) == 0).wait().ok(),
        _ => {
            let grantee = Grantee { account: Some(other), negative: false };
            let rights = Rights::from_iter([Right::Lookup, Right::Read]);
            let change =
                if random(2) == 0 { AclChange::Replace(rights) } else { AclChange::Delete };
            let shared = store.set_acl(actor, name, grantee, change).wait().ok();
            let value = (random(2) == 0).then(|| b"a note".to_vec());
            let note = vec![("/private/comment".to_owned(), value)];
            let noted = store.set_metadata(actor, Some(name.to_owned()), note).wait().ok();
            shared.or(noted)
        }
    };
}

pub fn open(root: &std::path::Path) -> Store {
    Store::open(root, options()).unwrap().0
}

pub fn proved(store: Store, root: &std::path::Path) {
    store.close();
    let scratch = tempfile::tempdir().unwrap();
    let report = verify(root, scratch.path(), &mut |_| {}).unwrap();
    assert_eq!(report.violations, []);
}

/// Whatever one session did, taking it all back gives what was there; taking that back gives what
/// the session left. Also in an index made anew.
#[test]
fn any_series_of_acts_is_taken_back() {
    for seed in 1..=20_u64 {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path());
        let (ann, bob) = populate(&store);
        let mut number = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random = move |below: u64| {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (number >> 33) % below
        };
        for _ in 0..6 {
            store.accept(arrived(&store, true, &["ann@example.org"], "hello")).wait().unwrap();
        }
        let before = in_session(ann, 1);
        (0..20).for_each(|_| something(&store, before, bob, &mut random));
        let was = state(&store, ann);
        let thief = in_session(ann, 2);
        (0..30).for_each(|_| something(&store, thief, bob, &mut random));
        let left = state(&store, ann);
        let outcome = undo_all(&store, &of_session(2));
        assert_eq!(state(&store, ann), was, "seed {seed}: {outcome:?}");
        // Nothing of it stands any more but what could not be: what nothing is left of.
        let again = undo_all(&store, &of_session(2));
        assert_eq!(again.undone, [], "seed {seed}: {again:?}");
        // Where nothing could be taken back, there is nothing to take back of that.
        if !outcome.records.is_empty() {
            let undoing = ActFilter { undoing: outcome.records, ..ActFilter::default() };
            let redone = undo_all(&store, &undoing);
            assert_eq!(state(&store, ann), left, "seed {seed}: {redone:?}");
        }
        proved(store, root.path());
    }
}

#[test]
fn a_thief_is_undone_and_later_mail_stays() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    for text in ["one", "two", "three"] {
        store.accept(arrived(&store, true, &["ann@example.org"], text)).wait().unwrap();
    }
    let owner = in_session(ann, 1);
    flag(&store, owner, "INBOX", &[SystemFlag::Seen], 1);
    let was = state(&store, ann);
    let then = acts(&store, &ActFilter::default())[0].at;

    let thief = in_session(ann, 2);
    let inbox = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    store.remove(thief, inbox, ALL.to_vec()).wait().unwrap();
    store.delete_mailbox(thief, "Sent").wait().unwrap();
    store.accept(arrived(&store, true, &["ann@example.org"], "later")).wait().unwrap();
    let later = state(&store, ann).mailboxes["INBOX"].0.clone();
    assert_eq!(later.len(), 1);

    let as_it_was = store.mailbox_at(ann, inbox, then).unwrap();
    assert_eq!(as_it_was.len(), 3);
    assert!(
        as_it_was
            .iter()
            .all(|one| one.gone.is_some() && one.flags.as_ref().unwrap().has(SystemFlag::Seen))
    );
    let names: Vec<MailboxThen> = store.mailboxes_at(ann, then).unwrap();
    assert!(names.iter().any(|mailbox| mailbox.name == "Sent"));
    let inbox_then = names.iter().find(|mailbox| mailbox.name == "INBOX").unwrap();
    assert_eq!((inbox_then.messages, inbox_then.gone), (3, 3));

    // Another account's acts are not hers to take back.
    let others: Vec<_> = acts(&store, &of_session(2)).iter().map(|act| act.seq).collect();
    let refused = store.undo(&thief.into(), Some(AccountId(2)), &others).unwrap();
    assert_eq!((refused.undone.len(), refused.skipped.len()), (0, 1));

    let outcome = undo_all(&store, &of_session(2));
    assert_eq!((outcome.undone.len(), outcome.messages), (2, 3));
    let mut expected = was;
    let inbox = &mut expected.mailboxes.get_mut("INBOX").unwrap().0;
    inbox.extend(later);
    inbox.sort();
    assert_eq!(state(&store, ann), expected);
    proved(store, root.path());
}

#[test]
fn what_others_changed_since_stays_as_they_left_it() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    store.accept(arrived(&store, true, &["ann@example.org"], "one")).wait().unwrap();
    flag(&store, in_session(ann, 2), "INBOX", &[SystemFlag::Seen], 1);
    flag(&store, in_session(ann, 3), "INBOX", &[SystemFlag::Flagged], 1);
    let left = state(&store, ann);
    let outcome = undo_all(&store, &of_session(2));
    assert_eq!(outcome.undone, []);
    assert_eq!(outcome.skipped.into_keys().next().unwrap(), "messages with other flags since");
    assert_eq!(state(&store, ann), left);
    // A mailbox whose name is taken comes back beside the other one, with its UIDs.
    store.create_mailbox(in_session(ann, 3), "Work", None).wait().unwrap();
    append(&store, in_session(ann, 3), "Work", "old work").unwrap();
    let old = store.mailbox(ann, "Work").unwrap().unwrap();
    store.delete_mailbox(in_session(ann, 4), "Work").wait().unwrap();
    store.create_mailbox(in_session(ann, 3), "Work", None).wait().unwrap();
    assert_eq!(undo_all(&store, &of_session(4)).undone.len(), 1);
    let back = store.mailbox(ann, "Work (restored)").unwrap().unwrap();
    assert_eq!((back.id, back.uid_validity, back.messages), (old.id, old.uid_validity, 1));
    proved(store, root.path());
}

#[test]
fn operators_are_undone_as_well() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    let alias = address("info@example.org");
    store.set_alias(operator(), alias.clone(), vec![address("ann@example.org")]).wait().unwrap();
    let from = acts(&store, &ActFilter::default())[0].seq;

    store.set_alias(operator(), alias.clone(), vec![address("bob@example.org")]).wait().unwrap();
    store.remove_alias(operator(), alias.clone()).wait().unwrap();
    let quota = Quota { messages: Some(3), storage_bytes: None };
    store.set_quota(operator(), address("bob@example.org"), quota).wait().unwrap();
    store.remove_account(operator(), address("ann@example.org")).wait().unwrap();
    store.set_route(operator(), None, "relay.example.net".to_owned(), 25).wait().unwrap();

    let since = acts(&store, &ActFilter::default());
    let since: Vec<_> = since.iter().map(|act| act.seq).take_while(|seq| *seq > from).collect();
    let outcome = store.undo(&operator(), None, &since).unwrap();
    assert_eq!((outcome.undone.len(), outcome.skipped.len()), (5, 0));
    let directory = store.directory();
    assert_eq!(directory.account(ann).unwrap().address, address("ann@example.org"));
    let (_, known) = directory.aliases().next().unwrap();
    assert_eq!(known.targets, [address("ann@example.org")]);
    assert_eq!(directory.routes().count(), 0);
    assert_eq!(store.usage(AccountId(2)).unwrap().1, Quota::default());

    // An address that somebody else has meanwhile is not taken from them.
    store.remove_account(operator(), address("ann@example.org")).wait().unwrap();
    let taken = vec![address("bob@example.org")];
    store.set_alias(operator(), address("ann@example.org"), taken).wait().unwrap();
    let removal = acts(&store, &ActFilter::default());
    let removal = removal.iter().find(|act| act.kind == ActKind::Account).unwrap();
    let refused = store.undo(&operator(), None, &[removal.seq]).unwrap();
    let why = refused.skipped.into_keys().next().unwrap();
    assert_eq!(why, "ann@example.org is an alias now");
    proved(store, root.path());
}

/// The server's own doing is nobody's act.
#[test]
fn mail_that_comes_in_is_no_act() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path(), Options { ..options() }).unwrap().0;
    populate(&store);
    let before = acts(&store, &ActFilter::default()).len();
    store.accept(arrived(&store, true, &["ann@example.org"], "one")).wait().unwrap();
    assert_eq!(acts(&store, &ActFilter::default()).len(), before);
    let server: Vec<_> = acts(&store, &ActFilter::default()).iter().map(|act| act.actor).collect();
    assert!(server.iter().all(Option::is_none), "{:?}", Actor::Server);
    proved(store, root.path());
}
