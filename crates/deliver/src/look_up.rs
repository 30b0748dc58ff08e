use std::net::IpAddr;
use std::sync::Arc;

use mail_types::{Domain, Host};
use net::{Dnssec, Lookup, MxHost, Proof, Temporary};
use route::{Addresses, DnsError, Failure, Mx, MxAnswer, Place, Plan, Relay};

use crate::Runner;
use crate::protection::{Guarded, Protection, Tlsas, host_facts};
use crate::queue::Queue;
use crate::sts::Sts;

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

    /// The places to try, by what DNS says now, and what TLS must be there. The resolver remembers
    /// answers; so does nothing here (policies of MTA-STS aside), that changes are seen when it
    /// sees them.
    pub(crate) async fn plan(&self, hop: &NextHop) -> Result<Vec<Guarded>, Failure> {
        let settings = &self.settings;
        match hop {
            NextHop::Literal(ip) => {
                let plan = route::literal(*ip, &settings.own, &settings.inward, settings.port)?;
                Ok(self.guard(plan, &[], &Sts::None))
            }
            NextHop::Relay(relay) => {
                let host = match &relay.host {
                    Host::Domain(host) => host,
                    Host::Literal(_) => {
                        let plan = route::smart_host(relay, &Addresses::None)?;
                        return Ok(self.guard(plan, &[], &Sts::None));
                    }
                };
                // RFC 7672 §2.2.3: an operator's word needs no proof.
                let (found, tlsas) =
                    host_facts(&self.resolver, None, host, relay.port, self.uses_dane()).await;
                let plan = route::smart_host(relay, &addresses(found))?;
                Ok(self.guard(plan, &[(host.clone(), tlsas)], &Sts::None))
            }
            NextHop::Domain(domain) => {
                let (mx, sts) = tokio::join!(self.mx(domain), self.sts_of(domain));
                let is_proven = self.uses_dane() && mx.1;
                let hosts = route::hosts(domain, &mx.0, (self.random)())?;
                let (asked, tlsas) = self.facts_of(domain, hosts, is_proven).await;
                let plan =
                    route::plan(domain, &asked, &settings.own, &settings.inward, settings.port)?;
                Ok(self.guard(plan, &tlsas, &sts))
            }
        }
    }

    fn uses_dane(&self) -> bool {
        self.settings.starttls && self.settings.dane && self.resolver.dnssec() != Dnssec::Off
    }

    /// What DNS says of the mail hosts, and whether it is proven. RFC 7672 §2.2.1: that there are
    /// none needs no proof, since then the domain itself is asked.
    async fn mx(&self, domain: &Domain) -> (MxAnswer, bool) {
        if !self.uses_dane() {
            return (mx_answer(self.resolver.mx(domain).await), false);
        }
        let answer = self.resolver.mx_proven(domain).await;
        let is_proven = match &answer.found {
            Lookup::Found { .. } => answer.proof == Proof::Secure,
            Lookup::NoData => true,
            Lookup::NxDomain | Lookup::Temporary(_) => false,
        };
        (mx_answer(answer.found), is_proven)
    }

    async fn sts_of(&self, domain: &Domain) -> Sts {
        match &self.sts {
            Some(policies) if self.settings.starttls => {
                policies.find(domain, self.clock.now()).await
            }
            Some(_) | None => Sts::None,
        }
    }

    /// Each place with what TLS must be there.
    fn guard(&self, plan: Plan, tlsas: &[(Domain, Tlsas)], sts: &Sts) -> Vec<Guarded> {
        let guard = |place: Place| {
            let tlsas = tlsas
                .iter()
                .find(|(host, _)| matches!(&place.host, Host::Domain(at) if at == host))
                .map_or(Tlsas::None, |(_, tlsas)| tlsas.clone());
            let protection = match self.settings.starttls {
                true => Protection::of(tlsas, sts, &place.host),
                false => Protection::Off,
            };
            Guarded { place, protection }
        };
        plan.places.into_iter().map(guard).collect()
    }

    /// Asks for the addresses and TLSA records of all hosts at once, at most `MX_HOSTS_MAX`; the
    /// order stays.
    async fn facts_of(
        &self,
        domain: &Domain,
        hosts: Vec<(Domain, u16)>,
        is_proven: bool,
    ) -> (Vec<(Domain, u16, Addresses)>, Vec<(Domain, Tlsas)>) {
        let mut asking = Vec::with_capacity(hosts.len());
        let port = self.settings.port;
        for (host, preference) in hosts {
            let resolver = Arc::clone(&self.resolver);
            let (domain, name) = (domain.clone(), host.clone());
            let ask = tokio::spawn(async move {
                host_facts(&resolver, Some(&domain), &name, port, is_proven).await
            });
            asking.push((host, preference, ask));
        }
        let mut asked = Vec::with_capacity(asking.len());
        let mut tlsas = Vec::with_capacity(asking.len());
        for (host, preference, ask) in asking {
            match ask.await {
                Ok((found, of_host)) => {
                    tlsas.push((host.clone(), of_host));
                    asked.push((host, preference, addresses(found)));
                }
                Err(error) => {
                    let error = DnsError::Other(error.to_string());
                    asked.push((host, preference, Addresses::Error(error)));
                }
            }
        }
        (asked, tlsas)
    }
}

fn addresses(found: Lookup<IpAddr>) -> Addresses {
    match found {
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
