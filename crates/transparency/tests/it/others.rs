//! Vectors that are not ours: the reference tree of Certificate Transparency, the example of Go's
//! `golang.org/x/mod/sumdb/note`, and a log, a proof and a note made by `aics-tlog` (PyPI).

use transparency::{
    Checkpoint, Frontier, Hash, Note, NoteError, ProofFile, Signer, Verifier, consistency,
    inclusion, leaf_hash, verify_consistency,
};

use crate::tree::grown;

/// `TestVector` of the certificate-transparency repository's merkle tree tests.
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_reference_tree_of_certificate_transparency() {
    let mut tree = Frontier::default();
    for (leaf, root) in LEAVES.iter().zip(ROOTS) {
        tree.push(leaf_hash(&bytes(leaf)), |_| ());
        assert_eq!(tree.root().to_vec(), bytes(root));
    }
}

const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

#[test]
fn the_note_of_gos_documentation() {
    let key = Verifier::parse(KEY).unwrap();
    assert_eq!(key.to_string(), KEY);
    let note = Note::parse(NOTE).unwrap();
    key.verify(&note).unwrap();
    assert_eq!(note.to_string(), NOTE);
    let forged = Note::parse(&NOTE.replace("answer", "reason")).unwrap();
    assert_eq!(key.verify(&forged), Err(NoteError::Unsigned("PeterNeumann".to_owned())));
    assert!(matches!(
        Checkpoint::verify(&note, &key),
        Err(transparency::CheckpointError::Malformed(_))
    ));
}

/// A log of `entry 0` to `entry 28`, signed with a seed of sevens, by `aics-tlog` 0.2.1.
const LOG_KEY: &str =
    "mx.example.test/restante+d991c4bb+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
const LOG_HEAD: &str = "mx.example.test/restante\n29\nlieJMzFk+HFdDWsFNoXyoJqp4oyiZAJlzgW+sm1Rc1k=\n\n\
    — mx.example.test/restante 2ZHEu0QL+BWzHhjZQ2+RdVYvHKaNwfZGW/Y6Miu0ENmV2O/L/7yJ6WDy1n2tvoFc5ssuqKLUUQR3b2hGdaIH7O0KTA8=\n";
const ENTRY_17: [&str; 5] = [
    "yjjJBLAjn3440b9I3ByUaEVfOyc5VmnIAgn/3Ieol0Y=",
    "75VtXWE7dMWkwBDnUmDeqgXcagHywjYKhv/DJtIHYAc=",
    "w1NqepjtEybdnRU8wGOKIURaymeqJWwQyR/sw8rUk0E=",
    "1bET483cIyOI/UiKb5mrJf0nVHoz3QEv5fP9p53eJWI=",
    "xx5OIvnaHWqhEh6W7X4IV2WsZ7RVaDJqj/i3yN3iOl8=",
];
/// Of the tree of the first eleven entries, and that it is the beginning of the other.
const ROOT_11: &str = "MpIghwdLQvu/Ojo2cjqyeCX9m62x4pvd68P+qD6ewE0=";
const FROM_11: [&str; 6] = [
    "h+VqULYwnTZKc5Ru7uhpoMHL9o+RYPUXAapNBTT9Oj0=",
    "fZ8YIcvie0C4y+5h9YiIDr9jDjmNu4udCX37u/3049w=",
    "NPGhc+gS1FizwN90N6k6y6k7nFyGNMwOXTtLlqtkdyM=",
    "am973OFfa3z6IdQba3b1EI3tsLOsi12h6Nq8gD2e6jU=",
    "tpcyzlyRQWLKmsz69OldP5h01ogFQ3CIqv8YSk25Z3M=",
    "+YcNZwP3qtglh4+ez0x9Rew8azPvigsj+c1KH3fHuO8=",
];

fn hash(base64: &str) -> Hash {
    let file = format!("c2sp.org/tlog-proof@v1\nindex 0\n{base64}\n\n{LOG_HEAD}");
    ProofFile::parse(&file).unwrap().path[0]
}

#[test]
fn a_log_of_another_implementation() {
    let key = Verifier::parse(LOG_KEY).unwrap();
    let signer = Signer::new("mx.example.test/restante", &[7; 32]).unwrap();
    assert_eq!(signer.verifier(), key);
    let head = Checkpoint::verify(&Note::parse(LOG_HEAD).unwrap(), &key).unwrap();
    // Ed25519 signatures are the same whoever makes them.
    assert_eq!(head.sign(&signer).unwrap().to_string(), LOG_HEAD);

    let entries: Vec<Hash> =
        (0..29).map(|number| leaf_hash(format!("entry {number}").as_bytes())).collect();
    let (tree, kept) = grown(&entries);
    assert_eq!((tree.size(), tree.root()), (head.size, head.root));
    assert_eq!(inclusion(&kept, 17, 29).unwrap(), ENTRY_17.map(hash));
    assert_eq!(consistency(&kept, 11, 29).unwrap(), FROM_11.map(hash));

    let path = ENTRY_17.join("\n");
    let file = format!("c2sp.org/tlog-proof@v1\nindex 17\n{path}\n\n{LOG_HEAD}");
    assert_eq!(ProofFile::parse(&file).unwrap().verify(b"entry 17", &key).unwrap(), head);
    let from = FROM_11.map(hash);
    verify_consistency((11, &hash(ROOT_11)), (29, &head.root), &from).unwrap();
}
