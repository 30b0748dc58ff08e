//! What has become of everything that was accepted in a span of time.

use std::collections::HashSet;
use std::ops::Range;

use journal::Disk;
use mail_types::{MailId, MailboxId, SpecialUse, Timestamp};

use crate::record::Accepted;
use crate::sql::Executor;
use crate::trace::{CustodyStory, read_custodies};
use crate::{Store, StoreError, Visit};

/// Messages looked at together.
const PAGE: u64 = 256;

impl<D: Disk> Store<D> {
    /// Visits every message that was accepted in this time, with its recipients as of now, by time.
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn accepted_between(
        &self,
        span: Range<Timestamp>,
        mut each: impl FnMut(&Accepted, &[CustodyStory]) -> Visit,
    ) -> Result<(), StoreError> {
        let mut behind = (span.start.0, -1_i64);
        loop {
            let mut mails = Vec::new();
            self.read(|sql| {
                sql.query(
                    "SELECT id, accepted FROM mail WHERE (accepted, id) > ($1, $2) \
                     AND accepted < $3 ORDER BY accepted, id LIMIT $4",
                    &[behind.0.into(), behind.1.into(), span.end.0.into(), PAGE.into()],
                    &mut |row| {
                        mails.push((MailId(row.id(0)?), row.int(1)?));
                        Ok(())
                    },
                )
            })?;
            let Some(&(last, at)) = mails.last() else { return Ok(()) };
            behind = (at, last.0.cast_signed());
            let ids: Vec<MailId> = mails.iter().map(|(mail, _)| *mail).collect();
            for facts in self.mail_facts(&ids)? {
                let (_, accepted) = self.accepted(&facts)?;
                let custodies = self.read(|sql| read_custodies(sql, facts.receipt.mail))?;
                if each(&accepted, &custodies) == Visit::Stop {
                    return Ok(());
                }
            }
        }
    }

    /// The mailboxes with this special use, also those that are deleted.
    ///
    /// # Errors
    /// The index's.
    pub fn mailboxes_for(&self, special_use: SpecialUse) -> Result<HashSet<MailboxId>, StoreError> {
        let mut mailboxes = HashSet::new();
        self.read(|sql| {
            let select = "SELECT id FROM mailbox WHERE special_use = $1";
            sql.query(select, &[special_use.attribute().into()], &mut |row| {
                mailboxes.insert(MailboxId(row.id(0)?));
                Ok(())
            })
        })?;
        Ok(mailboxes)
    }
}
