//! The DNS Tree Walk (RFC 9989 §4.10): up a name, label by label, for policy records.

use super::record::{DmarcRecord, Psd};
use crate::{Answer, Answers, Query, QueryKind, Step};

/// RFC 9989 §4.10: a name of more labels is shortened to this many behind the first query.
const LABELS_MAX: usize = 7;

/// The records on the way up from a name.
pub(super) struct Walk {
    start: String,
    /// Name and record, the longest name first.
    found: Vec<(String, DmarcRecord)>,
}

/// Why a walk has no result.
pub(super) enum Unwalked {
    Ask(Vec<Query>),
    /// The DNS failed at a name that may matter.
    Trouble(String),
}

impl Walk {
    /// Walks up from a name. All its queries are asked for at once: where the walk stops early,
    /// a few were not needed, but none had to wait for another.
    pub(super) fn up(start: &str, answers: &Answers) -> Result<Self, Unwalked> {
        let names = names(start);
        let missing = answers.missing(names.iter().map(|name| query(name)));
        if !missing.is_empty() {
            return Err(Unwalked::Ask(missing));
        }
        let mut walk = Self { start: start.to_owned(), found: Vec::new() };
        for name in names {
            match answers.get(&query(&name)) {
                Some(Answer::Trouble(why)) => {
                    return Err(Unwalked::Trouble(format!("_dmarc.{name}: {why}")));
                }
                Some(Answer::Txt(records)) => {
                    let Some(record) = only_record(records) else { continue };
                    let psd = record.psd;
                    walk.found.push((name, record));
                    // RFC 9989 §4.10, steps 2 and 6.
                    if psd != Psd::Unsaid {
                        break;
                    }
                }
                _ => {}
            }
        }
        Ok(walk)
    }

    /// The Organizational Domain (RFC 9989 §4.10.2).
    pub(super) fn organization(&self) -> String {
        for (name, record) in &self.found {
            match record.psd {
                Psd::No => return name.clone(),
                Psd::Yes if *name != self.start => return self.one_below(name),
                Psd::Yes | Psd::Unsaid => {}
            }
        }
        self.found.last().map_or_else(|| self.start.clone(), |(name, _)| name.clone())
    }

    /// The record at a name.
    pub(super) fn at(&self, name: &str) -> Option<&DmarcRecord> {
        self.found.iter().find(|(of, _)| of == name).map(|(_, record)| record)
    }

    /// The record of the public suffix above.
    pub(super) fn of_suffix(&self) -> Option<&(String, DmarcRecord)> {
        self.found.iter().find(|(_, record)| record.psd == Psd::Yes)
    }

    fn one_below(&self, suffix: &str) -> String {
        let above = self.start.len() - suffix.len() - 1;
        let at = self.start[..above].rfind('.').map_or(0, |dot| dot + 1);
        self.start[at..].to_owned()
    }
}

/// The Policy Record that stands at a domain itself; why it is not known, where the DNS fails.
#[must_use]
pub fn dmarc_record(domain: &str, answers: &Answers) -> Step<Result<Option<DmarcRecord>, String>> {
    let asked = query(domain);
    match answers.get(&asked) {
        None => Step::Ask(vec![asked]),
        Some(Answer::Trouble(why)) => Step::Done(Err(why.clone())),
        Some(Answer::Txt(records)) => {
            Step::Done(Ok(only_record(records).and_then(DmarcRecord::applicable)))
        }
        Some(_) => Step::Done(Ok(None)),
    }
}

/// The record at a name itself; `None` where its answer is missing.
pub(super) fn own_record(name: &str, answers: &Answers) -> Option<Option<DmarcRecord>> {
    Some(match answers.get(&query(name))? {
        Answer::Txt(records) => only_record(records),
        _ => None,
    })
}

fn query(name: &str) -> Query {
    Query::new(&format!("_dmarc.{name}"), QueryKind::Txt)
}

/// RFC 9989 §4.10, steps 2 and 6: of several none counts.
fn only_record(records: &[Vec<u8>]) -> Option<DmarcRecord> {
    let mut records = records.iter().filter_map(|txt| DmarcRecord::parse(txt));
    records.next().filter(|_| records.next().is_none())
}

/// RFC 9989 §4.10: the names that are asked, eight at most.
fn names(start: &str) -> Vec<String> {
    let labels: Vec<&str> = start.split('.').collect();
    let kept = if labels.len() <= LABELS_MAX { labels.len() - 1 } else { LABELS_MAX };
    let parents = (1..=kept).rev().map(|count| labels[labels.len() - count..].join("."));
    std::iter::once(start.to_owned()).chain(parents).collect()
}
