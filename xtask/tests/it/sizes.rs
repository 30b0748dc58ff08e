//! The ratchet, and its exceptions.

use xtask::tidy::EXCEPTIONS;
use xtask::tree::Tree;

use crate::{found, found_in};

const PATH: &str = "crates/net/src/driver.rs";

fn long_function(lines: usize) -> String {
    format!("fn drive() {{{}}}\n", "\n".repeat(lines - 1))
}

#[test]
fn a_long_function_is_found() {
    assert!(found(&[(PATH, &long_function(100))]).is_empty());
    assert_eq!(found(&[(PATH, &long_function(101))]), [format!("function-lines {PATH}:1 drive")]);
}

#[test]
fn a_long_file_is_found() {
    assert!(found(&[(PATH, &"\n".repeat(600))]).is_empty());
    assert_eq!(found(&[(PATH, &"\n".repeat(601))]), [format!("file-lines {PATH}:0 -")]);
}

#[test]
fn an_exception_with_a_reason_is_kept_as_long_as_it_is_needed() {
    let row = format!("# comment\nfunction-lines\t{PATH}\tdrive\tone table of states\n");
    let tree = Tree::of(&[(PATH, &long_function(101)), (EXCEPTIONS, &row)]);
    assert!(found_in(&tree).is_empty());
    let shorter = tree.with(PATH, &long_function(99));
    assert_eq!(found_in(&shorter), [format!("exceptions {EXCEPTIONS}:2 drive")]);
}

#[test]
fn an_exception_without_a_reason_is_none() {
    for reason in ["", "\t", "\t "] {
        let row = format!("function-lines\t{PATH}\tdrive{reason}");
        let tree = Tree::of(&[(PATH, &long_function(101)), (EXCEPTIONS, &row)]);
        assert_eq!(
            found_in(&tree),
            [format!("function-lines {PATH}:1 drive"), format!("exceptions {EXCEPTIONS}:1 -")]
        );
    }
}
