use std::sync::Arc;

use mail_types::{Peer, Reply};
use route::{Failure, Then, Trouble, Verdict, classify};

use crate::tries::Try;

/// Why mail did not go out: the verdict, with who said what.
#[derive(Clone, Debug)]
pub(crate) struct Setback {
    pub(crate) verdict: Verdict,
    /// The reply to blame.
    pub(crate) reply: Option<Reply>,
    /// Who was asked.
    pub(crate) peer: Option<Peer>,
    /// It did not answer in time.
    pub(crate) strained: bool,
    /// The hosts that were asked so far, for the record.
    pub(crate) tries: Vec<Arc<Try>>,
}

impl Setback {
    /// From the end of an attempt at this peer.
    pub(crate) fn new(trouble: Trouble<'_>, peer: Option<&Peer>) -> Self {
        let reply = match trouble {
            Trouble::Reply { reply, .. } => Some(reply.clone()),
            Trouble::Refused
            | Trouble::Unreachable(_)
            | Trouble::ConnectTimeout
            | Trouble::Tls(_)
            | Trouble::Policy(_)
            | Trouble::Closed(_)
            | Trouble::Timeout(_)
            | Trouble::Garbage(..)
            | Trouble::LacksSmtpUtf8
            | Trouble::LacksRequireTls
            | Trouble::LacksDeliverBy
            | Trouble::WantsTime { .. }
            | Trouble::TooLarge { .. }
            | Trouble::Ours(_) => None,
        };
        let strained = matches!(trouble, Trouble::Timeout(_) | Trouble::ConnectTimeout);
        let (verdict, peer, tries) = (classify(trouble), peer.cloned(), Vec::new());
        Self { verdict, reply, peer, strained, tries }
    }

    /// From a path that cannot be found.
    pub(crate) const fn no_way(failure: Failure) -> Self {
        let verdict = Verdict { failure, then: Then::Stop };
        Self { verdict, reply: None, peer: None, strained: false, tries: Vec::new() }
    }

    /// The setback of a destination, `self` being that of an earlier host.
    pub(crate) fn over_hosts(mut self, mut later: Self) -> Self {
        let verdict = self.verdict.clone().over_hosts(later.verdict.clone());
        let mut tries = std::mem::take(&mut self.tries);
        tries.append(&mut later.tries);
        match verdict == self.verdict {
            true => Self { tries, ..self },
            false => Self { tries, ..later },
        }
    }

    /// Whether the host shows that it has too much to do: 421, or no answer in time.
    pub(crate) fn is_strain(&self) -> bool {
        self.strained || self.reply.as_ref().is_some_and(|reply| reply.code == 421)
    }

    /// The same, with the host that was asked.
    pub(crate) fn tried(mut self, tried: Arc<Try>) -> Self {
        self.tries.push(tried);
        self
    }

    /// In words: what failed, and where.
    pub(crate) fn reason(&self) -> String {
        let text = &self.verdict.failure.text;
        match &self.peer {
            Some(peer) => format!("{} [{}]: {text}", peer.host, peer.ip),
            None => text.clone(),
        }
    }
}
