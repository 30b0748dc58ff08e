//! What of the wanted records is there.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mail_types::Domain;
use net::{Authority, Lookup, RecordKind, Resolver};
use route::sts_id;
use sender_auth::{Query, SpfSession, Verdict, spf_mail_from};

use super::rua::{self, Kept};
use super::wanted::{Right, Wanted};
use crate::dkim::same_key;

/// How long all look-ups of one record may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What was found of a record.
pub struct Found {
    /// Is there, right or not.
    pub present: Vec<String>,
    /// Nothing could be found out, and why.
    pub trouble: Option<String>,
    /// What is wrong with it in particular, or worth knowing.
    pub notes: Vec<String>,
    right: bool,
}

/// What records are held against.
pub struct Looking<'a> {
    pub resolver: &'a Arc<Resolver>,
    pub domain: &'a Domain,
    pub host: &'a Domain,
    pub kept: &'a Kept,
}

impl Found {
    /// right, wrong, missing or unknown.
    pub const fn word(&self) -> &'static str {
        match self {
            Self { trouble: Some(_), .. } => "unknown",
            Self { right: true, .. } => "right",
            Self { right: false, present, .. } if present.is_empty() => "missing",
            Self { .. } => "wrong",
        }
    }

    /// The same for people, to be seen from afar.
    pub fn mark(&self) -> String {
        match self.word() {
            "right" => "right".to_owned(),
            word => word.to_ascii_uppercase(),
        }
    }
}

/// Addresses of this host, and their names, which other servers hold against its greeting.
pub async fn reverse(resolver: &Resolver, host: &Domain) -> Vec<Wanted> {
    let Lookup::Found { records, .. } = resolver.addresses(host).await else {
        return vec![Wanted {
            name: host.to_string(),
            kind: RecordKind::A,
            data: "(the address of this host)".to_owned(),
            why: "this host is found",
            needed: true,
            right: Right::Any,
        }];
    };
    let mut wanted = Vec::new();
    for ip in records {
        let kind = if ip.is_ipv4() { RecordKind::A } else { RecordKind::Aaaa };
        wanted.push(Wanted {
            name: host.to_string(),
            kind,
            data: ip.to_string(),
            why: "this host is found",
            needed: true,
            right: Right::Any,
        });
        wanted.push(Wanted {
            name: Query::reverse(ip).name().to_owned(),
            kind: RecordKind::Ptr,
            data: format!("{host}."),
            why: "the name of its address",
            needed: true,
            right: Right::Same,
        });
    }
    wanted
}

/// Looks a record up and compares.
pub async fn look(looking: &Looking<'_>, wanted: &Wanted) -> Found {
    let Looking { resolver, domain, host, kept } = *looking;
    let mut notes = Vec::new();
    let unknown = |present, trouble| Found {
        present,
        trouble: Some(trouble),
        notes: Vec::new(),
        right: false,
    };
    let mut present = match resolver.shown(&wanted.name, wanted.kind).await {
        Lookup::Found { records, .. } => records,
        Lookup::NoData | Lookup::NxDomain => Vec::new(),
        Lookup::Temporary(why) => {
            return unknown(Vec::new(), why.to_string());
        }
    };
    let begins = |text: &String, tag: &str| {
        text.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag))
    };
    let tag = wanted.data.split([';', ' ']).next().unwrap_or_default();
    let right = match wanted.right {
        Right::Same => present.iter().any(|found| same(found, &wanted.data, wanted.kind)),
        Right::Any => !present.is_empty(),
        Right::Key => present.iter().any(|found| same_key(found, &wanted.data)),
        Right::Sts => {
            present.retain(|found| begins(found, tag));
            let id = |text: &str| sts_id(&[text.as_bytes().to_vec()]).ok().flatten();
            present.len() == 1 && id(&present[0]) == id(&wanted.data)
        }
        Right::Dmarc | Right::TlsReports => {
            present.retain(|found| begins(found, tag));
            let checked = match (wanted.right, present.as_slice()) {
                (Right::Dmarc, [text]) => rua::dmarc(resolver, domain, text, kept).await,
                (_, [text]) => rua::tls(text, kept),
                (_, _) => rua::Checked::default(),
            };
            notes = [checked.wrong.as_slice(), &checked.told].concat();
            present.len() == 1 && checked.wrong.is_empty()
        }
        Right::Spf => {
            present.retain(|found| begins(found, tag));
            present.len() == 1
                && match spf_passes(resolver, domain, host).await {
                    Ok(passes) => passes,
                    Err(trouble) => return unknown(present, trouble),
                }
        }
    };
    // Besides ours there may be other exchangers and certificates; they do not make ours wrong.
    Found { present, trouble: None, notes, right }
}

/// Compares data as DNS does; where a mail exchanger stands in the order is the domain's choice.
fn same(found: &str, wanted: &str, kind: RecordKind) -> bool {
    let last = |data: &str| data.split(' ').next_back().unwrap_or_default().to_ascii_lowercase();
    match kind {
        RecordKind::Mx => last(found) == last(wanted),
        RecordKind::A
        | RecordKind::Aaaa
        | RecordKind::Cname
        | RecordKind::Ptr
        | RecordKind::Srv
        | RecordKind::Tlsa
        | RecordKind::Txt => found.eq_ignore_ascii_case(wanted),
    }
}

/// Whether the domain's SPF record lets every address of this host send.
async fn spf_passes(
    resolver: &Arc<Resolver>,
    domain: &Domain,
    host: &Domain,
) -> Result<bool, String> {
    let addresses: Vec<IpAddr> = match resolver.addresses(host).await {
        Lookup::Found { records, .. } => records,
        Lookup::NoData | Lookup::NxDomain => return Ok(true),
        Lookup::Temporary(why) => return Err(why.to_string()),
    };
    for ip in addresses {
        let mail_from = format!("postmaster@{domain}");
        let session = SpfSession {
            ip,
            helo: host.as_str(),
            mail_from: &mail_from,
            receiver: host.as_str(),
            now_secs: net::now().secs(),
        };
        let mut authority = Authority::new(Arc::clone(resolver), PATIENCE);
        let result = authority.drive(|answers| spf_mail_from(&session, answers)).await;
        match result.outcome.verdict {
            Verdict::Pass => {}
            Verdict::TempError => return Err(result.outcome.reason().to_owned()),
            Verdict::None
            | Verdict::Neutral
            | Verdict::Fail
            | Verdict::SoftFail
            | Verdict::Policy
            | Verdict::PermError => return Ok(false),
        }
    }
    Ok(true)
}
