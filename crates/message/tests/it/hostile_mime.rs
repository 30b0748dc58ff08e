//! Broken and hostile mail, and what we make of it: `hostile_mime/*.eml` and `views.txt`, which has
//! for each its ENVELOPE, BODYSTRUCTURE, and texts as decoded for people and for search.
//!
//! Dovecot 2.3 and Python's email package were asked too. Where they see something else, and why we
//! keep our reading:
//! - Sizes and lines are those of the octets received; others count bare LF as CRLF.
//! - What cannot be said of an address is empty, not `MISSING_DOMAIN`; what is there of it is kept.
//!   A bare `first last@host` is the name first and the address last@host; a comma that is missing
//!   between addresses is put in; nested groups are flattened (RFC 5322 §3.4 has none).
//! - Of fields that may occur once the first counts; others take the last.
//! - A multipart without any part is shown as the text it is, not as an empty part.
//! - A message in base64 or quoted-printable (RFC 2046 §5.2.1: MUST NOT) is a file to save; others
//!   show an empty message or an undecoded one.
//! - The CRLF before a delimiter is the delimiter's (RFC 2046 §5.1.1), also behind an empty body or
//!   header.
//! - RFC 2045 §5.2: a Content-Type that cannot be understood is text/plain (in a digest
//!   message/rfc822), not an empty type; one that can, though it is broken, is understood.
//! - RFC 2231 continuations are joined whatever is missing between them.
//!
//! After a change on purpose: `WRITE_VIEWS=1 cargo nextest run -p message hostile_mime`, and read
//! what changed.

use std::fmt::Write;

use message::check::{check_headers, check_structure};
use message::{
    BodyForm, Limits, Summary, decode_words, preview, search_text, write_body, write_envelope,
};

use crate::support::files;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/hostile_mime");

fn mails() -> Vec<(String, Vec<u8>)> {
    let mut mails = files(DIRECTORY);
    mails.retain(|(name, _)| name.ends_with(".eml"));
    mails
}

/// What stands in `views.txt` of one mail; controls shown as `\x0d`.
fn view(name: &str, bytes: &[u8]) -> String {
    let limits = Limits::default();
    let summary = Summary::read(bytes, &limits);
    let mut out = format!("== {name}\n");
    let mut line = |what: &str, value: &[u8]| {
        let mut text = String::new();
        for c in String::from_utf8_lossy(value).chars() {
            match c {
                '\n' if what == "SEARCH" => text.push('|'),
                _ if c.is_control() => text.extend(format!("\\x{:02x}", c as u32).chars()),
                _ => text.push(c),
            }
        }
        // Long lines say no more than their begin and length.
        match text.char_indices().nth(1500) {
            Some((end, _)) => {
                let whole = text.chars().count();
                text.truncate(end);
                writeln!(out, "{what} {text}... ({whole})").unwrap();
            }
            None => writeln!(out, "{what} {text}").unwrap(),
        }
    };
    let mut wire = Vec::new();
    write_envelope(&mut wire, &summary.envelope);
    line("ENVELOPE", &wire);
    let body = |extended, rev2| {
        let mut wire = Vec::new();
        write_body(&mut wire, &summary.structure, BodyForm { extended, rev2 });
        wire
    };
    line("BODYSTRUCTURE", &body(true, false));
    if body(true, true) != body(true, false) {
        line("REV2", &body(true, true));
    }
    let subject = summary.envelope.subject.as_deref().unwrap_or_default();
    if subject.contains(&b'?') || !subject.is_ascii() {
        line("SUBJECT", decode_words(subject).as_bytes());
    }
    for part in summary.structure.parts() {
        if let Some(name) = part.content.filename() {
            line("FILENAME", name.as_bytes());
        }
    }
    let body = message::search_body(bytes, &summary.structure, &limits);
    line("SEARCH", body.text.as_bytes());
    line("PREVIEW", preview(bytes, &summary.structure, &limits).as_bytes());
    out
}

#[test]
fn hostile_mime_is_seen_as_it_was_decided() {
    let mails = mails();
    assert!(mails.len() >= 120, "{}", mails.len());
    let views: String = mails.iter().map(|(name, bytes)| view(name, bytes)).collect();
    let path = format!("{DIRECTORY}/views.txt");
    if std::env::var_os("WRITE_VIEWS").is_some() {
        std::fs::write(&path, &views).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    for (view, expected) in views.split("== ").zip(expected.split("== ")) {
        assert_eq!(view, expected);
    }
    assert_eq!(views.len(), expected.len());
}

#[test]
fn hostile_mime_keeps_the_promises() {
    for (name, bytes) in mails() {
        check_structure(&bytes)
            .and_then(|()| check_headers(&bytes))
            .unwrap_or_else(|broken| panic!("{name}: {broken}"));
        let limits = Limits::default();
        let structure = Summary::read(&bytes, &limits).structure;
        assert!(search_text(&bytes, &structure, &limits).complete, "{name}");
    }
}
