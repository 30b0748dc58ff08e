use std::net::IpAddr;
use std::time::Duration;

use mail_types::{Address, Domain, Priority};

/// What a server port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Port 25: mail from other servers; nobody signs in.
    Mx,
    /// Ports 587 and 465 (RFC 6409, RFC 8314): nobody sends who has not signed in.
    Submission,
    /// LMTP (RFC 2033): mail from hosts of our own that has passed their port 25; nobody signs in.
    /// Each recipient has a reply of its own behind the content.
    Lmtp,
}

/// TLS on a connection at its begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not to be had.
    Unavailable,
    /// STARTTLS is offered.
    Offered,
    /// It stands since before the greeting (RFC 8314 §3.3). Without `tls_started` its facts stay
    /// empty.
    Implicit,
}

/// What a connection starts with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name in greeting and EHLO.
    pub hostname: Domain,
    /// What the port is for.
    pub role: Role,
    /// The client's address.
    pub peer: IpAddr,
    /// TLS.
    pub tls: Tls,
    /// Whether passwords may cross without TLS: loopback only.
    pub auth_without_tls: bool,
    /// Whether tokens of an OAuth 2.0 server are taken in place of a password.
    pub tokens: bool,
    /// Whom `<postmaster>` without a domain means (RFC 5321 §4.5.1).
    pub postmaster: Address,
    /// Fresh printable randomness without commas, for SCRAM (RFC 5802 §5.1).
    pub nonce: String,
    /// Why this client is not served at all; it is told so in place of the greeting.
    pub turned_away: Option<&'static str>,
    /// RFC 4865: for how long a submitted message may be held at most; not offered where none.
    pub hold_max: Option<Duration>,
    /// RFC 6710: the highest priority that this client gets; not offered where none.
    pub priority_max: Option<Priority>,
    /// RFC 2852: the shortest time, in seconds, after which a message may have to go back; not
    /// offered where none.
    pub deliver_by_min: Option<i32>,
    /// Limits.
    pub limits: Limits,
}

/// Every limit of a connection.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of a message's content (RFC 1870).
    pub message_octets_max: u64,
    /// Recipients of one message. RFC 5321 §4.5.3.1.8: at least 100.
    pub recipients_max: usize,
    /// Octets of a command line with its CRLF. RFC 5321 §4.5.3.1.4: 512.
    pub line_octets_max: usize,
    /// Octets of a MAIL or RCPT line. RFC 1870 §3, RFC 3461 §4, RFC 4954 §3 and RFC 6531 §3.4 each
    /// add to the 512.
    pub path_line_octets_max: usize,
    /// Octets of AUTH and its responses. RFC 4954 §4: 12,288.
    pub auth_line_octets_max: usize,
    /// Commands on one connection, then 421.
    pub commands_max: u32,
    /// Commands that were wrong on one connection, then 421.
    pub errors_max: u32,
    /// Recipients refused on one connection, then 421: someone guesses addresses.
    pub refused_recipients_max: u32,
    /// Sign-ins that failed on one connection, then 421.
    pub failed_sign_ins_max: u32,
    /// Wait for the next command. RFC 5321 §4.5.3.2.7: at least 5 minutes.
    pub command_wait: Duration,
    /// Wait for the next octets of content. RFC 5321 §4.5.3.2.5: 3 minutes.
    pub content_wait: Duration,
    /// Time for one whole message, or one chunk of BDAT.
    pub message_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_octets_max: 50 * 1024 * 1024,
            recipients_max: 1000,
            line_octets_max: 512,
            path_line_octets_max: 2048,
            auth_line_octets_max: 12_288,
            commands_max: 100_000,
            errors_max: 20,
            refused_recipients_max: 100,
            failed_sign_ins_max: 5,
            command_wait: Duration::from_secs(300),
            content_wait: Duration::from_secs(180),
            message_wait: Duration::from_secs(3600),
        }
    }
}
