//! The server side of IMAP4rev1 (RFC 3501) as a pure machine: bytes in, bytes and questions out.
//!
//! [`grammar`] reads commands, [`view`] is the selected mailbox as its session sees it, and
//! [`Session`] speaks the protocol, with LITERAL+ (RFC 7888), SASL-IR (4959), IDLE (2177),
//! UIDPLUS (4315), MOVE (6851), UNSELECT (3691), NAMESPACE (2342), ID (2971), ENABLE (5161),
//! CHILDREN (3348), SPECIAL-USE (6154), CONDSTORE and QRESYNC (7162), ESEARCH (4731), MULTIAPPEND (3502),
//! CATENATE (4469), URLAUTH (4467), REPLACE (8508), APPENDLIMIT (7889), NOTIFY (5465), UIDONLY (9586),
//! UNAUTHENTICATE (8437), LIST-METADATA (9590), MESSAGELIMIT (9738) and response codes of 5530.
//! APPENDs that a client sends without waiting are committed together and answered in order.
//!
//! It does no I/O, reads no clock, draws no random number, and knows no mail: whatever it must know
//! it asks its service (see [`Question`]). It says `OK` to APPEND only with the proof in its hand
//! that the message is kept ([`mail_types::Acceptance`]). No client can make it hold more than
//! [`Limits`] say, whatever it sends.

mod ask;
mod config;
pub mod grammar;
mod list;
mod manage;
mod news;
mod reader;
mod refusal;
mod search;
mod session;
mod sort;
pub mod view;
mod write;

pub use ask::{
    AclAnswer, AclQuestion, Answer, Appended, Code, Content, Contents, Copied, Counts, Event, Fact,
    Listed, METADATA_OCTETS_MAX, MailboxNews, Metadata, MetadataQuestion, Need, NewMessage, News,
    Octets, Question, QuotaQuestion, QuotaRoot, Refusal, Selected, Status, UrlOctets, Wanted,
};
pub use config::{Config, Limits};
pub use list::Pattern;
pub use session::Session;
