use mail_types::Refusal;

use crate::envelope::{Envelope, Recipient, Sender};

/// What the server asks its service. Each answer may come at once or much later; the peer waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// AUTH: answer [`Answer::SignIn`].
    SignIn(sasl::Question),
    /// MAIL: answer `Ok` or `Refused`.
    Sender(Box<Sender>),
    /// RCPT of the message of the last `Sender`: answer `Ok` or `Refused`.
    Recipient(Box<Recipient>),
    /// DATA or the first BDAT: answer `Ok` (ready for the content) or `Refused`.
    BodyBegin(Box<Envelope>),
    /// The next octets of the content, exactly as the mail has them (dots unstuffed), at most
    /// [`BODY_OCTETS_MAX`]. Answer `Ok` or `Refused`; after `Refused` the rest is read and
    /// dropped, nothing more is asked of this message, and the client gets that refusal.
    BodyBytes(Vec<u8>),
    /// The content is complete. Answer `Accepted` or `Refused`.
    BodyEnd,
    /// The message that began with `BodyBegin` will not be completed: forget it. Answer `Ok`.
    BodyAborted,
    /// There will be no message from the last `Sender`: the client has begun anew. Answer `Ok`.
    Reset,
}

/// Octets in one [`Question::BodyBytes`].
pub const BODY_OCTETS_MAX: usize = 64 * 1024;

/// The service's answer. One that does not fit its question counts as trouble of ours: `451`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<R> {
    /// Go on.
    Ok,
    /// No, and why.
    Refused(Refusal),
    /// To `BodyEnd` only: the message is kept, and this proves it. No other answer makes a `250`.
    Accepted(R),
    /// To `SignIn` only.
    SignIn(sasl::Answer),
}
