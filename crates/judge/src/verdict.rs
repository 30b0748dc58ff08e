use mail_types::{Domain, Refusal};
use sender_auth::{AuthResults, DmarcPolicy, DmarcResult, Verdict as Word};

use crate::{Act, DnsTrouble, Facts, Policy};

/// What is to become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Delivered.
    Accept {
        /// What is worth telling all the same, in plain words; mostly nothing.
        reasons: Vec<String>,
    },
    /// Delivered into the folder for junk.
    Junk {
        /// Why, in plain words; at least one.
        reasons: Vec<String>,
    },
    /// Accepted and held.
    Hold {
        /// Why, in plain words; at least one.
        reasons: Vec<String>,
    },
    /// Turned away, for good or (trouble of the DNS) for now.
    Reject {
        /// What the client is told.
        refusal: Refusal,
        /// Why, in plain words; at least one.
        reasons: Vec<String>,
    },
}

/// Why a policy that was published is not followed (RFC 9990 `PolicyOverrideType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overridden {
    /// A sealer that settings trust says that it was right when it came there.
    TrustedForwarder,
    /// The settings of the recipients' domains want something else.
    LocalPolicy,
}

impl Overridden {
    /// Its word in a report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TrustedForwarder => "trusted_forwarder",
            Self::LocalPolicy => "local_policy",
        }
    }
}

/// A rule that a message has met.
struct Met {
    act: Act,
    reason: String,
    refusal: Refusal,
}

/// Judges a message. `policies` are those of its recipients' domains; a message has one reply and
/// one fate, and where they differ the mildest counts: nobody loses mail by what somebody else
/// wants. `trusted_sealers` are believed in what they say of a message before they passed it on.
#[must_use]
pub fn judge(
    facts: &Facts,
    policies: &[Policy],
    trusted_sealers: &[Domain],
) -> (Verdict, Option<Overridden>) {
    if let Some(refusal) = deferred(facts, policies) {
        let reasons = vec![refusal.reply().lines.join(" ")];
        return (Verdict::Reject { refusal, reasons }, None);
    }
    let asked = facts.dmarc.requested != DmarcPolicy::None;
    let failed = facts.dmarc.outcome.verdict == Word::Fail;
    if failed && let Some(sealer) = vouched(facts, trusted_sealers) {
        let reasons = vec![format!(
            "it fails DMARC now, but was right when it came to {sealer}, which is trusted and passed \
             it on (ARC)"
        )];
        return (Verdict::Accept { reasons }, asked.then_some(Overridden::TrustedForwarder));
    }
    let mildest = |met: fn(&Facts, &Policy) -> Option<Met>| {
        let all = policies.iter().map(|policy| met(facts, policy));
        all.min_by_key(|met| met.as_ref().map(|met| met.act)).flatten()
    };
    let mut all: Vec<Met> =
        [dmarc_met, spf_met, author_met].into_iter().filter_map(mildest).collect();
    all.retain(|met| met.act != Act::Note);
    let act = all.iter().map(|met| met.act).max().unwrap_or_default();
    let reasons: Vec<String> =
        all.iter().filter(|met| met.act == act).map(|met| met.reason.clone()).collect();
    let overridden = (asked && act < wanted(&facts.dmarc)).then_some(Overridden::LocalPolicy);
    let verdict = match (act, all.into_iter().find(|met| met.act == act)) {
        (Act::Note, _) | (_, None) => Verdict::Accept { reasons: Vec::new() },
        (Act::Junk, Some(_)) => Verdict::Junk { reasons },
        (Act::Hold, Some(_)) => Verdict::Hold { reasons },
        (Act::Reject, Some(met)) => Verdict::Reject { refusal: met.refusal, reasons },
    };
    (verdict, overridden)
}

/// The mildest act that does what the author's domain asks for.
const fn wanted(dmarc: &DmarcResult) -> Act {
    match dmarc.requested {
        DmarcPolicy::None => Act::Note,
        DmarcPolicy::Quarantine => Act::Junk,
        DmarcPolicy::Reject => Act::Hold,
    }
}

