//! A signer of the tests' own: it signs whatever tags it is told to, by a second reading of
//! RFC 6376 that shares nothing with the crate.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::Timestamp;
use sender_auth::{Answer, Answers, ArcResult, DkimResult, Query, QueryKind, Reading, Step};

pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

pub enum Key {
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    pub fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap())
    }

    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub fn public(&self) -> String {
        match self {
            Self::Ed25519(key) => STANDARD.encode(key.public_key().as_ref()),
            Self::Rsa(key) => STANDARD.encode(key.public_key().as_der().unwrap().as_ref()),
        }
    }

    pub fn record(&self) -> String {
        match self {
            Self::Ed25519(_) => format!("v=DKIM1; k=ed25519; p={}", self.public()),
            Self::Rsa(_) => format!("v=DKIM1; k=rsa; p={}", self.public()),
        }
    }

    pub fn sign(&self, text: &[u8]) -> String {
        match self {
            Self::Ed25519(key) => STANDARD.encode(key.sign(digest(&SHA256, text).as_ref())),
            Self::Rsa(key) => {
                let mut octets = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut octets).unwrap();
                STANDARD.encode(octets)
            }
        }
    }
}

/// The fields of a message, and its body.
pub fn parts(message: &str) -> (Vec<String>, String) {
    let (header, body) = message.split_once("\r\n\r\n").unwrap_or((message, ""));
    let header = header.trim_end_matches("\r\n");
    let mut fields: Vec<String> = Vec::new();
    for line in header.split("\r\n") {
        match fields.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push_str("\r\n");
                last.push_str(line);
            }
            _ => fields.push(line.to_owned()),
        }
    }
    (fields, body.to_owned())
}

pub fn relaxed_field(field: &str) -> String {
    let (name, value) = field.split_once(':').unwrap();
    let value = value.replace("\r\n", "");
    let value: Vec<&str> = value.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    format!("{}:{}", name.trim_end().to_ascii_lowercase(), value.join(" "))
}

pub fn simple_body(body: &str) -> String {
    let mut body = body.to_owned();
    while body.ends_with("\r\n") {
        body.truncate(body.len() - 2);
    }
    body + "\r\n"
}

pub fn relaxed_body(body: &str) -> String {
    let mut lines: Vec<String> = body
        .split("\r\n")
        .map(|line| {
            let squeezed: Vec<&str> = line.split([' ', '\t']).collect();
            let mut text = String::new();
            for (at, word) in squeezed.iter().enumerate() {
                if at > 0 && !text.ends_with(' ') {
                    text.push(' ');
                }
                text.push_str(word);
            }
            text.trim_end_matches(' ').to_owned()
        })
        .collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.into_iter().map(|line| line + "\r\n").collect()
}

/// A message with a signature in front, of these tags and the `bh=` and `b=` that belong to them.
pub fn signed(key: &Key, tags: &str, message: &str) -> String {
    let (fields, body) = parts(message);
    let find = |name: &str| {
        let mut specs = tags.split(';').filter_map(|spec| spec.split_once('='));
        specs.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim().to_owned())
    };
    let canon = find("c").unwrap_or_else(|| "simple/simple".to_owned());
    let (header_canon, body_canon) = canon.split_once('/').unwrap_or((&canon, "simple"));
    let body = if body_canon == "relaxed" { relaxed_body(&body) } else { simple_body(&body) };
    let limit = find("l").and_then(|limit| limit.parse().ok()).unwrap_or(body.len());
    let hash = STANDARD.encode(digest(&SHA256, &body.as_bytes()[..limit.min(body.len())]));
    let bare = format!("DKIM-Signature: {tags}; bh={hash}; b=");
    let text = text_to_sign(&fields, &find("h").unwrap_or_default(), header_canon, &bare);
    format!("{bare}{}\r\n{message}", key.sign(text.as_bytes()))
}

/// What is signed: the named fields from below, then the signature without its value.
pub fn text_to_sign(fields: &[String], names: &str, canon: &str, bare: &str) -> String {
    let mut left: Vec<Option<&String>> = fields.iter().map(Some).collect();
    let mut text = String::new();
    let form = |field: &str| {
        if canon == "relaxed" { relaxed_field(field) } else { field.to_owned() }
    };
    for name in names.split(':').map(str::trim) {
        let is_it = |field: &&mut Option<&String>| {
            field.is_some_and(|field| {
                field.split_once(':').unwrap().0.trim_end().eq_ignore_ascii_case(name)
            })
        };
        if let Some(field) = left.iter_mut().rev().find(is_it).and_then(Option::take) {
            text.push_str(&form(field));
            text.push_str("\r\n");
        }
    }
    text + &form(bare)
}

/// Answers of the DNS: names and their TXT records.
pub fn dns(records: &[(&str, &str)]) -> Answers {
    let mut answers = Answers::default();
    for (name, _) in records {
        let of_name = records.iter().filter(|(other, _)| other == name);
        let texts = of_name.map(|(_, text)| text.as_bytes().to_vec()).collect();
        answers.insert(Query::new(name, QueryKind::Txt), Answer::Txt(texts));
    }
    answers
}

/// Verifies; what was not said is not there.
pub fn verify(message: &str, answers: &Answers) -> Vec<DkimResult> {
    let mut reading = Reading::new();
    reading.write(message.as_bytes());
    let (examined, mut answers) = (reading.finish(), answers.clone());
    loop {
        match examined.dkim(&answers, NOW) {
            Step::Done(results) => return results,
            Step::Ask(queries) => {
                for query in queries {
                    answers.insert(query, Answer::NxDomain);
                }
            }
        }
    }
}

/// Verifies a chain likewise.
pub fn verify_arc(message: &str, answers: &Answers) -> ArcResult {
    let mut reading = Reading::new();
    reading.write(message.as_bytes());
    let (examined, mut answers) = (reading.finish(), answers.clone());
    loop {
        match examined.arc(&answers) {
            Step::Done(result) => return result,
            Step::Ask(queries) => {
                for query in queries {
                    answers.insert(query, Answer::NxDomain);
                }
            }
        }
    }
}
