use memchr::memchr_iter;

use crate::Bytes;
use crate::address_list::EnvelopeAddress;
use crate::content::{Content, Disposition, Encoding};
use crate::envelope::Envelope;
use crate::params::Param;
use crate::structure::{Kind, Part, PartIndex, Structure};

/// Octets up to which a string is sent quoted; longer ones are literals.
const QUOTED_OCTETS_MAX: usize = 1000;

/// How a body structure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyForm {
    /// With extension data: BODYSTRUCTURE; without: BODY.
    pub extended: bool,
    /// RFC 9051: message/global is written as a message. RFC 3501 knows only message/rfc822 so.
    pub rev2: bool,
}

/// Appends the envelope in its parentheses (RFC 3501 §9 envelope).
pub fn write_envelope(out: &mut Vec<u8>, envelope: &Envelope) {
    out.push(b'(');
    write_nstring(out, envelope.date.as_deref());
    out.push(b' ');
    write_nstring(out, envelope.subject.as_deref());
    let lists = [
        &*envelope.from,
        envelope.sender(),
        envelope.reply_to(),
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ];
    for list in lists {
        out.push(b' ');
        write_addresses(out, list);
    }
    out.push(b' ');
    write_nstring(out, envelope.in_reply_to.as_deref());
    out.push(b' ');
    write_nstring(out, envelope.message_id.as_deref());
    out.push(b')');
}

fn write_addresses(out: &mut Vec<u8>, list: &[EnvelopeAddress]) {
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for address in list {
        let texts = [&address.name, &address.route, &address.mailbox, &address.host];
        for (at, text) in texts.into_iter().enumerate() {
            out.push(if at == 0 { b'(' } else { b' ' });
            write_nstring(out, text.as_deref());
        }
        out.push(b')');
    }
    out.push(b')');
}

/// Appends the structure of the whole message in its parentheses (RFC 3501 §9 body). Recursion is
/// as deep as the structure, which [`crate::Limits::depth_max`] bounds.
pub fn write_body(out: &mut Vec<u8>, structure: &Structure, form: BodyForm) {
    write_part(out, structure, 0, form);
}

/// The same for one part. `decoded`, if given, is its body without its transfer encoding, and what is
/// written is about that (RFC 5524 §3.2): multiparts and messages have none.
pub fn write_body_of_part(
    out: &mut Vec<u8>,
    structure: &Structure,
    index: PartIndex,
    decoded: Option<&[u8]>,
    form: BodyForm,
) {
    let part = &structure.parts[index];
    match (&part.kind, decoded) {
        (Kind::Leaf | Kind::Opaque(_), Some(octets)) => {
            let mut part = part.clone();
            part.body = 0..octets.len();
            part.lines = memchr_iter(b'\n', octets).count();
            if !part.content.encoding.is_identity() {
                part.content.encoding = match octets {
                    octets if octets.contains(&0) => Encoding::Binary,
                    octets if octets.is_ascii() => Encoding::SevenBit,
                    _ => Encoding::EightBit,
                };
            }
            write_part(out, &Structure { parts: vec![part] }, 0, form);
        }
        _ => write_part(out, structure, index, form),
    }
}

fn write_part(out: &mut Vec<u8>, structure: &Structure, index: PartIndex, form: BodyForm) {
    let part = &structure.parts[index];
    out.push(b'(');
    match &part.kind {
        Kind::Multipart(children) => {
            for &child in children {
                write_part(out, structure, child, form);
            }
            out.push(b' ');
            write_upper(out, &part.content.subtype);
            if form.extended {
                out.push(b' ');
                write_params(out, &part.content.params);
                write_disposition_language_location(out, &part.content);
            }
        }
        Kind::Leaf | Kind::Opaque(_) | Kind::Message { .. } => {
            write_single(out, structure, part, form);
            if form.extended {
                out.push(b' ');
                write_nstring(out, part.content.md5.as_deref());
                write_disposition_language_location(out, &part.content);
            }
        }
    }
    out.push(b')');
}

