//! Messages of one APPEND are kept together or not at all, and REPLACE is one step: also where the
//! power is cut at any operation on the disk.

use std::path::Path;

use journal::Disk;
use journal::sim::{Faults, SimDisk};
use mail_types::{AccountId, Flags, ModSeq, SystemFlag, Timestamp, Uid};
use store::{Append, Appended, Mailbox, NewMessage, Refused, Store, UrlKey};

use crate::script::{open, verify};
use crate::support::{populate_or, session};

const ANN: AccountId = AccountId(1);
/// So large that it has a file of its own.
const LARGE: usize = 2000;

fn message<D: Disk>(store: &Store<D>, text: &str) -> Result<NewMessage, Refused> {
    let refused = |_| Refused::Unavailable("the body did not come in".to_owned());
    let mut arrival = store.arrival();
    arrival.write(text.as_bytes()).map_err(refused)?;
    Ok(NewMessage {
        mail: store.next_mail(),
        body: arrival.finish().map_err(refused)?,
        flags: Flags::from_iter([SystemFlag::Draft]),
        internal_date: Some(Timestamp(1_000)),
        message_id: Some(format!("{text:.20}@example.org")),
        subject: None,
    })
}

fn append<D: Disk>(
    store: &Store<D>,
    texts: &[String],
    replaces: Option<u32>,
) -> Result<Option<Appended>, Refused> {
    let drafts = drafts(store).map(|drafts| drafts.id);
    let messages = texts.iter().map(|text| message(store, text)).collect::<Result<_, _>>()?;
    let replaces = replaces.and_then(|uid| Some((drafts?, Uid::new(uid)?)));
    let mailbox = "Drafts".to_owned();
    store.append(Append { actor: session(ANN), mailbox, messages, replaces, room: None }).wait()
}

fn drafts<D: Disk>(store: &Store<D>) -> Option<Mailbox> {
    store.mailbox(ANN, "Drafts").ok().flatten()
}

/// The text of each message by UID.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = (1..=7).map(|uid| format!("message {uid}")).collect();
    texts[3] = "large ".repeat(LARGE / 6);
    texts
}

/// UIDs in the mailbox after each step of the script.
const STATES: [std::ops::Range<u32>; 4] = [1..1, 1..2, 1..7, 2..8];

/// Appends one message, then five at once, then one that takes the place of the first; counts what
/// was acknowledged.
fn run<D: Disk>(store: &Store<D>, acknowledged: &mut usize) -> Result<(), Refused> {
    populate_or(store)?;
    let texts = texts();
    for (part, replaces) in [(0..1, None), (1..6, None), (6..7, Some(1))] {
        let first = u32::try_from(part.start).unwrap() + 1;
        let appended = append(store, &texts[part], replaces)?.unwrap();
        let uids: Vec<u32> = appended.uids.iter().map(|uid| uid.get()).collect();
        assert_eq!(uids, (first..).take(uids.len()).collect::<Vec<_>>());
        assert_eq!(appended.receipts.len(), uids.len());
        *acknowledged += 1;
    }
    Ok(())
}

/// The mailbox is in one of the states, and at least as far as was acknowledged.
fn check<D: Disk>(store: &Store<D>, acknowledged: usize) {
    let Some(drafts) = drafts(store) else {
        assert_eq!(acknowledged, 0);
        return;
    };
    let (_, rows) = store.snapshot(drafts.id).unwrap().unwrap();
    let uids: Vec<u32> = rows.iter().map(|row| row.uid.get()).collect();
    let state = STATES.iter().position(|state| state.clone().eq(uids.iter().copied()));
    let state = state.unwrap_or_else(|| panic!("{uids:?}, {acknowledged} acknowledged"));
    assert!(state >= acknowledged, "{uids:?}, {acknowledged} acknowledged");
    let mails: Vec<_> = rows.iter().map(|row| row.mail).collect();
    for (uid, facts) in uids.iter().zip(store.mail_facts(&mails).unwrap()) {
        assert_eq!(store.body(&facts).unwrap(), texts()[*uid as usize - 1].as_bytes());
    }
}

fn fall(faults: Faults, index: &Path) -> (SimDisk, usize) {
    let (disk, mut acknowledged) = (SimDisk::new(), 0);
    disk.set_faults(faults);
    if let Ok(store) = open(&disk, index) {
        // What was refused is seen by how many were acknowledged.
        run(&store, &mut acknowledged).ok();
        store.close();
    }
    (disk, acknowledged)
}

