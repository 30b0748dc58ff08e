//! A standby became the server: which of the two goes on.

use journal::{Disk, Head};
use mail_types::{RecordSeq, Timestamp};
use serde::{Deserialize, Serialize};

use crate::record::{Actor, Record};
use crate::sql::{Executor, SqlError};
use crate::{Refused, Store, StoreError};

/// The first record that a promoted standby writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promoted {
    /// How many promotions there were, this one included: of two servers with the same past, the
    /// one of the higher number goes on.
    pub epoch: u64,
    /// The head up to which it followed, as [`Head::to_bytes`] has it: what the other server wrote
    /// behind it is not here.
    pub after: Vec<u8>,
    /// Why, in the operator's words.
    pub reason: Option<String>,
}

/// A promotion, with when it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// Its record.
    pub seq: RecordSeq,
    /// When.
    pub at: Timestamp,
    /// How many there were, this one included.
    pub epoch: u64,
    /// The head up to which it had followed.
    pub after: Head,
    /// Why, in the operator's words.
    pub reason: Option<String>,
}

impl<D: Disk> Store<D> {
    /// The last promotion that this server goes back to; `None` where it is the first of its kind.
    ///
    /// # Errors
    /// The index's.
    pub fn last_promotion(&self) -> Result<Option<Promotion>, StoreError> {
        self.read(last_promotion)
    }

    /// Records that this journal, which followed another one up to `after`, is the server's from
    /// now on. Recording the same again does nothing.
    ///
    /// # Errors
    /// Where it cannot be recorded.
    pub fn promoted(
        &self,
        actor: &Actor,
        after: &Head,
        reason: Option<String>,
    ) -> Result<Promotion, Refused> {
        let (actor, after) = (actor.clone(), *after);
        let change = self.change(move |work| {
            let last = match last_promotion(&mut work.index.sql) {
                Ok(last) => last,
                Err(error) => return Err(work.fail(error.into())),
            };
            if let Some(last) = last.as_ref().filter(|last| last.after == after) {
                return Ok(last.clone());
            }
            let epoch = last.map_or(0, |last| last.epoch) + 1;
            let (seq, at) = (work.next_seq(), work.now);
            let promoted = Promoted { epoch, after: after.to_bytes().to_vec(), reason };
            let promotion = Promotion { seq, at, epoch, after, reason: promoted.reason.clone() };
            work.record(&actor, Record::Promoted(Box::new(promoted)))?;
            Ok(promotion)
        });
        change.wait()
    }
}

fn last_promotion(sql: &mut impl Executor) -> Result<Option<Promotion>, SqlError> {
    let mut last = None;
    let query = "SELECT seq, at, epoch, after, reason FROM promotion ORDER BY seq DESC LIMIT 1";
    sql.query(query, &[], &mut |row| {
        let after = Head::from_bytes(row.blob(3)?);
        last = after.map(|after| -> Result<_, SqlError> {
            Ok(Promotion {
                seq: RecordSeq(row.id(0)?),
                at: Timestamp(row.int(1)?),
                epoch: row.id(2)?,
                after,
                reason: row.text_or_null(4)?.map(str::to_owned),
            })
        });
        Ok(())
    })?;
    last.transpose()
}
