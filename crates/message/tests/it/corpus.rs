//! The committed corpora of the fuzz targets, and what small changes make of them.

use message::check::{check_headers, check_structure, check_text, check_threads, check_transfer};

use crate::support::{files, goldens};

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    files(&format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR")))
}

#[test]
fn corpora_keep_the_promises() {
    for (name, bytes) in corpus("message_structure").into_iter().chain(goldens()) {
        check_structure(&bytes).unwrap_or_else(|broken| panic!("{name}: {broken}"));
    }
    for (name, bytes) in corpus("message_headers").into_iter().chain(goldens()) {
        check_headers(&bytes).unwrap_or_else(|broken| panic!("{name}: {broken}"));
    }
    for (name, bytes) in corpus("message_text").into_iter().chain(goldens()) {
        check_text(&bytes).unwrap_or_else(|broken| panic!("{name}: {broken}"));
    }
    for (name, bytes) in corpus("message_transfer").into_iter().chain(goldens()) {
        check_transfer(&bytes).unwrap_or_else(|broken| panic!("{name}: {broken}"));
    }
    for (name, bytes) in corpus("message_threads").into_iter().chain(goldens()) {
        check_threads(&bytes).unwrap_or_else(|broken| panic!("{name}: {broken}"));
    }
}

/// Every golden message cut at every octet, and with single octets changed.
#[test]
fn damaged_messages_keep_the_promises() {
    for (name, bytes) in goldens() {
        for at in 0..bytes.len() {
            check_structure(&bytes[..at]).unwrap_or_else(|broken| panic!("{name}<{at}: {broken}"));
            check_structure(&bytes[at..]).unwrap_or_else(|broken| panic!("{name}>{at}: {broken}"));
            let mut changed = bytes.clone();
            changed[at] = [0, b'\n', b'"', b'-', b'(', 0xff][at % 6];
            check_structure(&changed)
                .and_then(|()| check_headers(&changed))
                .unwrap_or_else(|broken| panic!("{name}@{at}: {broken}"));
        }
    }
}
