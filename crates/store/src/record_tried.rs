//! What an attempt to send leaves for its story: every host that was asked, in its own words.

use std::net::IpAddr;

use mail_types::{CustodyId, Path, Peer, Phase, Timestamp};
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
