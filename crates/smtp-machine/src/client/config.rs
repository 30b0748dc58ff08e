use std::sync::Arc;
use std::time::Duration;

use mail_types::Domain;
use sasl::Login;

/// What the client wants of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// None, even if offered: it failed with this server before, and mail must flow.
    Never,
    /// STARTTLS if offered (RFC 7435).
    Opportunistic,
    /// STARTTLS or nothing.
    Required,
    /// It stands before the greeting (a smart host's port 465).
    Implicit,
}

/// What a connection starts with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name in EHLO (RFC 5321 §4.1.1.1).
    pub hostname: Domain,
    /// TLS.
    pub tls: Tls,
    /// Whether that mail is to go to this very host is proven, by DNSSEC, by a policy, or by the
    /// operator's word: without it no message that requires TLS goes there (RFC 8689 §4.2.1).
    pub is_proven: bool,
    /// Who we are to the server (RFC 4954); nobody where it needs not to know. No mail goes before
    /// the sign-in.
    pub login: Option<Arc<Login>>,
    /// The server is on this machine: a password may be told to it over TLS that proves nothing.
    pub is_near: bool,
    /// Fresh printable randomness without commas, for SCRAM (RFC 5802 §5.1).
    pub nonce: String,
    /// Whether content goes in chunks where the server offers it (RFC 3030).
    pub chunking: bool,
    /// How long to wait for the server.
    pub waits: Waits,
}

/// RFC 5321 §4.5.3.2: how long to wait for replies.
#[derive(Clone, Debug)]
pub struct Waits {
    /// Greeting. §4.5.3.2.1: 5 minutes.
    pub greeting: Duration,
    /// EHLO, MAIL, RCPT, RSET, STARTTLS and its handshake. §4.5.3.2.2 and .3: 5 minutes.
    pub command: Duration,
    /// DATA. §4.5.3.2.4: 2 minutes.
    pub data: Duration,
    /// The final dot. §4.5.3.2.6: 10 minutes; less makes duplicates.
    pub dot: Duration,
    /// QUIT, when nothing depends on the reply any more.
    pub quit: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            greeting: Duration::from_secs(300),
            command: Duration::from_secs(300),
            data: Duration::from_secs(120),
            dot: Duration::from_secs(600),
            quit: Duration::from_secs(10),
        }
    }
}
