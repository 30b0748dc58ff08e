//! The client's name (RFC 8601 §3): does its address lead to a name that leads back to it?

use std::net::IpAddr;

use crate::{Answer, Answers, Outcome, Query, QueryKind, Step, Verdict};

/// RFC 8601 §3: "limit the number of names [...]"; of more, these are looked at.
const NAMES_MAX: usize = 10;

/// What is known of a client's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IprevResult {
    /// The word, and why.
    pub outcome: Outcome,
    /// The first name that leads back to the address.
    pub name: Option<String>,
}

/// Looks for a name of an address, and back.
#[must_use]
pub fn iprev(ip: IpAddr, answers: &Answers) -> Step<IprevResult> {
    let ip = ip.to_canonical();
    let done = |verdict, reason: String, name: Option<String>| {
        Step::Done(IprevResult { outcome: Outcome::new(verdict, reason), name })
    };
    let reverse = Query::reverse(ip);
    let names: Vec<&String> = match answers.get(&reverse) {
        None => return Step::Ask(vec![reverse]),
        Some(Answer::Names(names)) => {
            names.iter().filter(|name| !name.is_empty()).take(NAMES_MAX).collect()
        }
        // RFC 8601 §2.7.3: "A permanent error [...] such as no PTR" is permerror.
        Some(Answer::Trouble(why)) => {
            return done(Verdict::TempError, format!("the name of {ip}: {why}"), None);
        }
        Some(_) => return done(Verdict::PermError, format!("{ip} has no name"), None),
    };
    let kind = match ip {
        IpAddr::V4(_) => QueryKind::A,
        IpAddr::V6(_) => QueryKind::Aaaa,
    };
    let queries: Vec<Query> = names.iter().map(|name| Query::new(name, kind)).collect();
    let missing = answers.missing(queries.iter().cloned());
    if !missing.is_empty() {
        return Step::Ask(missing);
    }
    let mut trouble = None;
    for query in &queries {
        match answers.get(query) {
            Some(Answer::Ips(ips)) if ips.iter().any(|found| found.to_canonical() == ip) => {
                let name = query.name().to_owned();
                return done(Verdict::Pass, format!("{ip} is {name}"), Some(name));
            }
            Some(Answer::Trouble(why)) => trouble = Some(format!("{}: {why}", query.name())),
            _ => {}
        }
    }
    match trouble {
        Some(why) => done(Verdict::TempError, why, None),
        None => {
            let names: Vec<&str> = queries.iter().map(Query::name).take(3).collect();
            let names = names.join(", ");
            done(Verdict::Fail, format!("{ip} claims to be {names}, which leads elsewhere"), None)
        }
    }
}
