use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use extract::{Appender, BodyAt, Extract, Head, Header, Made, Part, Stream, Visit};
use mail_types::MailId;
use message::{BodyForm, Limits, SortFacts, Summary, header_range};
use proptest::prelude::*;

use crate::mails::{GLOBAL, RICH, any_mail};

const STREAMS: [Stream; 3] = [Stream::Head, Stream::Header, Stream::Text];

/// What is kept of a message, each stream.
fn kept(extract: &Extract, mail: u64) -> [Option<Vec<u8>>; 3] {
    let mails = [MailId(mail)];
    let slots = extract.slots(&mails);
    STREAMS.map(|stream| {
        let mut found = None;
        extract.entries(stream, &mails, &slots, |_, entry| {
            found = entry.map(<[u8]>::to_vec);
            Visit::GoOn
        });
        found
    })
}

fn of(made: &Made) -> [Option<Vec<u8>>; 3] {
    [Some(made.head.clone()), Some(made.header.clone()), Some(made.text.clone().into_bytes())]
}

/// So many messages, the n-th named in its subject.
fn fill(appender: &mut Appender, mails: std::ops::Range<u64>) {
    for mail in mails {
        appender.add(MailId(mail), &made(mail), BodyAt { segment: 1, ..BodyAt::default() });
    }
    appender.flush().unwrap();
}

fn made(mail: u64) -> Made {
    Made::of(format!("Subject: number {mail}\r\n\r\n{}", "text ".repeat(50)).as_bytes())
}

#[test]
fn what_is_kept_is_what_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("extract");
    let (extract, mut appender) = Extract::open(path.clone()).unwrap();
    fill(&mut appender, 1..1000);
    // Out of order, with holes, and one again.
    fill(&mut appender, 2000..2010);
    fill(&mut appender, 1500..1501);
    fill(&mut appender, 7..8);
    let check = |extract: &Extract| {
        for mail in (1..1000).chain(2000..2010).chain([1500]) {
            assert_eq!(kept(extract, mail), of(&made(mail)), "{mail}");
        }
        assert_eq!(kept(extract, 1001), [None, None, None]);
        assert_eq!(kept(extract, u64::MAX), [None, None, None]);
        assert_eq!(extract.end().unwrap(), MailId(2010));
    };
    check(&extract);
    drop((extract, appender));
    let (extract, mut appender) = Extract::open(path).unwrap();
    check(&extract);
    fill(&mut appender, 3000..3001);
    assert_eq!(kept(&extract, 3000), of(&made(3000)));
    assert_eq!(kept(&extract, 999), of(&made(999)));
}

#[test]
fn many_are_read_in_the_order_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (extract, mut appender) = Extract::open(dir.path().join("extract")).unwrap();
    fill(&mut appender, 1..300);
    let mails: Vec<MailId> = (1..320).rev().chain([5, 5, 400, 6]).map(MailId).collect();
    let slots = extract.slots(&mails);
    let mut visited = Vec::new();
    extract.entries(Stream::Head, &mails, &slots, |at, entry| {
        assert_eq!(at, visited.len());
        assert_eq!(entry.is_some(), mails[at].0 < 300, "{}", mails[at]);
        if let Some(entry) = entry {
            assert_eq!(entry, made(mails[at].0).head);
        }
        visited.push(at);
        if at == 321 { Visit::Stop } else { Visit::GoOn }
    });
    assert_eq!(visited.len(), 322);
}

/// The directory of this version: the only one.
fn versioned(dir: &Path) -> PathBuf {
    let mut dirs = std::fs::read_dir(dir.join("extract")).unwrap();
    let found = dirs.next().unwrap().unwrap().path();
    assert!(dirs.next().is_none());
    found
}

/// Files with their bytes.
fn files(dir: &Path) -> Vec<(PathBuf, u64)> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.path(), entry.metadata().unwrap().len())
    });
    files.filter(|(_, bytes)| *bytes > 0).collect()
}

fn spoil(path: &Path, offset: u64, mask: u8) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ mask], offset).unwrap();
}

#[test]
fn a_spoiled_bit_anywhere_is_never_read_as_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let (extract, mut appender) = Extract::open(dir.path().join("extract")).unwrap();
    fill(&mut appender, 1..8);
    let versioned = versioned(dir.path());
    let mut missing = 0;
    for (path, bytes) in files(&versioned) {
        for offset in (0..bytes).step_by(3) {
            let mask = 1 << (offset % 8);
            spoil(&path, offset, mask);
            for mail in 0..9 {
                let expected =
                    if (1..8).contains(&mail) { of(&made(mail)) } else { [const { None }; 3] };
                for (found, expected) in kept(&extract, mail).into_iter().zip(expected) {
                    missing += usize::from(found.is_none() && expected.is_some());
                    assert!(found.is_none() || found == expected, "{path:?} {offset}");
                }
            }
            spoil(&path, offset, mask);
        }
    }
    assert!(missing > 100, "{missing}");
}

