//! Evaluation (RFC 7208 §4.6 to §6). It starts anew each time more answers are there, and comes to
//! the same point: nothing in it depends on anything but the session and the answers.

use std::collections::HashSet;
use std::net::IpAddr;

use super::macros::{MacroString, Place, Values};
use super::record::{Directive, Mechanism, Prefixes, Record, is_record};
use super::{SpfSession, checked_domain, is_name};
use crate::{Answer, Answers, Query, QueryKind, Verdict};

/// RFC 7208 §4.6.4: terms that ask the DNS, in one check with all its includes.
const LOOKUP_TERMS_MAX: u32 = 10;
/// RFC 7208 §4.6.4: look-ups that find nothing.
const VOID_LOOKUPS_MAX: usize = 2;
/// RFC 7208 §4.6.4: hosts of one `mx`.
const MX_HOSTS_MAX: usize = 10;
/// RFC 7208 §4.6.4: names of the client that are looked at; the others are left out.
const PTR_NAMES_MAX: usize = 10;

/// One check.
pub(super) struct Evaluation<'a> {
    ip: IpAddr,
    session: &'a SpfSession<'a>,
    local_part: &'a str,
    sender_domain: &'a str,
    answers: &'a Answers,
    lookup_terms: u32,
    voids: HashSet<Query>,
}

/// Why an evaluation goes no further.
pub(super) enum Stop {
    /// These answers are missing.
    Ask(Vec<Query>),
    /// The domain has no record.
    None(String),
    TempError(String),
    PermError(String),
}

/// What a record came to.
pub(super) struct Matched {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    /// The explanation's name of the record that decided, and the domain of that record.
    exp: Option<(MacroString, String)>,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(
        session: &'a SpfSession<'a>,
        local_part: &'a str,
        sender_domain: &'a str,
        answers: &'a Answers,
    ) -> Self {
        Self {
            ip: session.ip.to_canonical(),
            session,
            local_part,
            sender_domain,
            answers,
            lookup_terms: 0,
            voids: HashSet::new(),
        }
    }

    /// The record of a domain, evaluated. Calls itself for `include` and `redirect`, at most
    /// [`LOOKUP_TERMS_MAX`] deep: both count.
    pub(super) fn check_host(&mut self, domain: &str) -> Result<Matched, Stop> {
        let record = self.record(domain)?;
        for directive in &record.directives {
            if let Some(how) = self.matches(directive, domain)? {
                let exp = record.exp.map(|exp| (exp, domain.to_owned()));
                let reason = format!("{} matched {how}", self.ip);
                return Ok(Matched { verdict: directive.qualifier, reason, exp });
            }
        }
        // RFC 7208 §6.1: redirect counts only where no mechanism matches.
        let Some(redirect) = &record.redirect else {
            let reason = format!("nothing in the record of {domain} matched {}", self.ip);
            return Ok(Matched { verdict: Verdict::Neutral, reason, exp: None });
        };
        self.count_term(&format!("redirect of {domain}"))?;
        let target = self.target_name(redirect, domain)?;
        let Some(target) = target.and_then(|target| checked_domain(&target).ok()) else {
            return Err(Stop::PermError(format!("redirect of {domain} names no domain")));
        };
        // RFC 7208 §6.1: "if no SPF record is found, or if the <target-name> is malformed, the
        // result is a permerror rather than none".
        self.check_host(&target).map_err(|stop| match stop {
            Stop::None(why) => Stop::PermError(format!("{domain} redirects, but {why}")),
            other => other,
        })
    }

    /// RFC 7208 §4.4 and §4.5: finds the one record.
    fn record(&mut self, domain: &str) -> Result<Record, Stop> {
        let query = Query::new(domain, QueryKind::Txt);
        let records = match self.answers.get(&query) {
            None => return Err(Stop::Ask(vec![query])),
            Some(Answer::Trouble(why)) => {
                return Err(Stop::TempError(format!("the SPF record of {domain}: {why}")));
            }
            Some(Answer::NxDomain) => {
                return Err(Stop::None(format!("{domain} does not exist")));
            }
            Some(Answer::Txt(records)) => records.as_slice(),
            Some(_) => &[],
        };
        let mut records = records.iter().filter(|txt| is_record(txt));
        match (records.next(), records.next()) {
            (None, _) => Err(Stop::None(format!("{domain} has no SPF record"))),
            (Some(_), Some(_)) => {
                Err(Stop::PermError(format!("{domain} has more than one SPF record")))
            }
            (Some(record), None) => Record::parse(record).map_err(|why| {
                Stop::PermError(format!("the SPF record of {domain} cannot be used: {why}"))
            }),
        }
    }

