//! Compares what was acknowledged with what is there. Pure: the drills gather, this decides.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::token::Token;

/// Losses and doubles listed by name; more are only counted.
pub const LISTED_MAX: usize = 50;

/// One message for one recipient.
pub type Copy = (String, Token);

/// What the judge knows of one drill.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Every `250`: the copy and the server's words.
    pub acknowledged: HashMap<Copy, String>,
    /// Copies whose reply never came: none or one may exist.
    pub uncertain: HashSet<Copy>,
    /// Copies found, and how often (mailboxes and sinks together).
    pub found: HashMap<Copy, u32>,
    /// Words of `queue list --json`: an acknowledged copy is open where its receipt id is here.
    pub open_words: HashSet<String>,
    /// Copies to other servers whose trace tells of an attempt with an uncertain outcome.
    pub sent_uncertainly: HashSet<Copy>,
}

/// The finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Copies acknowledged.
    pub acknowledged: u64,
    /// Of those, found where they belong.
    pub found: u64,
    /// Of those, not there yet and named in the queue.
    pub open: u64,
    /// Without a reply; how many of them exist.
    pub uncertain: u64,
    /// Those of the uncertain that exist (once, which is right).
    pub uncertain_found: u64,
    /// Copies sent twice after an attempt that the trace calls uncertain (RFC 1047).
    pub doubled_after_uncertain: u64,
    /// Acknowledged and nowhere.
    pub lost: u64,
    /// More often there than allowed.
    pub doubled: u64,
    /// There without having been sent, or although refused.
    pub unexplained: u64,
    /// The first of each kind by name.
    pub listed: Vec<String>,
}

impl Verdict {
    /// Whether nothing is lost, doubled or unexplained.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.unexplained == 0
    }

    fn list(&mut self, line: String) {
        if self.listed.len() < LISTED_MAX {
            self.listed.push(line);
        }
    }
}

/// Weighs the evidence.
#[must_use]
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict {
        acknowledged: evidence.acknowledged.len() as u64,
        uncertain: evidence.uncertain.len() as u64,
        ..Verdict::default()
    };
    for (copy, answer) in &evidence.acknowledged {
        let receipt = receipt_id(answer);
        match evidence.found.get(copy).copied().unwrap_or(0) {
            0 if evidence.open_words.contains(receipt) => verdict.open += 1,
            0 => {
                verdict.lost += 1;
                verdict.list(format!("lost: {} for {} ({answer})", copy.1, copy.0));
            }
            1 => verdict.found += 1,
            count => judge_double(&mut verdict, evidence, copy, receipt, count),
        }
    }
    for (copy, &count) in &evidence.found {
        if evidence.acknowledged.contains_key(copy) {
            continue;
        }
        match (evidence.uncertain.contains(copy), count) {
            (true, 1) => verdict.uncertain_found += 1,
            (true, _) if evidence.sent_uncertainly.contains(copy) => {
                verdict.uncertain_found += 1;
                verdict.doubled_after_uncertain += 1;
            }
            (true, _) => {
                verdict.doubled += 1;
                verdict.list(format!(
                    "doubled: {} for {} is there {count} times, unacknowledged",
                    copy.1, copy.0
                ));
            }
            (false, _) => {
                verdict.unexplained += 1;
                verdict.list(format!("unexplained: {} for {} is there", copy.1, copy.0));
            }
        }
    }
    verdict
}

fn judge_double(
    verdict: &mut Verdict,
    evidence: &Evidence,
    copy: &Copy,
    receipt: &str,
    count: u32,
) {
    verdict.found += 1;
    if evidence.sent_uncertainly.contains(copy) {
        verdict.doubled_after_uncertain += 1;
        return;
    }
    verdict.doubled += 1;
    verdict.list(format!("doubled: {} for {} is there {count} times ({receipt})", copy.1, copy.0));
}

/// The words of a text, as receipt ids and tokens are written: letters, digits and hyphens.
#[must_use]
pub fn words(text: &str) -> HashSet<String> {
    text.split(|mark: char| !mark.is_ascii_alphanumeric() && mark != '-')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The receipt id in the text of a `250`: the first word after the enhanced status code.
#[must_use]
pub fn receipt_id(answer: &str) -> &str {
    let mut words = answer.split_whitespace();
    let first = words.next().unwrap_or_default();
    let is_status = first.split('.').count() == 3
        && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let id = if is_status { words.next().unwrap_or_default() } else { first };
    id.trim_matches(|mark: char| !mark.is_ascii_alphanumeric())
}
