//! What lies in no mailbox is kept for its time, for longer where somebody wants it, and then goes
//! for good; what somebody has never does.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use journal::sim::{Faults, SimDisk};
use mail_types::{AccountId, MailId, ReversePath, Timestamp};
use store::{
    Actor, Arrived, Beside, Judged, JudgedAct, Keep, Kept, LegalHold, Options, Query, Record,
    Refused, RetentionOf, RetentionRule, Store, Wish, verify,
};

use crate::script;
use crate::support::{PEER, address, arrived, operator, options, populate, populate_or, session};

const ANN: &str = "ann@example.org";
const BOB: &str = "bob@example.org";
const DAY: i64 = 86_400_000;

/// A store with a clock that is set by hand.
struct Archive {
    root: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    store: Store,
    ann: AccountId,
    bob: AccountId,
}

impl Archive {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(1_700_000_000_000));
        let store = open(root.path(), &clock);
        let (ann, bob) = populate(&store);
        Self { root, clock, store, ann, bob }
    }

    fn days_later(&self, days: i64) {
        self.clock.fetch_add(days * DAY, Ordering::SeqCst);
    }

    fn accept(&self, to: &[&str], text: &str) -> MailId {
        let arrived = arrived(&self.store, true, to, text);
        let mail = arrived.mail;
        self.store.accept(arrived).wait().unwrap();
        mail
    }

    /// Takes everything out of a mailbox.
    fn empty(&self, account: AccountId, mailbox: &str) {
        let id = self.store.mailbox(account, mailbox).unwrap().unwrap().id;
        self.store.remove(session(account), id, vec![(1, u32::MAX)]).wait().unwrap();
    }

    fn sweep(&self) -> Vec<MailId> {
        let mut gone = Vec::new();
        let store = &self.store;
        let would = store.purge_over(&Actor::Server, true, &|| true, &mut |_| {}).unwrap();
        let on_due = &mut |due: &store::Due| gone.push(due.receipt.mail);
        let did = store.purge_over(&Actor::Server, false, &|| true, on_due).unwrap();
        assert_eq!(would, did);
        assert_eq!(did.purged, gone.len() as u64);
        gone
    }

    fn has_body(&self, mail: MailId) -> bool {
        let facts = self.store.mail_facts(&[mail]).unwrap();
        self.store.body(&facts[0]).is_ok()
    }

    fn keep(&self, of: RetentionOf, keep: Option<Keep>) {
        let rule = RetentionRule { of, keep, spam: None };
        self.store.set_retention(operator(), rule).wait().unwrap();
    }

    fn hold(&self, from: Option<i64>, until: Option<i64>) {
        let hold = LegalHold {
            name: "case 17".to_owned(),
            account: self.ann,
            from: from.map(Timestamp),
            until: until.map(Timestamp),
            reason: "court order".to_owned(),
        };
        self.store.add_holds(operator(), vec![hold]).wait().unwrap();
    }

    fn proved(self) {
        self.store.close();
        proved(self.root.path());
    }
}

fn open(root: &Path, clock: &Arc<AtomicI64>) -> Store {
    let now = Arc::clone(clock);
    let read = move || Timestamp(now.load(Ordering::SeqCst));
    Store::open(root, Options { clock: Arc::new(read), ..options() }).unwrap().0
}

fn proved(root: &Path) {
    let scratch = tempfile::tempdir().unwrap();
    let report = verify(root, scratch.path(), &mut |_| {}).unwrap();
    assert_eq!(report.violations, []);
}

