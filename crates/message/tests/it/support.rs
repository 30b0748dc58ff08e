//! Golden messages, and a reader of IMAP's wire form that shares nothing with the writer.

use message::{Limits, SectionSpec, SectionText, Structure};

pub fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/it/golden/{name}.eml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

pub fn goldens() -> Vec<(String, Vec<u8>)> {
    files(&format!("{}/tests/it/golden", env!("CARGO_MANIFEST_DIR")))
}

pub fn files(directory: &str) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() >= 5, "files in {directory}");
    found
}

pub fn structure(bytes: &[u8]) -> Structure {
    Structure::parse(bytes, &Limits::default())
}

pub fn spec(part: &[u32], text: SectionText) -> SectionSpec {
    SectionSpec { part: part.to_vec(), text }
}

/// `BODY[part]` with this text, as a string.
pub fn get(bytes: &[u8], part: &[u32], text: SectionText) -> Option<String> {
    let structure = structure(bytes);
    let found = message::section(&structure, bytes, &spec(part, text))?;
    Some(String::from_utf8_lossy(&found).into_owned())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    Nil,
    Number(usize),
    Text(Vec<u8>),
    List(Vec<Wire>),
}

impl Wire {
    pub fn parse(bytes: &[u8]) -> Self {
        let (wire, rest) = Self::one(bytes);
        assert!(rest.is_empty(), "left over: {}", String::from_utf8_lossy(rest));
        wire
    }

    fn one(bytes: &[u8]) -> (Self, &[u8]) {
        match bytes {
            [b'(', rest @ ..] => {
                let mut list = Vec::new();
                let mut rest = rest;
                loop {
                    match rest {
                        [b')', behind @ ..] => return (Self::List(list), behind),
                        [b' ', behind @ ..] => rest = behind,
                        _ => {
                            let (item, behind) = Self::one(rest);
                            list.push(item);
                            rest = behind;
                        }
                    }
                }
            }
            [b'"', rest @ ..] => {
                let mut text = Vec::new();
                let mut at = 0;
                while rest[at] != b'"' {
                    at += usize::from(rest[at] == b'\\');
                    text.push(rest[at]);
                    at += 1;
                }
                (Self::Text(text), &rest[at + 1..])
            }
            [b'{', rest @ ..] => {
                let end = rest.iter().position(|&byte| byte == b'}').unwrap();
                let count: usize = std::str::from_utf8(&rest[..end]).unwrap().parse().unwrap();
                let octets = rest[end + 1..].strip_prefix(b"\r\n").unwrap();
                (Self::Text(octets[..count].to_vec()), &octets[count..])
            }
            [b'N', b'I', b'L', rest @ ..] => (Self::Nil, rest),
            _ => {
                let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap();
                let number = std::str::from_utf8(&bytes[..end]).unwrap().parse().unwrap();
                (Self::Number(number), &bytes[end..])
            }
        }
    }

    pub fn list(&self) -> &[Self] {
        match self {
            Self::Nil => &[],
            Self::List(list) => list,
            other => panic!("no list: {other:?}"),
        }
    }

    pub fn text(&self) -> Option<Box<[u8]>> {
        match self {
            Self::Nil => None,
            Self::Text(text) => Some(text.as_slice().into()),
            other => panic!("no nstring: {other:?}"),
        }
    }
}
