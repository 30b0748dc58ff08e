use std::num::NonZeroU32;
use std::time::Duration;

/// What a session is told at its begin.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's name, for the greeting.
    pub host: String,
    /// STARTTLS is offered while TLS does not stand.
    pub starttls: bool,
    /// Signing in is allowed without TLS (a connection from loopback).
    pub plain_sign_in: bool,
    /// Printable randomness without commas that no other session uses, for SCRAM: 18 random bytes
    /// in base64 are enough. Each exchange of the session gets its own part of it.
    pub nonce: String,
    /// Tokens of an OAuth 2.0 server are taken in place of a password.
    pub tokens: bool,
    /// The limits.
    pub limits: Limits,
}

/// What one session may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one command, its literals included, but not APPEND's message.
    pub command_octets_max: usize,
    /// The same before sign-in.
    pub unauthenticated_command_octets_max: usize,
    /// Octets that a client may send in all before it has signed in.
    pub unauthenticated_octets_max: usize,
    /// Octets of a message in APPEND.
    pub message_octets_max: u32,
    /// Octets of output above which nothing more is written until it is taken.
    pub output_octets_max: usize,
    /// Messages whose data is asked for at a time.
    pub fetch_messages_max: usize,
    /// Messages that are looked into at a time.
    pub match_messages_max: usize,
    /// Octets of messages asked for at a time; a larger message comes alone, in pieces of this.
    pub fetch_octets_max: u32,
    /// Time to sign in, from the begin of the connection.
    pub sign_in_timeout: Duration,
    /// Time without a command after which the session ends. RFC 3501 §5.4: at least 30 minutes.
    pub idle_timeout: Duration,
    /// Failed sign-ins after which the session ends.
    pub sign_in_failures_max: u32,
    /// Commands answered BAD in a row after which the session ends.
    pub bad_commands_max: u32,
    /// Messages that one FETCH, SEARCH, STORE, MOVE or UID EXPUNGE works on, and that one COPY or
    /// APPEND takes (RFC 9738 MESSAGELIMIT).
    pub command_messages_max: Option<NonZeroU32>,
    /// Messages that one COPY or APPEND takes (RFC 9738 SAVELIMIT). Where the other is given, that
    /// alone counts.
    pub saved_messages_max: Option<NonZeroU32>,
    /// UNAUTHENTICATE is offered (RFC 8437 §8: there must be a way to disable it).
    pub unauthenticate: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_octets_max: 256 * 1024,
            unauthenticated_command_octets_max: 16 * 1024,
            unauthenticated_octets_max: 256 * 1024,
            message_octets_max: 64 * 1024 * 1024,
            output_octets_max: 128 * 1024,
            fetch_messages_max: 1024,
            match_messages_max: 16 * 1024,
            fetch_octets_max: 1024 * 1024,
            sign_in_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30 * 60),
            sign_in_failures_max: 3,
            bad_commands_max: 20,
            command_messages_max: None,
            saved_messages_max: None,
            unauthenticate: true,
        }
    }
}