#[test]
fn what_is_over_its_time_goes_and_its_story_stays() {
    let archive = Archive::new();
    let secret = "very secret words";
    let mail = archive.accept(&[ANN, BOB], secret);
    archive.store.wait_extracted();
    archive.empty(archive.ann, "INBOX");
    archive.days_later(400);
    assert_eq!(archive.sweep(), [], "bob has it in his mailbox, however old it is");
    archive.empty(archive.bob, "INBOX");
    archive.days_later(364);
    assert_eq!(archive.sweep(), []);
    assert!(archive.has_body(mail));
    archive.days_later(1);
    assert_eq!(archive.sweep(), [mail]);
    assert!(!archive.has_body(mail));
    assert_eq!(archive.sweep(), []);

    let stories = archive.store.trace(&Query { mail: Some(mail), ..query() }).unwrap();
    let purged = |record: &Record| matches!(record, Record::Purged(_));
    assert!(stories[0].events.iter().any(|event| purged(&event.entry.record)));
    // Nothing of it is left in what was made of it either.
    archive.store.close();
    for file in walk(archive.root.path()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{}", file.display());
    }
    proved(archive.root.path());
}

fn query() -> Query {
    Query { count_max: 10, ..Query::default() }
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn mail_in_a_mailbox_is_never_purged_by_age() {
    let archive = Archive::new();
    let copied = archive.accept(&[ANN], "copied");
    let moved = archive.accept(&[ANN], "moved");
    let restored = archive.accept(&[ANN], "restored");
    let inbox = archive.store.mailbox(archive.ann, "INBOX").unwrap().unwrap().id;
    let ann = session(archive.ann);
    archive.store.copy(ann, inbox, vec![(1, 1)], "Archive").wait().unwrap();
    archive.store.move_messages(ann, inbox, vec![(2, 2)], "Archive").wait().unwrap();
    archive.empty(archive.ann, "INBOX");
    archive.store.delete_mailbox(ann, "Archive").wait().unwrap();
    archive.days_later(300);
    let mut acts = Vec::new();
    archive
        .store
        .acts(&store::ActFilter { actor: Some(archive.ann), ..Default::default() }, &mut |act| {
            acts.push(act.seq);
            acts.len() < 2
        })
        .unwrap();
    archive.store.undo(&operator(), None, &acts).unwrap();
    archive.days_later(300);
    assert_eq!(archive.sweep(), []);
    for mail in [copied, moved, restored] {
        assert!(archive.has_body(mail));
        let rules = archive.store.retention_rules().unwrap();
        let kept = archive.store.kept(mail, &rules).unwrap().unwrap();
        assert!(matches!(kept, Kept::InMailboxes(_)), "{kept:?}");
    }
    archive.proved();
}

#[test]
fn mail_that_is_to_go_somewhere_is_never_purged_by_age() {
    let archive = Archive::new();
    archive.store.accept(arrived(&archive.store, false, &["a@far.example"], "out")).wait().unwrap();
    archive.days_later(1000);
    assert_eq!(archive.sweep(), []);
    archive.proved();
}

#[test]
fn accounts_and_domains_have_their_own_time() {
    let archive = Archive::new();
    let (ann, domain) = (archive.ann, RetentionOf::Domain("example.org".parse().unwrap()));
    archive.keep(domain.clone(), Some(Keep::Secs(10 * 86_400)));
    archive.keep(RetentionOf::Account(ann), Some(Keep::Forever));
    let of_ann = archive.accept(&[ANN], "of ann");
    let of_bob = archive.accept(&[BOB], "of bob");
    let of_both = archive.accept(&[ANN, BOB], "of both");
    archive.empty(ann, "INBOX");
    archive.empty(archive.bob, "INBOX");
    archive.days_later(9);
    assert_eq!(archive.sweep(), []);
    archive.days_later(1);
    assert_eq!(archive.sweep(), [of_bob], "of several people's mail, the longest time counts");
    archive.days_later(10_000);
    assert_eq!(archive.sweep(), []);
    archive.keep(RetentionOf::Account(ann), None);
    assert_eq!(archive.sweep(), [of_ann, of_both]);
    let nobody = RetentionRule { of: RetentionOf::Account(AccountId(99)), keep: None, spam: None };
    let refused = archive.store.set_retention(operator(), nobody).wait();
    assert!(matches!(refused, Err(Refused::Missing(_))));
    archive.proved();
}

#[test]
fn a_legal_hold_beats_every_purge() {
    let archive = Archive::new();
    let before = archive.accept(&[ANN], "before");
    archive.days_later(10);
    let start = archive.clock.load(Ordering::SeqCst);
    let during = archive.accept(&[ANN, BOB], "during");
    archive.days_later(10);
    let end = archive.clock.load(Ordering::SeqCst);
    let after = archive.accept(&[ANN], "after");
    archive.hold(Some(start), Some(end));
    archive.empty(archive.ann, "INBOX");
    archive.empty(archive.bob, "INBOX");
    archive.days_later(4000);
    assert_eq!(archive.sweep(), [before, after]);
    let refused = archive.store.purge(&operator(), during, "wanted".to_owned(), true);
    assert!(
        matches!(&refused, Err(Refused::Invalid(why)) if why.contains("case 17")),
        "{refused:?}"
    );
    assert!(archive.has_body(during));
    // Also of an account that is removed, and after a start.
    archive.store.remove_account(operator(), address(ANN)).wait().unwrap();
    archive.store.close();
    let archive = Archive { store: open(archive.root.path(), &archive.clock), ..archive };
    assert_eq!(archive.sweep(), []);
    let name = "case 17".to_owned();
    let ended = archive.store.end_holds(operator(), name, None, "closed".to_owned());
    assert_eq!(ended.wait().unwrap(), 1);
    assert_eq!(archive.sweep(), [during]);
    archive.proved();
}

#[test]
fn junk_is_kept_less_long_unless_somebody_wanted_it() {
    let archive = Archive::new();
    let junk = |act| {
        let arrived: Arrived = arrived(&archive.store, true, &[ANN], "junk");
        let mail = arrived.mail;
        let judged = Judged {
            mail: Some(mail),
            act,
            reasons: Vec::new(),
            ip: PEER,
            reverse_path: ReversePath::Null,
            helo: "mx.example.net".to_owned(),
            facts: Vec::new(),
            dmarc: None,
        };
        let beside = Beside { judged: Some(judged), ..Beside::default() };
        archive.store.accept_with(arrived, beside).wait().unwrap();
        mail
    };
    let unwanted = junk(JudgedAct::Junk);
    let wanted = junk(JudgedAct::Junk);
    let released = junk(JudgedAct::Hold);
    let ann = session(archive.ann);
    let id = |name| archive.store.mailbox(archive.ann, name).unwrap().unwrap().id;
    archive.store.move_messages(ann, id("Junk"), vec![(1, 1)], "Trash").wait().unwrap();
    archive.store.move_messages(ann, id("Junk"), vec![(2, 2)], "INBOX").wait().unwrap();
    let held = archive.store.trace(&Query { mail: Some(released), ..query() }).unwrap();
    let held = held[0].custodies[0].custody;
    archive.store.change_custodies(&operator(), &Wish::Release, None, &[held]).unwrap();
    archive.empty(archive.ann, "INBOX");
    archive.empty(archive.ann, "Trash");
    archive.days_later(30);
    assert_eq!(archive.sweep(), [unwanted]);
    archive.days_later(335);
    assert_eq!(archive.sweep(), [wanted, released]);
    archive.proved();
}

#[test]
fn what_a_person_purges_is_gone_for_good() {
    let archive = Archive::new();
    let mail = archive.accept(&[ANN], "wrong");
    let other = archive.accept(&[ANN], "right");
    let purge = |take_out| archive.store.purge(&operator(), mail, "asked for".to_owned(), take_out);
    let refused = purge(false);
    assert!(matches!(&refused, Err(Refused::Invalid(why)) if why.contains("1 mailboxes")));
    assert!(purge(true).unwrap() > 0);
    assert!(matches!(purge(true), Err(Refused::Invalid(_))), "it is gone");
    assert!(!archive.has_body(mail));
    assert!(archive.has_body(other));
    assert_eq!(archive.store.mailbox(archive.ann, "INBOX").unwrap().unwrap().messages, 1);
    // Nobody has it back.
    let mut acts = Vec::new();
    archive
        .store
        .acts(&store::ActFilter::default(), &mut |act| {
            acts.push(act.seq);
            false
        })
        .unwrap();
    let undone = archive.store.undo(&operator(), None, &acts).unwrap();
    assert_eq!((undone.undone.len(), undone.skipped["messages purged since"]), (0, 1));
    // A deleted mailbox comes back without it.
    let inbox = archive.store.mailbox(archive.ann, "INBOX").unwrap().unwrap().id;
    let ann = session(archive.ann);
    archive.store.create_mailbox(ann, "Work", None).wait().unwrap();
    archive.store.move_messages(ann, inbox, vec![(1, 9)], "Work").wait().unwrap();
    archive.store.delete_mailbox(ann, "Work").wait().unwrap();
    archive.store.purge(&operator(), other, "asked for".to_owned(), false).unwrap();
    let mut deletion = None;
    archive
        .store
        .acts(&store::ActFilter::default(), &mut |act| {
            deletion = Some(act.seq);
            false
        })
        .unwrap();
    archive.store.undo(&operator(), None, &[deletion.unwrap()]).unwrap();
    assert_eq!(archive.store.mailbox(archive.ann, "Work").unwrap().unwrap().messages, 0);
    archive.proved();
}

#[test]
fn a_quota_does_not_count_the_archive() {
    let archive = Archive::new();
    let quota = store::Quota { messages: Some(1), storage_bytes: None };
    archive.store.set_quota(operator(), address(ANN), quota).wait().unwrap();
    for _ in 0..3 {
        let mail = archive.accept(&[ANN], "one at a time");
        assert_eq!(archive.store.usage(archive.ann).unwrap().0.messages, 1);
        archive.empty(archive.ann, "INBOX");
        let (used, _) = archive.store.usage(archive.ann).unwrap();
        assert_eq!((used.messages, used.bytes), (0, 0));
        assert!(archive.has_body(mail), "it is in the archive");
    }
    archive.proved();
}

/// Two messages that nobody has, one in a file of its own, and one that stays.
fn prepare(store: &Store<SimDisk>) {
    populate_or(store).unwrap();
    let large = "large ".repeat(300);
    for text in ["small", large.as_str(), "stays"] {
        store.accept(arrived(store, true, &[ANN], text)).wait().unwrap();
    }
    let inbox = store.mailbox(AccountId(1), "INBOX").unwrap().unwrap().id;
    store.remove(session(AccountId(1)), inbox, vec![(1, 2)]).wait().unwrap();
}

/// Purges both; the power is cut at the given operation of that. Answers how many there were.
fn fall(cut: Option<u64>, index: &Path) -> (SimDisk, bool, u64) {
    let disk = SimDisk::new();
    let store = script::open(&disk, index).unwrap();
    prepare(&store);
    let before = disk.operations();
    let cut_at_operation = cut.map(|cut| before + cut);
    disk.set_faults(Faults { cut_at_operation, ..Faults::default() });
    let purge =
        |mail| store.purge(&operator(), MailId(mail), "asked for".to_owned(), false).is_ok();
    let done = purge(1) && purge(2);
    store.close();
    let operations = disk.operations() - before;
    (disk, done, operations)
}

/// Wherever the power is cut: what is recorded as purged is off the disk after the next start, and
/// nothing else is.
#[test]
fn power_cut_between_record_and_disk_is_made_good() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| {
        let directory = place.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        directory.join("index")
    };
    let (_, done, operations) = fall(None, &path("done"));
    assert!(done && operations > 8, "{operations}");
    for cut in 1..=operations + 1 {
        let (disk, done, _) = fall(Some(cut), &path(&format!("{cut}")));
        for (number, seed) in [0, 1, cut].into_iter().enumerate() {
            let disk = disk.after_power_cut(seed);
            let index = path(&format!("{cut}-{number}"));
            let store = script::open(&disk, &index).unwrap();
            let mails: Vec<MailId> = (1..=3).map(MailId).collect();
            for facts in store.mail_facts(&mails).unwrap() {
                let mail = facts.receipt.mail;
                assert_eq!(store.body(&facts).is_err(), facts.purged.is_some(), "{mail} at {cut}");
                assert!(!done || facts.purged.is_some() == (mail.0 < 3), "{mail} at {cut}");
            }
            store.finish_purges().unwrap();
            store.close();
            script::verify(&disk, &index);
        }
    }
}

