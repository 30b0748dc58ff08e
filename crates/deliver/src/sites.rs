//! Which destinations are the same hosts.

use std::sync::Arc;

use crate::desk::Key;
use crate::look_up::NextHop;
use crate::protection::Guarded;

/// The hosts that take the mail, whatever the domain is called.
pub(crate) fn site(key: &Key, hosts: &[String]) -> Arc<str> {
    match key.hop {
        NextHop::Domain(_) => {
            let mut hosts = hosts.to_vec();
            hosts.sort_unstable();
            hosts.join(" ").into()
        }
        NextHop::Literal(_) | NextHop::Relay(_) => key.hop.to_string().into(),
    }
}

/// Hosts with their addresses, and what TLS must be there: destinations of which all of it is the
/// same may share connections. None where a reference name is the destination's own (RFC 7672
/// §3.1.2), or its policy is not known.
pub(crate) fn way(key: &Key, places: &[Guarded]) -> Option<Arc<str>> {
    if !key.asked.is_empty() || !matches!(key.hop, NextHop::Domain(_)) {
        return None;
    }
    let mut ways = Vec::with_capacity(places.len());
    for Guarded { place, protection } in places {
        let mut addresses: Vec<String> = place.addresses.iter().map(ToString::to_string).collect();
        addresses.sort_unstable();
        let (host, preference) = (&place.host, place.preference);
        let policy = protection.shared_by()?;
        ways.push(format!("{preference} {host} {} {policy}", addresses.join(",")));
    }
    ways.sort_unstable();
    Some(ways.join("; ").into())
}
