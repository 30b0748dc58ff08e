//! What an attempt to send leaves for its story: every host that was asked, in its own words.

use std::net::IpAddr;

use mail_types::{CustodyId, Path, Peer, Phase, Reply, Timestamp};
use serde::{Deserialize, Serialize};

use crate::record::Outcome;

/// An attempt for recipients of one message: one transaction, or what came before any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Who was asked last.
    pub peer: Option<Peer>,
    /// What came of it, for each recipient once.
    pub outcomes: Vec<(CustodyId, Outcome)>,
    /// The hosts that were asked, in order.
    pub tries: Vec<Try>,
}

/// One host that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// When it began.
    pub begun: Timestamp,
    /// Why this host.
    pub path: Path,
    /// The host; none: that of [`Tried::peer`].
    pub peer: Option<Peer>,
    /// The preference of its MX record; none without MX.
    pub preference: Option<u16>,
    /// Our address.
    pub source: Option<IpAddr>,
    /// The TLS policy that applied, in a few words.
    pub policy: String,
    /// What came of the policy, where there is something to say.
    pub policy_said: Option<String>,
    /// Messages that went over the same connection before.
    pub before: u32,
    /// What happened, in order.
    pub phases: Vec<Phase>,
}

/// Bytes that words of hosts may take in a record, of which the journal takes 4 MiB.
const WORDS_BYTES_MAX: usize = 2 << 20;
/// Bytes that a reply takes besides its words.
const REPLY_BYTES: usize = 16;

/// Shortens what hosts have said, as little as needed, where it would not fit into a record: one that
/// the journal does not take would fail its whole group, and again at each try.
pub fn fit_words(outcomes: &mut [(CustodyId, Option<Peer>, Outcome)], tries: &mut [Try]) {
    for each_max in [usize::MAX, 4096, 1024, 256, 64, 0] {
        let of_outcomes: usize =
            outcomes.iter_mut().map(|(_, _, outcome)| shorten_outcome(outcome, each_max)).sum();
        let of_tries: usize = tries.iter_mut().map(|tried| shorten_try(tried, each_max)).sum();
        if of_outcomes + of_tries <= WORDS_BYTES_MAX {
            return;
        }
    }
}

/// Each of its texts has at most so many bytes; answers how many all of them have.
fn shorten_outcome(outcome: &mut Outcome, bytes_max: usize) -> usize {
    match outcome {
        Outcome::Relayed { reply, .. } => shorten_reply(reply, bytes_max),
        Outcome::Deferred { reason, reply, .. } | Outcome::Returned { reason, reply, .. } => {
            shorten(reason, bytes_max)
                + reply.as_mut().map_or(0, |reply| shorten_reply(reply, bytes_max))
        }
        Outcome::Uncertain { reason, .. } | Outcome::Waits { reason, .. } => {
            shorten(reason, bytes_max)
        }
    }
}

fn shorten_try(tried: &mut Try, bytes_max: usize) -> usize {
    let said = tried.policy_said.as_mut().map_or(0, |said| shorten(said, bytes_max));
    let phase = |phase: &mut Phase| {
        REPLY_BYTES + phase.reply.as_mut().map_or(0, |reply| shorten_reply(reply, bytes_max))
    };
    said + tried.phases.iter_mut().map(phase).sum::<usize>()
}

fn shorten_reply(reply: &mut Reply, bytes_max: usize) -> usize {
    let mut room = bytes_max;
    for line in &mut reply.lines {
        room -= shorten(line, room);
    }
    while reply.lines.len() > 1 && reply.lines.last().is_some_and(String::is_empty) {
        reply.lines.pop();
    }
    REPLY_BYTES + reply.lines.iter().map(|line| line.len() + 1).sum::<usize>()
}

fn shorten(text: &mut String, bytes_max: usize) -> usize {
    text.truncate(text.floor_char_boundary(bytes_max));
    text.len()
}
