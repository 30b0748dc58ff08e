//! Greylisting recognised (RFC 6647): a host that says "not yet" to a sender it does not know takes
//! the same message a little later from the same address. Coming too early costs a try and tells
//! nothing, so the next one is when the host will be ready.

use std::time::Duration;

use mail_types::Reply;

/// A try before this is lost on most hosts (Postgrey's default, and that of most others).
const USUAL_WAIT: Duration = Duration::from_secs(300);
/// What a host says is believed within these bounds; a little more is waited than it says.
const WAIT_MIN: Duration = Duration::from_secs(30);
const WAIT_MAX: Duration = Duration::from_secs(3600);
const MARGIN: Duration = Duration::from_secs(5);
/// After so many attempts it is no greylisting, whatever it says.
const ATTEMPTS_MAX: u32 = 3;

/// How long to wait before the same host takes it, where that is what the reply says. `attempts`
/// were made before this one.
pub(crate) fn wait(reply: &Reply, attempts: u32) -> Option<Duration> {
    if !matches!(reply.code, 450 | 451) || attempts >= ATTEMPTS_MAX {
        return None;
    }
    let text = reply.lines.join(" ").to_lowercase();
    let says_so = ["greylist", "graylist", "grey-list", "gray-list", "grey list", "postgrey"]
        .iter()
        .any(|word| text.contains(word));
    says_so.then(|| match stated(&text) {
        Some(wait) => wait.saturating_add(MARGIN).clamp(WAIT_MIN, WAIT_MAX),
        None => USUAL_WAIT + MARGIN,
    })
}

/// `300 seconds`, `5 minutes`, `00:04:30`: the first time in a text.
fn stated(text: &str) -> Option<Duration> {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || "()[],;.".contains(c)).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    for (place, word) in words.iter().enumerate() {
        if let Some(wait) = clock(word) {
            return Some(wait);
        }
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let Some(number) = word.get(..digits).and_then(|number| number.parse::<u64>().ok()) else {
            continue;
        };
        // `300s`, or the unit is the next word.
        let unit = match word.get(digits..) {
            Some("") | None => words.get(place + 1).copied().unwrap_or_default(),
            Some(unit) => unit,
        };
        let seconds = match unit {
            "s" | "sec" | "secs" | "second" | "seconds" => number,
            "m" | "min" | "mins" | "minute" | "minutes" => number.saturating_mul(60),
            _ => continue,
        };
        return Some(Duration::from_secs(seconds));
    }
    None
}

/// `hh:mm:ss` or `mm:ss`.
fn clock(word: &str) -> Option<Duration> {
    let parts: Option<Vec<u64>> = word.split(':').map(|part| part.parse().ok()).collect();
    let parts = parts.filter(|parts| (2..=3).contains(&parts.len()))?;
    let seconds = parts.iter().try_fold(0_u64, |sum, part| sum.checked_mul(60)?.checked_add(*part));
    seconds.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mail_types::Reply;

    use super::wait;

    #[test]
    fn what_hosts_say_of_greylisting_is_understood() {
        let secs = Duration::from_secs;
        for (code, text, attempts, wanted) in [
            (450, "4.2.0 Greylisted, see http://postgrey.example/", 0, Some(secs(305))),
            (451, "Greylisting in effect, try again in 10 minutes", 0, Some(secs(605))),
            (451, "greylisted: retry in 00:04:30", 1, Some(secs(275))),
            (450, "graylisted for 60 seconds", 0, Some(secs(65))),
            (450, "greylisted for 1s", 0, Some(secs(30))),
            (451, "greylisted, come back in 900 minutes", 0, Some(secs(3600))),
            // What a host says is its own affair; what we make of it is not.
            (450, "greylisted, retry in 18446744073709551615 seconds", 0, Some(secs(3600))),
            (450, "greylisted, retry in 999999999999999999 min", 0, Some(secs(3600))),
            (450, "greylisted, retry in 99999999999999999999 s", 0, Some(secs(305))),
            (451, "greylisted: 18446744073709551615:00", 0, Some(secs(305))),
            (451, "Greylisting", 3, None),
            (450, "mailbox busy, try again in 5 minutes", 0, None),
            (452, "greylisted", 0, None),
            (554, "greylisted", 0, None),
        ] {
            assert_eq!(wait(&Reply::new(code, None, text), attempts), wanted, "{code} {text}");
        }
    }
}
