//! Signing (RFC 6376 §5).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::{Domain, Timestamp};

use crate::canon::{self, Canon};
use crate::{Algorithm, Examined};

/// Fields that are signed once more often than they are there, so that nobody can add one
/// (RFC 6376 §8.15).
const OVERSIGNED: &[&str] = &[
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "reply-to",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];
/// Fields that are signed where they are there; mailing lists and resenders add them.
const SIGNED: &[&str] = &[
    "sender",
    "content-id",
    "content-description",
    "resent-date",
    "resent-from",
    "resent-to",
    "resent-cc",
    "resent-message-id",
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
    "autocrypt",
];
/// Columns of a line of what is written here (RFC 5322 §2.1.1 wants at most 78).
const COLUMNS: usize = 76;

/// A private key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the private key of {selector}._domainkey.{domain} is no PKCS #8 {algorithm} key: {why}")]
pub struct KeyError {
    domain: Domain,
    selector: String,
    algorithm: Algorithm,
    why: String,
}

/// A private key of a domain.
pub struct SigningKey {
    domain: Domain,
    selector: String,
    key: Key,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl SigningKey {
    /// Reads a private key in PKCS #8.
    ///
    /// # Errors
    /// Where the octets are no key of that algorithm.
    pub fn from_pkcs8(
        domain: &Domain,
        selector: &str,
        algorithm: Algorithm,
        pkcs8: &[u8],
    ) -> Result<Self, KeyError> {
        let key = match algorithm {
            Algorithm::RsaSha256 => {
                RsaKeyPair::from_pkcs8(pkcs8).map(|key| Key::Rsa(Box::new(key)))
            }
            Algorithm::Ed25519Sha256 => {
                Ed25519KeyPair::from_pkcs8(pkcs8).map(|key| Key::Ed25519(Box::new(key)))
            }
        };
        let (domain, selector) = (domain.clone(), selector.to_owned());
        match key {
            Ok(key) => Ok(Self { domain, selector, key }),
            Err(error) => Err(KeyError { domain, selector, algorithm, why: error.to_string() }),
        }
    }

    /// The domain it signs for.
    #[must_use]
    pub const fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Its selector.
    #[must_use]
    pub fn selector(&self) -> &str {
        &self.selector
    }

    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.key {
            Key::Rsa(_) => Algorithm::RsaSha256,
            Key::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// The key record to publish (RFC 6376 §3.6.1, RFC 8463 §4).
    #[must_use]
    pub fn record(&self) -> String {
        let public = match &self.key {
            // RFC 6376 §3.6.1: a SubjectPublicKeyInfo is what verifiers have always read.
            Key::Rsa(key) => key.public_key().as_der().map_or_else(
                |_| STANDARD.encode(key.public_key().as_ref()),
                |der| STANDARD.encode(der.as_ref()),
            ),
            Key::Ed25519(key) => STANDARD.encode(key.public_key().as_ref()),
        };
        format!("v=DKIM1; k={}; p={public}", self.algorithm().key_type())
    }

    /// The signature of `text` in Base64.
    pub(crate) fn sign(&self, text: &[u8]) -> String {
        match &self.key {
            Key::Rsa(key) => {
                let mut octets = vec![0; key.public_modulus_len()];
                let signed =
                    key.sign_digest(&RSA_PKCS1_SHA256, &digest(&SHA256, text), &mut octets);
                // A key pair that was read and checked signs; where it does not, the signature is
                // one that fails, and says so to whoever verifies it.
                signed.map_or_else(|_| String::new(), |()| STANDARD.encode(&octets))
            }
            // RFC 8463 §3: what PureEdDSA signs is the hash.
            Key::Ed25519(key) => STANDARD.encode(key.sign(digest(&SHA256, text).as_ref())),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}._domainkey.{}, {})", self.selector, self.domain, self.algorithm())
    }
}

impl Examined {
    /// A DKIM-Signature field to put in front of the message, which must have been read by
    /// [`crate::Reading::for_signing`]. Relaxed, with all that matters oversigned, never with `l=`.
    #[must_use]
    pub fn sign(&self, key: &SigningKey, now: Timestamp) -> String {
        let names = self.names_to_sign(&[]);
        let mut field = Folded::new("DKIM-Signature:");
        field.tag(&format!("v=1; a={}; c=relaxed/relaxed;", key.algorithm()));
        field.tag(&format!("d={};", key.domain));
        field.tag(&format!("s={};", key.selector));
        field.tag(&format!("t={};", now.secs()));
        self.finish_signature(field, &names, key)
    }

    /// The names for `h=`, each as often as it is to be signed.
    pub(crate) fn names_to_sign(&self, more: &[&str]) -> Vec<Box<str>> {
        let mut names = Vec::new();
        let mut push = |name: &str, count: usize| {
            names.extend(std::iter::repeat_n(Box::from(name), count));
        };
        for name in OVERSIGNED {
            push(name, self.count(name) + 1);
        }
        for name in SIGNED.iter().chain(more) {
            push(name, self.count(name));
        }
        names
    }

    /// Adds `h=`, `bh=` and `b=`.
    pub(crate) fn finish_signature(
        &self,
        mut field: Folded,
        names: &[Box<str>],
        key: &SigningKey,
    ) -> String {
        field.list("h=", names);
        let digests = self.body_digests(Canon::Relaxed);
        let body_hash = digests.get(None).map_or_else(String::new, |hash| STANDARD.encode(hash));
        field.tag(&format!("bh={body_hash};"));
        field.tag("b=");
        let mut text = self.selected(Canon::Relaxed, names, None);
        canon::field(Canon::Relaxed, field.text.as_bytes(), &mut text);
        text.truncate(text.len() - 2);
        field.octets(&key.sign(&text));
        field.finish()
    }
}

/// A field while it is written, folded between tags.
pub(crate) struct Folded {
    pub text: String,
    column: usize,
}

impl Folded {
    pub fn new(name: &str) -> Self {
        Self { text: name.to_owned(), column: name.len() }
    }

    /// Adds words that stay together.
    pub fn tag(&mut self, tag: &str) {
        if self.column + 1 + tag.len() > COLUMNS {
            self.text.push_str("\r\n\t");
            self.column = 8;
        } else {
            self.text.push(' ');
            self.column += 1;
        }
        self.text.push_str(tag);
        self.column += tag.len();
    }

    /// Adds a colon-separated list, folded where it must be.
    pub fn list(&mut self, tag: &str, names: &[Box<str>]) {
        self.tag(tag);
        for (at, name) in names.iter().enumerate() {
            let end = if at + 1 == names.len() { ";" } else { ":" };
            if self.column + name.len() + 1 > COLUMNS {
                self.text.push_str("\r\n\t");
                self.column = 8;
            }
            self.text.push_str(name);
            self.text.push_str(end);
            self.column += name.len() + 1;
        }
        if names.is_empty() {
            self.text.push(';');
            self.column += 1;
        }
    }

    /// Adds Base64, which may be folded anywhere.
    pub fn octets(&mut self, mut base64: &str) {
        while !base64.is_empty() {
            let room = COLUMNS.saturating_sub(self.column);
            if room == 0 {
                self.text.push_str("\r\n\t");
                self.column = 8;
                continue;
            }
            let (line, rest) = base64.split_at(room.min(base64.len()));
            self.text.push_str(line);
            self.column += line.len();
            base64 = rest;
        }
    }

    /// The field with its line end.
    pub fn finish(mut self) -> String {
        self.text.push_str("\r\n");
        self.text
    }
}
