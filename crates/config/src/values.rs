//! What settings may say beyond numbers, texts and times.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use mail_types::Domain;

/// Where one service listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// On this port, with the port base added, at every address of `listen.addresses`.
    Port(u16),
    /// On exactly these, no port base added.
    Addresses(Vec<SocketAddr>),
}

/// Whom to ask for names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// The servers of /etc/resolv.conf.
    System,
    /// This server.
    Server(SocketAddr),
}

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Any address in it.
    pub ip: IpAddr,
    /// 0 to 32 for IPv4, 0 to 128 for IPv6.
    pub prefix_bits: u8,
}

impl Network {
    /// Reads `192.0.2.0/24`, or one address.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip: IpAddr = ip.parse().ok()?;
        let bits_max = if ip.is_ipv4() { 32 } else { 128 };
        let prefix_bits = bits.map_or(Some(bits_max), |bits| bits.parse().ok())?;
        (prefix_bits <= bits_max).then_some(Self { ip, prefix_bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix_bits)
    }
}

/// What mail hosts of others bear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLimit {
    /// A host name, or `*.` and the end of one.
    pub hosts: String,
    /// Connections to all of them together.
    pub connections: Option<usize>,
    /// Messages through one connection.
    pub messages: Option<u32>,
    /// Messages in a minute.
    pub per_minute: Option<u32>,
    /// Messages in an hour.
    pub per_hour: Option<u32>,
}

impl HostLimit {
    /// Reads `*.example.net connections=2 messages=20 per_hour=500`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let hosts = words.next()?.to_ascii_lowercase();
        mail_types::Domain::new(hosts.strip_prefix("*.").unwrap_or(&hosts)).ok()?;
        let (connections, messages, per_minute, per_hour) = (None, None, None, None);
        let mut limit = Self { hosts, connections, messages, per_minute, per_hour };
        let mut any = false;
        for word in words {
            let (name, count) = word.split_once('=')?;
            let count: u32 = count.parse().ok().filter(|count| *count > 0)?;
            match name {
                "connections" => limit.connections = usize::try_from(count).ok(),
                "messages" => limit.messages = Some(count),
                "per_minute" => limit.per_minute = Some(count),
                "per_hour" => limit.per_hour = Some(count),
                _ => return None,
            }
            any = true;
        }
        any.then_some(limit)
    }
}

impl fmt::Display for HostLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hosts)?;
        if let Some(count) = self.connections {
            write!(f, " connections={count}")?;
        }
        let counts = [
            ("messages", self.messages),
            ("per_minute", self.per_minute),
            ("per_hour", self.per_hour),
        ];
        for (name, count) in counts {
            if let Some(count) = count {
                write!(f, " {name}={count}")?;
            }
        }
        Ok(())
    }
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl LogFormat {
    /// Its name in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// We are broken.
    Error,
    /// Somebody should look tomorrow.
    Warn,
    /// Something changed for a user.
    Info,
    /// Decisions.
    Debug,
    /// Bytes.
    Trace,
}

impl LogLevel {
    pub(crate) const ALL: [Self; 5] =
        [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Its name in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Who checks DNSSEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dnssec {
    /// The resolver where it is on this machine, else we.
    Auto,
    /// The resolver.
    Trust,
    /// We.
    Validate,
    /// Nobody.
    Off,
}

impl Dnssec {
    pub(crate) const ALL: [Self; 4] = [Self::Auto, Self::Trust, Self::Validate, Self::Off];

    /// Its name in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Trust => "trust",
            Self::Validate => "validate",
            Self::Off => "off",
        }
    }
}

/// Whether reports go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendReports {
    /// Where this host has a name that others can look up.
    Auto,
    /// Yes.
    Yes,
    /// No.
    No,
}

impl SendReports {
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Yes, Self::No];

    /// Its name in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Yes => "yes",
            Self::No => "no",
        }
    }

    /// Whether they go out from a host of this name. RFC 6761 and RFC 6762 §3 keep names for tests
    /// and for networks of one's own; a name of one label is nobody's.
    #[must_use]
    pub fn applies_to(self, hostname: &Domain) -> bool {
        const NOT_PUBLIC: [&str; 9] =
            ["test", "example", "invalid", "localhost", "local", "internal", "lan", "home", "arpa"];
        let last = hostname.as_str().rsplit_once('.').map(|(_, last)| last.to_ascii_lowercase());
        match self {
            Self::Yes => true,
            Self::No => false,
            Self::Auto => last.is_some_and(|last| !NOT_PUBLIC.contains(&last.as_str())),
        }
    }
}

/// How an ACME authority is shown that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeProofBy {
    /// A page on port 80 (RFC 8555 §8.3).
    Http,
    /// A certificate on port 443 (RFC 8737).
    TlsAlpn,
    /// A TXT record (RFC 8555 §8.4).
    Dns,
}

impl AcmeProofBy {
    pub(crate) const ALL: [Self; 3] = [Self::Http, Self::TlsAlpn, Self::Dns];

    /// Its name in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http-01",
            Self::TlsAlpn => "tls-alpn-01",
            Self::Dns => "dns-01",
        }
    }
}

/// How earnest our own MTA-STS policy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StsMode {
    /// Mail comes over verified TLS or not at all.
    Enforce,
    /// Failures are reported to us.
    Testing,
    /// There is none any more.
    None,
}

impl StsMode {
    pub(crate) const ALL: [Self; 3] = [Self::Enforce, Self::Testing, Self::None];

    /// Its name in the file and in the policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// When anybody is told that a message is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandbyAcknowledge {
    /// When it is on the disk here.
    Local,
    /// When it is on that of a standby, too.
    Standby,
}

impl StandbyAcknowledge {
    pub(crate) const ALL: [Self; 2] = [Self::Local, Self::Standby];

    /// Its name in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Standby => "standby",
        }
    }
}

/// What becomes of mail while no standby is there that is to have it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandbyWhenAway {
    /// It is refused for a while.
    Refuse,
    /// It is taken without.
    GoOn,
}

impl StandbyWhenAway {
    pub(crate) const ALL: [Self; 2] = [Self::Refuse, Self::GoOn];

    /// Its name in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::GoOn => "go-on",
        }
    }
}
