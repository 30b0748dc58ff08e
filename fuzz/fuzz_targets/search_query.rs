//! Any text as a search: it is read or refused with a reason, and its words are such that FTS5 reads
//! nothing else into them.
#![no_main]

use archive_search::{Query, TERMS_MAX, WORD_OCTETS_MAX};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let now = mail_types::Timestamp(1_795_000_000_000);
    match Query::parse(text, now) {
        Ok(query) => {
            assert!(query.words.len() + query.facts.len() <= TERMS_MAX);
            for word in
                query.words.iter().flat_map(|term| &term.is).flat_map(|one| &one.wanted.words)
            {
                assert!(!word.is_empty() && word.len() <= WORD_OCTETS_MAX, "{word:?}");
                let plain = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric();
                assert!(word.chars().all(plain), "{word:?}");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
