//! What TLS must be towards a host, by whom, and what comes of it.

use std::sync::Arc;

use mail_types::{Domain, Host};
use net::{Dane, Demand, Lookup, Proof, Resolver, TlsRefusal, Tlsa};
use route::{Place, StsMode, StsPolicy};

use crate::sts::{Sts, StsTrouble};
use crate::tries::Published;

/// TLSA records of one host that are looked at.
const RECORDS_MAX: usize = 64;

/// A place to try, with what TLS must be there.
#[derive(Clone, Debug)]
pub(crate) struct Guarded {
    pub(crate) place: Place,
    pub(crate) protection: Protection,
}

impl Guarded {
    /// The same for mail that would rather arrive than be protected.
    pub(crate) fn waived(self) -> Self {
        Self { protection: self.protection.waived(), ..self }
    }
}

/// What TLS must be towards a host.
#[derive(Clone, Debug)]
pub(crate) enum Protection {
    /// The settings leave it out.
    Off,
    /// Whatever there is (RFC 7435); with what is to be reported.
    Opportunistic(Option<StsTrouble>),
    /// RFC 7672: the certificate that DNS names, signed, or no mail.
    Dane {
        /// The name whose TLSA records they are, which is asked for in the handshake (§8.1).
        base: Domain,
        dane: Arc<Dane>,
    },
    /// RFC 7672 §2.2: there are TLSA records, none of them usable: TLS, whoever the host is.
    Encrypted { base: Domain, records: usize },
    /// Its TLSA records cannot be known now: it must not be used (RFC 7672 §2.1.1).
    DaneUnknown(String),
    /// RFC 8461: a verified certificate for a host that the policy names; in testing, failures are
    /// only told.
    Sts { policy: Arc<StsPolicy>, id: String, is_named: bool },
    /// RFC 8689 §5: the message says TLS-Required: No, so that what would hold here (in a few words)
    /// does not.
    Waived(String),
}

/// What DNS says of the certificate of a host.
#[derive(Clone, Debug)]
pub(crate) enum Tlsas {
    /// Nothing that is proven.
    None,
    /// Some usable records.
    Dane { base: Domain, dane: Arc<Dane> },
    /// Some, and none usable.
    Unusable { base: Domain, records: usize },
    /// It is not known.
    Unknown(String),
}

impl Protection {
    /// DANE goes first, whatever it says; then MTA-STS (RFC 8461 §2).
    pub(crate) fn of(tlsas: Tlsas, sts: &Sts, host: &Host) -> Self {
        match tlsas {
            Tlsas::Dane { base, dane } => return Self::Dane { base, dane },
            Tlsas::Unusable { base, records } => return Self::Encrypted { base, records },
            Tlsas::Unknown(why) => return Self::DaneUnknown(why),
            Tlsas::None => {}
        }
        match sts {
            Sts::None => Self::Opportunistic(None),
            Sts::Unfetched(trouble) => Self::Opportunistic(Some(trouble.clone())),
            Sts::Policy { policy, id, .. } => {
                let is_named = matches!(host, Host::Domain(host) if policy.names(host));
                Self::Sts { policy: Arc::clone(policy), id: id.clone(), is_named }
            }
        }
    }

    /// What holds for mail that would rather arrive than be protected.
    pub(crate) fn waived(self) -> Self {
        if self.is_mandatory() { Self::Waived(self.words()) } else { self }
    }

    /// What the domain has published, for reports to it.
    pub(crate) fn published(&self, domain: &Domain, place: &Place) -> Option<Published> {
        match self {
            Self::Dane { base, dane } => Some(Published {
                domain: domain.clone(),
                host: Some(place.host.to_string()),
                owner: base.to_string(),
                strings: dane.records.iter().map(ToString::to_string).collect(),
                mx: Vec::new(),
            }),
            Self::Sts { policy, .. } => Some(Published {
                domain: domain.clone(),
                host: None,
                owner: domain.to_string(),
                strings: policy.lines(),
                mx: policy.mx.iter().map(ToString::to_string).collect(),
            }),
            Self::Off
            | Self::Opportunistic(_)
            | Self::Encrypted { .. }
            | Self::DaneUnknown(_)
            | Self::Waived(_) => None,
        }
    }

    /// Whether no mail goes where it is not met.
    pub(crate) fn is_mandatory(&self) -> bool {
        match self {
            Self::Off | Self::Opportunistic(_) | Self::Waived(_) => false,
            Self::Dane { .. } | Self::Encrypted { .. } | Self::DaneUnknown(_) => true,
            Self::Sts { policy, .. } => policy.mode == StsMode::Enforce,
        }
    }