/// What was found of the many that stay holds until the time of one of them may be over: they are
/// not read again every few hours.
#[test]
fn what_stays_is_passed_over_until_its_time_may_be_over() {
    let archive = Archive::new();
    let first = archive.accept(&[ANN], "first");
    archive.days_later(5);
    let second = archive.accept(&[ANN], "second");
    archive.empty(archive.ann, "INBOX");
    archive.days_later(40);
    assert_eq!(archive.sweep(), []);
    // Whoever reads a message now stumbles over it.
    let index = rusqlite::Connection::open(archive.root.path().join("index.sqlite")).unwrap();
    let spoil = |check: &str| {
        let set = format!("UPDATE mail SET receipt_check = {check}");
        assert_eq!(index.execute(&set, []).unwrap(), 2);
    };
    spoil("'spoilt'");
    archive.days_later(29);
    assert_eq!(archive.sweep(), []);
    archive.days_later(1);
    archive.store.purge_over(&Actor::Server, true, &|| true, &mut |_| {}).unwrap_err();
    // A rule that is new holds for them at once.
    spoil("7");
    archive.keep(RetentionOf::Account(archive.ann), Some(Keep::Secs(71 * 86_400)));
    assert_eq!(archive.sweep(), []);
    archive.days_later(1);
    assert_eq!(archive.sweep(), [first, second]);
}