#[test]
fn power_cut_leaves_all_messages_of_an_append_or_none() {
    let place = tempfile::tempdir().unwrap();
    let (whole, acknowledged) = fall(Faults::default(), &place.path().join("whole"));
    assert_eq!(acknowledged, 3);
    for cut in 1..=whole.operations() + 1 {
        let index = place.path().join(format!("{cut}"));
        let faults = Faults { cut_at_operation: Some(cut), ..Faults::default() };
        let (disk, acknowledged) = fall(faults, &index);
        for (seed, with_index) in [(0, false), (1, true), (cut, false)] {
            let disk = disk.after_power_cut(seed);
            let left = place.path().join(format!("{cut}-{seed}"));
            if with_index && index.exists() {
                std::fs::copy(&index, &left).unwrap();
            }
            let store = open(&disk, &left).unwrap();
            check(&store, acknowledged);
            store.close();
            verify(&disk, &left);
        }
    }
}

#[test]
fn sync_that_fails_acknowledges_nothing_of_an_append() {
    let place = tempfile::tempdir().unwrap();
    let (whole, _) = fall(Faults::default(), &place.path().join("whole"));
    for sync in 1..whole.syncs() {
        let index = place.path().join(format!("{sync}"));
        let (disk, acknowledged) =
            fall(Faults { fail_syncs: vec![sync], ..Faults::default() }, &index);
        assert!(acknowledged < 3, "sync {sync}");
        let disk = disk.after_power_cut(0);
        let store = open(&disk, &place.path().join(format!("{sync}-after"))).unwrap();
        check(&store, acknowledged);
    }
}

#[test]
fn an_append_that_is_refused_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (disk, index) = (SimDisk::new(), place.path().join("index"));
    let store = open(&disk, &index).unwrap();
    populate_or(&store).unwrap();
    let many = |count| (0..count).map(|n| format!("{n}")).collect::<Vec<_>>();
    let too_many = append(&store, &many(store::APPEND_MESSAGES_MAX + 1), None);
    assert!(matches!(too_many, Err(Refused::Invalid(_))), "{too_many:?}");
    assert!(matches!(append(&store, &[], None), Err(Refused::Invalid(_))));
    // One that is not there cannot be replaced: nothing is kept in its place.
    assert_eq!(append(&store, &many(1), Some(1)).unwrap(), None);
    let before = drafts(&store).unwrap();
    assert_eq!((before.messages, before.uid_next, before.mod_seq), (0, 1, ModSeq(1)));
    // As many as may be come in one group, with what must be in its records.
    let most = append(&store, &many(store::APPEND_MESSAGES_MAX), None).unwrap().unwrap();
    assert_eq!(most.uids.len(), store::APPEND_MESSAGES_MAX);
    let elsewhere = Append {
        actor: session(ANN),
        mailbox: "Elsewhere".to_owned(),
        messages: vec![message(&store, "x").unwrap()],
        replaces: None,
        room: None,
    };
    assert!(matches!(store.append(elsewhere).wait(), Err(Refused::Missing(_))));
    store.close();
    verify(&disk, &index);
}

/// Keys of URLs come from the journal like everything else.
#[test]
fn url_keys_are_made_anew_from_the_journal() {
    let place = tempfile::tempdir().unwrap();
    let (disk, index) = (SimDisk::new(), place.path().join("index"));
    let store = open(&disk, &index).unwrap();
    let (ann, bob) = populate_or(&store).unwrap();
    let key = |number| UrlKey::new([number; 32]);
    for (account, mailbox, number) in
        [(ann, "INBOX", 1), (ann, "Drafts", 2), (ann, "Sent", 3), (bob, "INBOX", 4)]
    {
        store.url_key(session(account), mailbox, key(number)).wait().unwrap();
    }
    store.reset_url_keys(session(ann), Some("Drafts")).wait().unwrap();
    store.delete_mailbox(session(ann), "Sent").wait().unwrap();
    store.reset_url_keys(session(bob), None).wait().unwrap();
    let missing = store.url_key(session(ann), "Nowhere", key(5)).wait();
    assert!(matches!(missing, Err(Refused::Missing(_))), "{missing:?}");
    store.close();
    verify(&disk, &index);
    let store = open(&disk, &place.path().join("another")).unwrap();
    let inbox = |account| store.mailbox(account, "INBOX").unwrap().unwrap().id;
    assert_eq!(store.known_url_key(ann, inbox(ann)).unwrap(), Some(key(1)));
    assert_eq!(store.known_url_key(ann, drafts(&store).unwrap().id).unwrap(), None);
    assert_eq!(store.known_url_key(bob, inbox(bob)).unwrap(), None);
}
