//! Sealing: a set of our own for what we pass on (RFC 8617 §5.1).

use mail_types::Timestamp;

use super::{Chain, ChainValue, SETS_MAX};
use crate::canon::{self, Canon};
use crate::dkim::Folded;
use crate::{Examined, SigningKey, Verdict};

impl Examined {
    /// The three fields of the next ARC set, to put in front of the message, which must have been
    /// read by [`crate::Reading::for_signing`]. `found` is what verifying the chain came to when the
    /// message came in ([`Examined::arc`]). `results` is what stands behind `i=N;` in
    /// ARC-Authentication-Results: an authserv-id and results (RFC 8601 §2.2), folded with CRLF and
    /// white space where it is long.
    ///
    /// `None` where no set may be added: the chain has ended, is full, or could not be verified for
    /// now; or the header is longer than is read.
    #[must_use]
    pub fn seal(
        &self,
        found: Verdict,
        key: &SigningKey,
        results: &str,
        now: Timestamp,
    ) -> Option<String> {
        let (highest, ended) = match &self.chain {
            Chain::None => (0, false),
            Chain::Broken { highest, .. } => (*highest, false),
            Chain::Whole(whole) => {
                (whole.newest().instance, whole.newest().chain == ChainValue::Fail)
            }
        };
        // RFC 8617 §5.1: 50 sets at most; behind a cv=fail nobody seals.
        if ended || highest >= SETS_MAX || self.header_is_cut {
            return None;
        }
        let chain = match (found, &self.chain) {
            (Verdict::None, Chain::None) => "none",
            (Verdict::Pass, Chain::Whole(_)) => "pass",
            // RFC 8617 §5.2: whatever else was found, sets that form no chain are one that failed.
            (Verdict::Fail, _) | (Verdict::None | Verdict::Pass, Chain::Broken { .. }) => "fail",
            // Said of another message than this one.
            (Verdict::None, Chain::Whole(_)) | (Verdict::Pass, Chain::None) => return None,
            // To seal now would be to tell as broken what may be whole.
            (
                Verdict::TempError
                | Verdict::Neutral
                | Verdict::SoftFail
                | Verdict::Policy
                | Verdict::PermError,
                _,
            ) => return None,
        };
        let instance = highest + 1;
        let results = format!("ARC-Authentication-Results: i={instance}; {results}\r\n");
        // RFC 8617 §4.1.2: with the signatures of others; Authentication-Results MUST NOT be signed,
        // since the next host may take them out (RFC 8601 §5), nor any field of ARC.
        let names = self.names_to_sign(&["dkim-signature"]);
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
            Chain::Whole(whole) if found == Verdict::Pass => self.fields_of(&whole.sets),
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
