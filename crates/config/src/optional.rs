//! Kinds of settings that may be false, for none.

use std::net::IpAddr;

use toml::de::DeValue;

use crate::kinds::{Kind, quoted};

/// Octets of a text or a URL.
const OCTETS_MAX: usize = 2048;

/// A text on one line.
pub(crate) struct OptionalText;

impl Kind for OptionalText {
    type Value = Option<String>;
    // Never measured.
    type Limit = u8;
    const KIND: &'static str = "text or false";
    const MEND: &'static str = "a text, such as \"mail\", or false for none";

    fn read(value: &DeValue<'_>) -> Option<Option<String>> {
        let is_text = |text: &&str| {
            !text.is_empty() && text.len() <= OCTETS_MAX && !text.chars().any(char::is_control)
        };
        match value {
            DeValue::Boolean(false) => Some(None),
            _ => value.as_str().filter(is_text).map(|text| Some(text.to_owned())),
        }
    }
    fn write(value: &Option<String>) -> String {
        value.as_ref().map_or_else(|| "false".to_owned(), quoted)
    }
    fn measured(_: &Option<String>) -> Vec<u8> {
        Vec::new()
    }
    fn write_limit(limit: &u8) -> String {
        limit.to_string()
    }
}

/// A URL that is safe to ask: nobody between reads or changes what is said.
pub(crate) struct OptionalUrl;

impl Kind for OptionalUrl {
    type Value = Option<String>;
    // Never measured.
    type Limit = u8;
    const KIND: &'static str = "URL or false";
    const MEND: &'static str =
        "a URL that begins with https:// (or http:// and an address of this machine), or false";

    fn read(value: &DeValue<'_>) -> Option<Option<String>> {
        match value {
            DeValue::Boolean(false) => Some(None),
            _ => value.as_str().filter(|text| is_safe(text)).map(|text| Some(text.to_owned())),
        }
    }
    fn write(value: &Option<String>) -> String {
        OptionalText::write(value)
    }
    fn measured(_: &Option<String>) -> Vec<u8> {
        Vec::new()
    }
    fn write_limit(limit: &u8) -> String {
        limit.to_string()
    }
}

fn is_safe(url: &str) -> bool {
    let (rest, is_tls) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return false,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let graphic = url.len() <= OCTETS_MAX && url.bytes().all(|byte| byte.is_ascii_graphic());
    graphic && !authority.is_empty() && !authority.contains('@') && (is_tls || is_here(authority))
}

/// Whether `host[:port]` is this machine.
fn is_here(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