    /// How a directive matches: `Some` says it for people.
    fn matches(&mut self, directive: &Directive, domain: &str) -> Result<Option<String>, Stop> {
        let term = &directive.text;
        let here = format!("{term} of {domain}");
        let yes = |matched: bool| matched.then(|| here.clone());
        match &directive.mechanism {
            Mechanism::All => Ok(yes(true)),
            Mechanism::Ip4(network, prefix) => {
                Ok(yes(within(self.ip, IpAddr::V4(*network), *prefix)))
            }
            Mechanism::Ip6(network, prefix) => {
                Ok(yes(within(self.ip, IpAddr::V6(*network), *prefix)))
            }
            Mechanism::Include(spec) => {
                self.count_term(&here)?;
                self.include(spec, domain, &here)
            }
            Mechanism::A(spec, prefixes) => {
                self.count_term(&here)?;
                let Some(target) = self.target_or(spec.as_ref(), domain)? else {
                    return Ok(None);
                };
                let ips = self.host_addresses(&target)?;
                Ok(yes(self.any_within(&ips, *prefixes)))
            }
            Mechanism::Mx(spec, prefixes) => {
                self.count_term(&here)?;
                let Some(target) = self.target_or(spec.as_ref(), domain)? else {
                    return Ok(None);
                };
                Ok(yes(self.mx(&target, *prefixes)?))
            }
            Mechanism::Ptr(spec) => {
                self.count_term(&here)?;
                let Some(target) = self.target_or(spec.as_ref(), domain)? else {
                    return Ok(None);
                };
                let names = self.validated_names(true)?;
                Ok(yes(names.iter().any(|name| is_at_or_below(name, &target))))
            }
            Mechanism::Exists(spec) => {
                self.count_term(&here)?;
                let Some(target) = self.target_name(spec, domain)? else { return Ok(None) };
                // RFC 7208 §5.7: always A, whatever the client's address is.
                let found = self.addresses(&target, QueryKind::A)?;
                Ok(found.filter(|ips| !ips.is_empty()).map(|_| format!("{here} ({target})")))
            }
        }
    }

    /// RFC 7208 §5.2: a pass of the other record matches; its other results do not, and that it is
    /// not there is an error.
    fn include(
        &mut self,
        spec: &MacroString,
        domain: &str,
        here: &str,
    ) -> Result<Option<String>, Stop> {
        // The table of §5.2: "none: return permerror", for a name that is none as well.
        let target = self.target_name(spec, domain)?.and_then(|name| checked_domain(&name).ok());
        let Some(target) = target else {
            return Err(Stop::PermError(format!("{here} names no domain")));
        };
        match self.check_host(&target) {
            Ok(Matched { verdict: Verdict::Pass, reason, .. }) => {
                let inner = reason.split_once(" matched ").map_or(reason.as_str(), |(_, how)| how);
                Ok(Some(format!("{inner}, by {here}")))
            }
            Ok(_) => Ok(None),
            Err(Stop::None(why)) => Err(Stop::PermError(format!("{here}: {why}"))),
            Err(stop @ (Stop::Ask(_) | Stop::TempError(_) | Stop::PermError(_))) => Err(stop),
        }
    }

