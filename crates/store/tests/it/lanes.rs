//! The order in which the queue is taken from, and that nothing is taken twice or forgotten
//! whatever is done to it in between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mail_types::{AccountId, CustodyId, EnhancedStatus, Timestamp};
use store::{
    CustodyState, HeldBy, Outcome, QueueFilter, QueueItem, Settled, Source, Store, Wish, verify,
};

use crate::support::{PEER, arrived, operator, options, populate};

const LATE: Timestamp = Timestamp(i64::MAX);

fn open(root: &std::path::Path) -> Store {
    Store::open(root, options()).unwrap().0
}

/// Mail of an account to one recipient.
fn send(store: &Store, account: AccountId, to: &str) {
    let mut mail = arrived(store, false, &[to], "hello");
    mail.source = Source::Submission { account, ip: PEER, tls: None };
    store.accept(mail).wait().unwrap();
}

fn take(store: &Store, now: Timestamp, count: usize) -> Vec<QueueItem> {
    store.take_due(now, count, &|_| false).unwrap().0
}

fn put_off(store: &Store, items: &[QueueItem], due: Timestamp) {
    let settled = |item: &QueueItem| Settled {
        custody: item.custody,
        peer: None,
        outcome: Outcome::Deferred {
            reason: "not now".to_owned(),
            status: EnhancedStatus::new(4, 2, 1),
            reply: None,
            due,
            report: None,
        },
        reported: false,
    };
    store.settle(items.iter().map(settled).collect(), Vec::new(), None).wait().unwrap();
}

#[test]
fn no_account_destination_or_backlog_keeps_others_waiting() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, bob) = populate(&store);
    for number in 0..60 {
        send(&store, ann, &format!("{number}@far.example"));
    }
    // A backlog: all of it was tried before and is due again.
    let backlog = take(&store, LATE, 40);
    put_off(&store, &backlog, Timestamp(1));
    send(&store, bob, "one@far.example");
    send(&store, ann, "two@other.example");
    let first = take(&store, LATE, 24);
    let to =
        |wanted: &str| first.iter().filter(|item| item.recipient.to_string() == wanted).count();
    assert_eq!((to("one@far.example"), to("two@other.example")), (1, 1), "{}", first.len());
    let new = first.iter().filter(|item| item.attempts == 0).count();
    assert!((4..=20).contains(&new), "{new} of 24 are new");
    store.close();
}

#[test]
fn what_is_skipped_is_not_forgotten() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (ann, _) = populate(&store);
    send(&store, ann, "a@far.example");
    send(&store, ann, "b@other.example");
    let (taken, next) =
        store.take_due(LATE, 10, &|lane| &*lane.destination == "far.example").unwrap();
    assert_eq!(taken[0].recipient.to_string(), "b@other.example");
    assert_eq!((taken.len(), next), (1, None));
    let taken = take(&store, LATE, 10);
    assert_eq!(taken[0].recipient.to_string(), "a@far.example");
    // Given back, it is there again; and after a restart everything is.
    store.give_back(&[taken[0].custody], Vec::new()).wait().unwrap();
    assert_eq!(take(&store, LATE, 10).len(), 1);
    store.close();
    let store = open(root.path());
    assert_eq!(take(&store, LATE, 10).len(), 2);
    store.close();
}

/// Numbers that are the same in every run of a series.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

/// What a simple queue would hold.
#[derive(Default)]
struct Model {
    queued: BTreeSet<CustodyId>,
    held: BTreeSet<CustodyId>,
    purged: BTreeSet<CustodyId>,
    taken: BTreeMap<CustodyId, QueueItem>,
}

impl Model {
    fn some(&self, random: &mut Random) -> Vec<CustodyId> {
        let all: Vec<CustodyId> = self.queued.union(&self.held).copied().collect();
        all.into_iter().filter(|_| random.below(3) == 0).collect()
    }
}