    /// RFC 8689 §4.2.1: whether that mail is to go to this host is proven: by DNSSEC or by a policy.
    pub(crate) fn proves_host(&self) -> bool {
        match self {
            Self::Dane { .. } => true,
            Self::Sts { policy, is_named, .. } => policy.mode == StsMode::Enforce && *is_named,
            Self::Off
            | Self::Opportunistic(_)
            | Self::Encrypted { .. }
            | Self::DaneUnknown(_)
            | Self::Waived(_) => false,
        }
    }

    /// What it is for whichever domain has it, so that a connection made for one serves all; none
    /// where it is this domain's own: a name of it may be what was verified (RFC 7672 §3.1.2), and
    /// its sessions are reported to it (RFC 8460).
    pub(crate) fn shared_by(&self) -> Option<&'static str> {
        match self {
            Self::Off => Some("off"),
            Self::Opportunistic(None) => Some("opportunistic"),
            Self::Opportunistic(Some(_))
            | Self::Dane { .. }
            | Self::Encrypted { .. }
            | Self::DaneUnknown(_)
            | Self::Sts { .. }
            | Self::Waived(_) => None,
        }
    }

    /// What the certificate must be.
    pub(crate) fn demand(&self) -> Demand {
        match self {
            Self::Off
            | Self::Opportunistic(_)
            | Self::Encrypted { .. }
            | Self::DaneUnknown(_)
            | Self::Waived(_) => Demand::Nothing,
            Self::Dane { dane, .. } => Demand::Dane(Arc::clone(dane)),
            Self::Sts { .. } => Demand::Chain,
        }
    }

    /// The name that is asked for in the handshake.
    pub(crate) fn server_name(&self, place: &Place) -> Host {
        match self {
            Self::Dane { base, .. } | Self::Encrypted { base, .. } => Host::Domain(base.clone()),
            Self::Off
            | Self::Opportunistic(_)
            | Self::DaneUnknown(_)
            | Self::Sts { .. }
            | Self::Waived(_) => place.host.clone(),
        }
    }

    /// Why the host must not even be connected to: the result type of RFC 8460 §4.3, and words.
    pub(crate) fn forbids(&self) -> Option<(&'static str, String)> {
        match self {
            Self::DaneUnknown(why) => Some((
                "dnssec-invalid",
                format!("whether it has TLSA records is not known, so it may not be used: {why}"),
            )),
            Self::Sts { policy, is_named: false, .. } if policy.mode == StsMode::Enforce => {
                Some(("validation-failure", NOT_NAMED.to_owned()))
            }
            Self::Off
            | Self::Opportunistic(_)
            | Self::Dane { .. }
            | Self::Encrypted { .. }
            | Self::Sts { .. }
            | Self::Waived(_) => None,
        }
    }

    /// What there is to report before anything is tried, though mail goes.
    pub(crate) fn concern(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Opportunistic(Some(trouble)) => Some((sts_result(trouble), trouble.to_string())),
            Self::Encrypted { records, .. } => {
                Some(("tlsa-invalid", format!("none of its {records} TLSA records is usable")))
            }
            Self::Sts { policy, is_named: false, .. } if policy.mode == StsMode::Testing => {
                Some(("validation-failure", NOT_NAMED.to_owned()))
            }
            Self::Off
            | Self::Opportunistic(None)
            | Self::Dane { .. }
            | Self::DaneUnknown(_)
            | Self::Sts { .. }
            | Self::Waived(_) => None,
        }
    }

    /// In a few words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Off => "none".to_owned(),
            Self::Opportunistic(_) => "opportunistic".to_owned(),
            Self::Dane { .. } | Self::DaneUnknown(_) => "DANE".to_owned(),
            Self::Encrypted { .. } => "DANE without usable records".to_owned(),
            Self::Sts { policy, .. } => format!("MTA-STS {}", policy.mode.as_str()),
            Self::Waived(of) => format!("TLS-Required: No, in place of {of}"),
        }
    }

    /// In whole sentences, for an operator.
    pub(crate) fn explained(&self) -> String {
        let told = self.forbids().or_else(|| self.concern()).map(|(_, words)| words);
        let what = match self {
            Self::Off => "TLS is switched off (queue.starttls)".to_owned(),
            Self::Opportunistic(_) => {
                "TLS where it is offered, with any certificate, else in clear".to_owned()
            }
            Self::Dane { base, dane } => {
                let records: Vec<String> = dane.records.iter().map(ToString::to_string).collect();
                format!("TLS with the certificate that {base} names: {}", records.join("; "))
            }
            Self::Waived(of) => format!("TLS where it is offered, and not {of}"),
            Self::Encrypted { base, .. } => format!("TLS with any certificate, as {base}"),
            Self::DaneUnknown(_) => "no mail now".to_owned(),
            Self::Sts { policy, id, is_named } => match (policy.mode, is_named) {
                (StsMode::Enforce, true) => {
                    format!("TLS with a verified certificate for this name (policy {id})")
                }
                (StsMode::Enforce, false) => format!("no mail (policy {id})"),
                (StsMode::Testing | StsMode::None, _) => {
                    format!("TLS where it is offered; what fails is reported (policy {id})")
                }
            },
        };
        match told {
            Some(told) => format!("{what}; {told}"),
            None => what,
        }
    }
}

