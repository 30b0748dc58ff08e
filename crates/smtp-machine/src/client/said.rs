//! What a server said, and how long it took: kept beside the outcomes, for the story of an attempt.

use mail_types::{Reply, Timestamp};

use crate::reply::shortened;

/// A part of a session or a transaction, in the order they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// From the connection to the greeting.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// The reply to STARTTLS.
    StartTls,
    /// The handshake.
    Handshake,
    /// AUTH.
    SignIn,
    /// RSET.
    Rset,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// The reply to DATA.
    Data,
    /// The content, up to the dot.
    Content,
    /// The reply to the final dot.
    Dot,
}

/// One phase that is over, or in which the connection was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Which.
    pub phase: Phase,
    /// The reply, word for word; none to a handshake or to content, and where it was lost.
    pub reply: Option<Reply>,
    /// How long it took. Of commands that were sent together: since the reply before.
    pub millis: u32,
}

/// Replies to RCPT that are kept of one transaction: each refused recipient has its own in its
/// outcome anyway.
const RCPT_MAX: usize = 8;
/// Phases kept at all: what is behind is left out.
const SAID_MAX: usize = 32;

/// Octets of a reply that are kept: an EHLO reply of today has some hundred.
const REPLY_OCTETS_MAX: usize = 2048;

/// The phases so far.
#[derive(Debug, Default)]
pub(super) struct Sayings {
    said: Vec<Said>,
    /// When the last one ended, or what is waited for was sent.
    since: Option<Timestamp>,
    rcpts: usize,
}

impl Sayings {
    /// What comes now begins now.
    pub(super) const fn begin(&mut self, now: Timestamp) {
        self.since = Some(now);
    }

    /// The same, unless it has begun.
    pub(super) fn begin_once(&mut self, now: Timestamp) {
        self.since.get_or_insert(now);
    }

    /// A phase is over; the next begins.
    pub(super) fn over(&mut self, phase: Phase, reply: Option<&Reply>, now: Timestamp) {
        let took = now.since(self.since.replace(now).unwrap_or(now));
        self.rcpts += usize::from(phase == Phase::Rcpt);
        let left_out = phase == Phase::Rcpt && self.rcpts > RCPT_MAX;
        if !left_out && self.said.len() < SAID_MAX {
            let millis = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
            self.said.push(Said { phase, reply: reply.map(kept), millis });
        }
    }

    /// Takes what there is; the next transaction is told apart.
    pub(super) fn take(&mut self) -> Vec<Said> {
        self.rcpts = 0;
        std::mem::take(&mut self.said)
    }
}

fn kept(reply: &Reply) -> Reply {
    let Reply { code, status, ref lines } = *reply;
    Reply { code, status, lines: shortened(lines.clone(), REPLY_OCTETS_MAX) }
}
