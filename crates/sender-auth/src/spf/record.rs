//! A record's terms (RFC 7208 §4.6.1, §5, §6, §12): read whole before any is evaluated.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::macros::{MacroString, Place};
use crate::Verdict;

/// An SPF record, its syntax known to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<MacroString>,
    pub(super) exp: Option<MacroString>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// As it is written, for people.
    pub(super) text: String,
    /// What a match means.
    pub(super) qualifier: Verdict,
    pub(super) mechanism: Mechanism,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(MacroString),
    /// `None`: the domain under check.
    A(Option<MacroString>, Prefixes),
    Mx(Option<MacroString>, Prefixes),
    Ptr(Option<MacroString>),
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(MacroString),
}

/// Bits of an address that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefixes {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

/// RFC 7208 §4.5: whether a TXT record is one of SPF. The version is a literal of ABNF, so its case
/// does not matter.
pub(super) fn is_record(txt: &[u8]) -> bool {
    let Some((version, rest)) = txt.split_at_checked(6) else { return false };
    version.eq_ignore_ascii_case(b"v=spf1") && matches!(rest.first(), None | Some(b' '))
}

impl Record {
    /// Reads a record for which [`is_record`] holds.
    ///
    /// # Errors
    /// RFC 7208 §4.6: any syntax error anywhere makes the record unusable; says which.
    pub(super) fn parse(txt: &[u8]) -> Result<Self, String> {
        // RFC 7208 §3.1: "encoded in US-ASCII".
        let text = std::str::from_utf8(txt).ok().filter(|text| text.is_ascii());
        let text = text.ok_or("it is not ASCII")?;
        let mut record = Self { directives: Vec::new(), redirect: None, exp: None };
        for term in text[6..].split(' ').filter(|term| !term.is_empty()) {
            match modifier(term) {
                Some((name, value)) => record.modify(name, value)?,
                None => record.directives.push(directive(term)?),
            }
        }
        Ok(record)
    }

    fn modify(&mut self, name: &str, value: &str) -> Result<(), String> {
        let slot = match name.to_ascii_lowercase().as_str() {
            "redirect" => &mut self.redirect,
            "exp" => &mut self.exp,
            // RFC 7208 §6: "Unrecognized modifiers MUST be ignored", but not their syntax.
            _ => return MacroString::parse(value, Place::Term).map(|_| ()),
        };
        // RFC 7208 §6: "MUST NOT appear in a record more than once each".
        if slot.replace(domain_spec(value)?).is_some() {
            return Err(format!("{name}= stands in it twice"));
        }
        Ok(())
    }
}

/// `name "=" ...`, with `name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )`; no mechanism reads so.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let rest = name.strip_prefix(|c: char| c.is_ascii_alphabetic())?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    rest.bytes().all(fits).then_some((name, value))
}

/// `[ qualifier ] mechanism`
fn directive(term: &str) -> Result<Directive, String> {
    let (qualifier, rest) = match term.as_bytes().first() {
        Some(b'+') => (Verdict::Pass, &term[1..]),
        Some(b'-') => (Verdict::Fail, &term[1..]),
        Some(b'~') => (Verdict::SoftFail, &term[1..]),
        Some(b'?') => (Verdict::Neutral, &term[1..]),
        _ => (Verdict::Pass, term),
    };
    let mechanism = mechanism(rest).map_err(|why| format!("{term}: {why}"))?;
    Ok(Directive { text: term.to_owned(), qualifier, mechanism })
}

fn mechanism(text: &str) -> Result<Mechanism, String> {
    let name_end = text.find([':', '/']).unwrap_or(text.len());
    let (name, arguments) = text.split_at(name_end);
    Ok(match name.to_ascii_lowercase().as_str() {
        "all" if arguments.is_empty() => Mechanism::All,
        "all" => return Err("all takes nothing behind it".to_owned()),
        "include" => Mechanism::Include(required(arguments)?),
        "exists" => Mechanism::Exists(required(arguments)?),
        "a" => {
            let (arguments, prefixes) = dual_cidr(arguments)?;
            Mechanism::A(optional(arguments)?, prefixes)
        }
        "mx" => {
            let (arguments, prefixes) = dual_cidr(arguments)?;
            Mechanism::Mx(optional(arguments)?, prefixes)
        }
        "ptr" => Mechanism::Ptr(optional(arguments)?),
        "ip4" => {
            let (network, prefix) = network(arguments, 32)?;
            let network = network.parse().map_err(|_| format!("{network:?} is no IPv4 address"))?;
            Mechanism::Ip4(network, prefix)
        }
        "ip6" => {
            let (network, prefix) = network(arguments, 128)?;
            let network = network.parse().map_err(|_| format!("{network:?} is no IPv6 address"))?;
            Mechanism::Ip6(network, prefix)
        }
        _ => return Err("there is no such mechanism".to_owned()),
    })
}

