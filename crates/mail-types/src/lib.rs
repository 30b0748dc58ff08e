//! The words of mail, shared by every crate of the workspace: addresses (RFC 5321 §4.1.2), SMTP
//! replies and enhanced status codes (RFC 3463), priorities (RFC 6710), times to
//! deliver by (RFC 2852), IMAP numbers and flags
//! (RFC 3501 §2.3), rights (RFC 4314 §2.1), the ids of what Restante keeps, what a try to send leaves,
//! and the one shape of every protocol machine.
//!
//! Raw text becomes one of these types once, at the border, and is not checked again behind it.
//! This crate does no I/O, reads no clock, draws no random number and starts no thread.

mod address;
mod attempt;
mod deliver_by;
mod flags;
mod ids;
mod machine;
mod priority;
mod reply;
mod rights;
mod timestamp;

pub use address::{Address, AddressError, Domain, Host, Localpart, ReversePath};
pub use attempt::{Path, Peer, Phase, PhaseName};
pub use deliver_by::{ByMode, Deadline, DeliverBy, DeliverByError};
pub use flags::{Flags, Keyword, KeywordError, SpecialUse, SystemFlag};
pub use ids::{
    AccountId, BodyHash, CustodyId, MailId, MailboxId, ModSeq, ReceiptId, ReceiptIdError,
    RecordSeq, Uid, UidValidity,
};
pub use machine::{ChannelBindings, Machine, Step, TlsFacts};
pub use priority::{Priority, Turns};
pub use reply::{Acceptance, EnhancedStatus, Refusal, Reply, Severity};
pub use rights::{NoRight, Right, Rights};
pub use timestamp::{Timestamp, TimestampError, civil_from_days};
