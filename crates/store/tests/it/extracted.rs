//! What is kept of messages is never believed without its check, and never missed: every answer is
//! the one that the body gives.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use extract::{Head, Header, Key, Keys, Made};
use mail_types::MailId;
use store::{Part, Store, Visit};

use crate::support::{arrived, options, populate};

fn open(root: &Path) -> Store {
    Store::open(root, options()).unwrap().0
}

/// Bodies of many kinds: tiny, compressed, of a file of their own.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> =
        (0..40).map(|at| format!("letter {at} über den Käse\r\n")).collect();
    texts.push("compressible ".repeat(4000));
    let line = |at: u32| format!("{:08x} ", at.wrapping_mul(2_654_435_761));
    texts.push((0..100_000).map(line).collect());
    texts.push("and the last one\r\n".to_owned());
    texts
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

fn until_extracted(store: &Store) {
    let begun = Instant::now();
    while !store.is_extracted() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the extractor does not end");
        std::thread::yield_now();
    }
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
    let wanted = ["KÄSE", "letter 7", "absent", "last one", "compressible c"];
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
    let texts = texts();
    let mails = accept(&store, &texts);
    check(&store, &mails, &texts);
    until_extracted(&store);
    check(&store, &mails, &texts);
    store.close();
    let store = open(dir.path());
    until_extracted(&store);
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
    until_extracted(&store);
    for (path, bytes) in files(dir.path()) {
        for offset in (7..bytes).step_by(97).take(300) {
            spoil(&path, offset);
        }
    }
    check(&store, &mails, &texts);
    // Whoever met something wrong has said so: now it is whole again.
    until_extracted(&store);
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
    until_extracted(&store);
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
    until_extracted(&store);
    for torn in [0, 1, 100, 5000] {
        for (file, bytes) in files(&copied) {
            let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
            file.set_len(bytes.saturating_sub(torn)).unwrap();
        }
        let again = open(&copied);
        check(&again, &mails, &texts);
        until_extracted(&again);
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
    until_extracted(&store);
    store.close();
    store::rebuild(dir.path(), journal::Options::default()).unwrap();
    assert!(!dir.path().join("extract").exists());
    let store = open(dir.path());
    until_extracted(&store);
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
    let first = accept(&store, &["first\r\n".to_owned()]);
    store.close();
    copy(&live, &older);
    let store = open(&live);
    accept(&store, &["lost with the disk\r\n".to_owned()]);
    until_extracted(&store);
    store.close();
    // Journal and index are put back from the older copy; the extract is left as it was.
    std::fs::remove_dir_all(older.join("extract")).unwrap();
    copy(&live.join("extract"), &older.join("extract"));
    let store = open(&older);
    let mut mails = first;
    mails.extend(accept(&store, &["came later, the same id\r\n".to_owned()]));
    let texts = ["first\r\n".to_owned(), "came later, the same id\r\n".to_owned()];
    until_extracted(&store);
    check(&store, &mails, &texts);
    store.close();
}

#[test]
fn a_damaged_body_is_lost_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store);
    let texts: Vec<String> = (0..5).map(|at| format!("letter {at}\r\n")).collect();
    let mails = accept(&store, &texts);
    until_extracted(&store);
    let at = store.mail_facts(&mails).unwrap()[2].body_at;
    let segments = std::fs::read_dir(dir.path().join("journal")).unwrap();
    let segment = segments
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("000001"))
        .unwrap();
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
