//! What is kept of every host that was tried: when, by which way, what it said, how long it took.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mail_types::{Domain, Path, Peer, Phase, PhaseName, Timestamp};
use smtp_machine::client::{Phase as Part, Said};

use crate::look_up::NextHop;

/// One host that a message was offered to, or was to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// When it began: for the first message of a connection with the look-up, else with MAIL.
    pub begun: Timestamp,
    /// Why this host.
    pub path: Path,
    /// The host.
    pub peer: Peer,
    /// The preference of its MX record; 0 for an implicit one, none without MX.
    pub preference: Option<u16>,
    /// Our address.
    pub source: Option<IpAddr>,
    /// The TLS policy that applied, in a few words: `none`, `opportunistic`, `DANE`, `MTA-STS
    /// enforce`, `REQUIRETLS`.
    pub policy: String,
    /// What came of the policy, where there is something to say.
    pub policy_said: Option<String>,
    /// The policy itself, where the domain has one.
    pub published: Option<Arc<Published>>,
    /// Messages that went over the same connection before.
    pub before: u32,
    /// What happened, in order.
    pub phases: Vec<Phase>,
}

/// What a domain says of TLS, as reports to it repeat it (RFC 8460 §4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The domain that the mail is for.
    pub domain: Domain,
    /// The mail host whose TLSA records they are; none for MTA-STS.
    pub host: Option<String>,
    /// Whose it is: the domain, or the TLSA base domain (RFC 7672 §2.2.3).
    pub owner: String,
    /// Its lines, or its records.
    pub strings: Vec<String>,
    /// The hosts that it names (MTA-STS).
    pub mx: Vec<String>,
}

/// What is known of a connection before its first message.
#[derive(Clone, Debug)]
pub(crate) struct Trying {
    pub(crate) begun: Timestamp,
    pub(crate) path: Path,
    pub(crate) preference: Option<u16>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) policy: String,
    pub(crate) policy_said: Option<String>,
    pub(crate) published: Option<Arc<Published>>,
    /// Hosts that were tried before in vain, told with the first message that this one takes.
    pub(crate) earlier: Vec<Arc<Try>>,
    /// Look-up and connection: told with the first message.
    pub(crate) phases: Vec<Phase>,
}

impl Trying {
    pub(crate) fn new(begun: Timestamp, hop: &NextHop) -> Self {
        let path = match hop {
            NextHop::Domain(_) | NextHop::Literal(_) => Path::Direct,
            NextHop::Relay(_) => Path::SmartHost,
        };
        let policy = String::new();
        Self {
            begun,
            path,
            preference: None,
            source: None,
            policy,
            policy_said: None,
            published: None,
            earlier: Vec::new(),
            phases: Vec::new(),
        }
    }

    /// A phase of our own is over.
    pub(crate) fn over(&mut self, name: PhaseName, took: Duration) {
        let millis = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        self.phases.push(Phase { name, reply: None, millis });
    }

    /// What came of it; the phases before go with the first alone.
    pub(crate) fn tried(&mut self, peer: &Peer, before: u32, said: Vec<Said>) -> Arc<Try> {
        let mut phases = std::mem::take(&mut self.phases);
        phases.extend(said.into_iter().map(phase));
        Arc::new(Try {
            begun: self.begun,
            path: self.path,
            peer: peer.clone(),
            preference: self.preference,
            source: self.source,
            policy: self.policy.clone(),
            policy_said: self.policy_said.clone(),
            published: self.published.clone(),
            before,
            phases,
        })
    }
}

fn phase(said: Said) -> Phase {
    let name = match said.phase {
        Part::Greeting => PhaseName::Greeting,
        Part::Hello => PhaseName::Hello,
        Part::StartTls => PhaseName::StartTls,
        Part::Handshake => PhaseName::Handshake,
        Part::SignIn => PhaseName::SignIn,
        Part::Rset => PhaseName::Rset,
        Part::Mail => PhaseName::Mail,
        Part::Rcpt => PhaseName::Rcpt,
        Part::Data => PhaseName::Data,
        Part::Content => PhaseName::Content,
        Part::Dot => PhaseName::Dot,
    };
    Phase { name, reply: said.reply, millis: said.millis }
}