/// Held when it came, and ended by the queue: it was ann's all the same.
#[test]
fn a_hold_keeps_what_never_came_into_a_mailbox() {
    let archive = Archive::new();
    let arrived: Arrived = arrived(&archive.store, true, &["Ann+list@example.org"], "held");
    let mail = arrived.mail;
    let judged = Judged {
        mail: Some(mail),
        act: JudgedAct::Hold,
        reasons: Vec::new(),
        ip: PEER,
        reverse_path: ReversePath::Null,
        helo: "mx.example.net".to_owned(),
        facts: Vec::new(),
        dmarc: None,
    };
    let beside = Beside { judged: Some(judged), ..Beside::default() };
    archive.store.accept_with(arrived, beside).wait().unwrap();
    let held = archive.store.trace(&Query { mail: Some(mail), ..query() }).unwrap();
    let held = held[0].custodies[0].custody;
    let purge = Wish::Purge(std::time::Duration::from_secs(60));
    archive.store.change_custodies(&operator(), &purge, None, &[held]).unwrap();
    archive.hold(None, None);
    archive.days_later(1);
    assert_eq!(archive.store.purge_due().unwrap(), 1);
    archive.days_later(1000);
    assert_eq!(archive.sweep(), []);
    let ended = "over".to_owned();
    archive.store.end_holds(operator(), "case 17".to_owned(), None, ended).wait().unwrap();
    assert_eq!(archive.sweep(), [mail]);
    archive.proved();
}

