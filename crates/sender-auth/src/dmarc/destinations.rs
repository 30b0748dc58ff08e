//! Where reports may go (RFC 9990 §4): a domain may not have them sent to whoever has not agreed.

use super::record::{DmarcRecord, ReportAddress};
use super::walk::{Unwalked, Walk};
use crate::{Answer, Answers, Query, QueryKind, Step};

/// RFC 1035 §2.3.4: octets in a name.
const NAME_OCTETS_MAX: usize = 253;

/// The mailboxes of a policy's `rua` that may be sent reports, in their order. What cannot be
/// confirmed now is left out; a later report may go there.
///
/// `domain`: where the policy was found.
#[must_use]
pub fn report_destinations(
    domain: &str,
    record: &DmarcRecord,
    answers: &Answers,
) -> Step<Vec<ReportAddress>> {
    let mut confirmed: Vec<ReportAddress> = Vec::new();
    let mut missing = Vec::new();
    for wanted in &record.rua {
        let Some(host) = wanted.address.domain() else { continue };
        match confirm(domain, host.as_str(), wanted, answers) {
            Ok(addresses) => {
                for address in addresses {
                    if !confirmed.iter().any(|known| known.address == address.address) {
                        confirmed.push(address);
                    }
                }
            }
            Err(Unwalked::Ask(queries)) => missing.extend(queries),
            Err(Unwalked::Trouble(_)) => {}
        }
    }
    if missing.is_empty() {
        return Step::Done(confirmed);
    }
    missing.sort();
    missing.dedup();
    Step::Ask(missing)
}

fn confirm(
    domain: &str,
    host: &str,
    wanted: &ReportAddress,
    answers: &Answers,
) -> Result<Vec<ReportAddress>, Unwalked> {
    if host == domain {
        return Ok(vec![wanted.clone()]);
    }
    // RFC 9990 §4: only where the organizations differ.
    let ours = Walk::up(domain, answers).map(|walk| walk.organization());
    let theirs = Walk::up(host, answers).map(|walk| walk.organization());
    match (ours, theirs) {
        (Err(Unwalked::Ask(mut one)), Err(Unwalked::Ask(two))) => {
            one.extend(two);
            return Err(Unwalked::Ask(one));
        }
        (Err(why), _) | (_, Err(why)) => return Err(why),
        (Ok(ours), Ok(theirs)) if ours == theirs => return Ok(vec![wanted.clone()]),
        (Ok(_), Ok(_)) => {}
    }
    let name = format!("{domain}._report._dmarc.{host}");
    // Step 4: "a positive determination [...] cannot be made".
    if name.len() > NAME_OCTETS_MAX {
        return Ok(Vec::new());
    }
    let query = Query::new(&name, QueryKind::Txt);
    let records = match answers.get(&query) {
        None => return Err(Unwalked::Ask(vec![query])),
        Some(Answer::Txt(records)) => records,
        Some(_) => return Ok(Vec::new()),
    };
    let mut records = records.iter().filter_map(|txt| DmarcRecord::parse(txt)).peekable();
    if records.peek().is_none() {
        return Ok(Vec::new());
    }
    let instead: Vec<ReportAddress> = records.flat_map(|record| record.rua).collect();
    if instead.is_empty() {
        return Ok(vec![wanted.clone()]);
    }
    // Step 9: "the overriding URI MUST use the same destination host", or there is no report at all.
    let same = |one: &ReportAddress| one.address.domain().is_some_and(|of| of.as_str() == host);
    Ok(if instead.iter().all(same) { instead } else { Vec::new() })
}
