//! mailparse and Python read the golden messages too; where all take them apart, they agree.

use std::borrow::Cow;
use std::process::Command;

use mailparse::{MailHeaderMap, ParsedMail, parse_mail};
use message::{Kind, Limits, Structure, decode_words, decoded_body, decoded_text, find_field};

use crate::support::{goldens, structure};

/// What the two see differently, and why we keep our reading.
const DIFFERENT: &[(&str, &str)] =
    &[("same_boundary.eml", "it gives the inner delimiter to the outer multipart")];

fn same<T: PartialEq + std::fmt::Debug>(what: &str, at: usize, theirs: T, ours: T) -> Agreed {
    if theirs == ours { Ok(()) } else { Err(format!("{what} of {at}: {theirs:?}, ours {ours:?}")) }
}

type Agreed = Result<(), String>;

fn compare(bytes: &[u8], structure: &Structure, at: usize, theirs: &ParsedMail<'_>) -> Agreed {
    let ours = &structure.parts()[at];
    let our_type = format!("{}/{}", ours.content.media_type, ours.content.subtype);
    same("type", at, &theirs.ctype.mimetype, &our_type)?;
    match &ours.kind {
        Kind::Multipart(children) => {
            same("children", at, theirs.subparts.len(), children.len())?;
            for (child, theirs) in children.iter().zip(&theirs.subparts) {
                compare(bytes, structure, *child, theirs)?;
            }
        }
        Kind::Leaf | Kind::Opaque(_) => {
            let body = theirs.get_body_raw().map_err(|error| error.to_string())?;
            same("body", at, body, decoded_body(ours, bytes, usize::MAX).into_owned())?;
            if let Some(text) = decoded_text(ours, bytes, &Limits::default()) {
                let body = theirs.get_body().map_err(|error| error.to_string())?;
                same("text", at, body, text.into_owned())?;
            }
        }
        Kind::Message { inner, .. } => {
            let inside =
                parse_mail(&bytes[ours.body.clone()]).map_err(|error| error.to_string())?;
            compare(bytes, structure, *inner, &inside)?;
        }
    }
    Ok(())
}

#[test]
fn mailparse_takes_messages_apart_as_we_do() {
    let mut compared = 0;
    for (name, bytes) in goldens() {
        let agreed = parse_mail(&bytes)
            .map_err(|error| error.to_string())
            .and_then(|theirs| compare(&bytes, &structure(&bytes), 0, &theirs));
        match DIFFERENT.iter().find(|(different, _)| *different == name) {
            Some((_, why)) => assert!(agreed.is_err(), "{name} agrees now, no more: {why}"),
            None => assert_eq!(agreed, Ok(()), "{name}"),
        }
        compared += usize::from(agreed.is_ok());
    }
    assert!(compared >= 8, "{compared} messages compared");
}

#[test]
fn mailparse_decodes_headers_as_we_do() {
    for (name, bytes) in goldens() {
        // It does not take `Message-ID :` for the field of that name (RFC 5322 §4.5).
        if name == "broken_headers.eml" {
            continue;
        }
        let theirs = parse_mail(&bytes).unwrap();
        for field in ["Subject", "From", "Message-ID"] {
            let ours = find_field(&bytes, field, &Limits::default())
                .map(|field| decode_words(field.value).trim().to_owned());
            assert_eq!(theirs.headers.get_first_value(field), ours, "{name}: {field}");
        }
    }
}

/// Where Python's email package sees something else, and why we keep our reading.
const PYTHON_DIFFERENT: &[(&str, &str)] = &[
    ("broken_headers.eml", "it ends the header at a line without colon; we at the blank line"),
    ("empty_parts.eml", "it takes two delimiters in a row for one"),
    ("encoded_message.eml", "it reads the base64 text as the message inside"),
    ("no_end_boundary.eml", "it drops the line end of the last part"),
    ("same_boundary.eml", "it drops the outer part behind the inner multipart"),
];

/// Type and decoded body of every part in order, from Python's email package.
const PYTHON: &str = "
import email, sys
for name in sys.argv[1:]:
    for part in email.message_from_bytes(open(name, 'rb').read()).walk():
        body = '' if part.is_multipart() else part.get_payload(decode=True).hex()
        print(name.split('/')[-1], part.get_content_type(), body)
";

#[test]
fn python_takes_messages_apart_as_we_do() {
    let directory = format!("{}/tests/it/golden", env!("CARGO_MANIFEST_DIR"));
    let goldens = goldens();
    let paths = goldens.iter().map(|(name, _)| format!("{directory}/{name}"));
    let output = Command::new("python3").args(["-c", PYTHON]).args(paths).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs = String::from_utf8(output.stdout).unwrap();
    for (name, bytes) in &goldens {
        let ours: Vec<String> = structure(bytes)
            .parts()
            .iter()
            .map(|part| {
                let body = match part.kind {
                    Kind::Leaf | Kind::Opaque(_) => decoded_body(part, bytes, usize::MAX),
                    Kind::Multipart(_) | Kind::Message { .. } => Cow::Borrowed(&b""[..]),
                };
                let body: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{name} {}/{} {body}", part.content.media_type, part.content.subtype)
            })
            .collect();
        let theirs: Vec<_> = theirs.lines().filter(|line| line.starts_with(&**name)).collect();
        match PYTHON_DIFFERENT.iter().find(|(different, _)| different == name) {
            Some((_, why)) => assert_ne!(theirs, ours, "{name} agrees now, no more: {why}"),
            None => assert_eq!(theirs, ours, "{name}"),
        }
    }
}
