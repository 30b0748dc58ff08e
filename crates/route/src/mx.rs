use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use mail_types::{Domain, Host};

use crate::{Failure, Relay};

/// Hosts of one domain that are looked at, best first. The rest of a longer MX answer is left out:
/// it would cost more look-ups than it can help.
pub const MX_HOSTS_MAX: usize = 16;
/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 8;

/// A DNS question that got no usable answer. Always temporary: nobody has said "no such thing".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsError {
    /// RCODE 2.
    ServFail,
    /// No answer in time.
    Timeout,
    /// Anything else, in words.
    Other(String),
}

impl std::fmt::Display for DnsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ServFail => f.write_str("the DNS server failed (SERVFAIL)"),
            Self::Timeout => f.write_str("no DNS server answered in time"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// One MX record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// The mail host; `None` for the root, `.`.
    pub exchange: Option<Domain>,
}

/// What DNS said to the question for MX records, CNAMEs followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MxAnswer {
    /// At least one record.
    Records(Vec<Mx>),
    /// The name exists, without MX records.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// It is not known.
    Error(DnsError),
}

/// What DNS said to the questions for A and AAAA records of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// At least one address; the other family may have failed.
    Found(Vec<IpAddr>),
    /// None of either family, though the name may exist.
    None,
    /// None was found, and it is not known whether there is one.
    Error(DnsError),
}

/// Who we are, to notice that mail would come back to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Our host names.
    pub names: Vec<Domain>,
    /// Addresses of the outside world that end here.
    pub addresses: Vec<IpAddr>,
}

impl Own {
    fn is(&self, host: &Domain, addresses: &Addresses) -> bool {
        self.names.contains(host)
            || matches!(addresses, Addresses::Found(ips)
                if ips.iter().any(|ip| self.addresses.contains(ip)))
    }
}

/// A host to try, with its addresses in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name, or its address where it has none.
    pub host: Host,
    /// The preference of its MX record; 0 without one.
    pub preference: u16,
    /// At least one.
    pub addresses: Vec<SocketAddr>,
}

/// The places to try, in order. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Best first.
    pub places: Vec<Place>,
}

/// The hosts that take the mail of `domain`, in the order to try them: by preference, equals
/// shuffled by `random`.
///
/// # Errors
/// 5.1.2 for a domain that does not exist, 5.1.10 for a null MX, 4.4.3 where DNS gave no answer.
pub fn hosts(
    domain: &Domain,
    answer: &MxAnswer,
    random: u64,
) -> Result<Vec<(Domain, u16)>, Failure> {
    let records = match answer {
        MxAnswer::Records(records) => records,
        // RFC 5321 §5.1: no MX records: the domain itself, with preference 0 (implicit MX).
        MxAnswer::NoData => return Ok(vec![(domain.clone(), 0)]),
        MxAnswer::NxDomain => {
            return Err(Failure::permanent(1, 2, format!("the domain {domain} does not exist")));
        }
        MxAnswer::Error(error) => {
            return Err(Failure::temporary(
                4,
                3,
                format!("looking up the MX of {domain}: {error}"),
            ));
        }
    };
    let mut found: Vec<(Domain, u16)> = records
        .iter()
        .filter_map(|mx| mx.exchange.clone().map(|host| (host, mx.preference)))
        .collect();
    if found.is_empty() {
        // RFC 7505 §4.1: `MX 0 .` alone: the domain takes no mail, 5.1.10.
        return Err(Failure::permanent(1, 10, format!("{domain} takes no mail (null MX)")));
    }
    // RFC 5321 §5.1: lowest preference first; equal ones MUST be randomised.
    let mut random = random;
    shuffle(&mut found, &mut random);
    found.sort_by_key(|(_, preference)| *preference);
    let mut seen = Vec::with_capacity(found.len().min(MX_HOSTS_MAX));
    found.retain(|(host, _)| {
        let is_new = seen.len() < MX_HOSTS_MAX && !seen.contains(host);
        if is_new {
            seen.push(host.clone());
        }
        is_new
    });
    Ok(found)
}

