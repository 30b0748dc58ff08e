//! Reading Rust as far as the rules need it.

use xtask::source::Source;

#[test]
fn comments_and_literals_are_blank_and_lines_stay() {
    let text = "a // x\n/* b /* c */\n d */ e \"f\\\"\ng\" 'h' '\\'' 'i: r#\"j\"k\"# br\"l\" m";
    let code = Source::new(text).code;
    assert_eq!(code.len(), text.len());
    assert_eq!(code.lines().count(), text.lines().count());
    let words: Vec<_> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "e", "'i:", "m"]);
}

#[test]
fn text_that_ends_in_the_middle_is_read_to_its_end() {
    for text in ["\"a", "/* a", "'", "'\\", "r#\"a", "fn f() {", "use a::{", "#[cfg(test)] mod t {"]
    {
        let source = Source::new(text);
        assert_eq!(source.code.len(), text.len());
        drop((source.functions(), source.imports()));
    }
}

#[test]
fn tokens_are_whole_words() {
    let source = Source::new("fs::write(x); my_fs::write(x); fs::writer(x); std::fs::write(y)");
    assert_eq!(source.find("fs::write").len(), 2);
}

#[test]
fn imports_are_spelled_out() {
    let source = Source::new("use std::{fs::{self, File as F}, io};\nuse a::b;\npub use c::{d,};");
    let paths: Vec<_> = source.imports().into_iter().map(|(_, path)| path).collect();
    assert_eq!(paths, ["std::fs::self", "std::fs::File", "std::io", "a::b", "c::d"]);
}

#[test]
fn functions_have_names_and_lengths() {
    let source = Source::new(
        "trait T { fn none(&self); }\nfn a<const N: usize>(x: [u8; 3], f: fn(u8) -> u8) -> u8\n\
         where\n    u8: Copy,\n{\n    fn inner() {}\n    0\n}\n",
    );
    let functions: Vec<_> =
        source.functions().into_iter().map(|each| (each.name, each.line, each.lines)).collect();
    assert_eq!(functions, [("a".to_owned(), 2, 7), ("inner".to_owned(), 6, 1)]);
}

#[test]
fn test_items_are_known() {
    let source = Source::new("fn a() {}\n#[cfg(test)]\nmod t { fn b() {} }\nfn c() {}");
    let tests: Vec<_> = source.find("fn").into_iter().map(|at| source.is_test(at)).collect();
    assert_eq!(tests, [false, true, false]);
}
