//! The DKIM-Signature field (RFC 6376 §3.5); the ARC-Message-Signature has nearly the same tags.

use std::ops::Range;

use mail_types::Domain;

use crate::canon::Canon;
use crate::keys::Algorithm;
use crate::tags::{self, Tags};

/// Names in one `h=`; each costs a search.
const SIGNED_FIELDS_MAX: usize = 1000;
/// RFC 6376 §3.5 l=: digits of a length.
const LENGTH_DIGITS_MAX: usize = 76;
/// Digits of a time; RFC 6376 §3.5 wants 12 at least.
const TIME_DIGITS_MAX: usize = 20;
/// Octets of a SHA-256.
const HASH_OCTETS: usize = 32;
/// RFC 5321 §4.5.3.1: characters of an address, and so of an `i=` that is told on.
const IDENTITY_CHARS_MAX: usize = 320;

/// Who signed, as far as the field can be read at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signer {
    pub domain: Option<Domain>,
    pub selector: Option<String>,
    pub algorithm: Option<Algorithm>,
    /// Shortened where it is longer than any address.
    pub identity: Option<String>,
    /// The beginning of `b=`, which tells signatures apart (RFC 6008).
    pub mark: String,
}

/// What every signature and seal has.
#[derive(Clone, Debug)]
pub(crate) struct Basics {
    pub algorithm: Algorithm,
    pub domain: Domain,
    pub selector: String,
    pub octets: Vec<u8>,
    /// Where the value of `b=` stands in the field's value.
    pub octets_at: Range<usize>,
    /// `t=`, in seconds since 1970.
    pub made_at: Option<u64>,
}

/// A signature of a message.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub basics: Basics,
    pub body_hash: [u8; HASH_OCTETS],
    pub header_canon: Canon,
    pub body_canon: Canon,
    /// Names of the signed fields, in lower case, in their order.
    pub fields: Vec<Box<str>>,
    /// `l=`: octets of the canonical body that are signed.
    pub body_limit: Option<u64>,
    /// `x=`, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// The domain of `i=`.
    pub identity_domain: Domain,
}

impl Signer {
    /// Reads what of it can be read.
    pub fn of(tags: &Tags<'_>) -> Self {
        let mark = tags.get("b").unwrap_or("");
        Self {
            domain: tags.get("d").and_then(|domain| Domain::new(domain).ok()),
            // RFC 6376 §3.1: made as a domain name is; what is not, and as long as the sender
            // likes, names no key.
            selector: tags.get("s").and_then(|s| Some(Domain::new(s).ok()?.as_str().to_owned())),
            algorithm: tags.get("a").and_then(|algorithm| Algorithm::parse(algorithm).ok()),
            identity: tags.get("i").map(|i| i.chars().take(IDENTITY_CHARS_MAX).collect()),
            mark: mark.chars().filter(|c| !c.is_ascii_whitespace()).take(MARK_CHARS).collect(),
        }
    }
}

/// RFC 6008 §4: characters of `b=` that tell signatures apart.
const MARK_CHARS: usize = 8;

impl Basics {
    pub fn parse(tags: &Tags<'_>) -> Result<Self, String> {
        let algorithm = Algorithm::parse(tags.need("a")?)?;
        let octets = tags::base64(tags.need("b")?).ok_or("b= is no Base64")?;
        let domain = tags.need("d")?;
        let domain = Domain::new(domain).map_err(|_| format!("d={domain} is no domain"))?;
        let selector = tags.need("s")?;
        // RFC 6376 §3.1: a selector is made as a domain name is.
        let selector = Domain::new(selector).map_err(|_| format!("s={selector} is no selector"))?;
        Ok(Self {
            algorithm,
            domain,
            selector: selector.as_str().to_owned(),
            octets,
            octets_at: tags.span("b").unwrap_or_default(),
            made_at: time(tags, "t")?,
        })
    }
}

fn time(tags: &Tags<'_>, name: &str) -> Result<Option<u64>, String> {
    let Some(value) = tags.get(name) else { return Ok(None) };
    let secs = tags::number(value, TIME_DIGITS_MAX);
    secs.map(Some).ok_or_else(|| format!("{name}={value} is no time"))
}

