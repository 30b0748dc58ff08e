//! Macros (RFC 7208 §7): read once, expanded for the one who sends.

use std::fmt::Write as _;
use std::net::IpAddr;

/// RFC 7208 §7.3: octets of a name that macros made; labels on the left go until it fits.
const NAME_OCTETS_MAX: usize = 253;
/// Octets of one expansion: a sender names its own local-part and HELO, a record repeats them.
const EXPANSION_OCTETS_MAX: usize = 16 * 1024;

/// A macro-string, its syntax known to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MacroString {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Expand(Expand),
}

/// `%{` letter transformers delimiters `}`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expand {
    letter: Letter,
    /// An upper-case letter: the value is URL-escaped.
    escaped: bool,
    /// How many parts on the right are kept; all without it.
    kept: Option<usize>,
    reversed: bool,
    /// None: a dot.
    delimiters: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    Sender,
    LocalPart,
    SenderDomain,
    Domain,
    Ip,
    ValidatedName,
    Helo,
    ReadableIp,
    Receiver,
    Time,
    Version,
}

/// Where a macro-string stands: RFC 7208 §7.2 allows `c`, `r` and `t` in explanations alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Term,
    Explanation,
}

/// What the letters stand for (RFC 7208 §7.2).
#[derive(Clone, Debug)]
pub(super) struct Values<'a> {
    pub(super) local_part: &'a str,
    pub(super) sender_domain: &'a str,
    pub(super) domain: &'a str,
    pub(super) ip: IpAddr,
    /// Only where [`MacroString::wants_validated_name`].
    pub(super) validated_name: &'a str,
    pub(super) helo: &'a str,
    pub(super) receiver: &'a str,
    pub(super) now_secs: i64,
}

impl MacroString {
    /// RFC 7208 §7.1:
    /// ```text
    /// macro-string = *( macro-expand / macro-literal )
    /// macro-expand = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
    /// macro-literal = %x21-24 / %x26-7E
    /// ```
    /// An explanation also holds spaces (§6.2: `explain-string`).
    pub(super) fn parse(text: &str, place: Place) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            rest = &rest[first.len_utf8()..];
            if first != '%' {
                let space = first == ' ' && place == Place::Explanation;
                if !first.is_ascii_graphic() && !space {
                    return Err(format!("{:?} may not stand in {text:?}", first));
                }
                literal.push(first);
                continue;
            }
            let next = rest.chars().next();
            match next {
                Some('%') => literal.push('%'),
                Some('_') => literal.push(' '),
                Some('-') => literal.push_str("%20"),
                Some('{') => {
                    let end = rest.find('}').ok_or_else(|| format!("no }} in {text:?}"))?;
                    let expand = Expand::parse(&rest[1..end], place)
                        .ok_or_else(|| format!("%{} is no macro", &rest[..=end]))?;
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Expand(expand));
                    rest = &rest[end + 1..];
                    continue;
                }
                Some(_) | None => return Err(format!("a lone % in {text:?}")),
            }
            rest = &rest[1..];
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// Whether the client's validated name (`p`) is needed.
    pub(super) fn wants_validated_name(&self) -> bool {
        self.letters().any(|letter| letter == Letter::ValidatedName)
    }

    /// Whether the local-part (`s`, `l`) is in it.
    pub(super) fn wants_local_part(&self) -> bool {
        self.letters().any(|letter| matches!(letter, Letter::Sender | Letter::LocalPart))
    }

    fn letters(&self) -> impl Iterator<Item = Letter> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Expand(expand) => Some(expand.letter),
        })
    }

    /// The text with values in it.
    pub(super) fn expand(&self, values: &Values<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Expand(expand) => text.push_str(&expand.value(values)),
            }
            if text.len() > EXPANSION_OCTETS_MAX {
                break;
            }
        }
        text
    }

    /// The expansion as a name to ask for: without the dot at its end, and short enough.
    pub(super) fn target_name(&self, values: &Values<'_>) -> String {
        let expanded = self.expand(values);
        let mut name = expanded.strip_suffix('.').unwrap_or(&expanded);
        // RFC 7208 §7.3: "the left side is truncated to fit, by removing successive domain labels
        // (and their following dots)".
        while name.len() > NAME_OCTETS_MAX {
            let Some((_, shorter)) = name.split_once('.') else { break };
            name = shorter;
        }
        name.to_owned()
    }
}

