//! Notes, checkpoints and proof files: as they are written, and what is refused.

use transparency::{
    Checkpoint, CheckpointError, Note, NoteError, ProofFile, ProofFileError, Signer, Verifier,
    inclusion, leaf_hash,
};

use crate::tree::{grown, leaves};

fn signer(name: &str) -> Signer {
    Signer::new(name, &[7; 32]).unwrap()
}

fn head() -> Checkpoint {
    Checkpoint { origin: "log.example".to_owned(), size: 3, root: [1; 32], extensions: Vec::new() }
}

#[test]
fn a_head_comes_back_as_it_was_signed() {
    let key = signer("log.example");
    let verifier = Verifier::parse(&key.verifier().to_string()).unwrap();
    for extensions in [vec![], vec!["one".to_owned(), "two words".to_owned()]] {
        let head = Checkpoint { extensions, ..head() };
        let text = head.sign(&key).unwrap().to_string();
        let note = Note::parse(&text).unwrap();
        assert_eq!(Checkpoint::verify(&note, &verifier).unwrap(), head);
    }
}

#[test]
fn others_signatures_beside_ours_change_nothing() {
    let key = signer("log.example").verifier();
    let text = head().sign(&signer("log.example")).unwrap().to_string();
    let witness = head().sign(&signer("witness.example")).unwrap().to_string();
    let both = format!("{text}{}\n", witness.lines().last().unwrap());
    assert_eq!(Checkpoint::verify(&Note::parse(&both).unwrap(), &key).unwrap(), head());
    let alone = Note::parse(&witness).unwrap();
    assert!(matches!(key.verify(&alone), Err(NoteError::Unsigned(_))));
}

#[test]
fn a_head_of_another_log_is_refused() {
    let other = Checkpoint { origin: "other.example".to_owned(), ..head() };
    let note = other.sign(&signer("log.example")).unwrap();
    assert_eq!(
        Checkpoint::verify(&note, &signer("log.example").verifier()),
        Err(CheckpointError::Origin("other.example".to_owned()))
    );
}

#[test]
fn what_is_no_head_is_refused() {
    let root = head().to_string().lines().nth(2).unwrap().to_owned();
    for text in [
        String::new(),
        "log.example\n3\n".to_owned(),
        format!("log.example\n3\n{root}"),
        format!("\n3\n{root}\n"),
        format!("log.example\n03\n{root}\n"),
        format!("log.example\n+3\n{root}\n"),
        format!("log.example\n-3\n{root}\n"),
        format!("log.example\n3\n{}\n", &root[..40]),
        format!("log.example\n3\n{root}\n\n"),
    ] {
        assert!(Checkpoint::parse_text(&text).is_err(), "{text:?}");
    }
    let two_lines = Checkpoint { origin: "log.example\n9".to_owned(), ..head() };
    assert!(two_lines.sign(&signer("log.example")).is_err());
}

#[test]
fn what_is_no_note_and_no_key_is_refused() {
    let good = head().sign(&signer("log.example")).unwrap().to_string();
    for note in [
        "no note".to_owned(),
        good.trim_end().to_owned(),
        good.replace("— ", "- "),
        good.replace("\n\n", "\n"),
        good.replace("log.example ", "log example "),
        good.replacen("log", "l\tog", 1),
    ] {
        assert!(Note::parse(&note).is_err(), "{note:?}");
    }
    let key = signer("log.example").verifier().to_string();
    for key in [
        "log.example".to_owned(),
        key.replacen("log", "fog", 1),
        key.replacen('+', "", 1),
        format!("{key}AA"),
        String::new(),
    ] {
        assert!(Verifier::parse(&key).is_err(), "{key:?}");
    }
    assert!(Signer::new("two words", &[0; 32]).is_err());
    assert!(Signer::new("", &[0; 32]).is_err());
}

#[test]
fn a_proof_file_proves_its_entry_and_no_other() {
    let all = leaves(21);
    let (tree, kept) = grown(&all);
    let key = signer("log.example");
    let head = Checkpoint { size: 21, root: tree.root(), ..head() };
    for extra in [None, Some(b"{\"a\":1}".to_vec())] {
        let file = ProofFile {
            extra,
            index: 5,
            path: inclusion(&kept, 5, 21).unwrap(),
            checkpoint: head.sign(&key).unwrap(),
        };
        let text = file.to_string();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\n"));
        let read = ProofFile::parse(&text).unwrap();
        assert_eq!(read, file);
        assert_eq!(read.verify(&5_u64.to_be_bytes(), &key.verifier()).unwrap(), head);
        assert!(matches!(
            read.verify(&6_u64.to_be_bytes(), &key.verifier()),
            Err(ProofFileError::Proof(_))
        ));
        let elsewhere = ProofFile::parse(&text.replace("index 5", "index 6")).unwrap();
        assert!(elsewhere.verify(&5_u64.to_be_bytes(), &key.verifier()).is_err());
        let stranger = Signer::new("log.example", &[8; 32]).unwrap().verifier();
        assert!(matches!(
            read.verify(&5_u64.to_be_bytes(), &stranger),
            Err(ProofFileError::Checkpoint(_))
        ));
    }
    for text in ["", "c2sp.org/tlog-proof@v1\n\nx\n", "c2sp.org/tlog-proof@v2\nindex 0\n\nx\n"] {
        assert!(ProofFile::parse(text).is_err(), "{text:?}");
    }
    assert_eq!(leaf_hash(&0_u64.to_be_bytes()), all[0]);
}
