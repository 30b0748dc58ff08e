//! The ledger on a real journal: heads that continue each other, and what happens when the journal
//! does not.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use journal::{Body, Journal, Options, RealDisk};
use ledger::{Compared, HeadsCheck, Ledger, LedgerError, SignedHead, Trouble, View, heads_path};
use mail_types::{RecordSeq, Timestamp};
use transparency::{ProofFileError, Verifier};

const NAME: &str = "mx.example.test/restante";

fn open(root: &Path) -> Journal<RealDisk> {
    // Segments so small that there are several.
    let options = Options { segment_bytes: 8192, ..Options::default() };
    Journal::open(RealDisk::new(root), options, None).unwrap().0
}

fn payload(seq: u64) -> Vec<u8> {
    format!("record {seq}").repeat(1 + seq as usize % 7).into_bytes()
}

/// Adds records, with a body now and then, in groups of three.
fn add(journal: &mut Journal<RealDisk>, records: u64) {
    for number in 0..records {
        let seq = journal.next_seq();
        if number % 2 == 0 {
            let body = Body::from_bytes(&vec![b'x'; 300]).unwrap();
            journal.append_body(&body).unwrap();
        }
        journal.append_record(seq, &payload(seq.0)).unwrap();
        if number % 3 == 2 {
            journal.sync().unwrap();
        }
    }
    journal.sync().unwrap();
}

fn ledger(root: &Path) -> Ledger {
    Ledger::open(&heads_path(root), NAME).unwrap()
}

fn advance(ledger: &mut Ledger, journal: &Journal<RealDisk>) -> Result<(), LedgerError> {
    while ledger.advance(&journal.reader())? {}
    Ok(())
}

/// Signs at a time in seconds and keeps it.
fn sign(ledger: &mut Ledger, journal: &Journal<RealDisk>, secs: i64) -> SignedHead {
    advance(ledger, journal).unwrap();
    let head = ledger.sign(Timestamp::from_secs(secs)).unwrap().unwrap().clone();
    ledger.keep(Timestamp::from_secs(secs)).unwrap();
    head
}

/// `verify`'s part.
fn troubles(root: &Path, elsewhere: &[(String, String)]) -> Vec<Trouble> {
    let mut check = HeadsCheck::open(&heads_path(root), elsewhere).unwrap().unwrap();
    for found in journal::Reader::look(RealDisk::new(root)).scan(None) {
        if let journal::Entry::Record { seq, payload, .. } = found {
            check.record(seq, blake3::hash(&payload).as_bytes());
        }
    }
    check.finish()
}

#[test]
fn heads_continue_each_other_over_starts() {
    let root = tempfile::tempdir().unwrap();
    let mut heads = Vec::new();
    for round in 0..6 {
        let mut journal = open(root.path());
        let mut ledger = ledger(root.path());
        add(&mut journal, 17);
        heads.push(sign(&mut ledger, &journal, 100 * round));
        add(&mut journal, 5);
        heads.push(sign(&mut ledger, &journal, 100 * round + 50));
        // The last records of the round are in no head: the next start takes them in.
        add(&mut journal, 2);
        advance(&mut ledger, &journal).unwrap();
    }
    let sizes: Vec<u64> = heads.iter().map(|head| head.checkpoint.size).collect();
    assert_eq!(sizes[..3], [17, 22, 41]);
    let view = View::open(&heads_path(root.path())).unwrap();
    assert_eq!(view.history(100).unwrap(), heads);
    let latest = heads[11].checkpoint.size;
    for head in &heads {
        let size = head.checkpoint.size;
        let compared = view.compare(&head.note.to_string()).unwrap();
        assert_eq!(compared, Compared::Prefix { size, latest });
    }
    assert_eq!(troubles(root.path(), &[]), []);
}

#[test]
fn no_more_than_one_head_a_second_and_none_for_nothing() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = open(root.path());
    let mut ledger = ledger(root.path());
    assert_eq!(ledger.sign(Timestamp::from_secs(5)).unwrap(), None);
    add(&mut journal, 1);
    advance(&mut ledger, &journal).unwrap();
    let at = |ms: i64| Timestamp(10_000 + ms);
    let size = |ledger: &mut Ledger, ms| ledger.sign(at(ms)).unwrap().unwrap().checkpoint.size;
    assert_eq!(size(&mut ledger, 0), 1);
    add(&mut journal, 1);
    advance(&mut ledger, &journal).unwrap();
    assert_eq!(size(&mut ledger, 999), 1, "within the second");
    assert_eq!(size(&mut ledger, 1000), 2);
    let before = ledger.latest().cloned();
    assert_eq!(size(&mut ledger, 9000), 2);
    assert_eq!(ledger.latest().cloned(), before, "nothing has changed");
}

