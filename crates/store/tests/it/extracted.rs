//! What is kept of messages is never believed without its check, and never missed: every answer is
//! the one that the body gives.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use extract::{Head, Header, Key, Keys, Made};
use mail_types::MailId;
use store::{Options, Part, Store, Visit};

use crate::support::{arrived, options, populate};

fn open(root: &Path) -> Store {
    // Small segments: tests copy them.
    let journal = journal::Options {
        segment_bytes: 128 << 10,
        inline_body_bytes_max: 64 << 10,
        ..journal::Options::default()
    };
    Store::open(root, Options { journal, ..options() }).unwrap().0
}

/// Bodies of many kinds: tiny, compressed, of a file of their own.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> =
        (0..20).map(|at| format!("letter {at} über den Käse\r\n")).collect();
    texts.push("compressible ".repeat(2000));
    texts.push(numbers(35_000));
    texts.push("and the last one\r\n".to_owned());
    texts
}

/// Text that does not compress, nine octets for each.
fn numbers(count: u32) -> String {
    (0..count).map(|at| format!("{:08x} ", at.wrapping_mul(2_654_435_761))).collect()
}

fn accept(store: &Store, texts: &[String]) -> Vec<MailId> {
    let mails = texts.iter().map(|text| {
        let arrived = arrived(store, true, &["ann@example.org"], text);
        let mail = arrived.mail;
        store.accept(arrived).wait().unwrap();
        mail
    });
    mails.collect()
}

fn body_of(text: &str) -> String {
    format!("Message-ID: <a@example.net>\r\n\r\n{text}")
}

/// Everything that is asked comes out as the bodies say.
fn check(store: &Store, mails: &[MailId], texts: &[String]) {
    let bodies: Vec<String> = texts.iter().map(|text| body_of(text)).collect();
    let mut seen = 0;
    store
        .bodies(mails, |at, body| {
            let body = body.unwrap();
            assert!(body.ends_with(bodies[at].as_bytes()), "{at}");
            seen += 1;
            Visit::GoOn
        })
        .unwrap();
    assert_eq!(seen, mails.len());
    let mades: Vec<Made> = whole_bodies(store, mails).iter().map(|body| Made::of(body)).collect();
    store
        .heads(mails, |at, head| {
            let (head, made) = (head.unwrap(), Head::read(&mades[at].head).unwrap());
            for part in Part::ALL {
                assert_eq!(head.part(part), made.part(part), "{at} {part:?}");
            }
            Visit::GoOn
        })
        .unwrap();
    store
        .headers(mails, |at, header| {
            assert_eq!(header.unwrap(), Header::read(&mades[at].header).unwrap().raw);
            Visit::GoOn
        })
        .unwrap();
    search(store, mails, &bodies);
    for (at, mail) in mails.iter().enumerate() {
        let body = &whole_bodies(store, &[*mail])[0];
        let len = body.len() as u64;
        for range in [0..10, len / 2..len / 2 + 300_000, len - 3..len + 9, len + 5..len + 9] {
            let expected = &body[range.start.min(len) as usize..range.end.min(len) as usize];
            assert_eq!(store.body_range(*mail, range).unwrap().unwrap(), expected, "{at}");
        }
    }
}

fn whole_bodies(store: &Store, mails: &[MailId]) -> Vec<Vec<u8>> {
    let facts = store.mail_facts(mails).unwrap();
    facts.iter().map(|facts| store.body(facts).unwrap()).collect()
}

fn search(store: &Store, mails: &[MailId], bodies: &[String]) {
    let wanted = ["KÄSE", "letter 7", "absent", "last one", "compressible c", "needle behind"];
    let mut keys: Vec<Key> = wanted.iter().map(|text| Key::Text((*text).to_owned())).collect();
    keys.push(Key::Header { name: "Message-ID".to_owned(), text: "A@example".to_owned() });
    keys.push(Key::Body("message-id".to_owned()));
    let mut found = Vec::new();
    while found.len() < mails.len() {
        let more = store.search(&mails[found.len()..], &Keys::new(keys.clone())).unwrap();
        assert!(!more.is_empty());
        found.extend(more);
    }
    for (body, bits) in bodies.iter().zip(found) {
        let folded = message::fold(body);
        let expected = wanted.iter().map(|text| folded.contains(&message::fold(text)));
        let expected = expected.chain([true, false]).enumerate();
        let expected = expected.fold(0, |bits, (at, found)| bits | u64::from(found) << at);
        assert_eq!(bits, expected, "{}", &body[..body.len().min(60)]);
    }
}

/// The files of the extract that hold something.
fn files(root: &Path) -> Vec<(PathBuf, u64)> {
    let versions = std::fs::read_dir(root.join("extract")).unwrap();
    let version = versions.map(|entry| entry.unwrap().path()).next().unwrap();
    let files = std::fs::read_dir(version).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.path(), entry.metadata().unwrap().len())
    });
    files.filter(|(_, bytes)| *bytes > 0).collect()
}

fn spoil(path: &Path, offset: u64) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn answers_are_the_same_before_and_after_extracting_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store);
    let mut texts = texts();
    texts.push(numbers(120_000) + "needle behind the limit");
    let mails = accept(&store, &texts);
    check(&store, &mails, &texts);
    store.wait_extracted();
    check(&store, &mails, &texts);
    store.close();
    let store = open(dir.path());
    store.wait_extracted();
    check(&store, &mails, &texts);
    store.close();
}