#[test]
fn random_commands_lose_and_double_nothing() {
    for seed in 1..=12 {
        let root = tempfile::tempdir().unwrap();
        series(root.path(), seed);
        let scratch = tempfile::tempdir().unwrap();
        let report = verify(root.path(), scratch.path(), &mut |_| {}).unwrap();
        assert!(report.is_clean(), "seed {seed}: {:#?}", report.violations);
    }
}

fn series(root: &std::path::Path, seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut store = open(root);
    let (ann, bob) = populate(&store);
    let mut model = Model::default();
    for step in 0..60 {
        match random.below(8) {
            0 | 1 => {
                let account = [ann, bob][random.below(2)];
                let host = ["far", "other", "third"][random.below(3)];
                send(&store, account, &format!("{step}@{host}.example"));
            }
            2 | 3 => {
                for item in take(&store, LATE, 1 + random.below(4)) {
                    let known = model.queued.contains(&item.custody);
                    assert!(known, "seed {seed}, step {step}: {} is not queued", item.custody);
                    let twice = model.taken.insert(item.custody, item);
                    assert!(twice.is_none(), "seed {seed}, step {step}: taken twice");
                }
            }
            4 => {
                let items: Vec<QueueItem> =
                    std::mem::take(&mut model.taken).into_values().collect();
                let due = Timestamp(i64::try_from(random.below(1000)).unwrap());
                put_off(&store, &items, due);
            }
            5 => {
                let custodies: Vec<CustodyId> = model.taken.keys().copied().collect();
                model.taken.clear();
                store.give_back(&custodies, Vec::new()).wait().unwrap();
            }
            6 => {
                let wish = [
                    Wish::Hold(HeldBy::Operator),
                    Wish::Release,
                    Wish::Retry,
                    Wish::Purge(Duration::ZERO),
                    Wish::Reroute(Some("relay.example:25".to_owned())),
                    Wish::EditRecipient("new@fourth.example".parse().unwrap()),
                ][random.below(6)]
                .clone();
                let some = model.some(&mut random);
                store.change_custodies(&operator(), &wish, None, &some).unwrap();
                if random.below(2) == 0 {
                    // Where nothing was changed an earlier change is undone, or there is none.
                    store.undo_change(&operator(), None, None).ok();
                }
            }
            _ => match random.below(3) {
                0 => {
                    store.purge_due().unwrap();
                }
                _ => {
                    store.close();
                    store = open(root);
                    model.taken.clear();
                }
            },
        }
        look(&store, &mut model);
    }
    // All that is queued can be had, each once.
    let custodies: Vec<CustodyId> = model.taken.keys().copied().collect();
    store.give_back(&custodies, Vec::new()).wait().unwrap();
    let last: Vec<CustodyId> =
        take(&store, LATE, 1000).into_iter().map(|item| item.custody).collect();
    assert_eq!(last.len(), model.queued.len(), "seed {seed}");
    assert_eq!(last.into_iter().collect::<BTreeSet<_>>(), model.queued, "seed {seed}");
    store.close();
}

/// Reads what the store says of every custody; each is in exactly one state.
fn look(store: &Store, model: &mut Model) {
    let query = store::Query { count_max: 1000, ..store::Query::default() };
    let (mut queued, mut held, mut purged) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for custody in store.trace(&query).unwrap().iter().flat_map(|story| &story.custodies) {
        let set = match custody.state {
            CustodyState::Queued => &mut queued,
            CustodyState::Held => &mut held,
            CustodyState::Purged => &mut purged,
            other => panic!("{} is {other}", custody.custody),
        };
        set.insert(custody.custody);
    }
    let listed: BTreeSet<CustodyId> =
        store.queue(&QueueFilter::default()).unwrap().iter().map(|item| item.custody).collect();
    assert_eq!(listed, queued);
    assert!(model.purged.is_subset(&purged), "what is purged is gone for good");
    (model.queued, model.held, model.purged) = (queued, held, purged);
}
