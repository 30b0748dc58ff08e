use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use mail_types::{Domain, Host};

/// RFC 5321 §4.5.4.2 (SMTP): the port of mail servers.
const SMTP_PORT: u16 = 25;

/// A text that is no route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Not a domain, `.domain` or `*`.
    #[error("{0:?} is no route pattern: write example.org, .example.org (all below it) or *")]
    Pattern(String),
    /// Not HOST or HOST:PORT.
    #[error("{0:?} is no relay: write HOST, HOST:PORT, 192.0.2.1:PORT or [2001:db8::1]:PORT")]
    Relay(String),
}

/// Which recipients' domains a route is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// Exactly this domain: `example.org`.
    Domain(Domain),
    /// Every name below it, but not itself: `.example.org`.
    Below(Domain),
    /// Every domain that no other route names: `*`.
    Default,
}

impl FromStr for Pattern {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        let bad = |_| RouteError::Pattern(text.to_owned());
        match (text, text.strip_prefix('.')) {
            ("*", _) => Ok(Self::Default),
            (_, Some(parent)) => Domain::new(parent).map(Self::Below).map_err(bad),
            (_, None) => Domain::new(text).map(Self::Domain).map_err(bad),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Below(domain) => write!(f, ".{domain}"),
            Self::Default => f.write_str("*"),
        }
    }
}

/// A smart host: where an operator wants mail to go, whatever DNS says of the domain. No MX is
/// looked up for it, and it may be on loopback or in a private network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Relay {
    /// A name whose addresses are looked up, or an address.
    pub host: Host,
    /// TCP port.
    pub port: u16,
}

impl FromStr for Relay {
    type Err = RouteError;

    /// `HOST`, `HOST:PORT`, `192.0.2.1:PORT`, `[2001:db8::1]:PORT`; the port is 25 where left out.
    fn from_str(text: &str) -> Result<Self, RouteError> {
        let bad = || RouteError::Relay(text.to_owned());
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self { host: Host::Literal(ip), port: SMTP_PORT });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().ok().filter(|&port| port != 0).ok_or_else(bad)?)
            }
            _ => (text, SMTP_PORT),
        };
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let host = match bare.parse::<IpAddr>() {
            Ok(ip) => Host::Literal(ip),
            Err(_) => Host::parse(host).map_err(|_| bad())?,
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Domain(domain) => write!(f, "{domain}:{}", self.port),
            Host::Literal(IpAddr::V4(ip)) => write!(f, "{ip}:{}", self.port),
            Host::Literal(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

/// The ways that operators have named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes(BTreeMap<Pattern, Relay>);

impl Routes {
    /// Adds a route; returns the one that it takes the place of.
    pub fn insert(&mut self, pattern: Pattern, relay: Relay) -> Option<Relay> {
        self.0.insert(pattern, relay)
    }

    /// Takes a route away.
    pub fn remove(&mut self, pattern: &Pattern) -> Option<Relay> {
        self.0.remove(pattern)
    }

    /// All of them, in order of their patterns.
    pub fn iter(&self) -> impl Iterator<Item = (&Pattern, &Relay)> {
        self.0.iter()
    }

    /// The route for mail to this host: the domain itself before the nearest parent's `.parent`
    /// before `*`. An address literal has at most `*`.
    #[must_use]
    pub fn find(&self, to: &Host) -> Option<&Relay> {
        let named = to.domain().and_then(|domain| self.named(domain));
        named.or_else(|| self.0.get(&Pattern::Default))
    }

    fn named(&self, domain: &Domain) -> Option<&Relay> {
        if let Some(relay) = self.0.get(&Pattern::Domain(domain.clone())) {
            return Some(relay);
        }
        // A domain name has at most 127 labels, so this ends soon.
        let mut rest = domain.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            let pattern = Pattern::Below(Domain::new(parent).ok()?);
            if let Some(relay) = self.0.get(&pattern) {
                return Some(relay);
            }
            rest = parent;
        }
        None
    }
}

impl FromIterator<(Pattern, Relay)> for Routes {
    fn from_iter<I: IntoIterator<Item = (Pattern, Relay)>>(routes: I) -> Self {
        Self(routes.into_iter().collect())
    }
}