#[test]
fn what_a_crash_tore_is_missing_and_is_added_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("extract");
    let (extract, mut appender) = Extract::open(path.clone()).unwrap();
    fill(&mut appender, 1..10);
    drop((extract, appender));
    for (file, bytes) in files(&versioned(dir.path())) {
        let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
        file.set_len(bytes - 5).unwrap();
    }
    let (extract, mut appender) = Extract::open(path).unwrap();
    assert_eq!(kept(&extract, 9), [None, None, None]);
    assert_eq!(kept(&extract, 8), of(&made(8)));
    fill(&mut appender, 9..11);
    for mail in 1..11 {
        assert_eq!(kept(&extract, mail), of(&made(mail)), "{mail}");
    }
}

#[test]
fn a_slot_of_another_message_is_no_slot() {
    let dir = tempfile::tempdir().unwrap();
    let (extract, mut appender) = Extract::open(dir.path().join("extract")).unwrap();
    fill(&mut appender, 1..3);
    let path = versioned(dir.path()).join("slots-00000");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut slot = [0; 64];
    file.read_exact_at(&mut slot, 64).unwrap();
    file.write_all_at(&slot, 128).unwrap();
    assert_eq!(kept(&extract, 1), of(&made(1)));
    assert_eq!(kept(&extract, 2), [None, None, None]);
    // Nor does it tell where a body lies.
    assert_eq!(extract.slots(&[MailId(2)]), [None]);
}

#[test]
fn another_version_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("extract");
    std::fs::create_dir_all(path.join("v0")).unwrap();
    std::fs::write(path.join("v0/head-00001"), b"old").unwrap();
    let (_, appender) = Extract::open(path.clone()).unwrap();
    assert!(!path.join("v0").exists());
    assert_eq!(appender.mark(), MailId(0));
    appender.set_mark(MailId(77)).unwrap();
    assert_eq!(appender.mark(), MailId(77));
    spoil(&versioned(dir.path()).join("mark"), 5, 1);
    assert_eq!(appender.mark(), MailId(0));
    drop(appender);
    Extract::drop_all(path.clone()).unwrap();
    assert!(!path.exists());
    Extract::drop_all(path).unwrap();
}

fn check_parts(mail: &[u8]) {
    let made = Made::of(mail);
    let head = Head::read(&made.head).unwrap();
    let summary = Summary::read(mail, &Limits::default());
    let mut expected = Vec::new();
    message::write_envelope(&mut expected, &summary.envelope);
    assert_eq!(head.part(Part::Envelope), expected);
    for (extended, rev2) in [(true, false), (false, false), (true, true), (false, true)] {
        let form = BodyForm { extended, rev2 };
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        message::write_body(&mut expected, &summary.structure, form);
        head.write_body(form, &mut found);
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&expected));
    }
    assert_eq!(head.summary().unwrap(), summary);
    let facts = SortFacts::read(&mail[header_range(mail)], &Limits::default());
    assert_eq!(head.part(Part::Sort), facts.encode());
    let preview = message::preview(mail, &summary.structure, &Limits::default());
    assert_eq!(head.part(Part::Preview), preview.as_bytes());
    let header = Header::read(&made.header).unwrap();
    assert_eq!(header.raw, &mail[header_range(mail)]);
    assert_eq!(header.sent, summary.envelope.sent().map(|sent| sent.local_day()));
}

#[test]
fn parts_are_as_the_message_crate_writes_them() {
    check_parts(RICH.as_bytes());
    check_parts(GLOBAL.as_bytes());
    check_parts(b"");
}

#[test]
fn large_bodies_have_a_check_for_each_block() {
    let mut mail = b"Subject: large\r\n\r\n".to_vec();
    mail.resize(extract::BLOCK_BYTES * 2 + 100, b'x');
    let made = Made::of(&mail);
    let blocks = Head::read(&made.head).unwrap().part(Part::Blocks);
    let expected =
        mail.chunks(extract::BLOCK_BYTES).flat_map(|block| crc32fast::hash(block).to_le_bytes());
    assert_eq!(blocks, expected.collect::<Vec<u8>>());
}

proptest! {
    #[test]
    fn parts_of_any_message(mail in any_mail()) {
        check_parts(&mail);
    }

    #[test]
    fn any_octets_are_a_head_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(head) = Head::read(&bytes) {
            let parts = Part::ALL;
            let sum: usize = parts.iter().map(|part| head.part(*part).len()).sum();
            prop_assert!(sum <= bytes.len());
        }
        let _header = Header::read(&bytes);
    }
}
