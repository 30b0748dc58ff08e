//! The journal behind the store, for what follows it, and a message's record as it lies there.

use journal::{Disk, Reader};
use mail_types::{MailId, RecordSeq};

use crate::{MailFacts, Store, StoreError};

/// The record of a message's acceptance, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedRecord {
    /// Its number.
    pub seq: RecordSeq,
    /// Its bytes: [`crate::Entry::decode`] reads them.
    pub payload: Vec<u8>,
    /// The message it is of.
    pub facts: MailFacts,
}

impl<D: Disk> Store<D> {
    /// The journal, to read it.
    #[must_use]
    pub fn journal(&self) -> Reader<D> {
        self.reader.clone()
    }

    /// The record by which a message became ours; `None` where there is no such message.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn proved_record(&self, mail: MailId) -> Result<Option<ProvedRecord>, StoreError> {
        let Some(facts) = self.mail_facts(&[mail])?.pop() else { return Ok(None) };
        let (seq, payload) = self.reader.read_record(facts.record_at.into())?;
        Ok(Some(ProvedRecord { seq, payload, facts }))
    }
}
