//! What fuzzing has found, and what it begins with.

#[test]
fn http_send() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/http_send");
    let mut seen = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        web::check::check_send(&bytes).unwrap_or_else(|why| panic!("{path:?}: {why}"));
        seen += 1;
    }
    assert!(seen >= 8);
}
