//! DKIM signatures of a message (RFC 6376), verified.

mod sign;
mod signature;

use mail_types::{Domain, Timestamp};

pub(crate) use sign::Folded;
pub use sign::{KeyError, SigningKey};
pub(crate) use signature::{Basics, Signature, Signer};

use crate::keys::{self, Algorithm};
use crate::tags::Tags;
use crate::{Answers, Examined, Outcome, Query, Step, Verdict};

/// Signatures of one message that are looked at, the topmost first. RFC 6376 §8.4: a limit keeps a
/// message with thousands of them from costing a look-up and a calculation for each.
pub(crate) const SIGNATURES_MAX: usize = 10;

/// What came of one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimResult {
    /// The result and why.
    pub outcome: Outcome,
    /// `d=`: who takes responsibility.
    pub domain: Option<Domain>,
    /// `s=`, where it is one.
    pub selector: Option<String>,
    /// `i=` as it stands there, its first 320 characters.
    pub identity: Option<String>,
    /// `a=`
    pub algorithm: Option<Algorithm>,
    /// The first characters of `b=`, which tell signatures apart (RFC 6008 §4).
    pub mark: String,
    /// Something stands behind what `l=` signs.
    pub body_is_longer: bool,
    /// The domain only tests DKIM (`t=y`): RFC 6376 §3.6.1, such mail MUST NOT be treated
    /// differently from unsigned mail where the check fails.
    pub testing: bool,
}

/// A DKIM-Signature field as found.
pub(crate) struct Found {
    /// Which field of the header.
    pub field: usize,
    signer: Signer,
    parsed: Result<Signature, String>,
}

impl Found {
    pub fn parse(field: usize, value: &[u8]) -> Self {
        match Tags::parse(value) {
            Ok(tags) => Self { field, signer: Signer::of(&tags), parsed: Signature::parse(&tags) },
            Err(flaw) => Self { field, signer: Signer::default(), parsed: Err(flaw) },
        }
    }

    /// What of it can be used.
    pub const fn signature(&self) -> Option<&Signature> {
        match &self.parsed {
            Ok(signature) => Some(signature),
            Err(_) => None,
        }
    }

    /// Where its key is.
    pub fn query(&self) -> Option<Query> {
        let basics = &self.signature()?.basics;
        Some(keys::query(&basics.selector, &basics.domain))
    }

    fn result(&self, outcome: Outcome) -> DkimResult {
        DkimResult {
            outcome,
            domain: self.signer.domain.clone(),
            selector: self.signer.selector.clone(),
            identity: self.signer.identity.clone(),
            algorithm: self.signer.algorithm,
            mark: self.signer.mark.clone(),
            body_is_longer: false,
            testing: false,
        }
    }
}

/// One word for all signatures of a message: a good one is enough (RFC 6376 §6.1).
#[must_use]
pub fn dkim_overall(results: &[DkimResult]) -> Outcome {
    const ORDER: [Verdict; 6] = [
        Verdict::Pass,
        Verdict::TempError,
        Verdict::Fail,
        Verdict::Policy,
        Verdict::Neutral,
        Verdict::PermError,
    ];
    let first = |verdict| results.iter().find(|result| result.outcome.verdict == verdict);
    ORDER.into_iter().find_map(first).map_or_else(
        || Outcome::new(Verdict::None, "the message has no signature"),
        |result| result.outcome.clone(),
    )
}

impl Examined {
    /// Verifies the DKIM signatures, the topmost first; `now` is what `x=` is held against.
    #[must_use]
    pub fn dkim(&self, answers: &Answers, now: Timestamp) -> Step<Vec<DkimResult>> {
        let needs_key = |found: &&Found| {
            found.signature().is_some_and(|signature| self.without_key(signature, now).is_ok())
        };
        let mut missing: Vec<Query> = Vec::new();
        for query in self.signatures.iter().filter(needs_key).filter_map(Found::query) {
            if answers.get(&query).is_none() && !missing.contains(&query) {
                missing.push(query);
            }
        }
        if !missing.is_empty() {
            return Step::Ask(missing);
        }
        let verified = self.signatures.iter().map(|found| self.verified(found, answers, now));
        let mut results: Vec<DkimResult> = verified.collect();
        if self.signatures_passed_over > 0 {
            results.push(DkimResult {
                outcome: Outcome::new(
                    Verdict::Policy,
                    format!(
                        "{} more signatures were not looked at: at most {SIGNATURES_MAX} are",
                        self.signatures_passed_over
                    ),
                ),
                domain: None,
                selector: None,
                identity: None,
                algorithm: None,
                mark: String::new(),
                body_is_longer: false,
                testing: false,
            });
        }
        Step::Done(results)
    }

