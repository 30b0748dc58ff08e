//! The console's book of Chinese for what is written down in English: each English phrase is one that
//! the sources have, so that the book does not grow old unseen.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(under: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        let is_book = path.ends_with("restante/src/phrase_book.rs");
        if path.is_dir() && !path.ends_with("tests") {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !is_book {
            found.push(path);
        }
    }
}

/// Text without breaks of lines: a phrase may stand on several.
fn flat(text: &str) -> String {
    text.replace("\\\n", "").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_phrase_is_one_that_the_server_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let book = fs::read_to_string(root.join("src/phrase_book.rs")).unwrap();
    let mut files = Vec::new();
    sources(&root.join(".."), &mut files);
    let said: String = files.iter().map(|path| flat(&fs::read_to_string(path).unwrap())).collect();
    let book = &book[book.find("const BOOK").unwrap()..];
    let book = &book[..book.find("\n];").unwrap()];
    // English and Chinese by turns; neither has a quotation mark of the source in it.
    let english = book.split('"').skip(1).step_by(4);
    let (mut phrases, mut old) = (0, Vec::new());
    for english in english {
        phrases += 1;
        // Numbers and names stand in the holes, and some sentences are put together: what must be
        // there is two words beside each other, or the last one.
        let words: Vec<&str> =
            english.split([' ', ',', ':', ';', '(', ')', '“', '”', '{', '}', '%']).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let pair = |pair: &[&str]| said.contains(&pair.join(" "));
        let last = words.last().is_some_and(|word| said.contains(word));
        let known = words.windows(2).any(pair) || (words.len() < 3 && last);
        if !known {
            old.push(english);
        }
    }
    assert!(phrases > 100, "{phrases} phrases were read");
    assert!(old.is_empty(), "nobody says this any more: {old:#?}");
}
