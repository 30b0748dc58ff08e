//! What the server asks of the world outside, made from the settings: names, and TLS as a client.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use config::{Config, Dnssec};
use net::{ClientTls, HttpClient, NameServer, Resolver, ResolverSettings, Trust};
use route::Inward;

use crate::data_dir::DataDir;

/// One of each, for all services.
#[derive(Clone)]
pub struct Outside {
    /// DNS.
    pub resolver: Arc<Resolver>,
    /// For other mail servers.
    pub tls: ClientTls,
    /// For policies, web hooks and certificates.
    pub http: HttpClient,
}

impl Outside {
    /// Must run within tokio.
    pub fn new(data: &DataDir, config: &Config) -> anyhow::Result<Self> {
        let resolver = Arc::new(Resolver::new(&resolver_settings(data, config))?);
        let files: Vec<PathBuf> =
            config.tls.authorities.iter().map(|path| data.resolve(path)).collect();
        let trust = Trust::public_and(&files)?;
        let http = HttpClient::new(Arc::clone(&resolver), &trust, inward(config))?;
        Ok(Self { resolver, tls: ClientTls::new(&trust)?, http })
    }
}

/// Networks of the operator's own that DNS may lead into.
pub fn inward(config: &Config) -> Inward {
    let networks = config.queue.inward_networks.iter();
    Inward { allowed: networks.map(|net| route::Network::new(net.ip, net.prefix_bits)).collect() }
}

/// How DNS is asked.
pub fn resolver_settings(data: &DataDir, config: &Config) -> ResolverSettings {
    let dns = &config.dns;
    let mut settings = ResolverSettings {
        attempt: dns.attempt_timeout,
        retries: dns.retries,
        deadline: dns.timeout,
        cache_entries: dns.cache_entries,
        trust_anchors: dns.trust_anchors.iter().map(|path| data.resolve(path)).collect(),
        ..ResolverSettings::default()
    };
    if let config::Resolver::Server(address) = dns.resolver {
        settings.servers = vec![NameServer(address)];
    }
    settings.dnssec = match dns.dnssec {
        Dnssec::Off => net::Dnssec::Off,
        Dnssec::Trust => net::Dnssec::TrustServer,
        Dnssec::Validate => net::Dnssec::Validate,
        // The way to a server on this machine is safe (RFC 6840 §5.8); what comes over a network
        // can be forged on its way, AD bit and all.
        Dnssec::Auto => match are_here(&settings) {
            true => net::Dnssec::TrustServer,
            false => net::Dnssec::Validate,
        },
    };
    settings
}

fn are_here(settings: &ResolverSettings) -> bool {
    let is_loopback = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.to_canonical().is_loopback(),
    };
    settings.servers_to_ask().is_ok_and(|servers| servers.iter().all(|one| is_loopback(one.0)))
}
