//! mailparse reads the golden messages too; where both take a message apart, they agree.

use mailparse::{MailHeaderMap, ParsedMail, parse_mail};
use message::{Kind, Limits, Structure, decode_words, decoded_body, decoded_text, find_field};

use crate::support::{goldens, structure};

/// What the two see differently, and why we keep our reading.
const DIFFERENT: &[(&str, &str)] = &[
    ("alternative.eml", "it takes a line that only begins with the delimiter for one"),
    ("same_boundary.eml", "it gives the inner delimiter to the outer multipart"),
    ("no_boundary_param.eml", "it has no body for it; for us it is text"),
];

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
        if DIFFERENT.iter().any(|(different, _)| *different == name) {
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