    /// What can be said of a signature without its key.
    fn without_key(&self, signature: &Signature, now: Timestamp) -> Result<(), Outcome> {
        if self.header_is_cut {
            let reason = "the header is too long to be checked";
            return Err(Outcome::new(Verdict::Policy, reason));
        }
        // RFC 6376 §3.5 x=: signatures MUST NOT count as valid past it.
        let now = u64::try_from(now.secs()).unwrap_or(0);
        if let Some(expired) = signature.expires_at.filter(|&expires| expires < now) {
            let days = (now - expired) / 86_400;
            let reason = format!("the signature expired {days} days ago");
            return Err(Outcome::new(Verdict::PermError, reason));
        }
        self.check_body(signature)
    }

    /// Holds the body against `bh=` (RFC 6376 §6.1.3).
    pub(crate) fn check_body(&self, signature: &Signature) -> Result<(), Outcome> {
        let digests = self.body_digests(signature.body_canon);
        if let Some(limit) = signature.body_limit.filter(|&limit| limit > digests.length) {
            // RFC 6376 §3.5 l=: it MUST NOT be larger than the canonical body.
            let reason = format!(
                "l= signs {limit} octets of the body, which has {} in canonical form",
                digests.length
            );
            return Err(Outcome::new(Verdict::Fail, reason));
        }
        if digests.get(signature.body_limit) == Some(&signature.body_hash) {
            Ok(())
        } else {
            Err(Outcome::new(Verdict::Fail, "the body was changed after it was signed"))
        }
    }

    fn verified(&self, found: &Found, answers: &Answers, now: Timestamp) -> DkimResult {
        let signature = match &found.parsed {
            Ok(signature) => signature,
            Err(flaw) => {
                let reason = format!("the signature cannot be used: {flaw}");
                return found.result(Outcome::new(Verdict::PermError, reason));
            }
        };
        if let Err(outcome) = self.without_key(signature, now) {
            return found.result(outcome);
        }
        let Basics { domain, selector, octets, octets_at, algorithm, .. } = &signature.basics;
        let signed = self.signed_text(
            signature.header_canon,
            &signature.fields,
            (found.field, octets_at.clone()),
        );
        let query = keys::query(selector, domain);
        let checked = keys::with_each(answers, &query, *algorithm, |key| {
            // RFC 6376 §3.6.1 t=s: no subdomains in i=.
            if key.strict_identity && signature.identity_domain != *domain {
                let identity = &signature.identity_domain;
                let reason = format!("the key is for {domain} alone, i= is of {identity}");
                return Err(Outcome::new(Verdict::PermError, reason));
            }
            let verified = key.verify(&signed, octets);
            verified.map(|()| key.testing).map_err(|failed| match key.testing {
                true => Outcome::new(
                    failed.verdict,
                    format!("{}; {domain} only tests DKIM", failed.reason()),
                ),
                false => failed,
            })
        });
        match checked {
            Err(outcome) => found.result(outcome),
            Ok(testing) => {
                let length = self.body_digests(signature.body_canon).length;
                let limit = signature.body_limit.filter(|&limit| limit < length);
                let mut reason = format!("good signature of {domain} by {selector}, {algorithm}");
                if testing {
                    reason.push_str("; the domain only tests DKIM");
                }
                if let Some(limit) = limit {
                    reason.push_str(&format!(
                        "; l= signs only {limit} of the {length} octets of the body"
                    ));
                }
                DkimResult {
                    body_is_longer: limit.is_some(),
                    testing,
                    ..found.result(Outcome::new(Verdict::Pass, reason))
                }
            }
        }
    }
}
