//! How values are shown.

use maud::{Markup, html};
use serde_json::Value;
use store::OperatorRole;

use super::phrases::{Language, Phrase};

/// A text of an answer; empty where there is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A reverse-path as people write addresses: without brackets, but for the empty one.
pub(super) fn path(value: &Value) -> &str {
    let text = text(value);
    match text.trim_start_matches('<').trim_end_matches('>') {
        "" => text,
        bare => bare,
    }
}

/// What an operator may do, in a word.
pub(super) fn role(language: Language, role: &OperatorRole) -> &'static str {
    let phrase = match role {
        OperatorRole::Operator => Phrase::RoleOperator,
        OperatorRole::DomainAdmin { .. } => Phrase::RoleDomainAdmin,
        OperatorRole::Auditor => Phrase::RoleAuditor,
    };
    phrase.text(language)
}

/// A state as a word and a sign: never by colour alone.
pub(super) fn state(language: Language, word: &str) -> Markup {
    let (phrase, sign, class) = match word.split([' ', '(']).next().unwrap_or_default() {
        "delivered" => (Phrase::StateDelivered, "✓", "good"),
        "relayed" => (Phrase::StateRelayed, "✓", "good"),
        "returned" => (Phrase::StateReturned, "↩", "bad"),
        "held" => (Phrase::StateHeld, "‖", "warn"),
        "expanded" => (Phrase::StateExpanded, "»", "plain"),
        "purged" => (Phrase::StatePurged, "✕", "bad"),
        "queued" | "waiting" | "uncertain" | "being" => (Phrase::StateQueued, "…", "wait"),
        _ => return html! { span.state.plain { (word) } },
    };
    html! {
        span class={ "state " (class) } {
            span aria-hidden="true" { (sign) } " " (phrase.text(language))
        }
    }
}

/// A time as the server says it, shorter: without milliseconds.
pub(super) fn time(value: &Value) -> Markup {
    match value.as_str() {
        Some(text) => moment(text),
        None => html! { "–" },
    }
}

/// The same of a text.
pub(super) fn moment(text: &str) -> Markup {
    let day = text.get(..10).unwrap_or(text);
    let clock = text.get(11..19).unwrap_or_default();
    html! { time datetime=(text) { (day) " " span.clock { (clock) } } }
}

/// A span of time as people say it, in its largest unit that fits.
pub(super) fn span(language: Language, secs: u64) -> String {
    let (number, phrase) = match secs {
        0..120 => (secs, Phrase::Seconds),
        120..7200 => (secs / 60, Phrase::Minutes),
        7200..172_800 => (secs / 3600, Phrase::Hours),
        _ => (secs / 86_400, Phrase::Days),
    };
    format!("{number} {}", phrase.text(language))
}

/// Who did something and by what way, as the log has it.
pub(super) fn who(language: Language, text: &str) -> String {
    let console = format!("（{}）", Phrase::ByConsole.text(language));
    let command = format!("（{}）", Phrase::ByCommand.text(language));
    match language {
        Language::English => text.to_owned(),
        Language::Chinese => {
            text.replace(" (console)", &console).replace(" (command line)", &command)
        }
    }
}

/// Octets as people say it.
pub(super) fn bytes(value: &Value) -> String {
    value.as_u64().map_or_else(|| "–".to_owned(), bytes_of)
}

/// The same of a number.
pub(super) fn bytes_of(octets: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut rest = octets;
    let mut part = 0;
    while rest >= 1024 && unit + 1 < UNITS.len() {
        (part, rest) = (rest % 1024 * 10 / 1024, rest / 1024);
        unit += 1;
    }
    match unit {
        0 => format!("{rest} B"),
        _ if rest >= 100 => format!("{rest} {}", UNITS[unit]),
        _ => format!("{rest}.{part} {}", UNITS[unit]),
    }
}

/// A number with spaces between its thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}
