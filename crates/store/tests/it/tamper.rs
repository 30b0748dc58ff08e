//! Each invariant is violated once, by hand, and found under its number.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use journal::{Journal, RealDisk};
use mail_types::{CustodyId, Flags, MailId, MailboxId, ModSeq, RecordSeq, Reply, Timestamp, Uid};
use store::{Accepted, Actor, Entry, Fate, Invariant, NewCustody, Outcome, Record, Report, Store};

use crate::script::{Log, peer, run, small};
use crate::support::address;

/// A store after the script, closed.
fn stored() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), small()).unwrap();
    run(&store, &mut Log::default()).unwrap();
    store.close();
    let report = verify(root.path());
    assert!(report.is_clean(), "{:#?}", report.violations);
    assert_eq!(report.attempts_open, 1, "the script leaves one");
    root
}

fn verify(root: &Path) -> Report {
    let scratch = tempfile::tempdir().unwrap();
    store::verify(root, scratch.path(), &mut |_| {}).unwrap()
}

fn assert_finds(root: &Path, invariant: Invariant) {
    let report = verify(root);
    let found: Vec<_> = report.violations.iter().map(|violation| violation.invariant).collect();
    assert!(found.contains(&invariant), "{invariant} not in {:#?}", report.violations);
}

fn index(root: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(root.join("index.sqlite")).unwrap()
}

fn number(root: &Path, query: &str) -> u64 {
    let found: i64 = index(root).query_row(query, [], |row| row.get(0)).unwrap();
    u64::try_from(found).unwrap()
}

