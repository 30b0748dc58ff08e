//! Access control lists.

use mail_types::{MailboxId, Rights};

use super::Index;
use crate::acl::entry_from;
use crate::record::Grantee;
use crate::sql::{Executor, SqlError};

impl<E: Executor> Index<E> {
    pub(super) fn acl_set(
        &mut self,
        mailbox: MailboxId,
        grantee: Grantee,
        rights: Option<Rights>,
    ) -> Result<(), SqlError> {
        // 0 is no account's id: it stands for anyone.
        let account = grantee.account.map_or(0, |account| account.0);
        let key = [mailbox.0.into(), account.into(), i64::from(grantee.negative).into()];
        let entries = self.acl.entry(mailbox).or_default();
        entries.retain(|(known, _)| *known != grantee);
        if let Some(rights) = rights {
            entries.push((grantee, rights));
            self.sql.execute(
                "INSERT INTO acl (mailbox, account, negative, rights) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (mailbox, account, negative) DO UPDATE SET rights = excluded.rights",
                &[key[0], key[1], key[2], i64::from(rights.bits()).into()],
            )?;
            return Ok(());
        }
        if entries.is_empty() {
            self.acl.remove(&mailbox);
        }
        self.sql.execute(
            "DELETE FROM acl WHERE mailbox = $1 AND account = $2 AND negative = $3",
            &key,
        )?;
        Ok(())
    }

    /// RFC 4314 §4: DELETE takes the list along.
    pub(super) fn acl_gone(&mut self, mailbox: MailboxId) -> Result<(), SqlError> {
        if self.acl.remove(&mailbox).is_some() {
            self.sql.execute("DELETE FROM acl WHERE mailbox = $1", &[mailbox.0.into()])?;
        }
        Ok(())
    }

    pub(super) fn load_acl(&mut self) -> Result<(), SqlError> {
        let acl = &mut self.acl;
        let query = "SELECT mailbox, account, negative, rights FROM acl";
        self.sql.query(query, &[], &mut |row| {
            let entry = entry_from(row.id(1)?, row.int(2)?, row.int(3)?);
            acl.entry(MailboxId(row.id(0)?)).or_default().push(entry);
            Ok(())
        })
    }
}