#[test]
fn a_proof_opens_its_record_and_no_other() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = open(root.path());
    let mut ledger = ledger(root.path());
    add(&mut journal, 40);
    sign(&mut ledger, &journal, 1);
    let key = Verifier::parse(&ledger.verifier().to_string()).unwrap();
    for seq in 1..=40 {
        let (at, salt) = (RecordSeq(seq), ledger.salt(RecordSeq(seq)));
        let proof = ledger.prove(at, None).unwrap();
        let hash = |seq| *blake3::hash(&payload(seq)).as_bytes();
        let entry = ledger::entry(at, &salt, &hash(seq));
        assert_eq!(proof.verify(&entry, &key).unwrap().size, 40);
        let other = ledger::entry(at, &salt, &hash(seq + 1));
        assert!(matches!(proof.verify(&other, &key), Err(ProofFileError::Proof(_))));
    }
    assert!(matches!(ledger.prove(RecordSeq(41), None), Err(LedgerError::NotYet(41))));
}

#[test]
fn a_lost_place_or_tree_is_made_again_from_the_journal() {
    for lost in ["place", "tree"] {
        let root = tempfile::tempdir().unwrap();
        let mut journal = open(root.path());
        add(&mut journal, 30);
        let first = sign(&mut ledger(root.path()), &journal, 1);
        let dir = heads_path(root.path());
        let whole = std::fs::read(dir.join("tree")).unwrap();
        std::fs::remove_file(dir.join(lost)).unwrap();
        let mut ledger = ledger(root.path());
        advance(&mut ledger, &journal).unwrap();
        assert_eq!(ledger.latest(), Some(&first));
        assert_eq!(std::fs::read(dir.join("tree")).unwrap(), whole, "{lost}");
        add(&mut journal, 3);
        assert_eq!(sign(&mut ledger, &journal, 500).checkpoint.size, 33);
        assert_eq!(troubles(root.path(), &[]), []);
    }
}

#[test]
fn what_a_power_cut_left_of_the_history_is_cut() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = open(root.path());
    add(&mut journal, 3);
    let first = sign(&mut ledger(root.path()), &journal, 1);
    let path = heads_path(root.path()).join("history");
    let whole = std::fs::read_to_string(&path).unwrap();
    for end in 1..whole.len() {
        std::fs::write(&path, [whole.as_bytes(), &whole.as_bytes()[..end]].concat()).unwrap();
        assert_eq!(troubles(root.path(), &[]), [], "verify, {end} bytes of a second one");
        let ledger = ledger(root.path());
        assert_eq!(ledger.latest(), Some(&first));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole, "{end} bytes of a second one");
    }
}

/// A second journal with the same beginning and another end.
fn fork(root: &Path, same: u64) -> Journal<RealDisk> {
    let mut journal = open(root);
    for _ in 0..same {
        let seq = journal.next_seq();
        journal.append_record(seq, &payload(seq.0)).unwrap();
        journal.sync().unwrap();
    }
    journal
}

fn put_back(root: &Path, heads: &Path) {
    let dir = heads_path(root);
    std::fs::create_dir_all(&dir).unwrap();
    for name in ["key", "latest", "history", "tree", "place"] {
        std::fs::copy(heads_path(heads).join(name), dir.join(name)).unwrap();
    }
}

#[test]
fn a_journal_that_was_cut_back_gets_no_head_and_verify_names_it() {
    let whole = tempfile::tempdir().unwrap();
    let journal = fork(whole.path(), 20);
    let head = sign(&mut ledger(whole.path()), &journal, 1);
    let cut = tempfile::tempdir().unwrap();
    let journal = fork(cut.path(), 19);
    put_back(cut.path(), whole.path());
    let mut ledger = ledger(cut.path());
    let error = advance(&mut ledger, &journal).unwrap_err();
    assert!(matches!(error, LedgerError::CutBack { records: 19, signed: 20 }), "{error}");
    assert!(ledger.sign(Timestamp::from_secs(9)).unwrap() == Some(&head), "no new one");
    let found = troubles(cut.path(), &[]);
    assert!(matches!(&found[..], [Trouble::Head(what)] if what.contains("cut back")), "{found:?}");
    // A head that was kept elsewhere says so when all that was kept here is gone, too.
    let elsewhere = [("head.txt".to_owned(), head.note.to_string())];
    for name in ["latest", "history", "tree", "place"] {
        std::fs::remove_file(heads_path(cut.path()).join(name)).unwrap();
    }
    assert_eq!(troubles(cut.path(), &[]), []);
    let found = troubles(cut.path(), &elsewhere);
    assert!(matches!(&found[..], [Trouble::Head(what)] if what.contains("head.txt")), "{found:?}");
}

