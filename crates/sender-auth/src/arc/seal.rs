//! Sealing: a set of our own for what we pass on (RFC 8617 §5.1).

use mail_types::Timestamp;

use super::{ArcResult, Chain, SETS_MAX};
use crate::canon::{self, Canon};
use crate::dkim::Folded;
use crate::{Examined, SigningKey, Verdict};

impl Examined {
    /// The three fields of the next ARC set, to put in front of the message, which must have been
    /// read by [`crate::Reading::for_signing`]. `results` is what stands behind `i=N;` in
    /// ARC-Authentication-Results: an authserv-id and results (RFC 8601 §2.2), folded with CRLF and
    /// white space where it is long.
    ///
    /// `None` where no set may be added: the chain has ended, is full, or could not be verified for
    /// now.
    #[must_use]
    pub fn seal(
        &self,
        arc: &ArcResult,
        key: &SigningKey,
        results: &str,
        now: Timestamp,
    ) -> Option<String> {
        // RFC 8617 §5.1: 50 sets at most; behind a cv=fail nobody seals.
        if arc.ended || arc.highest >= SETS_MAX {
            return None;
        }
        let chain = match arc.outcome.verdict {
            Verdict::None => "none",
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            // To seal now would be to tell as broken what may be whole.
            Verdict::TempError
            | Verdict::Neutral
            | Verdict::SoftFail
            | Verdict::Policy
            | Verdict::PermError => return None,
        };
        let instance = arc.highest + 1;
        let results = format!("ARC-Authentication-Results: i={instance}; {results}\r\n");
        // RFC 8617 §4.1.2: with the signatures of others; never ARC-Seal.
        let names = self.names_to_sign(&["dkim-signature", "authentication-results"]);
        let mut signature = Folded::new("ARC-Message-Signature:");
        signature.tag(&format!("i={instance}; a={}; c=relaxed/relaxed;", key.algorithm()));
        signature.tag(&format!("d={};", key.domain()));
        signature.tag(&format!("s={};", key.selector()));
        signature.tag(&format!("t={};", now.secs()));
        let signature = self.finish_signature(signature, &names, key);

        let mut seal = Folded::new("ARC-Seal:");
        seal.tag(&format!("i={instance}; a={}; cv={chain};", key.algorithm()));
        seal.tag(&format!("d={};", key.domain()));
        seal.tag(&format!("s={};", key.selector()));
        seal.tag(&format!("t={};", now.secs()));
        seal.tag("b=");
        // RFC 8617 §5.1.2: of a chain that has failed only the own set is signed.
        let mut text = match &self.chain {
            Chain::Whole(whole) if arc.outcome.verdict == Verdict::Pass => {
                self.fields_of(&whole.sets)
            }
            Chain::Whole(_) | Chain::None | Chain::Broken { .. } => Vec::new(),
        };
        for field in [results.as_bytes(), signature.as_bytes(), seal.text.as_bytes()] {
            canon::field(Canon::Relaxed, field, &mut text);
        }
        text.truncate(text.len() - 2);
        seal.octets(&key.sign(&text));
        Some(format!("{}{signature}{results}", seal.finish()))
    }
}
