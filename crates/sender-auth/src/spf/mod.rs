//! Sender Policy Framework (RFC 7208): may this client send in the name of this domain?

mod evaluate;
mod macros;
mod record;

use std::net::IpAddr;

use self::evaluate::{Evaluation, Stop};
use crate::{Answers, Outcome, Step, Verdict};

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub struct SpfSession<'a> {
    /// The client's address; an IPv4-mapped one counts as IPv4.
    pub ip: IpAddr,
    /// What it said in HELO or EHLO, whatever that is.
    pub helo: &'a str,
    /// MAIL FROM without its angle brackets; empty for the null reverse-path.
    pub mail_from: &'a str,
    /// Our own name, for explanations; `unknown` where empty (RFC 7208 §7.3).
    pub receiver: &'a str,
    /// The time in seconds since 1970, for explanations.
    pub now_secs: i64,
}

/// Which identity was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpfScope {
    /// The HELO name (RFC 7208 §2.3).
    Helo,
    /// The reverse-path, or `postmaster@` the HELO name where that is null (§2.4).
    MailFrom,
}

/// What SPF says of one identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpfResult {
    /// The word, and why.
    pub outcome: Outcome,
    /// Which identity was checked.
    pub scope: SpfScope,
    /// The domain that was checked, in ASCII and lower case where it is a domain at all.
    pub domain: String,
    /// The domain's own words about a fail (§6.2). ASCII, one line; to be marked as the sender's
    /// words wherever it is shown (§11.3).
    pub explanation: Option<String>,
}

/// Octets of an explanation that are handed on.
const EXPLANATION_OCTETS_MAX: usize = 450;

/// Checks the reverse-path (RFC 7208 §2.4); the HELO name where it is null.
#[must_use]
pub fn spf_mail_from(session: &SpfSession<'_>, answers: &Answers) -> Step<SpfResult> {
    let sender = match session.mail_from {
        "" => format!("postmaster@{}", session.helo),
        sender => sender.to_owned(),
    };
    check(session, SpfScope::MailFrom, &sender, answers)
}

/// Checks the HELO name (RFC 7208 §2.3).
#[must_use]
pub fn spf_helo(session: &SpfSession<'_>, answers: &Answers) -> Step<SpfResult> {
    check(session, SpfScope::Helo, &format!("postmaster@{}", session.helo), answers)
}

/// RFC 7208 §4: `check_host()`.
fn check(
    session: &SpfSession<'_>,
    scope: SpfScope,
    sender: &str,
    answers: &Answers,
) -> Step<SpfResult> {
    // RFC 7208 §4.3: "If the <sender> has no local-part, substitute the string 'postmaster'".
    let (local_part, domain) = match sender.rsplit_once('@') {
        Some(("", domain)) => ("postmaster", domain),
        Some((local_part, domain)) => (local_part, domain),
        None => ("postmaster", sender),
    };
    let done = |outcome, domain: &str, explanation| {
        Step::Done(SpfResult { outcome, scope, domain: domain.to_owned(), explanation })
    };
    let domain = match checked_domain(domain) {
        Ok(domain) => domain,
        Err(why) => return done(Outcome::new(Verdict::None, why), domain, None),
    };
    let mut evaluation = Evaluation::new(session, local_part, &domain, answers);
    match evaluation.check_host(&domain) {
        Ok(matched) => {
            let explanation = match evaluation.explanation(&matched) {
                Ok(explanation) => explanation.map(|text| shortened(&text)),
                Err(missing) => return Step::Ask(missing),
            };
            done(Outcome::new(matched.verdict, &matched.reason), &domain, explanation)
        }
        Err(Stop::Ask(missing)) => Step::Ask(missing),
        Err(Stop::None(why)) => done(Outcome::new(Verdict::None, why), &domain, None),
        Err(Stop::TempError(why)) => done(Outcome::new(Verdict::TempError, why), &domain, None),
        Err(Stop::PermError(why)) => done(Outcome::new(Verdict::PermError, why), &domain, None),
    }
}

/// RFC 7208 §4.3: a malformed domain, or one of a single label, has no record. The name in lower
/// case and ASCII, or why there is none.
fn checked_domain(domain: &str) -> Result<String, String> {
    let name = domain.strip_suffix('.').unwrap_or(domain);
    let name = if name.is_ascii() {
        name.to_ascii_lowercase()
    } else {
        // RFC 7208 §4.3: "Internationalized domain names MUST be encoded as A-labels".
        let name = mail_types::Domain::new(name);
        name.map_err(|_| format!("{domain} is no domain"))?.as_str().to_owned()
    };
    if !is_name(&name) {
        return Err(format!("{domain} is no domain"));
    }
    if !name.contains('.') {
        return Err(format!("{domain} is a single label"));
    }
    Ok(name)
}

/// RFC 1035 §2.3.4: whether this can be a name in the DNS. Its characters may be any.
fn is_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()))
}

fn shortened(text: &str) -> String {
    let plain = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    text.chars().take(EXPLANATION_OCTETS_MAX).map(plain).collect()
}
