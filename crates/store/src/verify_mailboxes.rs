//! I9: UIDs, counts and quotas.

use crate::index::Index;
use crate::sql::SqlError;
use crate::sqlite::Sqlite;
use crate::verify::{Invariant, Report, none};

/// I9 of the rows of mailboxes.
pub(crate) fn check_mailboxes(sql: &mut Sqlite, report: &mut Report) -> Result<(), SqlError> {
    none(
        sql,
        report,
        Invariant::Counts,
        "mailbox with a UID at or above its UIDNEXT",
        "SELECT DISTINCT mailbox FROM message WHERE uid >= \
         (SELECT uid_next FROM mailbox WHERE mailbox.id = message.mailbox)",
    )?;
    none(
        sql,
        report,
        Invariant::Counts,
        "mailbox in which a UID was used twice",
        "SELECT DISTINCT expunged.mailbox FROM expunged JOIN message \
         ON message.mailbox = expunged.mailbox AND message.uid = expunged.uid",
    )?;
    none(
        sql,
        report,
        Invariant::Counts,
        "mailbox whose counts are not those of its messages",
        "SELECT mailbox.id FROM mailbox LEFT JOIN (SELECT mailbox, count(*) AS messages, \
         sum(1 - (flags & 1)) AS unseen, sum(bytes) AS bytes FROM message GROUP BY mailbox) \
         AS counted ON counted.mailbox = mailbox.id \
         WHERE mailbox.messages <> coalesce(counted.messages, 0) \
         OR mailbox.unseen <> coalesce(counted.unseen, 0) \
         OR mailbox.bytes <> coalesce(counted.bytes, 0)",
    )
}

/// What accounts keep, as it was counted on the way and as it is counted now.
/// I9 of what accounts use.
pub(crate) fn check_usage(
    rebuilt: &mut Index<Sqlite>,
    report: &mut Report,
) -> Result<(), SqlError> {
    for (account, counted) in std::mem::take(&mut rebuilt.usage) {
        let is = crate::quota::used_by(&mut rebuilt.sql, account)?;
        if (is.messages, is.bytes) != (counted.messages, counted.bytes) {
            let what = format!("account {account} uses {is:?} of its quota, not {counted:?}");
            report.add(Invariant::Counts, what);
        }
    }
    Ok(())
}