/// Places for what [`hosts`] returned, each host with its addresses as DNS gave them.
///
/// # Errors
/// 5.4.6 where the mail would come back to us, 5.1.2 or 5.4.4 where no host has an address that may
/// be used, 4.4.3 where that is not known.
pub fn plan(
    domain: &Domain,
    hosts: &[(Domain, u16, Addresses)],
    own: &Own,
    inward: &Inward,
    port: u16,
) -> Result<Plan, Failure> {
    // RFC 5321 §5.1: a relay that is itself among the MX hosts MUST leave out every host with its
    // own preference or a worse one; nothing left is an error, since sending would loop.
    let ours = hosts.iter().filter(|(host, _, ips)| own.is(host, ips));
    let cut = ours.map(|(_, preference, _)| *preference).min();
    let candidates: Vec<_> =
        hosts.iter().filter(|(_, pref, _)| cut.is_none_or(|cut| *pref < cut)).collect();
    if candidates.is_empty() {
        let text = format!("mail for {domain} would come back to this server: it is its best MX");
        return Err(Failure::permanent(4, 6, text));
    }

    let mut places = Vec::new();
    let mut unknown = None;
    let mut refused = None;
    for (host, preference, addresses) in candidates {
        match addresses {
            Addresses::Found(ips) => {
                let (usable, bad): (Vec<IpAddr>, Vec<IpAddr>) =
                    ips.iter().partition(|ip| inward.may_reach(**ip));
                refused = refused.or_else(|| bad.first().map(|ip| (host, *ip)));
                if !usable.is_empty() {
                    let addresses = in_order(&usable, port);
                    let host = Host::Domain(host.clone());
                    places.push(Place { host, preference: *preference, addresses });
                }
            }
            Addresses::Error(error) => unknown = unknown.or(Some((host, error))),
            Addresses::None => {}
        }
    }
    if !places.is_empty() {
        return Ok(Plan { places });
    }
    Err(match (unknown, refused) {
        (Some((host, error)), _) => {
            Failure::temporary(4, 3, format!("looking up the address of {host}: {error}"))
        }
        (None, Some((host, ip))) => Failure::permanent(
            4,
            4,
            format!("the mail host {host} of {domain} points inward, to {ip}"),
        ),
        (None, None) if hosts.iter().all(|(host, _, _)| host == domain) => {
            Failure::permanent(1, 2, format!("{domain} has neither a mail host nor an address"))
        }
        (None, None) => {
            Failure::permanent(4, 4, format!("no mail host of {domain} has an address"))
        }
    })
}

/// The place for mail to an address literal, `user@[192.0.2.1]`.
///
/// # Errors
/// 5.4.6 where the address is ours, 5.1.2 where it points inward.
pub fn literal(ip: IpAddr, own: &Own, inward: &Inward, port: u16) -> Result<Plan, Failure> {
    if own.addresses.contains(&ip) {
        let text = format!("mail for [{ip}] would come back to this server");
        return Err(Failure::permanent(4, 6, text));
    }
    if !inward.may_reach(ip) {
        return Err(Failure::permanent(1, 2, format!("the address [{ip}] points inward")));
    }
    let addresses = vec![SocketAddr::new(ip, port)];
    Ok(Plan { places: vec![Place { host: Host::Literal(ip), preference: 0, addresses }] })
}

/// The place that an operator has named. `addresses` is not read where the relay is an address.
///
/// # Errors
/// 4.4.3 or 4.4.4 where its name has no address: a mistake of the operator, so never permanent.
pub fn smart_host(relay: &Relay, addresses: &Addresses) -> Result<Plan, Failure> {
    let ips = match (&relay.host, addresses) {
        (Host::Literal(ip), _) => vec![*ip],
        (Host::Domain(_), Addresses::Found(ips)) => ips.clone(),
        (Host::Domain(host), Addresses::Error(error)) => {
            let text = format!("looking up the smart host {host}: {error}");
            return Err(Failure::temporary(4, 3, text));
        }
        (Host::Domain(host), Addresses::None) => {
            return Err(Failure::ours(4, 4, format!("the smart host {host} has no address")));
        }
    };
    let addresses = in_order(&ips, relay.port);
    Ok(Plan { places: vec![Place { host: relay.host.clone(), preference: 0, addresses }] })
}