#[test]
fn a_journal_with_another_past_gets_no_head_and_verify_names_it() {
    let whole = tempfile::tempdir().unwrap();
    let journal = fork(whole.path(), 20);
    sign(&mut ledger(whole.path()), &journal, 1);
    let changed = tempfile::tempdir().unwrap();
    let mut journal = fork(changed.path(), 9);
    journal.append_record(RecordSeq(10), b"another").unwrap();
    add(&mut journal, 25);
    put_back(changed.path(), whole.path());
    let mut ledger = ledger(changed.path());
    let error = advance(&mut ledger, &journal).unwrap_err();
    assert!(matches!(error, LedgerError::Fork { signed: 20 }), "{error}");
    let found = troubles(changed.path(), &[]);
    assert!(found.iter().any(|one| matches!(one, Trouble::Head(_))), "{found:?}");
}

#[test]
fn every_bit_of_the_kept_tree_and_heads_counts() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = open(root.path());
    add(&mut journal, 9);
    sign(&mut ledger(root.path()), &journal, 1);
    for name in ["tree", "latest", "history"] {
        let path = heads_path(root.path()).join(name);
        let whole = std::fs::read(&path).unwrap();
        for bit in (0..whole.len() * 8).step_by(5) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).unwrap();
            assert_ne!(troubles(root.path(), &[]), [], "bit {bit} of {name}");
        }
        std::fs::write(&path, &whole).unwrap();
    }
    assert_eq!(troubles(root.path(), &[]), []);
}

#[test]
fn a_damaged_tree_is_made_anew_and_nobody_calls_the_journal_changed() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = open(root.path());
    add(&mut journal, 30);
    let first = sign(&mut ledger(root.path()), &journal, 1);
    let path = heads_path(root.path()).join("tree");
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(32) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let mut ledger = ledger(root.path());
        advance(&mut ledger, &journal).unwrap();
        // A hash that no head needs is found out by the first proof that does.
        for seq in 1..=30 {
            if ledger.prove(RecordSeq(seq), None).is_err() {
                advance(&mut ledger, &journal).unwrap();
                ledger.prove(RecordSeq(seq), None).unwrap();
            }
        }
        assert_eq!(ledger.latest(), Some(&first));
        assert_eq!(std::fs::read(&path).unwrap(), whole, "byte {at}");
    }
}

#[test]
fn a_lost_key_is_not_replaced_while_its_heads_are_there() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = open(root.path());
    add(&mut journal, 3);
    sign(&mut ledger(root.path()), &journal, 1);
    let dir = heads_path(root.path());
    let key = std::fs::read(dir.join("key")).unwrap();
    std::fs::remove_file(dir.join("key")).unwrap();
    assert!(matches!(Ledger::open(&dir, NAME), Err(LedgerError::Key(_))));
    std::fs::write(dir.join("key"), key).unwrap();
    // Nor is a latest head that cannot be read written over.
    std::fs::write(dir.join("latest"), "no head").unwrap();
    add(&mut journal, 3);
    sign(&mut ledger(root.path()), &journal, 500);
    assert_eq!(std::fs::read(dir.join("latest-unreadable")).unwrap(), b"no head");
}

#[test]
fn damage_in_the_middle_of_the_history_takes_no_head_behind_it() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = open(root.path());
    let mut ledger_ = ledger(root.path());
    for round in 0..3 {
        add(&mut journal, 3);
        sign(&mut ledger_, &journal, 100 * round);
    }
    let path = heads_path(root.path()).join("history");
    let whole = std::fs::read(&path).unwrap();
    let each = whole.len() / 3;
    let damage = vec![0; 20 << 10];
    let damaged = [&whole[..each], &damage, &whole[2 * each..]].concat();
    std::fs::write(&path, &damaged).unwrap();
    assert_ne!(troubles(root.path(), &[]), []);
    drop(ledger_);
    ledger(root.path());
    assert_eq!(std::fs::read(&path).unwrap(), damaged, "nothing behind it was cut");
}

#[test]
fn a_missing_record_hides_no_journal_that_was_cut_back() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = open(root.path());
    add(&mut journal, 30);
    sign(&mut ledger(root.path()), &journal, 1);
    let mut check = HeadsCheck::open(&heads_path(root.path()), &[]).unwrap().unwrap();
    for seq in (1..=25).filter(|seq| *seq != 7) {
        check.record(RecordSeq(seq), blake3::hash(&payload(seq)).as_bytes());
    }
    let found = check.finish();
    let cut_back = |one: &Trouble| matches!(one, Trouble::Head(what) if what.contains("cut back"));
    assert!(found.iter().any(cut_back), "{found:?}");
}
