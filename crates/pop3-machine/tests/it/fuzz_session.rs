//! What the fuzz target `pop3_session` runs, here over its corpus.

#[path = "../../../../fuzz/fuzz_targets/pop3_session/run.rs"]
mod run;

use std::fs;
use std::path::Path;

#[test]
fn the_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/pop3_session");
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        run::run(&fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 5, "only {count} inputs were found");
}