#[test]
fn what_is_spoiled_is_never_told_and_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store);
    let texts = texts();
    let mails = accept(&store, &texts);
    store.wait_extracted();
    for (path, bytes) in files(dir.path()) {
        for offset in (7..bytes).step_by(97).take(300) {
            spoil(&path, offset);
        }
    }
    check(&store, &mails, &texts);
    // Whoever met something wrong has said so: now it is whole again.
    store.wait_extracted();
    let again = |stream| {
        let (extract, _) = extract::Extract::open(dir.path().join("extract")).unwrap();
        let slots = extract.slots(&mails);
        let mut whole = 0;
        extract.entries(stream, &mails, &slots, |_, entry| {
            whole += usize::from(entry.is_some());
            Visit::GoOn
        });
        whole
    };
    check(&store, &mails, &texts);
    store.wait_extracted();
    assert_eq!(again(extract::Stream::Head), mails.len());
    assert_eq!(again(extract::Stream::Header), mails.len());
    assert_eq!(again(extract::Stream::Text), mails.len());
    store.close();
}

#[test]
fn a_kill_in_the_middle_leaves_what_the_next_start_completes() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copied) = (dir.path().join("live"), dir.path().join("copied"));
    let store = open(&live);
    populate(&store);
    let texts = texts();
    let mails = accept(&store, &texts);
    // As a kill leaves it, wherever the extractor is; then with its last writes torn.
    copy(&live, &copied);
    store.wait_extracted();
    for torn in [0, 100, 5000] {
        for (file, bytes) in files(&copied) {
            let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
            file.set_len(bytes.saturating_sub(torn)).unwrap();
        }
        let again = open(&copied);
        check(&again, &mails, &texts);
        again.wait_extracted();
        check(&again, &mails, &texts);
        again.close();
    }
    store.close();
}

#[test]
fn without_it_or_after_a_rebuild_it_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store);
    let texts = texts();
    let mails = accept(&store, &texts);
    store.wait_extracted();
    store.close();
    store::rebuild(dir.path(), journal::Options::default()).unwrap();
    assert!(!dir.path().join("extract").exists());
    let store = open(dir.path());
    store.wait_extracted();
    assert!(files(dir.path()).iter().any(|(path, _)| path.ends_with("text-00001")));
    check(&store, &mails, &texts);
    store.close();
}

#[test]
fn what_was_kept_of_another_journal_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (live, older) = (dir.path().join("live"), dir.path().join("older"));
    let store = open(&live);
    populate(&store);
    let mails = accept(&store, &["first\r\n".to_owned()]);
    store.close();
    copy(&live, &older);
    let store = open(&live);
    accept(&store, &["lost with the disk\r\n".to_owned()]);
    store.wait_extracted();
    store.close();
    // Journal and index are put back from the older copy; the extract is the one that was there.
    let put_back = |texts: &[String]| {
        std::fs::remove_dir_all(older.join("extract")).unwrap();
        copy(&live.join("extract"), &older.join("extract"));
        let store = open(&older);
        store.wait_extracted();
        check(&store, &(1..=texts.len() as u64).map(MailId).collect::<Vec<_>>(), texts);
        store
    };
    let mut texts = vec!["first\r\n".to_owned()];
    assert_eq!(mails, [MailId(1)]);
    let store = put_back(&texts);
    // A message of the same id, size and place as the one that was lost, after which the same happens.
    texts.push("lost with the tape\r\n".to_owned());
    accept(&store, &texts[1..]);
    store.close();
    put_back(&texts).close();
}

#[test]
fn verify_tells_what_is_of_another_message() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store);
    let texts = texts();
    let mails = accept(&store, &texts);
    store.wait_extracted();
    store.close();
    let verified = || {
        let scratch = tempfile::tempdir().unwrap();
        store::verify(dir.path(), scratch.path(), &mut |_| {}).unwrap()
    };
    assert!(verified().is_clean(), "{:#?}", verified().violations);
    // What a bug would do: an entry with the right check, made of another body.
    let (_, mut appender) = extract::Extract::open(dir.path().join("extract")).unwrap();
    appender.add(mails[3], &Made::of(b"Subject: another\r\n\r\n"), extract::BodyAt::default());
    appender.flush().unwrap();
    let report = verified();
    assert_eq!(report.violations_count, 4, "{:#?}", report.violations);
    let all = report.violations.iter();
    assert!(all.map(|found| found.invariant).all(|found| found == store::Invariant::ExtractEqual));
    // Missing is not wrong.
    store::rebuild(dir.path(), journal::Options::default()).unwrap();
    assert!(verified().is_clean());
}

#[test]
fn a_damaged_body_is_lost_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store);
    let texts: Vec<String> = (0..5).map(|at| format!("letter {at}\r\n")).collect();
    let mails = accept(&store, &texts);
    store.wait_extracted();
    let at = store.mail_facts(&mails).unwrap()[2].body_at;
    let segment = dir.path().join(format!("journal/{:08}.seg", at.segment));
    // Behind the frame's header of 64 bytes.
    spoil(&segment, at.offset + 64 + 40);
    let mut lost = Vec::new();
    store
        .bodies(&mails, |at, body| {
            if body.is_none() {
                lost.push(at);
            }
            Visit::GoOn
        })
        .unwrap();
    assert_eq!(lost, [2]);
    store.close();
}
