//! What must not be left lying about.

use crate::found;

const PATH: &str = "crates/net/src/driver.rs";

#[track_caller]
fn finds(path: &str, text: &str, expected: &str) {
    assert_eq!(found(&[(path, text)]), [expected]);
}

#[test]
fn ignored_tests() {
    let path = "crates/net/tests/it/driver.rs";
    finds(path, "#[test]\n#[ignore]\nfn t() {}", &format!("ignored-tests {path}:2 #[ignore"));
    finds(path, "#[ignore = \"slow\"]", &format!("ignored-tests {path}:1 #[ignore"));
}

#[test]
fn notes_to_self() {
    finds(PATH, "\n// TODO: more", &format!("notes-to-self {PATH}:2 TODO"));
    finds(PATH, "// FIXME", &format!("notes-to-self {PATH}:1 FIXME"));
    finds(PATH, "fn f() { todo!() }", &format!("notes-to-self {PATH}:1 todo!"));
    finds(PATH, "fn f() { unimplemented!() }", &format!("notes-to-self {PATH}:1 unimplemented!"));
}

#[test]
fn swallowed_results() {
    finds(PATH, "fn f() { let _ = g(); }", &format!("swallowed {PATH}:1 let _ ="));
    assert!(found(&[(PATH, "fn f() { let _guard = g(); }")]).is_empty());
}

#[test]
fn sleeping_tests() {
    let path = "crates/net/tests/it/driver.rs";
    finds(path, "fn t() { std::thread::sleep(d); }", &format!("sleeps {path}:1 sleep"));
    finds(path, "async fn t() { time::sleep(d).await; }", &format!("sleeps {path}:1 sleep"));
    finds(PATH, "#[cfg(test)] mod t { fn f() { sleep(d); } }", &format!("sleeps {PATH}:1 sleep"));
    assert!(found(&[(PATH, "async fn f() { time::sleep(d).await; }")]).is_empty());
    let polling =
        "fn until() {\n let deadline = x;\n loop { assert!(now < deadline); sleep(d); }\n}";
    assert!(found(&[(path, polling)]).is_empty());
    let beside = format!("{polling}\nfn t() {{ sleep(d); }} // no deadline");
    finds(path, &beside, &format!("sleeps {path}:5 sleep"));
}

#[test]
fn names_that_say_nothing() {
    finds("crates/net/src/utils.rs", "", "names crates/net/src/utils.rs:0 utils");
}

#[test]
fn a_crate_without_its_first_words() {
    finds("crates/net/src/lib.rs", "mod driver;", "crate-docs crates/net/src/lib.rs:1 -");
    assert!(found(&[("crates/net/src/lib.rs", "//! Sockets for machines.")]).is_empty());
}

#[test]
fn words_of_one_machine() {
    let place = ["/wo", "rk/"].concat();
    let line = format!("see {place}notes");
    finds("docs/a.md", &line, &format!("machine-words docs/a.md:1 {place}"));
    let lock = "source = \"registry+https://mirror.example/index\"";
    finds("Cargo.lock", lock, "machine-words Cargo.lock:1 registry");
    let index = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    assert!(found(&[("Cargo.lock", index)]).is_empty());
}