/// RFC 9989 §5.3.6: with a temporary error the policy cannot be known. Never 5yz.
fn deferred(facts: &Facts, policies: &[Policy]) -> Option<Refusal> {
    let defers = !policies.is_empty()
        && policies.iter().all(|policy| policy.dns_trouble == DnsTrouble::Defer);
    let trouble = facts.dmarc.outcome.verdict == Word::TempError;
    (defers && trouble).then(|| {
        let why = facts.dmarc.outcome.reason();
        Refusal::transient(451, 7, 1, format!("The sender cannot be checked now: {why}"))
    })
}

/// RFC 8617 §5.2 and RFC 9989 §5.7.2.2: who vouches for a message that fails: the newest seal of a
/// chain that is whole, if it is trusted and its own results say that DMARC passed there.
fn vouched<'a>(facts: &'a Facts, trusted: &[Domain]) -> Option<&'a Domain> {
    if facts.arc.outcome.verdict != Word::Pass {
        return None;
    }
    // The first of those that we trust said what it found; all behind it must be trusted too, or
    // they could have changed what they liked.
    let sets = &facts.arc.sets;
    let from = sets.iter().rposition(|set| !trusted.contains(&set.sealer)).map_or(0, |at| at + 1);
    let first = sets.get(from)?;
    let results = AuthResults::parse(first.results.as_bytes())?;
    let passed = results.of("dmarc").any(|one| one.verdict() == Some(Word::Pass));
    passed.then_some(&first.sealer)
}

fn dmarc_met(facts: &Facts, policy: &Policy) -> Option<Met> {
    let dmarc = &facts.dmarc;
    if dmarc.outcome.verdict != Word::Fail {
        return None;
    }
    let act = match dmarc.requested {
        DmarcPolicy::None => policy.dmarc_none,
        DmarcPolicy::Quarantine => policy.dmarc_quarantine,
        DmarcPolicy::Reject => policy.dmarc_reject,
    };
    let asks = match dmarc.requested {
        DmarcPolicy::None => "asks for nothing to be done",
        DmarcPolicy::Quarantine => "asks to treat it as suspicious",
        DmarcPolicy::Reject => "asks to reject it",
    };
    let (from, why) = (&dmarc.from, dmarc.outcome.reason());
    // RFC 9989 §5.4 leaves the code open; X.7.1 (RFC 3463 §3.8) says that a policy refuses it.
    let (reason, text) = match &dmarc.published {
        Some(_) => (
            format!("not authenticated as mail of {from}, which {asks} (DMARC): {why}"),
            format!(
                "Not authenticated as mail of {from}, whose DMARC policy asks to reject it: {why}"
            ),
        ),
        // More authors than are judged.
        None => {
            let from = if from.is_empty() { "anybody" } else { from };
            (
                format!("not authenticated as mail of {from} and all others (DMARC): {why}"),
                format!("Not authenticated as mail of {from} and all others: {why}"),
            )
        }
    };
    Some(Met { act, reason, refusal: Refusal::permanent(550, 7, 1, text) })
}

/// SPF counts by itself only where DMARC has nothing to say: a pass there overrules it.
fn spf_met(facts: &Facts, policy: &Policy) -> Option<Met> {
    let fails = facts.spf.outcome.verdict == Word::Fail;
    let silent = facts.dmarc.outcome.verdict == Word::None;
    if !fails || !silent {
        return None;
    }
    let (domain, why) = (&facts.spf.domain, facts.spf.outcome.reason());
    let reason = format!("{domain} does not send from there (SPF): {why}");
    // RFC 7372 §3.2: X.7.23.
    let text = match &facts.spf.explanation {
        Some(theirs) => {
            format!("SPF of {domain} does not allow your address; the domain explains: {theirs}")
        }
        None => format!("SPF of {domain} does not allow your address: {why}"),
    };
    Some(Met { act: policy.spf_fail, reason, refusal: Refusal::permanent(550, 7, 23, text) })
}

/// RFC 9989 §5.3.1: without an author there is nobody to authenticate.
fn author_met(facts: &Facts, policy: &Policy) -> Option<Met> {
    if !facts.dmarc.from.is_empty() || facts.dmarc.outcome.verdict == Word::TempError {
        return None;
    }
    let why = facts.dmarc.outcome.reason();
    let reason = format!("whose it is cannot be told: {why}");
    let text = format!("The message does not say whose it is: {why}");
    Some(Met { act: policy.no_author, reason, refusal: Refusal::permanent(550, 7, 1, text) })
}
