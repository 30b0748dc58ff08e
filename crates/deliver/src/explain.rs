use mail_types::{Domain, Host};
use net::Dnssec;

use crate::Runner;
use crate::look_up::NextHop;
use crate::queue::Queue;

/// What TLS must be towards a domain, for an operator who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPolicy {
    /// Which way its mail goes: the domain, or what a route names.
    pub hop: String,
    /// Who proves DNS answers, without which there is no DANE.
    pub dnssec: Dnssec,
    /// Each host in the order in which they are tried; or why none is known.
    pub hosts: Result<Vec<HostPolicy>, String>,
}

/// What TLS must be towards one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPolicy {
    /// Its name.
    pub host: String,
    /// The preference of its MX record.
    pub preference: u16,
    /// In a few words, as attempts are recorded with.
    pub policy: String,
    /// In a sentence.
    pub explained: String,
    /// Whether no mail goes there where it is not met.
    pub is_mandatory: bool,
}

impl<Q: Queue> Runner<Q> {
    /// What TLS must be towards a domain now, by the same look-ups that sending makes.
    pub async fn tls_policy(&self, domain: &Domain) -> TlsPolicy {
        let hop = self.next_hop(&Host::Domain(domain.clone()));
        let hosts = self.plan(&hop).await.map_err(|failure| failure.text).map(|places| {
            let told = |guarded: crate::protection::Guarded| HostPolicy {
                host: guarded.place.host.to_string(),
                preference: guarded.place.preference,
                policy: guarded.protection.words(),
                explained: guarded.protection.explained(),
                is_mandatory: guarded.protection.is_mandatory(),
            };
            places.into_iter().map(told).collect()
        });
        let hop = match &hop {
            NextHop::Relay(relay) => format!("the route to {relay}"),
            NextHop::Domain(_) | NextHop::Literal(_) => hop.to_string(),
        };
        TlsPolicy { hop, dnssec: self.resolver.dnssec(), hosts }
    }
}
