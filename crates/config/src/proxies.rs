//! Which listeners stand behind proxies.

use std::fmt;
use std::net::SocketAddr;

use crate::listeners::{Listener, Service};

/// What only proxies may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyAt {
    /// All addresses of a service.
    Service(Service),
    /// One address that a service listens on.
    Address(SocketAddr),
}

impl ProxyAt {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let service = Service::ALL.into_iter().find(|service| service.as_str() == text);
        service.map(Self::Service).or_else(|| text.parse().ok().map(Self::Address))
    }

    /// Whether this is one of the addresses that are meant.
    #[must_use]
    pub fn covers(&self, listener: &Listener) -> bool {
        match self {
            Self::Service(service) => *service == listener.service,
            Self::Address(address) => *address == listener.address,
        }
    }
}

impl fmt::Display for ProxyAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => service.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}