impl Signature {
    /// A DKIM-Signature.
    pub fn parse(tags: &Tags<'_>) -> Result<Self, String> {
        // RFC 6376 §6.1.1: verifiers MUST NOT accept what has another version.
        match tags.need("v")? {
            "1" => {}
            other => return Err(format!("its version {other} is unknown")),
        }
        let mut signature = Self::parse_common(tags)?;
        // RFC 6376 §5.4: the From header field MUST be signed.
        if !signature.fields.iter().any(|name| &**name == "from") {
            return Err("From is not signed".to_owned());
        }
        // RFC 6376 §3.5 i=: the same domain as d=, or a subdomain of it.
        if let Some(identity) = tags.get("i") {
            let (_, domain) = identity.rsplit_once('@').ok_or("i= has no domain")?;
            signature.identity_domain = Domain::new(domain)
                .map_err(|_| format!("i= is of {domain}, which is no domain"))?;
        }
        if !signature.identity_domain.is_within(&signature.basics.domain) {
            return Err(format!(
                "i= is of {}, which is not within {}",
                signature.identity_domain, signature.basics.domain
            ));
        }
        Ok(signature)
    }

    /// The tags that an ARC-Message-Signature has too (RFC 8617 §4.1.2): all but `v=` and `i=`.
    pub fn parse_common(tags: &Tags<'_>) -> Result<Self, String> {
        let basics = Basics::parse(tags)?;
        let body_hash = tags::base64(tags.need("bh")?).ok_or("bh= is no Base64")?;
        let body_hash = body_hash.try_into().map_err(|_| "bh= is no SHA-256".to_owned())?;
        let (header_canon, body_canon) = canons(tags.get("c"))?;
        // RFC 6376 §3.5 q=: unknown query methods MUST be ignored.
        if tags.get("q").is_some_and(|methods| !tags::words(methods).any(|it| it == "dns/txt")) {
            return Err("its key is not in the DNS (q=)".to_owned());
        }
        let expires_at = time(tags, "x")?;
        if let (Some(made), Some(expires)) = (basics.made_at, expires_at)
            && expires <= made
        {
            return Err("it expires before it was made".to_owned());
        }
        let body_limit = match tags.get("l") {
            None => None,
            Some(value) => {
                let limit = tags::number(value, LENGTH_DIGITS_MAX);
                Some(limit.ok_or_else(|| format!("l={value} is no length"))?)
            }
        };
        let fields = signed_fields(tags.get("h").ok_or("the tag h= is missing")?)?;
        let identity_domain = basics.domain.clone();
        Ok(Self {
            basics,
            body_hash,
            header_canon,
            body_canon,
            fields,
            body_limit,
            expires_at,
            identity_domain,
        })
    }
}

/// `c=`: header and body; simple where nothing is said (RFC 6376 §3.5).
fn canons(value: Option<&str>) -> Result<(Canon, Canon), String> {
    let Some(value) = value else { return Ok((Canon::Simple, Canon::Simple)) };
    let canon = |word: &str| match word {
        "simple" => Ok(Canon::Simple),
        "relaxed" => Ok(Canon::Relaxed),
        _ => Err(format!("the canonicalization {value} is unknown")),
    };
    match value.split_once('/') {
        Some((header, body)) => Ok((canon(header)?, canon(body)?)),
        None => Ok((canon(value)?, Canon::Simple)),
    }
}

/// `h=`: names of fields. A name left out between two colons signs nothing.
fn signed_fields(value: &str) -> Result<Vec<Box<str>>, String> {
    let mut fields = Vec::new();
    for name in tags::words(value) {
        // RFC 5322 §3.6.8: any printable octet but the colon.
        if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("h= names `{name}`, which is no field name"));
        }
        if fields.len() == SIGNED_FIELDS_MAX {
            return Err(format!("h= names more than {SIGNED_FIELDS_MAX} fields"));
        }
        fields.push(name.to_ascii_lowercase().into_boxed_str());
    }
    Ok(fields)
}
