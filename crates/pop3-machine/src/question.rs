use mail_types::AccountId;
use mailbox::Rows;

/// What the session asks of its service. Each is answered by the [`Answer`] of the same name;
/// anything else ends the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who is this? A failed sign-in should be answered late, by the service's own rules.
    SignIn(sasl::Question),
    /// Open the maildrop (the inbox) of the account that has signed in, and list it. What is
    /// listed is the session's view until its end (RFC 1939 §3), whatever others do meanwhile.
    Open {
        /// Who has signed in.
        account: AccountId,
        /// The account's address.
        name: String,
    },
    /// Read a part of a message.
    Read {
        /// Place among the messages of [`Answer::Open`], from 0.
        message: usize,
        /// First octet of the part.
        from: u64,
        /// The part is not larger, and not empty.
        octets_max: usize,
    },
    /// Nothing: a long list is being sent. Answer at once; the driver sends meanwhile.
    Continue,
    /// QUIT (RFC 1939 §6): remove these messages, all or none, durably.
    Remove {
        /// Ranges of UIDs, both ends counted, ascending, never empty. Of the messages of
        /// [`Answer::Open`] they hold none that was not marked.
        uids: Vec<(u32, u32)>,
    },
}

/// What the service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Who it is, or that nobody is.
    SignIn(sasl::Answer),
    /// The messages at this moment. The session keeps the reference until it ends.
    Open(Result<Rows, Trouble>),
    /// At least one octet of the message and at most as many as asked for.
    Read(Result<Vec<u8>, Trouble>),
    /// Go on.
    Continue,
    /// `Ok` once the removal is committed, never before.
    Remove(Result<(), Trouble>),
}

/// Why the service cannot do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// For programs.
    pub code: TroubleCode,
    /// For people, on one line.
    pub text: String,
}

/// The response code (RFC 2449 §8, RFC 3206 §4) a client acts upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleCode {
    /// `IN-USE`: another session has the maildrop.
    InUse,
    /// `LOGIN-DELAY`: signed in too soon after the last time.
    LoginDelay,
    /// `SYS/TEMP`: our own trouble, try again.
    Temporary,
    /// `SYS/PERM`: a person must act.
    Permanent,
}

impl TroubleCode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::Temporary => "SYS/TEMP",
            Self::Permanent => "SYS/PERM",
        }
    }
}