    /// RFC 7208 §5.4.
    fn mx(&mut self, target: &str, prefixes: Prefixes) -> Result<bool, Stop> {
        let query = Query::new(target, QueryKind::Mx);
        let mut hosts = match self.asked(&query)? {
            Answer::Mx(hosts) => hosts.clone(),
            Answer::Trouble(why) => {
                return Err(Stop::TempError(format!("the MX records of {target}: {why}")));
            }
            _ => Vec::new(),
        };
        // RFC 7208 §4.6.4: more than ten "MUST" be a permerror, wherever a match would be.
        if hosts.len() > MX_HOSTS_MAX {
            let what = format!("{target} has more than {MX_HOSTS_MAX} MX records");
            return Err(Stop::PermError(what));
        }
        hosts.sort();
        // All that is missing at once; then in the order of preference.
        let kind = self.address_kind();
        let named = hosts.iter().filter(|(_, host)| is_name(host));
        let missing = self.answers.missing(named.map(|(_, host)| Query::new(host, kind)));
        if !missing.is_empty() {
            return Err(Stop::Ask(missing));
        }
        for (_, host) in &hosts {
            let ips = self.host_addresses(host)?;
            if self.any_within(&ips, prefixes) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// RFC 7208 §5.5: the client's names that lead back to it. Trouble makes a name not be one.
    fn validated_names(&mut self, counted: bool) -> Result<Vec<String>, Stop> {
        let query = Query::reverse(self.ip);
        let answer = match self.answers.get(&query) {
            None => return Err(Stop::Ask(vec![query])),
            Some(answer) => answer,
        };
        let names: Vec<&String> = match answer {
            Answer::Names(names) => {
                names.iter().filter(|name| is_name(name)).take(PTR_NAMES_MAX).collect()
            }
            Answer::NoData | Answer::NxDomain if counted => {
                self.count_void(query)?;
                Vec::new()
            }
            _ => Vec::new(),
        };
        let kind = self.address_kind();
        let queries: Vec<Query> = names.iter().map(|name| Query::new(name, kind)).collect();
        let missing = self.answers.missing(queries.iter().cloned());
        if !missing.is_empty() {
            return Err(Stop::Ask(missing));
        }
        let leads_back = |query: &Query| match self.answers.get(query) {
            Some(Answer::Ips(ips)) => ips.iter().any(|ip| ip.to_canonical() == self.ip),
            _ => false,
        };
        let validated = names.into_iter().zip(&queries).filter(|(_, query)| leads_back(query));
        Ok(validated.map(|(name, _)| name.to_ascii_lowercase()).collect())
    }

    /// RFC 7208 §7.3: `p`.
    fn validated_name(&mut self, domain: &str) -> Result<String, Stop> {
        let names = self.validated_names(false)?;
        let exact = names.iter().find(|name| name.eq_ignore_ascii_case(domain));
        let below = || names.iter().find(|name| is_at_or_below(name, domain));
        let name = exact.or_else(below).or_else(|| names.first());
        Ok(name.cloned().unwrap_or_else(|| "unknown".to_owned()))
    }

    /// The addresses of a host in the client's family.
    fn host_addresses(&mut self, host: &str) -> Result<Vec<IpAddr>, Stop> {
        if !is_name(host) {
            return Ok(Vec::new());
        }
        let kind = self.address_kind();
        Ok(self.addresses(host, kind)?.unwrap_or_default())
    }

    fn addresses(&mut self, host: &str, kind: QueryKind) -> Result<Option<Vec<IpAddr>>, Stop> {
        match self.asked(&Query::new(host, kind))? {
            Answer::Ips(ips) => Ok(Some(ips.clone())),
            // RFC 7208 §5: "If the DNS query returns a server failure [...] temperror".
            Answer::Trouble(why) => Err(Stop::TempError(format!("the addresses of {host}: {why}"))),
            _ => Ok(None),
        }
    }

    /// An answer that counts where it is void.
    fn asked(&mut self, query: &Query) -> Result<&'a Answer, Stop> {
        let Some(answer) = self.answers.get(query) else {
            return Err(Stop::Ask(vec![query.clone()]));
        };
        if matches!(answer, Answer::NoData | Answer::NxDomain) {
            self.count_void(query.clone())?;
        }
        Ok(answer)
    }

    /// RFC 7208 §4.6.4: a question asked twice is one look-up.
    fn count_void(&mut self, query: Query) -> Result<(), Stop> {
        self.voids.insert(query);
        if self.voids.len() > VOID_LOOKUPS_MAX {
            let what = format!("more than {VOID_LOOKUPS_MAX} look-ups found nothing");
            return Err(Stop::PermError(what));
        }
        Ok(())
    }

    fn count_term(&mut self, what: &str) -> Result<(), Stop> {
        self.lookup_terms += 1;
        if self.lookup_terms > LOOKUP_TERMS_MAX {
            let what =
                format!("more than {LOOKUP_TERMS_MAX} terms ask the DNS, {what} is too many");
            return Err(Stop::PermError(what));
        }
        Ok(())
    }

    fn target_or(
        &mut self,
        spec: Option<&MacroString>,
        domain: &str,
    ) -> Result<Option<String>, Stop> {
        match spec {
            Some(spec) => self.target_name(spec, domain),
            None => Ok(Some(domain.to_owned())),
        }
    }

    /// RFC 7208 §4.8: the name that a domain-spec comes to; `None` where it is no name, and so
    /// nothing is there to match.
    fn target_name(&mut self, spec: &MacroString, domain: &str) -> Result<Option<String>, Stop> {
        // RFC 8616 §4: a local-part that is not ASCII makes the mechanism not match.
        if spec.wants_local_part() && !self.local_part.is_ascii() {
            return Ok(None);
        }
        let validated_name = self.validated_name_for(spec, domain)?;
        let name = spec.target_name(&self.values(domain, &validated_name));
        Ok((is_name(&name) && name.is_ascii()).then_some(name))
    }

    fn validated_name_for(&mut self, spec: &MacroString, domain: &str) -> Result<String, Stop> {
        if spec.wants_validated_name() { self.validated_name(domain) } else { Ok(String::new()) }
    }

    fn values<'v>(&'v self, domain: &'v str, validated_name: &'v str) -> Values<'v> {
        let receiver = match self.session.receiver {
            "" => "unknown",
            receiver => receiver,
        };
        Values {
            local_part: self.local_part,
            sender_domain: self.sender_domain,
            domain,
            ip: self.ip,
            validated_name,
            helo: self.session.helo,
            receiver,
            now_secs: self.session.now_secs,
        }
    }

    const fn address_kind(&self) -> QueryKind {
        match self.ip {
            IpAddr::V4(_) => QueryKind::A,
            IpAddr::V6(_) => QueryKind::Aaaa,
        }
    }

    fn any_within(&self, networks: &[IpAddr], prefixes: Prefixes) -> bool {
        let prefix = match self.ip {
            IpAddr::V4(_) => prefixes.v4,
            IpAddr::V6(_) => prefixes.v6,
        };
        networks.iter().any(|network| within(self.ip, *network, prefix))
    }

    /// RFC 7208 §6.2: what the domain says about a fail. Whatever goes wrong, there is just none.
    pub(super) fn explanation(&mut self, matched: &Matched) -> Result<Option<String>, Vec<Query>> {
        let (Verdict::Fail, Some((spec, domain))) = (matched.verdict, &matched.exp) else {
            return Ok(None);
        };
        let name = match self.target_name(spec, domain) {
            Ok(Some(name)) => name,
            Err(Stop::Ask(missing)) => return Err(missing),
            Ok(None) | Err(Stop::None(_) | Stop::TempError(_) | Stop::PermError(_)) => {
                return Ok(None);
            }
        };
        let query = Query::new(&name, QueryKind::Txt);
        let text = match self.answers.get(&query) {
            None => return Err(vec![query]),
            Some(Answer::Txt(records)) => match records.as_slice() {
                [record] => record,
                _ => return Ok(None),
            },
            Some(_) => return Ok(None),
        };
        let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii());
        let spec = text.and_then(|text| MacroString::parse(text, Place::Explanation).ok());
        let Some(spec) = spec else { return Ok(None) };
        match self.validated_name_for(&spec, domain) {
            Ok(validated_name) => Ok(Some(spec.expand(&self.values(domain, &validated_name)))),
            Err(Stop::Ask(missing)) => Err(missing),
            Err(Stop::None(_) | Stop::TempError(_) | Stop::PermError(_)) => Ok(None),
        }
    }
}

/// Whether the first bits of both are the same; never for two families.
fn within(ip: IpAddr, network: IpAddr, prefix: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            (u32::from(ip) ^ u32::from(network)) & mask == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            (u128::from(ip) ^ u128::from(network)) & mask == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// RFC 7208 §5.5: "the <target-name> [...] or a subdomain of it".
fn is_at_or_below(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.as_bytes(), domain.as_bytes());
    let Some(at) = name.len().checked_sub(domain.len()) else { return false };
    name[at..].eq_ignore_ascii_case(domain) && (at == 0 || name[at - 1] == b'.')
}
