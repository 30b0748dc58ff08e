//! Random operations beside a simple model of what they mean; close, kill and rebuild in between.

use std::collections::{BTreeMap, BTreeSet};

use journal::Body;
use journal::sim::SimDisk;
use mail_types::{
    AccountId, EnhancedStatus, Flags, MailId, MailboxId, Reply, SystemFlag, Timestamp, Uid,
};
use mailbox::{Row, Rows};
use store::{
    FlagsChange, MessageRow, NewReport, Notice, OpenMailbox, Outcome, QueueFilter, QueueItem,
    Refused, SessionActor, Settled, Store, Vanished,
};

use crate::script::{open, peer, verify};
use crate::support::{address, arrived, populate, session};

const NAMES: [&str; 4] = ["INBOX", "Work", "Work/2026", "Old"];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    text: String,
    seen: bool,
    deleted: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Box {
    uid_next: u32,
    messages: BTreeMap<u32, Message>,
}

impl Box {
    fn push(&mut self, message: Message) {
        self.uid_next = self.uid_next.max(1);
        self.messages.insert(self.uid_next, message);
        self.uid_next += 1;
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    /// Of ann's names in [`NAMES`] those that exist, and bob's INBOX.
    ann: BTreeMap<&'static str, Box>,
    bob: Box,
    /// Texts that wait to be sent on.
    queue: BTreeSet<String>,
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn id(store: &Store<SimDisk>, account: AccountId, name: &str) -> Option<MailboxId> {
    store.mailbox(account, name).unwrap().map(|mailbox| mailbox.id)
}

fn found(store: &Store<SimDisk>, account: AccountId, name: &str) -> Option<Box> {
    let (mailbox, rows) = store.snapshot(id(store, account, name)?).unwrap().unwrap();
    assert_eq!(mailbox.messages, rows.len() as u64);
    let unseen = rows.iter().filter(|row| !row.flags.has(SystemFlag::Seen)).count();
    assert_eq!(mailbox.unseen, unseen as u64);
    let mut messages = BTreeMap::new();
    for row in rows {
        let facts = store.mail_facts(&[row.mail]).unwrap();
        let body = String::from_utf8(store.body(&facts[0]).unwrap()).unwrap();
        let text = body.rsplit("\r\n").next().unwrap().to_owned();
        let (seen, deleted) = (row.flags.has(SystemFlag::Seen), row.flags.has(SystemFlag::Deleted));
        messages.insert(row.uid.get(), Message { text, seen, deleted });
    }
    Some(Box { uid_next: mailbox.uid_next, messages })
}

/// What sessions see of open mailboxes is what the index tells, to the letter, and what they held
/// before has not changed under them.
fn compare_open(store: &Store<SimDisk>, held: &mut [(OpenMailbox, Option<Rows>, Vec<Row>)]) {
    for (open, before, plain) in held {
        if let Some(before) = before {
            assert!(before.iter().map(|row| before.unpack(row)).eq(plain.iter().cloned()));
        }
        let now = open.take();
        let told = store.snapshot(open.mailbox()).unwrap();
        assert_eq!(now.is_some(), told.is_some());
        let (Some(now), Some((mailbox, mut told))) = (&now, told) else { continue };
        let to_the_second = |at: Timestamp| Timestamp::from_secs(at.secs());
        for row in &mut told {
            row.internal_date = to_the_second(row.internal_date);
            row.saved = to_the_second(row.saved);
        }
        let is = |row: &Row| MessageRow {
            uid: row.uid,
            mail: MailId(row.mail),
            mod_seq: row.modseq,
            flags: row.flags.clone(),
            internal_date: row.internal_date,
            saved: row.saved,
            bytes: row.size.into(),
        };
        *plain = now.iter().map(|row| now.unpack(row)).collect();
        assert_eq!(plain.iter().map(is).collect::<Vec<_>>(), told);
        assert_eq!(now.highest_modseq(), mailbox.mod_seq);
        assert_eq!(now.uid_next(), mailbox.uid_next);
        assert_eq!(now.uid_validity(), mailbox.uid_validity);
        assert_eq!(now.counts().unseen as u64, mailbox.unseen);
        assert_eq!(now.counts().octets, mailbox.bytes);
        // Each change has a number of its own, above all before it.
        if let Some(before) = before.as_ref().filter(|before| !before.is_same(now)) {
            assert!(before.highest_modseq() < now.highest_modseq());
            let difference = before.diff(now);
            let changed = difference.changed.iter().map(|&(_, place)| place);
            for place in changed.chain(difference.added) {
                assert!(now.at(place).modseq > before.highest_modseq().0);
            }
            let gone = difference.removed.iter().map(|&place| before.at(place).uid);
            let vanished = store.vanished(open.mailbox(), before.highest_modseq(), 1_000_000);
            let Vanished::Uids(vanished) = vanished.unwrap() else { panic!("that many") };
            assert!(gone.clone().all(|uid| vanished.contains(&uid)), "{vanished:?}");
            let known = |uid: &u32| *uid <= before.uid_max();
            assert_eq!(vanished.iter().filter(|uid| known(uid)).count(), gone.count());
        }
        *before = Some(now.clone());
    }
}

fn compare(store: &Store<SimDisk>, model: &Model) {
    for name in NAMES {
        assert_eq!(found(store, AccountId(1), name), model.ann.get(name).cloned(), "{name}");
    }
    assert_eq!(found(store, AccountId(2), "INBOX").unwrap(), model.bob);
    let mut queue = BTreeSet::new();
    for item in store.queue(&QueueFilter::default()).unwrap() {
        let body = String::from_utf8(store.body(&item.mail.facts).unwrap()).unwrap();
        assert!(queue.insert(body.rsplit("\r\n").next().unwrap().to_owned()), "twice");
    }
    assert_eq!(queue, model.queue);
}

fn accept(store: &Store<SimDisk>, model: &mut Model, random: &mut Random, step: u64) {
    let which = 1 + random.below(7);
    let to: Vec<&str> = ["ann@example.org", "bob@example.org", "x@example.com"]
        .into_iter()
        .enumerate()
        .filter_map(|(bit, to)| (which & (1 << bit) != 0).then_some(to))
        .collect();
    // Some lie in a file of their own.
    let text = format!("{step}{}", " ".repeat(random.below(2) as usize * 700));
    store.accept(arrived(store, false, &to, &text)).wait().unwrap();
    let message = Message { text: text.clone(), seen: false, deleted: false };
    if which & 1 != 0 {
        model.ann.get_mut("INBOX").unwrap().push(message.clone());
    }
    if which & 2 != 0 {
        model.bob.push(message);
    }
    if which & 4 != 0 {
        model.queue.insert(text);
    }
}

fn range(random: &mut Random, uid_next: u32) -> (u32, u32) {
    let first = 1 + random.below(u64::from(uid_next)) as u32;
    (first, first + random.below(4) as u32)
}

fn change(store: &Store<SimDisk>, by: SessionActor, model: &mut Model, random: &mut Random) {
    let from = NAMES[random.below(4) as usize];
    let to = NAMES[random.below(4) as usize];
    let Some(mailbox) = id(store, by.account, from) else { return };
    let (first, last) = range(random, model.ann[from].uid_next.max(1));
    let chosen: Vec<(u32, Message)> =
        model.ann[from].messages.range(first..=last).map(|(u, m)| (*u, m.clone())).collect();
    match random.below(4) {
        0 => {
            let flags: Flags = [SystemFlag::Deleted, SystemFlag::Seen].into_iter().collect();
            let add = random.below(3) > 0;
            let change = if add { FlagsChange::Add } else { FlagsChange::Remove };
            store.set_flags(by, mailbox, vec![(first, last)], change, flags, None).wait().unwrap();
            let messages = &mut model.ann.get_mut(from).unwrap().messages;
            for (uid, _) in chosen {
                let message = messages.get_mut(&uid).unwrap();
                (message.seen, message.deleted) = (add, add);
            }
        }
        1 => {
            let gone = store.expunge(by, mailbox, Some(vec![(first, last)])).wait().unwrap();
            let messages = &mut model.ann.get_mut(from).unwrap().messages;
            let expected: Vec<u32> =
                chosen.iter().filter(|(_, m)| m.deleted).map(|(uid, _)| *uid).collect();
            assert_eq!(gone.iter().map(|uid: &Uid| uid.get()).collect::<Vec<_>>(), expected);
            expected.iter().for_each(|uid| {
                messages.remove(uid);
            });
        }
        kind => {
            let ranges = vec![(first, last), (first, first)];
            let done = match kind {
                2 => store.copy(by, mailbox, ranges, to).wait(),
                _ => store.move_messages(by, mailbox, ranges, to).wait(),
            };
            let Some(target) = model.ann.get_mut(to) else {
                assert!(matches!(done, Err(Refused::Missing(_))));
                return;
            };
            assert_eq!(done.unwrap().messages.len(), chosen.len());
            chosen.iter().for_each(|(_, message)| target.push(message.clone()));
            if kind == 3 {
                let messages = &mut model.ann.get_mut(from).unwrap().messages;
                chosen.iter().for_each(|(uid, _)| {
                    messages.remove(uid);
                });
            }
        }
    }
}

fn mailboxes(store: &Store<SimDisk>, by: SessionActor, model: &mut Model, random: &mut Random) {
    let name = NAMES[1 + random.below(3) as usize];
    if random.below(2) == 0 {
        let made = store.create_mailbox(by, name, None).wait();
        assert_eq!(made.is_ok(), !model.ann.contains_key(name));
        if made.is_err() {
            return;
        }
        for made in
            NAMES.iter().filter(|made| name == **made || name.starts_with(&format!("{made}/")))
        {
            model.ann.entry(made).or_insert(Box { uid_next: 1, ..Box::default() });
        }
    } else {
        let gone = store.delete_mailbox(by, name).wait();
        assert_eq!(gone.is_ok(), model.ann.remove(name).is_some());
    }
}

/// What has its outcome keeps it, and nobody is told another one.
fn settle_again(store: &Store<SimDisk>, item: &QueueItem, settled: Settled) {
    let about = item.mail.facts.receipt.mail;
    let outcome = Outcome::Returned {
        reason: String::new(),
        status: EnhancedStatus::new(5, 0, 0),
        reply: None,
        notice: Notice::Sent { report: about },
    };
    let report = NewReport {
        to: address("ann@example.org"),
        about,
        body: Body::from_bytes(b"\r\nreport").unwrap(),
        subject: None,
        message_id: None,
    };
    let again = Settled { outcome, reported: true, ..settled };
    store.settle(vec![again], Vec::new(), Some(report)).wait().unwrap();
}

fn send(store: &Store<SimDisk>, model: &mut Model, random: &mut Random) {
    let later = Timestamp(i64::MAX);
    let (items, _) = store.take_due(later, 1 + random.below(3) as usize, &|_| false).unwrap();
    for item in &items {
        let body = String::from_utf8(store.body(&item.mail.facts).unwrap()).unwrap();
        let text = body.rsplit("\r\n").next().unwrap().to_owned();
        assert!(model.queue.contains(&text), "sent twice");
        store.begin_attempts(vec![item.custody], peer()).wait().unwrap();
        match random.below(3) {
            0 => store.give_back(&[item.custody], vec![item.custody]).wait().unwrap(),
            // Left as it is: what a crash leaves.
            1 => {}
            _ => {
                let reply = Reply::new(250, None, "kept");
                let outcome = Outcome::Relayed { reply, report: None, may_be_duplicate: false };
                let settled =
                    Settled { custody: item.custody, peer: None, outcome, reported: false };
                store.settle(vec![settled.clone()], Vec::new(), None).wait().unwrap();
                model.queue.remove(&text);
                settle_again(store, item, settled);
            }
        }
    }
}

fn series(seed: u64) {
    let root = tempfile::tempdir().unwrap();
    let index = root.path().join("index.sqlite");
    let mut random = Random(seed);
    let mut disk = SimDisk::new();
    let mut store = open(&disk, &index).unwrap();
    let (ann, _) = populate(&store);
    let by = session(ann);
    let mut model = Model::default();
    model.ann.insert("INBOX", Box { uid_next: 1, ..Box::default() });
    model.bob.uid_next = 1;
    let mut held = Vec::new();
    for step in 0..120 {
        if random.below(8) == 0
            && let Some(id) = id(&store, ann, NAMES[random.below(4) as usize])
        {
            held.push((store.open_mailbox(id).unwrap().unwrap(), None, Vec::new()));
        }
        if random.below(5) == 0 {
            compare_open(&store, &mut held);
        }
        match random.below(16) {
            0..=4 => accept(&store, &mut model, &mut random, step),
            5..=10 => change(&store, by, &mut model, &mut random),
            11 | 12 => mailboxes(&store, by, &mut model, &mut random),
            13 | 14 => send(&store, &mut model, &mut random),
            _ => {
                // Killed, cut or closed; with or without its index.
                let kind = random.below(3);
                if kind == 0 {
                    store.close();
                }
                let fallen =
                    if kind == 1 { disk.after_power_cut(seed + step) } else { disk.after_kill() };
                store.close();
                disk = fallen;
                if random.below(2) == 0 {
                    std::fs::remove_file(&index).unwrap();
                } else if kind > 0 {
                    // The old writer sealed the other disk; the index must not know of that.
                    std::fs::remove_file(&index).unwrap();
                }
                store = open(&disk, &index).unwrap();
                held.clear();
                compare(&store, &model);
            }
        }
    }
    compare_open(&store, &mut held);
    compare(&store, &model);
    store.close();
    verify(&disk, &index);
}

#[test]
fn any_series_of_operations_means_what_the_model_says() {
    (1..=12).for_each(series);
}