/// RFC 8305 §4: families take turns, IPv6 first, so that a broken one costs one time-out.
fn in_order(ips: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    let (mut six, mut four): (Vec<IpAddr>, Vec<IpAddr>) = ips.iter().partition(|ip| ip.is_ipv6());
    six.reverse();
    four.reverse();
    let mut ordered = Vec::with_capacity(ips.len().min(ADDRESSES_MAX));
    while ordered.len() < ADDRESSES_MAX && !(six.is_empty() && four.is_empty()) {
        ordered.extend(six.pop());
        ordered.extend(four.pop());
    }
    ordered.into_iter().take(ADDRESSES_MAX).map(|ip| SocketAddr::new(ip, port)).collect()
}

/// Fisher and Yates, on numbers drawn from `random` by SplitMix64.
fn shuffle<T>(items: &mut [T], random: &mut u64) {
    for last in (1..items.len()).rev() {
        *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = *random;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^= drawn >> 31;
        // last is far below 2^32, so the remainder is even enough.
        let other = usize::try_from(drawn % (last as u64 + 1)).unwrap_or(0);
        items.swap(last, other);
    }
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network: write 10.0.0.0/8, 192.0.2.1 or fd00::/8")]
pub struct NetworkError(String);

/// A range of addresses, `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    ip: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// The network that an address and its leading bits name; bits beyond the address's own count
    /// as all of them.
    #[must_use]
    pub fn new(ip: IpAddr, prefix_bits: u8) -> Self {
        let bits_max = if ip.is_ipv4() { 32 } else { 128 };
        Self { ip, prefix_bits: prefix_bits.min(bits_max) }
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix_bits);
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix_bits);
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let bad = || NetworkError(text.to_owned());
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip: IpAddr = ip.parse().map_err(|_| bad())?;
        let bits_max = if ip.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= bits_max).ok_or_else(bad)?,
            None => bits_max,
        };
        Ok(Self { ip, prefix_bits })
    }
}

/// Which inward addresses DNS may nevertheless lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inward {
    /// Networks of the operator's own in which mail hosts stand. Default: none.
    pub allowed: Vec<Network>,
}

impl Inward {
    /// DNS may lead anywhere: for closed networks, where every mail host is inward.
    #[must_use]
    pub fn anywhere() -> Self {
        let all = |ip: IpAddr| Network { ip, prefix_bits: 0 };
        let allowed = vec![all(Ipv4Addr::UNSPECIFIED.into()), all(Ipv6Addr::UNSPECIFIED.into())];
        Self { allowed }
    }

    /// Whether an address that a stranger's record or URL leads to may be connected to.
    #[must_use]
    pub fn may_reach(&self, ip: IpAddr) -> bool {
        !is_inward(ip) || self.allowed.iter().any(|network| network.contains(ip))
    }
}

/// Whether an address leads to this machine or its neighbours rather than into the public network.
/// Strangers write MX records: one that points inward would make us speak to our own services.
#[must_use]
pub fn is_inward(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_inward_v4(ip),
        IpAddr::V6(ip) => is_inward_v6(ip),
    }
}

/// IANA special-purpose registry, as far as not reachable from everywhere.
fn is_inward_v4(ip: Ipv4Addr) -> bool {
    let [a, b, _, _] = ip.octets();
    ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        // 0.0.0.0/8 "this network" (RFC 791) and 240.0.0.0/4 with broadcast (RFC 1112 §4).
        || a == 0
        || a >= 240
        // Shared address space, RFC 6598.
        || (a == 100 && (64..128).contains(&b))
        // Benchmarking, RFC 2544.
        || (a == 198 && (18..20).contains(&b))
}

fn is_inward_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    // ::ffff:0:0/96 and 64:ff9b::/96 (RFC 6052) wrap an IPv4 address, 2002::/16 (RFC 3056) too.
    if let Some(wrapped) = ip.to_ipv4_mapped() {
        return is_inward_v4(wrapped);
    }
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_inward_v4(v4(segments[6], segments[7]));
    }
    if segments[0] == 0x2002 {
        return is_inward_v4(v4(segments[1], segments[2]));
    }
    // ::/96: unspecified, loopback and the old IPv4-compatible addresses.
    segments[..6] == [0; 6]
        || ip.is_multicast()
        || ip.is_unique_local()
        || ip.is_unicast_link_local()
        // Site-local, deprecated by RFC 3879 and still seen.
        || segments[0] & 0xffc0 == 0xfec0
}
