//! Networks that defaults name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::values::Network;

/// This machine.
pub(crate) fn loopback() -> Vec<Network> {
    vec![
        Network { ip: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix_bits: 8 },
        Network { ip: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix_bits: 128 },
    ]
}

/// This machine, and networks that are in nobody's reach from the Internet (RFC 1918, RFC 4193,
/// RFC 4291 §2.5.6, RFC 3927).
pub(crate) fn private() -> Vec<Network> {
    let v4 = |a, b, prefix_bits| Network { ip: IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), prefix_bits };
    let v6 = |first, prefix_bits| Network {
        ip: IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)),
        prefix_bits,
    };
    let mut all = loopback();
    all.extend([v4(10, 0, 8), v4(172, 16, 12), v4(192, 168, 16), v4(169, 254, 16)]);
    all.extend([v6(0xfc00, 7), v6(0xfe80, 10)]);
    all
}
