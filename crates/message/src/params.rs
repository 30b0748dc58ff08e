use crate::charset::decode_charset;
use crate::header::{squeeze, unfold};
use crate::transfer::hex;
use crate::{Limits, text};

/// A parameter of Content-Type or Content-Disposition (RFC 2045 §5.1), its continuations
/// (RFC 2231 §3) already joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// In lower case. Ends in `*` where the value is in the extended form of RFC 2231 §4.
    pub name: Box<str>,
    /// Without quotes; in the extended form still `charset'language'percent-encoded`.
    pub value: Box<[u8]>,
}

/// The parameter of that name (in lower case, without `*`) as text: RFC 2231 decoded, and RFC 2047
/// encoded words too, which many programs wrongly put there.
#[must_use]
pub fn param_text(params: &[Param], name: &str) -> Option<String> {
    let extended = params
        .iter()
        .find(|param| param.name.strip_suffix('*') == Some(name))
        .map(|param| decode_extended(&param.value));
    extended.or_else(|| {
        let plain = params.iter().find(|param| &*param.name == name)?;
        Some(text::decode_words(&plain.value))
    })
}

/// RFC 2231 §4: `charset'language'percent-encoded`.
fn decode_extended(value: &[u8]) -> String {
    let mut parts = value.splitn(3, |&byte| byte == b'\'');
    let (charset, encoded) = match (parts.next(), parts.next(), parts.next()) {
        (Some(charset), Some(_), Some(encoded)) => (charset, encoded),
        _ => (&b""[..], value),
    };
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, behind @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                bytes.push(hex(*high) << 4 | hex(*low));
                rest = behind;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    decode_charset(&bytes, Some(charset)).into_owned()
}

/// A piece of a parameter, before continuations are joined.
struct Piece {
    base: String,
    section: Option<u32>,
    extended: bool,
    value: Box<[u8]>,
}

/// Reads `*(";" parameter)`; `rest` begins at or before the first semicolon.
pub(crate) fn parse_params(rest: &[u8], limits: &Limits) -> Vec<Param> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut rest = rest;
    while pieces.len() < limits.params_max {
        rest = skip_cfws(rest);
        match rest {
            [b';', tail @ ..] => rest = tail,
            [] => break,
            _ => match parse_piece(rest, limits) {
                (Some(piece), tail) => {
                    pieces.push(piece);
                    rest = tail;
                }
                (None, tail) => rest = tail,
            },
        }
    }
    join(pieces)
}

/// One `attribute "=" value`; always takes at least one octet of `rest`, which is not empty.
fn parse_piece<'a>(rest: &'a [u8], limits: &Limits) -> (Option<Piece>, &'a [u8]) {
    let end = rest.iter().position(|byte| b"=;".contains(byte)).unwrap_or(rest.len());
    let name = &rest[..end];
    let Some((b'=', tail)) = rest[end..].split_first() else {
        return (None, &rest[end..]);
    };
    let (value, tail) = parse_value(skip_cfws(tail), limits);
    // RFC 5322 §3.2.2: comments may stand between any tokens.
    let name_end = name.iter().position(|&byte| byte == b'(').unwrap_or(name.len());
    let name = name[..name_end].trim_ascii();
    if name.is_empty() || name.len() > 256 {
        return (None, tail);
    }
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let (stem, extended) = match name.strip_suffix('*') {
        Some(stem) => (stem, true),
        None => (&*name, false),
    };
    let (base, section) = match stem.rsplit_once('*') {
        Some((base, number)) => match number.parse::<u32>() {
            Ok(number) => (base, Some(number)),
            Err(_) => (stem, None),
        },
        None => (stem, None),
    };
    (Some(Piece { base: base.to_owned(), section, extended, value }), tail)
}

/// A token or quoted-string. Quirk: an unquoted value may hold spaces and specials up to the next
/// semicolon (`name=my file.pdf`), as many programs write it; white space before `(` ends it.
fn parse_value<'a>(rest: &'a [u8], limits: &Limits) -> (Box<[u8]>, &'a [u8]) {
    if let [b'"', quoted @ ..] = rest {
        let mut value = Vec::new();
        let mut at = 0;
        while let Some(&byte) = quoted.get(at) {
            at += 1;
            match byte {
                b'"' => break,
                b'\\' if at < quoted.len() => {
                    value.push(quoted[at]);
                    at += 1;
                }
                _ => value.push(byte),
            }
        }
        let tail = &quoted[at..];
        let next = tail.iter().position(|&byte| byte == b';').unwrap_or(tail.len());
        return (squeeze(&value, limits.value_bytes_max), &tail[next..]);
    }
    let end = rest.iter().position(|&byte| byte == b';').unwrap_or(rest.len());
    let value = &rest[..end];
    let comment =
        value.windows(2).position(|pair| pair[0].is_ascii_whitespace() && pair[1] == b'(');
    let value = comment.map_or(value, |at| &value[..at]);
    (unfold(value, limits.value_bytes_max), &rest[end..])
}

/// RFC 2231 §3, §4.1: continuations in the order of their numbers become one parameter.
fn join(pieces: Vec<Piece>) -> Vec<Param> {
    let mut params: Vec<Param> = Vec::with_capacity(pieces.len());
    for at in 0..pieces.len() {
        let piece = &pieces[at];
        let first_of_kind = !pieces[..at].iter().any(|earlier| {
            earlier.base == piece.base && earlier.section.is_some() == piece.section.is_some()
        });
        if piece.section.is_none() {
            let name = format!("{}{}", piece.base, if piece.extended { "*" } else { "" });
            params.push(Param { name: name.into(), value: piece.value.clone() });
        } else if first_of_kind {
            params.push(joined(&pieces, &piece.base));
        }
    }
    params
}

fn joined(pieces: &[Piece], base: &str) -> Param {
    let mut own: Vec<&Piece> =
        pieces.iter().filter(|piece| piece.base == base && piece.section.is_some()).collect();
    own.sort_by_key(|piece| piece.section);
    own.dedup_by_key(|piece| piece.section);
    let extended = own.iter().any(|piece| piece.extended);
    let mut value = Vec::new();
    if own.first().is_some_and(|piece| extended && !piece.extended) {
        value.extend_from_slice(b"''");
    }
    for piece in own {
        if extended && !piece.extended {
            for &byte in &piece.value {
                if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) {
                    value.push(byte);
                } else {
                    value.extend_from_slice(format!("%{byte:02X}").as_bytes());
                }
            }
        } else {
            value.extend_from_slice(&piece.value);
        }
    }
    let name = format!("{base}{}", if extended { "*" } else { "" });
    Param { name: name.into(), value: value.into() }
}

fn skip_space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', tail @ ..] = rest {
        rest = tail;
    }
    rest
}

/// RFC 5322 §3.2.2: white space and comments, which nest. An unclosed one takes the rest.
pub(crate) fn skip_cfws(rest: &[u8]) -> &[u8] {
    let mut rest = skip_space(rest);
    while let [b'(', tail @ ..] = rest {
        let mut depth = 1_usize;
        let mut at = 0;
        while depth > 0 && at < tail.len() {
            match tail[at] {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\\' => at += 1,
                _ => {}
            }
            at += 1;
        }
        rest = skip_space(tail.get(at..).unwrap_or_default());
    }
    rest
}