/// RFC 3501 §9 body-type-basic, body-type-msg, body-type-text, without extension data.
fn write_single(out: &mut Vec<u8>, structure: &Structure, part: &Part, form: BodyForm) {
    let content = &part.content;
    let (media_type, subtype) = part.shown_type();
    write_upper(out, media_type);
    out.push(b' ');
    write_upper(out, subtype);
    out.push(b' ');
    // The parameters of a multipart say nothing about it as text.
    let is_other = matches!(part.kind, Kind::Opaque(_)) && &*content.media_type == "multipart";
    let params = if is_other { &[][..] } else { &content.params };
    // RFC 2045 §5.2, RFC 2046 §4.1.2: text that says nothing is in US-ASCII.
    if media_type == "text" && content.param_named("charset").is_none() {
        write_params_and(out, params, Some((b"CHARSET", b"US-ASCII")));
    } else {
        write_params(out, params);
    }
    out.push(b' ');
    write_nstring(out, content.id.as_deref());
    out.push(b' ');
    write_nstring(out, content.description.as_deref());
    out.push(b' ');
    write_string(out, content.encoding.name());
    out.push(b' ');
    write_number(out, part.body.len());
    match &part.kind {
        Kind::Message { inner, envelope } if form.rev2 || subtype == "rfc822" => {
            out.push(b' ');
            write_envelope(out, envelope);
            out.push(b' ');
            write_part(out, structure, *inner, form);
            out.push(b' ');
            write_number(out, part.lines);
        }
        _ if media_type == "text" => {
            out.push(b' ');
            write_number(out, part.lines);
        }
        _ => {}
    }
}

/// RFC 3501 §9: `SP body-fld-dsp SP body-fld-lang SP body-fld-loc`.
fn write_disposition_language_location(out: &mut Vec<u8>, content: &Content) {
    out.push(b' ');
    match &content.disposition {
        None => out.extend_from_slice(b"NIL"),
        Some(Disposition { kind, params }) => {
            out.push(b'(');
            write_upper(out, kind);
            out.push(b' ');
            write_params(out, params);
            out.push(b')');
        }
    }
    out.push(b' ');
    match &*content.language {
        [] => out.extend_from_slice(b"NIL"),
        [one] => write_string(out, one),
        several => {
            for (at, tag) in several.iter().enumerate() {
                out.push(if at == 0 { b'(' } else { b' ' });
                write_string(out, tag);
            }
            out.push(b')');
        }
    }
    out.push(b' ');
    write_nstring(out, content.location.as_deref());
}

/// RFC 3501 §9 body-fld-param.
fn write_params(out: &mut Vec<u8>, params: &[Param]) {
    write_params_and(out, params, None);
}

fn write_params_and(out: &mut Vec<u8>, params: &[Param], more: Option<(&[u8], &[u8])>) {
    let mut before = b'(';
    for param in params {
        out.push(before);
        write_upper(out, &param.name);
        out.push(b' ');
        write_string(out, &param.value);
        before = b' ';
    }
    if let Some((name, value)) = more {
        out.push(before);
        write_string(out, name);
        out.push(b' ');
        write_string(out, value);
        before = b' ';
    }
    out.extend_from_slice(if before == b' ' { b")" } else { b"NIL" });
}

/// RFC 3501 §9 nstring.
pub fn write_nstring(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) => write_string(out, text),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// RFC 3501 §9 string: quoted where it is ASCII without CR and LF and short, else a literal. NUL,
/// which neither may hold, is left out.
pub fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    if text.contains(&0) {
        let text: Bytes = text.iter().copied().filter(|&byte| byte != 0).collect();
        return write_string(out, &text);
    }
    let quotable = |byte: &u8| byte.is_ascii() && !b"\r\n".contains(byte);
    if text.len() > QUOTED_OCTETS_MAX || !text.iter().all(quotable) {
        return write_literal(out, text);
    }
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// RFC 3501 §9 literal: `{n}` CRLF and the octets as they are. They may hold no NUL.
pub fn write_literal(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'{');
    write_number(out, text.len());
    out.extend_from_slice(b"}\r\n");
    out.extend_from_slice(text);
}

/// RFC 3501 §9 astring: an atom where it is one, else a string.
pub fn write_astring(out: &mut Vec<u8>, text: &[u8]) {
    let is_atom = |byte: &u8| byte.is_ascii_graphic() && !b"(){%*\"\\".contains(byte);
    if !text.is_empty() && text.iter().all(is_atom) {
        out.extend_from_slice(text);
    } else {
        write_string(out, text);
    }
}

fn write_upper(out: &mut Vec<u8>, text: &str) {
    write_string(out, text.to_ascii_uppercase().as_bytes());
}

fn write_number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(number.to_string().as_bytes());
}