fn flip(path: &Path, offset: u64) {
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

/// Flips a bit behind the header of the frame that this query of segment and place finds.
fn flip_frame(root: &Path, segment: &str, place: &str) {
    let segment = number(root, &format!("SELECT {segment} FROM mail WHERE id = 1"));
    let place = number(root, &format!("SELECT {place} FROM mail WHERE id = 1"));
    flip(&root.join(format!("journal/{segment:08}.seg")), place + 64 + 1);
}

fn body_file(root: &Path) -> PathBuf {
    let files = std::fs::read_dir(root.join("bodies")).unwrap();
    let mut files: Vec<_> =
        files.map(|file| file.unwrap().path()).filter(|p| p.is_file()).collect();
    files.sort();
    files.pop().unwrap()
}

/// Writes records that the store itself would not, with right checksums.
fn forge(root: &Path, records: impl IntoIterator<Item = Record>) {
    let (mut journal, _) = Journal::open(RealDisk::new(root), small().journal, None).unwrap();
    for record in records {
        let entry = Entry { at: Timestamp(1), actor: Actor::Server, record };
        let seq = journal.next_seq();
        journal.append_record(seq, &entry.encode().unwrap()).unwrap();
    }
    journal.sync().unwrap();
}

#[test]
fn i1_record_with_a_flipped_bit() {
    let root = stored();
    flip_frame(root.path(), "segment", "place");
    assert_finds(root.path(), Invariant::JournalWhole);
}

#[test]
fn i4_body_with_a_flipped_bit() {
    let root = stored();
    flip_frame(root.path(), "body_segment", "body_place");
    assert_finds(root.path(), Invariant::BodyThere);
}

#[test]
fn i4_body_file_that_is_gone() {
    let root = stored();
    std::fs::remove_file(body_file(root.path())).unwrap();
    assert_finds(root.path(), Invariant::BodyThere);
}

#[test]
fn i4_body_file_with_a_flipped_bit() {
    let root = stored();
    flip(&body_file(root.path()), 700);
    assert_finds(root.path(), Invariant::BodyThere);
}

#[test]
fn i4_body_file_that_no_frame_names_and_the_next_start_removes() {
    let root = stored();
    let file = body_file(root.path());
    let name = file.file_name().unwrap().to_str().unwrap();
    let (hash, _) = name.split_once('-').unwrap();
    let orphan = file.with_file_name(format!("{hash}-{:016x}", 1));
    std::fs::copy(&file, &orphan).unwrap();
    assert_finds(root.path(), Invariant::BodyThere);
    let (store, _) = Store::open(root.path(), small()).unwrap();
    store.close();
    assert!(!orphan.exists() && file.exists());
    assert!(verify(root.path()).is_clean());
}

#[test]
fn i13_index_row_that_was_changed() {
    let root = stored();
    index(root.path()).execute("UPDATE message SET flags = flags + 2 WHERE uid = 1", []).unwrap();
    assert_finds(root.path(), Invariant::IndexEqual);
}

#[test]
fn i13_index_row_that_is_gone() {
    let root = stored();
    index(root.path()).execute("DELETE FROM queue", []).unwrap();
    assert_finds(root.path(), Invariant::IndexEqual);
}

#[test]
fn i13_index_that_is_gone_and_is_made_anew() {
    let root = stored();
    std::fs::remove_file(root.path().join("index.sqlite")).unwrap();
    assert_finds(root.path(), Invariant::IndexEqual);
    let (store, started) = Store::open(root.path(), small()).unwrap();
    assert!(started.rebuilt.is_some() && started.replayed > 10);
    store.close();
    assert!(verify(root.path()).is_clean());
}

#[test]
fn i13_index_that_is_no_database_is_made_anew() {
    let root = stored();
    std::fs::write(root.path().join("index.sqlite"), "not a database at all".repeat(500)).unwrap();
    // All of the tables may be in there still.
    drop(std::fs::remove_file(root.path().join("index.sqlite-wal")));
    assert_finds(root.path(), Invariant::IndexEqual);
    let (store, started) = Store::open(root.path(), small()).unwrap();
    assert!(started.rebuilt.is_some());
    store.close();
    assert!(verify(root.path()).is_clean());
}

#[test]
fn i13_journal_that_lost_its_end() {
    let root = stored();
    let mut segments: Vec<_> = std::fs::read_dir(root.path().join("journal"))
        .unwrap()
        .map(|s| s.unwrap().path())
        .collect();
    segments.sort();
    segments.retain(|path| path.extension().is_some_and(|ending| ending == "seg"));
    std::fs::remove_file(segments.pop().unwrap()).unwrap();
    assert_finds(root.path(), Invariant::IndexEqual);
    let opened = Store::open(root.path(), small());
    assert!(matches!(opened, Err(store::StoreError::IndexAhead(_))));
}

#[test]
fn i5_return_whose_report_was_never_accepted() {
    let root = stored();
    let outcome = Outcome::Returned {
        reason: String::new(),
        status: mail_types::EnhancedStatus::new(5, 0, 0),
        reply: None,
        notice: store::Notice::Sent { report: MailId(999) },
    };
    let custody = CustodyId(number(root.path(), "SELECT min(custody) FROM queue"));
    forge(root.path(), [Record::Attempted { custody, peer: None, outcome }]);
    assert_finds(root.path(), Invariant::ReturnedTold);
}

#[test]
fn i7_relayed_on_a_reply_that_refused() {
    let root = stored();
    let reply = Reply::new(550, None, "no");
    let outcome = Outcome::Relayed { reply, report: None, may_be_duplicate: false };
    let custody = CustodyId(number(root.path(), "SELECT min(custody) FROM queue"));
    forge(root.path(), [Record::Attempted { custody, peer: Some(peer()), outcome }]);
    assert_finds(root.path(), Invariant::RelayedReply);
}

#[test]
fn i9_uid_that_was_used_twice() {
    let root = stored();
    let expunged = "SELECT mailbox FROM expunged WHERE uid = 1";
    let mailbox = MailboxId(number(root.path(), expunged));
    let there =
        number(root.path(), &format!("SELECT max(uid) FROM message WHERE mailbox = {mailbox}"));
    let there = Uid::new(u32::try_from(there).unwrap()).unwrap();
    let messages = vec![(there, Uid::FIRST)];
    let copied = Record::Copied { from: mailbox, to: mailbox, mod_seq: ModSeq(99), messages };
    forge(root.path(), [copied]);
    assert_finds(root.path(), Invariant::Counts);
}

/// A message said to have a UID that another one has had, and one that nobody gets.
#[test]
fn i6_and_i2_delivered_nowhere_and_to_nobody() {
    let root = stored();
    let accepted = |mail, custodies| {
        Record::Accepted(Box::new(Accepted {
            mail: MailId(mail),
            source: store::Source::Append { account: mail_types::AccountId(1) },
            reverse_path: mail_types::ReversePath::Null,
            envelope_id: None,
            return_headers_only: None,
            eight_bit: false,
            smtp_utf8: false,
            body_hash: mail_types::BodyHash([0; 32]),
            body_bytes: 0,
            body_at: store::Place { segment: 1, offset: 64 },
            internal_date: Timestamp(1),
            message_id: None,
            subject: None,
            custodies,
        }))
    };
    let mailbox = MailboxId(number(root.path(), "SELECT mailbox FROM expunged WHERE uid = 1"));
    let fate =
        Fate::Delivered { mailbox, uid: Uid::FIRST, mod_seq: ModSeq(1), flags: Flags::default() };
    let custody = NewCustody {
        custody: CustodyId(900),
        recipient: address("ann@example.org"),
        notify: None,
        original_recipient: None,
        fate,
    };
    forge(root.path(), [accepted(900, vec![custody]), accepted(901, Vec::new())]);
    assert_finds(root.path(), Invariant::DeliveredThere);
    assert_finds(root.path(), Invariant::OneState);
    assert_finds(root.path(), Invariant::BodyThere);
}

/// A frame number that the store never gives.
#[test]
fn i1_record_that_contradicts_those_before_it() {
    let root = stored();
    let domain = "example.org".parse().unwrap();
    let added = Record::AccountAdded {
        account: mail_types::AccountId(1),
        address: address("eve@example.org"),
        credentials: crate::support::credentials(),
    };
    forge(root.path(), [Record::DomainAdded { domain }, added]);
    assert_finds(root.path(), Invariant::JournalWhole);
    assert!(RecordSeq(verify(root.path()).records) > RecordSeq(10));
}
