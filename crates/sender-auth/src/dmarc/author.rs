//! Author Domains (RFC 9989 §5.3.1), from the From fields of a header.

use mail_types::Domain;
use message::{Envelope, Fields, Limits};

/// Author domains of one message that are judged; with more it cannot be.
const AUTHOR_DOMAINS_MAX: usize = 5;
/// Addresses of one From field that are looked at.
const ADDRESSES_MAX: usize = 200;

/// Whose a message says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authors {
    /// Domains, in ASCII and lower case, each once; at least one, mostly just one.
    Domains(Vec<String>),
    /// There is none, or not only such; why, for people.
    Unusable(String),
}

/// The domains of all addresses in all From fields of a header, or of a message that begins with
/// one.
#[must_use]
pub fn authors(header: &[u8]) -> Authors {
    let limits = Limits { addresses_max: ADDRESSES_MAX, ..Limits::default() };
    let mut domains: Vec<String> = Vec::new();
    let mut fields = 0_usize;
    for field in Fields::limited(header, &limits).filter(|field| field.is("From")) {
        fields += 1;
        let addresses = Envelope::read(field.raw, &limits).from;
        for address in addresses.iter().filter(|address| address.is_address()) {
            let host = address.host.as_deref().unwrap_or_default();
            // RFC 9989 §5.3.1: "MUST be converted to an A-label".
            let domain = std::str::from_utf8(host).ok().and_then(|host| Domain::new(host).ok());
            let Some(domain) = domain else {
                let why = format!("From names no domain: {}", String::from_utf8_lossy(host));
                return Authors::Unusable(why);
            };
            if !domains.iter().any(|known| known == domain.as_str()) {
                domains.push(domain.as_str().to_owned());
            }
            if domains.len() > AUTHOR_DOMAINS_MAX {
                let why = format!("From names more than {AUTHOR_DOMAINS_MAX} domains");
                return Authors::Unusable(why);
            }
        }
    }
    match (fields, domains.is_empty()) {
        (0, _) => Authors::Unusable("there is no From field".to_owned()),
        (_, true) => Authors::Unusable("From holds no address".to_owned()),
        (_, false) => Authors::Domains(domains),
    }
}
