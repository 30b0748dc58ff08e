//! Author Domains (RFC 9989 §5.3.1), from the From fields of a header.

use mail_types::Domain;
use message::{Envelope, Fields, Limits};

/// Author domains of one message that are judged; nobody writes in the name of more.
const AUTHOR_DOMAINS_MAX: usize = 5;
/// Addresses of one From field that are looked at.
const ADDRESSES_MAX: usize = 200;

/// Whose a message says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authors {
    /// Domains, in ASCII and lower case, each once; at least one, mostly just one.
    Domains(Vec<String>),
    /// Such domains, and beside them an address whose domain cannot be read.
    Partly {
        /// Those that can be read.
        domains: Vec<String>,
        /// What cannot, for people.
        flaw: String,
    },
    /// More than are judged.
    TooMany {
        /// The first ones; may be none.
        domains: Vec<String>,
        /// More than what, for people.
        flaw: String,
    },
    /// There is none; why, for people.
    Unusable(String),
}

impl Authors {
    /// Those whose policy counts.
    #[must_use]
    pub fn domains(&self) -> &[String] {
        match self {
            Self::Domains(domains) | Self::Partly { domains, .. } => domains,
            Self::TooMany { .. } | Self::Unusable(_) => &[],
        }
    }
}

/// The domains of all addresses in all From fields of a header, or of a message that begins with
/// one. All fields are looked at: how many there may be is said where the message is taken.
#[must_use]
pub fn authors(header: &[u8]) -> Authors {
    let limits = Limits { addresses_max: ADDRESSES_MAX, ..Limits::default() };
    let mut domains: Vec<String> = Vec::new();
    let mut unreadable = None;
    let mut fields = 0_usize;
    for field in Fields::new(header).filter(|field| field.is("From")) {
        fields += 1;
        let addresses = Envelope::read(field.raw, &limits).from;
        for address in addresses.iter().filter(|address| address.is_address()) {
            let host = address.host.as_deref().unwrap_or_default();
            // Words without an `@` lend nobody's name. Mostly they are a part of somebody's: who
            // writes `Smith, Ann <ann@example.org>` means one author.
            if host.is_empty() && !address.mailbox.as_deref().is_some_and(|it| it.contains(&b'@')) {
                continue;
            }
            // RFC 9989 §5.3.1: "MUST be converted to an A-label".
            let domain = std::str::from_utf8(host).ok().and_then(|host| Domain::new(host).ok());
            let Some(domain) = domain else {
                unreadable.get_or_insert_with(|| address.address_text().unwrap_or_default());
                continue;
            };
            if domains.iter().any(|known| known == domain.as_str()) {
                continue;
            }
            if domains.len() == AUTHOR_DOMAINS_MAX {
                let flaw = format!("From names more than {AUTHOR_DOMAINS_MAX} domains");
                return Authors::TooMany { domains, flaw };
            }
            domains.push(domain.as_str().to_owned());
        }
        // The list is cut there: what is behind would be shown, and judged by nobody.
        if addresses.len() + 1 >= ADDRESSES_MAX {
            let flaw = format!("From has more than {} entries", ADDRESSES_MAX - 2);
            return Authors::TooMany { domains, flaw };
        }
    }
    match (unreadable, domains.is_empty()) {
        (None, false) => Authors::Domains(domains),
        (Some(text), false) => {
            Authors::Partly { domains, flaw: format!("From names {text} too, which has no domain") }
        }
        (Some(text), true) => Authors::Unusable(format!("From names no domain: {text}")),
        (None, true) if fields == 0 => Authors::Unusable("there is no From field".to_owned()),
        (None, true) => Authors::Unusable("From holds no address".to_owned()),
    }
}
