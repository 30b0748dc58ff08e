//! What happened to mail, read from the journal behind a place in it.

use journal::{Disk, Entry as JournalEntry, Head};
use mail_types::{CustodyId, MailId, RecordSeq};

use crate::record::{Entry, Record};
use crate::sql::Executor;
use crate::{Store, StoreError};

/// Something that happened to mail.
#[derive(Clone, Debug)]
pub struct Happening {
    /// The record's number: what it is known by, for ever.
    pub seq: RecordSeq,
    /// The record: an acceptance, or what came of an attempt.
    pub entry: Entry,
}

/// Of how many recipients a record tells, at least 1: each may be an event.
fn told_of(record: &Record) -> usize {
    let told_of = match record {
        Record::Accepted(mail) => mail.custodies.len(),
        Record::Tried(tried) => tried.outcomes.len(),
        Record::CustodiesChanged(change) => change.items.len(),
        _ => 1,
    };
    told_of.max(1)
}

/// What happened behind a place of the journal.
#[derive(Clone, Debug)]
pub struct Happened {
    /// In order.
    pub happenings: Vec<Happening>,
    /// Where to go on: behind the last group that was read whole.
    pub head: Head,
    /// Whether more is there already.
    pub more: bool,
}

impl<D: Disk> Store<D> {
    /// What happened to mail behind `from`: whole groups of the journal, until there are
    /// `records_max` records or more in them, of whatever kind; one about several recipients counts
    /// as so many. What is damaged is left out; `verify`
    /// and the alarm tell of it.
    ///
    /// # Errors
    /// Where a record cannot be read by this version.
    pub fn happened(&self, from: &Head, records_max: usize) -> Result<Happened, StoreError> {
        let mut told = Happened { happenings: Vec::new(), head: *from, more: false };
        let (mut group, mut read) = (Vec::new(), 0);
        for found in self.reader.scan(Some(*from)) {
            match found {
                JournalEntry::Record { seq, payload, .. } => {
                    let entry = Entry::decode(&payload)?;
                    read += told_of(&entry.record);
                    if matches!(
                        entry.record,
                        Record::Accepted(_)
                            | Record::Attempted { .. }
                            | Record::Tried(_)
                            | Record::CustodiesChanged(_)
                    ) {
                        group.push(Happening { seq, entry });
                    }
                }
                JournalEntry::Commit { head } => {
                    told.happenings.append(&mut group);
                    told.head = head;
                    if read >= records_max {
                        told.more = true;
                        break;
                    }
                }
                JournalEntry::Body { .. } | JournalEntry::Damage(_) | JournalEntry::TornTail(_) => {
                }
            }
        }
        Ok(told)
    }

    /// Which message a custody is of, and its recipient.
    ///
    /// # Errors
    /// The index's.
    pub fn custody_of(&self, custody: CustodyId) -> Result<Option<(MailId, String)>, StoreError> {
        self.read(|sql| {
            let mut found = None;
            let query = "SELECT mail, recipient FROM custody WHERE id = $1";
            sql.query(query, &[custody.0.into()], &mut |row| {
                found = Some((MailId(row.id(0)?), row.text(1)?.to_owned()));
                Ok(())
            })?;
            Ok(found)
        })
    }
}