#[test]
fn mail_of_removed_accounts_can_be_held() {
    let archive = Archive::new();
    let mail = archive.accept(&[ANN], "evidence");
    archive.empty(archive.ann, "INBOX");
    archive.store.remove_account(operator(), address(ANN)).wait().unwrap();
    assert_eq!(archive.store.accounts_ever(&address("Ann@example.org")).unwrap(), [archive.ann]);
    archive.keep(RetentionOf::Account(archive.ann), Some(Keep::Secs(500 * 86_400)));
    archive.hold(None, None);
    archive.days_later(1000);
    assert_eq!(archive.sweep(), []);
    assert!(archive.has_body(mail));
    let nobody = LegalHold {
        name: "other".to_owned(),
        account: AccountId(99),
        from: None,
        until: None,
        reason: "none".to_owned(),
    };
    archive.store.add_holds(operator(), vec![nobody]).wait().unwrap_err();
    archive.proved();
}

/// Turns a bit of the record that this query names.
fn damage(root: &Path, select: &str) {
    let index = rusqlite::Connection::open(root.join("index.sqlite")).unwrap();
    let (segment, place): (i64, i64) =
        index.query_row(select, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let path = root.join(format!("journal/{segment:08}.seg"));
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let (mut octet, at) = ([0], place.cast_unsigned() + 65);
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut octet, at).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[octet[0] ^ 1], at).unwrap();
}

