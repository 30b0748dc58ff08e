use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// RFC 5321 §4.5.3.1.1: octets in a local-part.
const LOCALPART_OCTETS_MAX: usize = 64;
/// RFC 5321 §4.5.3.1.2: octets in a domain.
const DOMAIN_OCTETS_MAX: usize = 253;

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `@` outside quotes.
    #[error("an address needs an @ between local-part and domain")]
    NoAt,
    /// The part before the `@` is empty, too long, or holds what it may not.
    #[error("bad local-part: 1 to 64 octets, no spaces or specials outside quotes, no controls")]
    Localpart,
    /// The part behind the `@` is no domain name.
    #[error("bad domain: labels of letters, digits and hyphens, 1 to 63 octets each")]
    Domain,
    /// The part behind the `@` is in brackets and holds no IP address.
    #[error("bad address literal: [192.0.2.1] or [IPv6:2001:db8::1]")]
    Literal,
}

/// A domain name, in lower case, its international labels as A-labels (RFC 5890).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(Box<str>);

impl Domain {
    /// Parses a domain name in ASCII or Unicode; one dot at the end is dropped.
    ///
    /// # Errors
    /// [`AddressError::Domain`] where a label is empty, too long, begins or ends with a hyphen, or
    /// holds anything but letters, digits, hyphens and (seen in the wild) underscores.
    pub fn new(text: &str) -> Result<Self, AddressError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(text).map_err(|_| AddressError::Domain)?
        };
        let label_fits = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if ascii.len() > DOMAIN_OCTETS_MAX || !ascii.split('.').all(label_fits) {
            return Err(AddressError::Domain);
        }
        Ok(Self(ascii.into_boxed_str()))
    }

    /// The name in ASCII, without a dot at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with international labels as Unicode, for people.
    #[must_use]
    pub fn to_unicode(&self) -> String {
        idna::domain_to_unicode(&self.0).0
    }

    /// Whether this is `other` or a name below it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.strip_suffix(&*other.0).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::new(text)
    }
}

/// What stands behind the `@` (RFC 5321 §4.1.2 Mailbox): a domain or an address literal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// `example.org`
    Domain(Domain),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`
    Literal(IpAddr),
}

impl Host {
    /// Parses a domain, or an address literal in brackets (RFC 5321 §4.1.3).
    ///
    /// # Errors
    /// As [`Domain::new`], or [`AddressError::Literal`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let Some(inside) = text.strip_prefix('[') else {
            return Domain::new(text).map(Self::Domain);
        };
        let inside = inside.strip_suffix(']').ok_or(AddressError::Literal)?;
        let ip = match inside.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
                inside[5..].parse::<Ipv6Addr>().map(IpAddr::V6)
            }
            _ => inside.parse::<Ipv4Addr>().map(IpAddr::V4),
        };
        ip.map(Self::Literal).map_err(|_| AddressError::Literal)
    }

    /// The domain, unless this is a literal.
    #[must_use]
    pub const fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Literal(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Literal(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Self::Literal(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

/// The part of an address before the `@`, as what it means: quotes and backslashes of the wire
/// form are gone, so `"a b"@x` and `"a\ b"@x` are equal. Spelling is kept; only the domain's own
/// server may fold case (RFC 5321 §2.4), which for local accounts [`Localpart::folded`] does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Localpart(Box<str>);

impl Localpart {
    /// From its meaning (no quotes around it).
    ///
    /// # Errors
    /// [`AddressError::Localpart`] where it is empty, longer than 64 octets or holds controls.
    pub fn new(text: &str) -> Result<Self, AddressError> {
        let fits = (1..=LOCALPART_OCTETS_MAX).contains(&text.len());
        if !fits || text.chars().any(char::is_control) {
            return Err(AddressError::Localpart);
        }
        Ok(Self(text.into()))
    }

    /// From its form on the wire: dot-string or quoted-string (RFC 5321 §4.1.2, RFC 6531 §3.3).
    ///
    /// # Errors
    /// [`AddressError::Localpart`] where it is neither.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let Some(quoted) = text.strip_prefix('"') else {
            let dot_string = text
                .split('.')
                .all(|atom| !atom.is_empty() && atom.chars().all(|c| !c.is_ascii() || is_atext(c)));
            return if dot_string { Self::new(text) } else { Err(AddressError::Localpart) };
        };
        let mut meaning = String::with_capacity(quoted.len());
        let mut chars = quoted.chars();
        loop {
            match chars.next() {
                Some('"') if chars.as_str().is_empty() => return Self::new(&meaning),
                Some('\\') => match chars.next() {
                    Some(c @ ' '..='~') => meaning.push(c),
                    _ => return Err(AddressError::Localpart),
                },
                Some('"') | None => return Err(AddressError::Localpart),
                Some(c) => meaning.push(c),
            }
        }
    }

    /// The meaning, without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In lower case, for looking up local accounts.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

/// RFC 5322 §3.2.3 atext.
const fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(
            c,
            '!' | '#'
                | '$'
                | '%'
                | '&'
                | '\''
                | '*'
                | '+'
                | '-'
                | '/'
                | '='
                | '?'
                | '^'
                | '_'
                | '`'
                | '{'
                | '|'
                | '}'
                | '~'
        )
}

/// The form on the wire, quoted only where it must be.
impl fmt::Display for Localpart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot_string = self
            .0
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(|c| !c.is_ascii() || is_atext(c)));
        if dot_string {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

/// A mail address: the Mailbox of RFC 5321 §4.1.2, with the Unicode of RFC 6531.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// Before the `@`.
    pub localpart: Localpart,
    /// Behind the `@`.
    pub host: Host,
}

impl Address {
    /// Parses `local-part@domain`, with neither angle brackets nor a source route.
    ///
    /// # Errors
    /// Where either part is none, see [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let at = text.rfind('@').ok_or(AddressError::NoAt)?;
        Ok(Self { localpart: Localpart::parse(&text[..at])?, host: Host::parse(&text[at + 1..])? })
    }

    /// The domain, unless the host is a literal.
    #[must_use]
    pub const fn domain(&self) -> Option<&Domain> {
        self.host.domain()
    }

    /// Whether sending it needs SMTPUTF8 (RFC 6531): the local-part is not ASCII.
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        !self.localpart.0.is_ascii()
    }

    /// Local-part in lower case and domain: one text for all spellings of a local address.
    #[must_use]
    pub fn folded(&self) -> String {
        format!("{}@{}", self.localpart.folded(), self.host)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.localpart, self.host)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// The reverse-path of MAIL FROM (RFC 5321 §4.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReversePath {
    /// `<>`: a message to which nobody may bounce (§4.5.5).
    Null,
    /// Where failures are reported to.
    Address(Address),
}

impl ReversePath {
    /// The address, unless it is `<>`.
    #[must_use]
    pub const fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }
}

/// With angle brackets.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Address(address) => write!(f, "<{address}>"),
        }
    }
}

impl TryFrom<String> for Domain {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::new(&text)
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0.into()
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}
