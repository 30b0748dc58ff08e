//! What fuzzing has found, and what it begins with.

#[test]
fn mbox() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/mbox");
    let mut seen = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        interchange::check::check_mbox(&bytes).unwrap_or_else(|why| panic!("{path:?}: {why}"));
        seen += 1;
    }
    assert!(seen >= 4);
}