#[test]
fn a_damaged_record_stops_no_other_purge() {
    let mut archive = Archive::new();
    let mails = ["one", "two", "three"].map(|text| archive.accept(&[ANN], text));
    archive.empty(archive.ann, "INBOX");
    archive.store.purge(&operator(), mails[2], "asked for".to_owned(), false).unwrap();
    archive.store.close();
    let root = archive.root.path();
    damage(root, &format!("SELECT segment, place FROM mail WHERE id = {}", mails[0].0));
    // As a power cut leaves it between the record and the disk.
    damage(root, "SELECT segment, place FROM purge");
    let index = rusqlite::Connection::open(root.join("index.sqlite")).unwrap();
    assert_eq!(index.execute("UPDATE purge SET done = 0", []).unwrap(), 1);
    drop(index);
    archive.store = open(root, &archive.clock);
    archive.store.finish_purges().unwrap();
    archive.days_later(400);
    let sweep = || archive.store.purge_over(&Actor::Server, false, &|| true, &mut |_| {}).unwrap();
    let outcome = sweep();
    assert_eq!((outcome.purged, outcome.damaged), (1, 1));
    assert!(!archive.has_body(mails[1]));
    let outcome = sweep();
    assert_eq!((outcome.purged, outcome.damaged), (0, 1), "it is told of each time");
    archive.store.close();
}

#[test]
fn a_clock_that_ran_ahead_is_not_believed() {
    let mut archive = Archive::new();
    archive.accept(&[ANN], "one");
    assert_eq!(archive.store.clock_ahead(), None);
    archive.days_later(6);
    assert_eq!(archive.store.clock_ahead(), None);
    archive.days_later(8);
    let ahead = archive.store.clock_ahead().unwrap();
    assert_eq!(ahead.as_secs().div_ceil(86_400), 8);
    assert!(archive.store.clock_ahead().is_some(), "for a day");
    let purge = |dry_run| {
        archive.store.purge_over(&operator(), dry_run, &|| true, &mut |_| {}).unwrap();
    };
    purge(true);
    assert!(archive.store.clock_ahead().is_some());
    purge(false);
    assert_eq!(archive.store.clock_ahead(), None);
    // A start is no reason to believe it.
    archive.store.close();
    archive.days_later(400);
    archive.store = open(archive.root.path(), &archive.clock);
    assert!(archive.store.clock_ahead().is_some());
    archive.proved();
}

/// What came while the clock was ahead hides nothing of what comes once it is right.
#[test]
fn a_clock_that_was_put_right_counts_again() {
    let archive = Archive::new();
    let begin = Timestamp(archive.clock.load(Ordering::SeqCst));
    let inbox = archive.store.mailbox(archive.ann, "INBOX").unwrap().unwrap().id;
    archive.accept(&[ANN], "one");
    archive.days_later(400);
    archive.accept(&[ANN], "two");
    archive.days_later(-399);
    archive.accept(&[ANN], "three");
    archive.store.remove(session(archive.ann), inbox, vec![(1, 1)]).wait().unwrap();
    let flow = archive.store.flow(begin).unwrap();
    assert_eq!(flow.iter().map(|one| one.begins.0 / DAY).max(), Some((begin.0 + DAY) / DAY));
    let taken = |one: &&store::FlowMinute| one.kind == store::FlowKind::Taken;
    assert_eq!(flow.iter().filter(taken).map(|one| one.count).sum::<u64>(), 1);
    archive.proved();
}