impl Expand {
    fn parse(text: &str, place: Place) -> Option<Self> {
        let letter = text.chars().next()?;
        let escaped = letter.is_ascii_uppercase();
        let letter = Letter::parse(letter.to_ascii_lowercase(), place)?;
        let rest = &text[1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let kept = match &rest[..digits] {
            "" => None,
            // RFC 7208 §7.3: "the value MUST be nonzero"; more parts than there can be are all.
            number if number.bytes().all(|digit| digit == b'0') => return None,
            number => Some(number.parse().unwrap_or(usize::MAX)),
        };
        let rest = &rest[digits..];
        let (reversed, delimiters) = match rest.strip_prefix(['r', 'R']) {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let known = |c: char| matches!(c, '.' | '-' | '+' | ',' | '/' | '_' | '=');
        delimiters.chars().all(known).then(|| Self {
            letter,
            escaped,
            kept,
            reversed,
            delimiters: delimiters.to_owned(),
        })
    }

    fn value(&self, values: &Values<'_>) -> String {
        let value = self.letter.value(values);
        let splits = |c: char| match self.delimiters.as_str() {
            "" => c == '.',
            delimiters => delimiters.contains(c),
        };
        let mut parts: Vec<&str> = value.split(splits).collect();
        if self.reversed {
            parts.reverse();
        }
        let kept = self.kept.unwrap_or(parts.len()).min(parts.len());
        let joined = parts[parts.len() - kept..].join(".");
        if self.escaped { url_escaped(&joined) } else { joined }
    }
}

impl Letter {
    fn parse(letter: char, place: Place) -> Option<Self> {
        Some(match letter {
            's' => Self::Sender,
            'l' => Self::LocalPart,
            'o' => Self::SenderDomain,
            'd' => Self::Domain,
            'i' => Self::Ip,
            'p' => Self::ValidatedName,
            'h' => Self::Helo,
            'v' => Self::Version,
            'c' if place == Place::Explanation => Self::ReadableIp,
            'r' if place == Place::Explanation => Self::Receiver,
            't' if place == Place::Explanation => Self::Time,
            _ => return None,
        })
    }

    fn value(self, values: &Values<'_>) -> String {
        match self {
            Self::Sender => format!("{}@{}", values.local_part, values.sender_domain),
            Self::LocalPart => values.local_part.to_owned(),
            Self::SenderDomain => values.sender_domain.to_owned(),
            Self::Domain => values.domain.to_owned(),
            Self::Ip => dotted(values.ip),
            Self::ValidatedName => values.validated_name.to_owned(),
            Self::Helo => values.helo.to_owned(),
            Self::ReadableIp => values.ip.to_string(),
            Self::Receiver => values.receiver.to_owned(),
            Self::Time => values.now_secs.to_string(),
            Self::Version => match values.ip {
                IpAddr::V4(_) => "in-addr".to_owned(),
                IpAddr::V6(_) => "ip6".to_owned(),
            },
        }
    }
}

/// RFC 7208 §7.3: an IPv6 address as its nibbles, with dots between.
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let mut text = String::with_capacity(64);
            for octet in ip.octets() {
                for nibble in [octet >> 4, octet & 15] {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
                }
            }
            text
        }
    }
}

/// RFC 7208 §7.3: all but the unreserved characters of RFC 3986 §2.3 becomes `%XX`.
fn url_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            write!(escaped, "%{byte:02X}").ok();
        }
    }
    escaped
}
