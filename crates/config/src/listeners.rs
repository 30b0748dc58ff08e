use std::fmt;
use std::net::SocketAddr;

use crate::Config;
use crate::values::Listen;

/// A service that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Mail from other servers, RFC 5321.
    Smtp,
    /// Mail from mail programs, RFC 6409.
    Submission,
    /// The same with TLS from the first byte, RFC 8314.
    Submissions,
    /// Reading mail, RFC 3501 and RFC 9051.
    Imap,
    /// The same with TLS from the first byte.
    Imaps,
    /// Fetching mail, RFC 1939.
    Pop3,
    /// The same with TLS from the first byte.
    Pop3s,
    /// Mail from hosts of our own in front of us, RFC 2033.
    Lmtp,
    /// The HTTP API, TLS from the first byte, RFC 9110.
    Https,
    /// Proofs for ACME in clear, RFC 8555 §8.3.
    Http,
    /// Standbys that follow.
    Standby,
}

impl Service {
    /// All services, in the order of the file.
    pub const ALL: [Self; 11] = [
        Self::Smtp,
        Self::Submission,
        Self::Submissions,
        Self::Imap,
        Self::Imaps,
        Self::Pop3,
        Self::Pop3s,
        Self::Https,
        Self::Http,
        Self::Lmtp,
        Self::Standby,
    ];

    /// Its name in the file, in the words of IANA's port list.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Lmtp => "lmtp",
            Self::Https => "https",
            Self::Http => "http",
            Self::Standby => "standby",
        }
    }

    /// Whether TLS begins with the first byte.
    #[must_use]
    pub const fn is_implicit_tls(self) -> bool {
        match self {
            Self::Submissions | Self::Imaps | Self::Pop3s | Self::Https | Self::Standby => true,
            Self::Smtp | Self::Submission | Self::Imap | Self::Pop3 | Self::Lmtp | Self::Http => {
                false
            }
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What answers there.
    pub service: Service,
    /// Where, port base added.
    pub address: SocketAddr,
}

impl Config {
    /// What the file says of a service.
    #[must_use]
    pub const fn listen_of(&self, service: Service) -> &Listen {
        match service {
            Service::Smtp => &self.listen.smtp,
            Service::Submission => &self.listen.submission,
            Service::Submissions => &self.listen.submissions,
            Service::Imap => &self.listen.imap,
            Service::Imaps => &self.listen.imaps,
            Service::Pop3 => &self.listen.pop3,
            Service::Pop3s => &self.listen.pop3s,
            Service::Lmtp => &self.listen.lmtp,
            Service::Https => &self.listen.https,
            Service::Http => &self.listen.http,
            Service::Standby => &self.listen.standby,
        }
    }

    /// The port of a service at the common addresses; `None` where it has none there, or where
    /// the sum is above 65535 (a contradiction, which stops the start).
    #[must_use]
    pub fn port_of(&self, service: Service) -> Option<u16> {
        match self.listen_of(service) {
            Listen::Off | Listen::Addresses(_) => None,
            Listen::Port(port) => self.listen.port_base.checked_add(*port),
        }
    }

    /// Every address to listen on, services in the order of the file.
    #[must_use]
    pub fn listeners(&self) -> Vec<Listener> {
        let mut all = Vec::new();
        for service in Service::ALL {
            if let Some(port) = self.port_of(service) {
                all.extend(
                    self.listen
                        .addresses
                        .iter()
                        .map(|&ip| Listener { service, address: SocketAddr::new(ip, port) }),
                );
            } else if let Listen::Addresses(addresses) = self.listen_of(service) {
                all.extend(addresses.iter().map(|&address| Listener { service, address }));
            }
        }
        all
    }
}
