//! Encrypted backups: opened by nobody without the identity, read by the age tool, every bit kept.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use backup::age::{Identity, KeyError, Recipient, Sealer, sealed_bytes};
use backup::{Backup, BackupError, DirectoryPlace, Sealing, Source, Taken};
use journal::{Entry, Journal, Reader, RealDisk};

use crate::{WHOSE, add, entries, open};

fn opened(dir: &Path, identity: &str) -> Backup {
    let identity = Identity::parse(identity).unwrap();
    Backup::new(Arc::new(DirectoryPlace::new(dir)), Some(identity))
}

fn take(
    dir: &Path,
    root: &Path,
    journal: &Journal<RealDisk>,
    to: &[&Identity],
) -> Result<Taken, BackupError> {
    let recipients = to.iter().map(|identity| identity.recipient()).collect();
    let source = Source {
        root,
        head: journal.head(),
        installation: WHOSE,
        note: None,
        files: vec![("tls/key.pem".to_owned(), b"a secret of the house".to_vec())],
        now: 1_000 + journal.head().group.cast_signed(),
        sealing: Some(Sealing { recipients, names_key: [7; 32] }),
    };
    Backup::at(dir).take(&source, &mut |_, _| {})
}

/// All files of a directory, with what is in them.
fn files(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            all.push((path, bytes));
        }
    }
    all.sort();
    all
}

#[test]
fn only_the_identity_opens_it_and_nothing_of_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let (root, backup) = (dir.path().join("data"), dir.path().join("backup"));
    std::fs::create_dir(&root).unwrap();
    let mut journal = open(&root);
    add(&mut journal, 30);
    let (mine, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let taken = take(&backup, &root, &journal, &[&mine]).unwrap();
    assert!(taken.encrypted && taken.damage.is_empty(), "{taken:?}");

    // Neither content nor names, nor hashes of what is in the files.
    let plain: BTreeSet<String> = files(&root)
        .into_iter()
        .map(|(_, bytes)| blake3::hash(&bytes).to_hex()[..24].to_owned())
        .collect();
    for (path, bytes) in files(&backup) {
        for words in [&b"body of"[..], b"a secret of the house", b"key.pem"] {
            assert!(!bytes.windows(words.len()).any(|part| part == words), "{}", path.display());
        }
        let shown = format!("{} {}", path.display(), String::from_utf8_lossy(&bytes));
        assert!(!plain.iter().any(|hash| shown.contains(hash)), "{shown}");
    }

    // Incremental without the identity, and whole with it.
    add(&mut journal, 3);
    let more = take(&backup, &root, &journal, &[&mine]).unwrap();
    assert!(more.copied_files <= 3, "{more:?}");
    let without = Backup::at(&backup);
    assert_eq!(without.check(&mut |_, _| {}).unwrap().damage, Vec::<String>::new());
    assert!(matches!(without.disk(), Err(BackupError::Encrypted(_))));
    let to = dir.path().join("restored");
    let wrong = opened(&backup, &other.to_text());
    let refused = wrong.restore(&to, None, &mut |_, _| {});
    assert!(matches!(refused, Err(BackupError::WrongIdentity { .. })), "{refused:?}");
    assert!(matches!(wrong.check(&mut |_, _| {}), Err(BackupError::WrongIdentity { .. })));
    let right = opened(&backup, &format!("# a comment\n{}\n", &*mine.to_text()));
    assert!(
        !Reader::look(right.disk().unwrap())
            .scan(None)
            .any(|entry| matches!(entry, Entry::Damage(_)))
    );
    right.restore(&to, None, &mut |_, _| {}).unwrap();
    assert!(entries(&to) == entries(&root));
    assert_eq!(std::fs::read(to.join("tls/key.pem")).unwrap(), b"a secret of the house");

    // What was encrypted does not become readable, and a new recipient reads all of it.
    assert!(matches!(crate::take(&backup, &root, &journal), Err(BackupError::Unsealed(_))));
    add(&mut journal, 1);
    take(&backup, &root, &journal, &[&mine, &other]).unwrap();
    let again = dir.path().join("again");
    opened(&backup, &other.to_text()).restore(&again, None, &mut |_, _| {}).unwrap();
    assert!(entries(&again) == entries(&root));
}

#[test]
fn every_flipped_bit_of_an_encrypted_backup_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (root, backup) = (dir.path().join("data"), dir.path().join("backup"));
    std::fs::create_dir(&root).unwrap();
    let mut journal = open(&root);
    add(&mut journal, 12);
    let mine = Identity::generate().unwrap();
    take(&backup, &root, &journal, &[&mine]).unwrap();
    let files: Vec<_> =
        files(&backup).into_iter().filter(|(path, _)| !path.ends_with("lock")).collect();
    let right = opened(&backup, &mine.to_text());
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for flip in 0..1000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (path, whole) = &files[(random % files.len() as u64) as usize];
        let bit = (random >> 16) as usize % (whole.len() * 8);
        let mut bent = whole.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(path, &bent).unwrap();
        let found = Backup::at(&backup).check(&mut |_, _| {});
        assert!(
            found.map_or(true, |checked| !checked.damage.is_empty()),
            "flip {flip}: bit {bit} of {}",
            path.display()
        );
        if flip % 10 == 0 {
            let to = dir.path().join("restored");
            assert!(right.restore(&to, None, &mut |_, _| {}).is_err(), "flip {flip}");
            assert!(!to.exists());
        }
        std::fs::write(path, whole).unwrap();
    }
    assert_eq!(right.check(&mut |_, _| {}).unwrap().damage, Vec::<String>::new());
}

/// The tool of others opens what we seal, and we open what it seals.
#[test]
fn the_age_tool_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let mine = Identity::generate().unwrap();
    std::fs::write(path("identity"), &**mine.to_text()).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).current_dir(&dir).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    };
    let told = run("age-keygen", &["-y", "identity"]);
    assert_eq!(String::from_utf8_lossy(&told).trim(), mine.recipient().to_string());
    for bytes in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let words: Vec<u8> = (0..bytes).map(|at: u32| (at * 7 % 251) as u8).collect();
        let mut sealed = Vec::new();
        let mut sealer = Sealer::new(&words[..], &[mine.recipient()]).unwrap();
        let length = sealer.bytes_of(u64::from(bytes));
        std::io::Read::read_to_end(&mut sealer, &mut sealed).unwrap();
        assert_eq!(sealed.len() as u64, length, "{bytes} bytes");
        assert!(length > sealed_bytes(u64::from(bytes)));
        std::fs::write(path("sealed"), &sealed).unwrap();
        assert!(run("age", &["-d", "-i", "identity", "sealed"]) == words, "{bytes} bytes");

        std::fs::write(path("plain"), &words).unwrap();
        let to = mine.recipient().to_string();
        let theirs = run("age", &["-r", &to, "plain"]);
        let read = &mut |offset: u64, buffer: &mut [u8]| {
            let from = theirs.get(offset as usize..).unwrap_or_default();
            let take = from.len().min(buffer.len());
            buffer[..take].copy_from_slice(&from[..take]);
            Ok(take)
        };
        let opened = backup::age::Opened::new(theirs.len() as u64, &mine, read).unwrap();
        assert_eq!(opened.bytes, u64::from(bytes));
        let mut all = Vec::new();
        for chunk in 0..u64::from(bytes).div_ceil(65_536) {
            all.extend(opened.chunk(chunk, read).unwrap());
        }
        assert!(all == words, "{bytes} bytes");
    }
    let wrong = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
    assert!(matches!(Recipient::parse(wrong), Err(KeyError::Recipient(_))));
}
