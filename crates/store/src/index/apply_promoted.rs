//! Which server goes on.

use mail_types::{RecordSeq, Timestamp};

use super::Index;
use crate::record_promoted::Promoted;
use crate::sql::{Executor, Param, SqlError};

impl<E: Executor> Index<E> {
    pub(super) fn promoted(
        &mut self,
        promoted: &Promoted,
        at: Timestamp,
        seq: RecordSeq,
    ) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO promotion (seq, at, epoch, after, reason) VALUES ($1, $2, $3, $4, $5)",
            &[
                seq.0.into(),
                at.0.into(),
                promoted.epoch.into(),
                Param::Blob(&promoted.after),
                promoted.reason.as_deref().into(),
            ],
        )?;
        Ok(())
    }
}