const NOT_NAMED: &str = "the MTA-STS policy of the domain does not name this host";

fn sts_result(trouble: &StsTrouble) -> &'static str {
    match trouble {
        StsTrouble::Fetch(_) => "sts-policy-fetch-error",
        StsTrouble::Certificate(_) => "sts-webpki-invalid",
        StsTrouble::Invalid(_) => "sts-policy-invalid",
    }
}

/// RFC 8460 §4.3.1: the result type of a handshake that failed.
pub(crate) fn handshake_result(error: &std::io::Error) -> &'static str {
    match error.get_ref().and_then(|why| why.downcast_ref::<TlsRefusal>()) {
        Some(TlsRefusal::OtherName { .. }) => "certificate-host-mismatch",
        Some(TlsRefusal::Expired { .. }) => "certificate-expired",
        Some(TlsRefusal::NotTrusted { .. }) => "certificate-not-trusted",
        Some(TlsRefusal::NoTlsaMatch { .. }) | None => "validation-failure",
    }
}

/// Asks for the addresses of a host and, where its answers are proven, for the TLSA records of the
/// port. `is_proven`: that mail for `domain` goes to this host is proven, too.
pub(crate) async fn host_facts(
    resolver: &Resolver,
    domain: Option<&Domain>,
    host: &Domain,
    port: u16,
    is_proven: bool,
) -> (Lookup<std::net::IpAddr>, Tlsas) {
    if !is_proven {
        return (resolver.addresses(host).await, Tlsas::None);
    }
    let addresses = resolver.addresses_proven(host).await;
    let mut bases = Vec::with_capacity(2);
    match (&addresses.found, addresses.proof, &addresses.alias_of) {
        (Lookup::Found { .. }, Proof::Secure, alias_of) => {
            // RFC 7672 §2.2.2: first where the aliases end, then where they begin.
            bases.extend(alias_of.clone());
            bases.push(host.clone());
        }
        (Lookup::Found { .. }, Proof::Insecure, Some(_)) => {
            // RFC 7672 §2.2.2: they lead out of what is signed. Where their begin is signed, its
            // owner may still have said what its certificate is.
            let first = resolver.cname_proven(host).await;
            match (first.found, first.proof) {
                (Lookup::Found { .. }, Proof::Secure) => bases.push(host.clone()),
                (Lookup::Temporary(why), _) => {
                    return (addresses.found, Tlsas::Unknown(why.to_string()));
                }
                (_, _) => {}
            }
        }
        (_, _, _) => {}
    }
    let tlsas = tlsas(resolver, domain, host, &bases, port).await;
    (addresses.found, tlsas)
}

async fn tlsas(
    resolver: &Resolver,
    domain: Option<&Domain>,
    host: &Domain,
    bases: &[Domain],
    port: u16,
) -> Tlsas {
    for base in bases {
        let answer = resolver.tlsa(base, port).await;
        let records = match (answer.found, answer.proof) {
            (Lookup::Found { records, .. }, Proof::Secure) => records,
            // RFC 7672 §2.1.1: trouble is no "there is none": who attacks would make it.
            (Lookup::Temporary(why), _) => return Tlsas::Unknown(why.to_string()),
            (Lookup::Found { .. }, Proof::Insecure) | (Lookup::NoData | Lookup::NxDomain, _) => {
                continue;
            }
        };
        let all = records.len();
        let usable: Vec<Tlsa> =
            records.into_iter().filter(Tlsa::is_usable).take(RECORDS_MAX).collect();
        let base = base.clone();
        if usable.is_empty() {
            return Tlsas::Unusable { base, records: all };
        }
        // RFC 7672 §3.2.3: the certificate of DANE-TA may be for any of these.
        let mut names = vec![base.clone()];
        for name in [Some(host), domain].into_iter().flatten() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        return Tlsas::Dane { base, dane: Arc::new(Dane { records: usable, names }) };
    }
    Tlsas::None
}
