//! Keys that domains publish (RFC 6376 §3.6), and what is verified with them.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey,
};
use mail_types::Domain;

use crate::tags::{self, Tags};
use crate::{Answer, Answers, Outcome, Query, QueryKind, Verdict};

/// RFC 8301 §3.2: signatures of shorter RSA keys MUST NOT count as valid.
const RSA_BITS_MIN: usize = 1024;
/// RFC 8301 §3.2: verifiers MUST be able to validate up to 4096 bits. Longer keys cost too much.
const RSA_BITS_MAX: usize = 4096;
/// RFC 6376 §6.1.2: of several records for a selector, so many are tried.
const RECORDS_TRIED_MAX: usize = 4;

/// How a signature is made (RFC 6376 §3.3, RFC 8463 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `rsa-sha256`
    RsaSha256,
    /// `ed25519-sha256`
    Ed25519Sha256,
}

impl Algorithm {
    /// As it stands in `a=`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    /// As it stands in `k=` of a key record.
    #[must_use]
    pub const fn key_type(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa",
            Self::Ed25519Sha256 => "ed25519",
        }
    }

    /// Reads `a=`.
    // RFC 6376 §3.2: values count with regard to case.
    pub(crate) fn parse(value: &str) -> Result<Self, String> {
        match value {
            "rsa-sha256" => Ok(Self::RsaSha256),
            "ed25519-sha256" => Ok(Self::Ed25519Sha256),
            // RFC 8301 §3.1: rsa-sha1 MUST NOT be used for signing or verifying.
            "rsa-sha1" => Err("rsa-sha1 counts no longer (RFC 8301)".to_owned()),
            _ => Err(format!("the algorithm {value} is unknown")),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key record that can be used for mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRecord {
    key: PublicKey,
    /// `t=y`: the domain tests DKIM.
    pub testing: bool,
    /// `t=s`: `i=` must be of the very domain.
    pub strict_identity: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PublicKey {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ed25519([u8; 32]),
}

/// Where the key of a selector is (RFC 6376 §3.6.2.1).
pub(crate) fn query(selector: &str, domain: &Domain) -> Query {
    Query::new(&format!("{selector}._domainkey.{domain}"), QueryKind::Txt)
}

/// Tries each key that is published there with `check`, until one passes.
pub(crate) fn with_each<T>(
    answers: &Answers,
    query: &Query,
    algorithm: Algorithm,
    check: impl Fn(&KeyRecord) -> Result<T, Outcome>,
) -> Result<T, Outcome> {
    let name = query.name();
    let none = || Outcome::new(Verdict::PermError, format!("there is no key at {name}"));
    let records = match answers.get(query) {
        Some(Answer::Txt(records)) => records,
        Some(Answer::Trouble(why)) => {
            let reason = format!("the key at {name} cannot be looked up now: {why}");
            return Err(Outcome::new(Verdict::TempError, reason));
        }
        Some(
            Answer::NoData | Answer::NxDomain | Answer::Ips(_) | Answer::Mx(_) | Answer::Names(_),
        )
        | None => return Err(none()),
    };
    // RFC 6376 §6.1.2: where there are several, each may be tried.
    let mut outcome = None;
    for record in records.iter().take(RECORDS_TRIED_MAX) {
        let tried = KeyRecord::parse(record, algorithm)
            .map_err(|flaw| Outcome::new(Verdict::PermError, format!("the key at {name}: {flaw}")))
            .and_then(|key| check(&key));
        match tried {
            Ok(passed) => return Ok(passed),
            // A key that was used tells more than one that could not be.
            Err(failed) => match &outcome {
                Some(Outcome { verdict: Verdict::Fail, .. }) => {}
                _ => outcome = Some(failed),
            },
        }
    }
    Err(outcome.unwrap_or_else(none))
}

impl KeyRecord {
    /// Reads a record for use with an algorithm.
    pub fn parse(record: &[u8], algorithm: Algorithm) -> Result<Self, String> {
        let tags = Tags::parse(record)?;
        // RFC 6376 §3.6.1 v=: where it stands, it MUST be first and DKIM1.
        match tags.get("v") {
            Some("DKIM1") if tags.first() == Some("v") => {}
            Some("DKIM1") => return Err("v= is not its first tag".to_owned()),
            Some(other) => return Err(format!("its version {other} is unknown")),
            None => {}
        }
        // k=: the type of the key, rsa by default.
        let key_type = tags.get("k").unwrap_or("rsa");
        if key_type != algorithm.key_type() {
            return Err(format!("it is of the type {key_type}, the signature of {algorithm}"));
        }
        // h=: the hashes that may be used; all by default.
        if tags.get("h").is_some_and(|hashes| !tags::words(hashes).any(|hash| hash == "sha256")) {
            return Err("it does not allow sha256".to_owned());
        }
        // s=: the services it is for; all by default.
        let for_mail = |service: &str| matches!(service, "*" | "email");
        if tags.get("s").is_some_and(|services| !tags::words(services).any(for_mail)) {
            return Err("it is not for mail".to_owned());
        }
        let flags = tags.get("t").unwrap_or("");
        let has_flag = |wanted: &str| tags::words(flags).any(|flag| flag == wanted);
        // g= (RFC 4871) is no more: RFC 6376 has it ignored like any unknown tag.
        Ok(Self {
            key: PublicKey::parse(&tags, algorithm)?,
            testing: has_flag("y"),
            strict_identity: has_flag("s"),
        })
    }

    /// Whether this key made the signature of `text`.
    pub fn verify(&self, text: &[u8], signature: &[u8]) -> Result<(), Outcome> {
        let verified = match &self.key {
            PublicKey::Rsa { modulus, exponent } => PublicKeyComponents { n: modulus, e: exponent }
                .verify(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, text, signature),
            // RFC 8463 §3: what PureEdDSA signs is the hash.
            PublicKey::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key)
                .verify(digest(&SHA256, text).as_ref(), signature),
        };
        verified.map_err(|_| {
            let reason = "the header was changed after it was signed, or signed with another key";
            Outcome::new(Verdict::Fail, reason)
        })
    }
}

impl PublicKey {
    fn parse(tags: &Tags<'_>, algorithm: Algorithm) -> Result<Self, String> {
        let text = match tags.get("p") {
            // RFC 6376 §3.6.1: an empty value means that the key is revoked.
            Some("") => return Err("it is revoked".to_owned()),
            Some(text) => text,
            None => return Err("it has no p=".to_owned()),
        };
        let octets = tags::base64(text).ok_or("p= is no Base64")?;
        match algorithm {
            Algorithm::Ed25519Sha256 => {
                // RFC 8463 §4.2: the 32 octets of the key, without ASN.1 around them.
                let key = octets.as_slice().try_into();
                key.map(Self::Ed25519).map_err(|_| "p= is no Ed25519 key of 32 octets".to_owned())
            }
            Algorithm::RsaSha256 => {
                let (modulus, exponent) =
                    rsa_public_key(&octets).ok_or("p= is no RSA public key")?;
                let bits = modulus.len() * 8 - modulus[0].leading_zeros() as usize;
                if bits < RSA_BITS_MIN {
                    return Err(format!("its {bits} bits are too few (RFC 8301)"));
                }
                if bits > RSA_BITS_MAX {
                    return Err(format!("its {bits} bits are more than are verified here"));
                }
                Ok(Self::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
            }
        }
    }
}

/// Modulus and exponent, each without leading zeros, of an RSAPublicKey (RFC 8017 §A.1.1) or of a
/// SubjectPublicKeyInfo (RFC 5280 §4.1) around it: RFC 6376 §3.6.1 was read both ways.
fn rsa_public_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    const BIT_STRING: u8 = 0x03;
    let (mut inside, _) = der_value(der, SEQUENCE)?;
    if let Some((_, rest)) = der_value(inside, SEQUENCE) {
        let (bits, _) = der_value(rest, BIT_STRING)?;
        (inside, _) = der_value(bits.strip_prefix(&[0])?, SEQUENCE)?;
    }
    let (modulus, rest) = der_value(inside, INTEGER)?;
    let (exponent, _) = der_value(rest, INTEGER)?;
    Some((without_zeros(modulus)?, without_zeros(exponent)?))
}

/// An unsigned number; `None` where it is nothing.
fn without_zeros(number: &[u8]) -> Option<&[u8]> {
    let first = number.iter().position(|&octet| octet != 0)?;
    Some(&number[first..])
}

/// The value of a DER element of that tag, and what follows it.
fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // Lengths of keys take one or two octets.
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => {
            let (&[high, low], rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes([high, low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
