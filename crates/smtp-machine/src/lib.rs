//! SMTP as pure machines: the server (RFC 5321, RFC 6409) with its extensions, and the client that
//! relays.
//!
//! Extensions: SIZE (RFC 1870), 8BITMIME (RFC 6152), PIPELINING (RFC 2920), CHUNKING (RFC 3030,
//! without BINARYMIME), STARTTLS (RFC 3207), DSN (RFC 3461), ENHANCEDSTATUSCODES
//! (RFC 2034), AUTH (RFC 4954), SMTPUTF8 (RFC 6531), FUTURERELEASE (RFC 4865, server only),
//! MT-PRIORITY (RFC 6710), DELIVERBY (RFC 2852).
//!
//! Bytes, answers and the time go in; bytes, questions and deadlines come out. Nothing here opens a
//! socket, reads a clock, draws randomness or logs, and every buffer has a limit. The machines
//! never decide who may send or receive: they ask. A `250` to a message is made from an
//! [`Acceptance`](mail_types::Acceptance) and from nothing else.

pub mod client;
pub mod command;
pub mod data;
mod envelope;
mod input;
mod params;
pub mod path;
pub mod reply;

pub mod server;
pub mod xtext;

pub use envelope::{
    BodyType, Envelope, HoldFor, MailParams, Notify, Orcpt, Recipient, Ret, Sender,
};