/// `":" domain-spec`
fn required(arguments: &str) -> Result<MacroString, String> {
    optional(arguments)?.ok_or_else(|| "the domain is missing".to_owned())
}

/// `[ ":" domain-spec ]`
fn optional(arguments: &str) -> Result<Option<MacroString>, String> {
    match arguments.strip_prefix(':') {
        Some(spec) => domain_spec(spec).map(Some),
        None if arguments.is_empty() => Ok(None),
        None => Err(format!("{arguments:?} is no domain")),
    }
}

/// RFC 7208 §7.1:
/// ```text
/// domain-spec = macro-string domain-end
/// domain-end  = ( "." toplabel [ "." ] ) / macro-expand
/// toplabel    = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
/// ```
fn domain_spec(text: &str) -> Result<MacroString, String> {
    let spec = MacroString::parse(text, Place::Term)?;
    // What stands behind the last macro is literal; `%%`, `%_` and `%-` are macros too.
    if !ends_in_macro(text) {
        let literal = text.strip_suffix('.').unwrap_or(text);
        let (_, last) = literal.rsplit_once('.').ok_or(format!("{text:?} is no full name"))?;
        if !is_top_label(last) {
            return Err(format!("{text:?} does not end in a top-level label"));
        }
    }
    Ok(spec)
}

/// Of a macro-string whose syntax is right.
fn ends_in_macro(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let length = match rest.as_bytes().get(at + 1) {
            Some(b'{') => rest[at..].find('}').map_or(2, |end| end + 1),
            _ => 2,
        };
        rest = rest.get(at + length..).unwrap_or("");
        if rest.is_empty() {
            return true;
        }
    }
    false
}

fn is_top_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    label.bytes().all(fits)
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().any(|byte| byte.is_ascii_alphabetic() || byte == b'-')
}

/// RFC 7208 §5.6: `":" network [ "/" prefix ]`
fn network(arguments: &str, prefix_max: u8) -> Result<(&str, u8), String> {
    let rest = arguments.strip_prefix(':').ok_or("the address is missing")?;
    match rest.split_once('/') {
        None => Ok((rest, prefix_max)),
        Some((network, prefix)) => Ok((network, cidr(prefix, prefix_max)?)),
    }
}

/// RFC 7208 §5.3: `[ "/" v4 ] [ "//" v6 ]` at the end; a name may hold slashes too.
fn dual_cidr(arguments: &str) -> Result<(&str, Prefixes), String> {
    let mut prefixes = Prefixes { v4: 32, v6: 128 };
    let mut rest = arguments;
    if let Some((before, digits)) = slashed(rest, "//") {
        prefixes.v6 = cidr(digits, 128)?;
        rest = before;
    }
    if let Some((before, digits)) = slashed(rest, "/") {
        prefixes.v4 = cidr(digits, 32)?;
        rest = before;
    }
    Ok((rest, prefixes))
}

/// What stands before and behind the last slashes, where only digits follow.
fn slashed<'a>(text: &'a str, slashes: &str) -> Option<(&'a str, &'a str)> {
    let (before, digits) = text.rsplit_once(slashes)?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then_some((before, digits))
}

/// `"0" / %x31-39 *DIGIT`
fn cidr(digits: &str, max: u8) -> Result<u8, String> {
    let plain = digits == "0"
        || (!digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let prefix = plain.then(|| digits.parse::<u8>().ok()).flatten();
    prefix.filter(|prefix| *prefix <= max).ok_or_else(|| format!("/{digits} is no prefix length"))
}
