use std::fmt;

/// The closed list of states: each (accepted message, recipient) is in exactly one at every moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CustodyState {
    /// Waiting to be sent on.
    Queued,
    /// In a mailbox, or taken out of it again by its owner, in records.
    Delivered,
    /// Another host took it, with its 2yz reply.
    Relayed,
    /// Failed for good; the sender was told, or the record says why not.
    Returned,
    /// Kept back; can be released.
    Held,
    /// Carried on by other custodies.
    Expanded,
    /// Removed by a rule or a person after its hold.
    Purged,
}

impl CustodyState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Delivered,
        Self::Relayed,
        Self::Returned,
        Self::Held,
        Self::Expanded,
        Self::Purged,
    ];

    /// Its number in the index.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Delivered => 1,
            Self::Relayed => 2,
            Self::Returned => 3,
            Self::Held => 4,
            Self::Expanded => 5,
            Self::Purged => 6,
        }
    }

    /// The state of a number in the index; `None` for a number that is no state.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Returned => "returned",
            Self::Held => "held",
            Self::Expanded => "expanded",
            Self::Purged => "purged",
        }
    }
}

impl fmt::Display for CustodyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
