//! Reading messages.

use journal::Disk;
use mail_types::{Deadline, MailId, ReceiptId, RecordSeq, Timestamp};

use crate::record::{Accepted, Actor, Entry, Place, Record};
use crate::sql::{Executor, SqlError};
use crate::{FutureRelease, Store, StoreError};

/// Where a message and its record lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailFacts {
    /// Its id and the check of its receipt.
    pub receipt: ReceiptId,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Its record.
    pub record_at: Place,
    /// Its body.
    pub body_at: Place,
    /// Bytes of its body.
    pub body_bytes: u64,
    /// REQUIRETLS (RFC 8689).
    pub requires_tls: bool,
    /// TLS-Required: No (RFC 8689).
    pub tls_optional: bool,
    /// When it was to leave, where that was not at once.
    pub future_release: Option<FutureRelease>,
    /// Until when it was to be delivered, where its sender has said so.
    pub deliver_by: Option<Deadline>,
    /// Its body was purged, by this record.
    pub purged: Option<RecordSeq>,
}

impl<D: Disk> Store<D> {
    /// The time as the store has it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Where these messages lie; those that do not exist are left out.
    ///
    /// # Errors
    /// The index's.
    pub fn mail_facts(&self, mails: &[MailId]) -> Result<Vec<MailFacts>, StoreError> {
        self.read(|sql| {
            let mut facts = Vec::with_capacity(mails.len());
            for &mail in mails {
                facts.extend(read_facts(sql, mail)?);
            }
            Ok(facts)
        })
    }

    /// The bytes of a message as it was kept.
    ///
    /// # Errors
    /// Where it does not exist, was purged, or is damaged.
    pub fn body(&self, facts: &MailFacts) -> Result<Vec<u8>, StoreError> {
        Ok(self.reader.read_body(facts.body_at.into())?)
    }

    /// The record of a message's acceptance, with its actor.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn accepted(&self, facts: &MailFacts) -> Result<(Actor, Box<Accepted>), StoreError> {
        let entry = self.entry_at(facts.record_at)?;
        match entry.record {
            Record::Accepted(accepted) => Ok((entry.actor, accepted)),
            _ => Err(StoreError::Damaged(format!(
                "the record of message {} is another one",
                facts.receipt.mail
            ))),
        }
    }

    pub(crate) fn entry_at(&self, at: Place) -> Result<Entry, StoreError> {
        let (_, payload) = self.reader.read_record(at.into())?;
        Ok(Entry::decode(&payload)?)
    }
}

pub(crate) fn read_facts(
    sql: &mut impl Executor,
    mail: MailId,
) -> Result<Option<MailFacts>, SqlError> {
    let mut found = None;
    sql.query(
        "SELECT id, accepted, receipt_check, segment, place, body_segment, body_place, body_bytes, \
         EXISTS (SELECT 1 FROM tls_required WHERE tls_required.mail = id), \
         EXISTS (SELECT 1 FROM tls_optional WHERE tls_optional.mail = id), future_release.until, \
         future_release.asked_secs, purged, deliver_by.until, deliver_by.asked_secs, comes_back, \
         trace FROM mail LEFT JOIN future_release ON future_release.mail = id \
         LEFT JOIN deliver_by ON deliver_by.mail = id WHERE id = $1",
        &[mail.0.into()],
        &mut |row| {
            let segment = |column| -> Result<u32, SqlError> {
                Ok(u32::try_from(row.int(column)?).unwrap_or(u32::MAX))
            };
            let until = row.int_or_null(10)?.map(Timestamp);
            let asked_secs = row.int_or_null(11)?.and_then(|secs| u32::try_from(secs).ok());
            found = Some(MailFacts {
                receipt: ReceiptId { mail, check: segment(2)? },
                accepted: Timestamp(row.int(1)?),
                record_at: Place { segment: segment(3)?, offset: row.id(4)? },
                body_at: Place { segment: segment(5)?, offset: row.id(6)? },
                body_bytes: row.id(7)?,
                requires_tls: row.int(8)? != 0,
                tls_optional: row.int(9)? != 0,
                purged: row.int_or_null(12)?.map(|seq| RecordSeq(seq.cast_unsigned())),
                deliver_by: crate::late::read_deadline(row, 13)?,
                future_release: until.map(|until| FutureRelease { until, asked_secs }),
            });
            Ok(())
        },
    )?;
    Ok(found)
}
