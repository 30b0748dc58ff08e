//! The Authenticated Received Chain (RFC 8617), verified.

mod chain;
mod seal;

use mail_types::Domain;

pub(crate) use chain::Chain;
use chain::{ChainValue, Set, Whole};

use crate::canon::Canon;
use crate::dkim::Basics;
use crate::{Answers, Examined, Outcome, Query, Step, Verdict, keys};

/// RFC 8617 §4.2.1: ARC sets that one message can have.
pub(crate) const SETS_MAX: u8 = 50;

/// What came of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArcResult {
    /// `none`, `pass` or `fail`; `temperror` where a key cannot be looked up now.
    pub outcome: Outcome,
    /// The sets of a chain that is whole, the oldest first. To be believed only after a `pass`.
    pub sets: Vec<ArcSet>,
    /// The highest instance found; 0 where there is no chain.
    pub highest: u8,
    /// The newest seal says that the chain was broken before: nobody adds to it (RFC 8617 §5.1.2).
    pub ended: bool,
}

/// One hop of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArcSet {
    /// From 1.
    pub instance: u8,
    /// `d=` of its seal.
    pub sealer: Domain,
    /// `s=` of its seal.
    pub selector: String,
    /// Its Authentication-Results: all behind `i=N;`, folds in it.
    pub results: String,
}

impl Examined {
    /// Verifies the chain (RFC 8617 §5.2).
    #[must_use]
    pub fn arc(&self, answers: &Answers) -> Step<ArcResult> {
        let done = |verdict, reason: &str, highest, ended| {
            let outcome = Outcome::new(verdict, reason);
            Step::Done(ArcResult { outcome, sets: Vec::new(), highest, ended })
        };
        let chain = match &self.chain {
            Chain::None => return done(Verdict::None, "the message has no ARC sets", 0, false),
            Chain::Broken { flaw, highest } => {
                return done(
                    Verdict::Fail,
                    &format!("the chain is broken: {flaw}"),
                    *highest,
                    false,
                );
            }
            Chain::Whole(_) if self.header_is_cut => {
                return done(Verdict::Fail, "the header is too long to be checked", 0, false);
            }
            Chain::Whole(chain) => chain,
        };
        let highest = chain.newest().instance;
        if let Err(failed) = self.check_without_keys(chain) {
            let ended = chain.newest().chain == ChainValue::Fail;
            return done(Verdict::Fail, &failed, highest, ended);
        }
        let missing: Vec<Query> =
            chain.queries().into_iter().filter(|query| answers.get(query).is_none()).collect();
        if !missing.is_empty() {
            return Step::Ask(missing);
        }
        let sets = || chain.sets.iter().map(|set| set.told()).collect();
        Step::Done(match self.check_signatures(chain, answers) {
            Ok(()) => {
                let sealer = &chain.newest().seal.domain;
                let reason = match highest {
                    1 => format!("one set, sealed by {sealer}"),
                    _ => format!("{highest} sets, the last sealed by {sealer}"),
                };
                let outcome = Outcome::new(Verdict::Pass, reason);
                ArcResult { outcome, sets: sets(), highest, ended: false }
            }
            Err(outcome) => ArcResult { outcome, sets: sets(), highest, ended: false },
        })
    }

    /// RFC 8617 §5.2, steps 2 to 4, as far as they need no key.
    fn check_without_keys(&self, chain: &Whole) -> Result<(), String> {
        let newest = chain.newest();
        if newest.chain == ChainValue::Fail {
            let Set { instance, seal, .. } = newest;
            return Err(format!("{} found it broken already, in set {instance}", seal.domain));
        }
        // RFC 8617 §5.2 step 3.C: the first says none, all others pass.
        for set in &chain.sets {
            let wanted = if set.instance == 1 { ChainValue::None } else { ChainValue::Pass };
            if set.chain != wanted {
                let instance = set.instance;
                return Err(format!("cv= of set {instance} is {:?}, not {wanted:?}", set.chain)
                    .to_ascii_lowercase());
            }
        }
        let signature = chain.signature.as_ref().map_err(|flaw| {
            format!("the message signature of set {} cannot be used: {flaw}", newest.instance)
        })?;
        self.check_body(signature).map_err(|failed| {
            let why = failed.reason();
            format!("the message signature of set {}: {why}", newest.instance)
        })
    }

    /// RFC 8617 §5.2, steps 4 and 6: the newest message signature, then all seals.
    fn check_signatures(&self, chain: &Whole, answers: &Answers) -> Result<(), Outcome> {
        // What fails for good tells more than what is not known for now.
        let mut unknown = None;
        let mut note = |checked: Result<(), Outcome>| match checked {
            Err(outcome) if outcome.verdict == Verdict::TempError => {
                unknown.get_or_insert(outcome);
                Ok(())
            }
            checked => checked,
        };
        note(self.check_message_signature(chain, answers))?;
        for count in (1..=chain.sets.len()).rev() {
            let set = &chain.sets[count - 1];
            let text = self.sealed_text(&chain.sets[..count]);
            let what = format!("the seal of set {}", set.instance);
            note(check(&set.seal, &text, answers, &what))?;
        }
        unknown.map_or(Ok(()), Err)
    }

    fn check_message_signature(&self, chain: &Whole, answers: &Answers) -> Result<(), Outcome> {
        let Ok(signature) = &chain.signature else { return Ok(()) };
        let own = (chain.newest().message_signature, signature.basics.octets_at.clone());
        let text = self.signed_text(signature.header_canon, &signature.fields, own);
        let what = format!("the message signature of set {}", chain.newest().instance);
        check(&signature.basics, &text, answers, &what)
    }

    /// RFC 8617 §5.1.1: all fields of the sets in their order, relaxed; the last seal without its
    /// signature.
    fn sealed_text(&self, sets: &[Set]) -> Vec<u8> {
        let Some((last, before)) = sets.split_last() else { return Vec::new() };
        let mut text = self.fields_of(before);
        self.field(Canon::Relaxed, last.results, &mut text);
        self.field(Canon::Relaxed, last.message_signature, &mut text);
        let b_at = last.seal.octets_at.clone();
        text.extend_from_slice(&self.without_b(Canon::Relaxed, last.seal_field, b_at));
        text
    }

    /// All fields of these sets in their order, relaxed.
    fn fields_of(&self, sets: &[Set]) -> Vec<u8> {
        let mut text = Vec::with_capacity(2048 * (sets.len() + 1));
        for set in sets {
            for field in [set.results, set.message_signature, set.seal_field] {
                self.field(Canon::Relaxed, field, &mut text);
            }
        }
        text
    }
}

fn check(basics: &Basics, text: &[u8], answers: &Answers, what: &str) -> Result<(), Outcome> {
    let query = keys::query(&basics.selector, &basics.domain);
    keys::with_each(answers, &query, basics.algorithm, |key| key.verify(text, &basics.octets))
        .map_err(|outcome| {
            // RFC 8617 §4.4: a chain is none, pass or fail; only trouble of the DNS is told apart.
            let verdict = match outcome.verdict {
                Verdict::TempError => Verdict::TempError,
                _ => Verdict::Fail,
            };
            Outcome::new(verdict, format!("{what}: {}", outcome.reason()))
        })
}
