use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Reply;

/// A host that mail was offered to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name, or its address literal.
    pub host: String,
    /// Its address.
    pub ip: IpAddr,
    /// TCP port.
    pub port: u16,
    /// TLS version and cipher suite; none in clear.
    pub tls: Option<String>,
    /// Whether its certificate named it and chained to a known root.
    pub tls_verified: bool,
    /// Why the mail went in clear although TLS was offered.
    pub tls_failure: Option<String>,
}

/// Why a host was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Path {
    /// It is a mail host of the recipient's domain, or the recipient names it.
    Direct,
    /// An operator's route names it.
    SmartHost,
}

/// A part of a try, with the host's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Which.
    pub name: PhaseName,
    /// Word for word, where it is a command's.
    pub reply: Option<Reply>,
    /// How long it took.
    pub millis: u32,
}

/// The parts of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PhaseName {
    /// MX records, addresses, policies.
    Dns,
    /// TCP.
    Connect,
    /// From the connection to the greeting.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// The reply to STARTTLS.
    StartTls,
    /// The TLS handshake.
    Handshake,
    /// RSET.
    Rset,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// The reply to DATA.
    Data,
    /// The content, up to the dot.
    Content,
    /// The reply to the final dot.
    Dot,
    /// A reply to AUTH.
    SignIn,
}

impl PhaseName {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dns => "DNS",
            Self::Connect => "connecting",
            Self::Greeting => "greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Handshake => "TLS handshake",
            Self::Rset => "RSET",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Content => "content",
            Self::Dot => "final dot",
            Self::SignIn => "AUTH",
        }
    }
}
