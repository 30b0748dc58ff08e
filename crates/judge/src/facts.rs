use sender_auth::{ArcResult, DkimResult, DmarcResult, IprevResult, SpfResult};

/// All that the checks of one message came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The client's name.
    pub iprev: IprevResult,
    /// The name that it gave.
    pub spf_helo: SpfResult,
    /// The reverse-path.
    pub spf: SpfResult,
    /// Each signature.
    pub dkim: Vec<DkimResult>,
    /// The chain of those who passed it on.
    pub arc: ArcResult,
    /// The author.
    pub dmarc: DmarcResult,
}
