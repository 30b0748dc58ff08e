//! Any bytes as the first segment of a journal: opening, scanning and reading never panic, and take
//! no more memory than the format allows. `crates/journal/tests/it/corpus.rs` replays the corpus
//! through the same function.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| journal::sim::read_arbitrary(bytes));
