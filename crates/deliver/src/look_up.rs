use std::sync::Arc;

use mail_types::{Domain, Host};
use net::{Lookup, MxHost, Resolver, Temporary};
use route::{Addresses, DnsError, Failure, Mx, MxAnswer, Plan, Relay};
use tokio::task::JoinError;

use crate::Runner;
use crate::queue::Queue;

/// Where mail goes next: what connections are shared for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum NextHop {
    /// The mail hosts of a domain.
    Domain(Domain),
    /// An address literal.
    Literal(std::net::IpAddr),
    /// What an operator has named.
    Relay(Relay),
}

impl std::fmt::Display for NextHop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Literal(ip) => write!(f, "[{ip}]"),
            Self::Relay(relay) => relay.fmt(f),
        }
    }
}

impl<Q: Queue> Runner<Q> {
    /// Where mail for this host goes, by the routes of now.
    pub(crate) fn next_hop(&self, to: &Host) -> NextHop {
        let routes = self.routes.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        match (routes.find(to), to) {
            (Some(relay), _) => NextHop::Relay(relay.clone()),
            (None, Host::Domain(domain)) => NextHop::Domain(domain.clone()),
            (None, Host::Literal(ip)) => NextHop::Literal(*ip),
        }
    }

    /// The places to try, by what DNS says now. The resolver remembers answers; so does nothing
    /// here, that changes are seen when it sees them.
    pub(crate) async fn plan(&self, hop: &NextHop) -> Result<Plan, Failure> {
        let settings = &self.settings;
        match hop {
            NextHop::Literal(ip) => {
                route::literal(*ip, &settings.own, &settings.inward, settings.port)
            }
            NextHop::Relay(relay) => {
                let addresses = match &relay.host {
                    Host::Domain(host) => addresses(&self.resolver, host).await,
                    Host::Literal(_) => Addresses::None,
                };
                route::smart_host(relay, &addresses)
            }
            NextHop::Domain(domain) => {
                let answer = mx_answer(self.resolver.mx(domain).await);
                let hosts = route::hosts(domain, &answer, (self.random)())?;
                let asked = self.addresses_of(hosts).await;
                route::plan(domain, &asked, &settings.own, &settings.inward, settings.port)
            }
        }
    }

    /// Asks for the addresses of all hosts at once, at most `MX_HOSTS_MAX`; the order stays.
    async fn addresses_of(&self, hosts: Vec<(Domain, u16)>) -> Vec<(Domain, u16, Addresses)> {
        let mut asking = Vec::with_capacity(hosts.len());
        for (host, preference) in hosts {
            let resolver = Arc::clone(&self.resolver);
            let name = host.clone();
            let ask = tokio::spawn(async move { addresses(&resolver, &name).await });
            asking.push((host, preference, ask));
        }
        let mut asked = Vec::with_capacity(asking.len());
        for (host, preference, ask) in asking {
            let failed = |error: JoinError| Addresses::Error(DnsError::Other(error.to_string()));
            asked.push((host, preference, ask.await.unwrap_or_else(failed)));
        }
        asked
    }
}

async fn addresses(resolver: &Resolver, host: &Domain) -> Addresses {
    match resolver.addresses(host).await {
        Lookup::Found { records, .. } => Addresses::Found(records),
        Lookup::NoData | Lookup::NxDomain => Addresses::None,
        Lookup::Temporary(why) => Addresses::Error(dns_error(why)),
    }
}

fn mx_answer(found: Lookup<net::Mx>) -> MxAnswer {
    match found {
        Lookup::Found { records, .. } => {
            let read = |mx: net::Mx| match mx.exchange {
                MxHost::Host(host) => Some(Mx { preference: mx.preference, exchange: Some(host) }),
                MxHost::Null => Some(Mx { preference: mx.preference, exchange: None }),
                MxHost::Invalid(_) => None,
            };
            let count = records.len();
            let records: Vec<Mx> = records.into_iter().filter_map(read).collect();
            if records.is_empty() {
                // RFC 5321 §5.1: MX records of which none is usable are an error, no reason to go
                // by the domain's own address. Whoever wrote them may yet mend them.
                let text = format!("none of its {count} MX records names a host");
                return MxAnswer::Error(DnsError::Other(text));
            }
            MxAnswer::Records(records)
        }
        Lookup::NoData => MxAnswer::NoData,
        Lookup::NxDomain => MxAnswer::NxDomain,
        Lookup::Temporary(why) => MxAnswer::Error(dns_error(why)),
    }
}

fn dns_error(why: Temporary) -> DnsError {
    match why {
        Temporary::ServFail => DnsError::ServFail,
        Temporary::TimedOut => DnsError::Timeout,
        Temporary::Refused | Temporary::Bogus | Temporary::Other(_) => {
            DnsError::Other(why.to_string())
        }
    }
}
