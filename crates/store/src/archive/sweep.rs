//! Looking for mail whose time is over. What lies in mailboxes is told by one walk over them, so
//! that the many that stay cost a bit each; the few that are left are looked at one by one.

use std::collections::HashMap;

use journal::Disk;
use mail_types::{MailId, ReceiptId, Timestamp};

use super::purge::{Found, MAILS_PER_PURGE, unavailable};
use super::standing::{As, Kept, ends};
use super::{Rules, rules};
use crate::record::Actor;
use crate::record_archive::PurgeRule;
use crate::sql::{Executor, SqlError};
use crate::{Refused, Store};

/// Rows read at a time.
const PAGE: u64 = 4096;

/// A message whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub receipt: ReceiptId,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// When something last happened to it.
    pub last_at: Timestamp,
    /// Bytes of its body.
    pub bytes: u64,
    /// By which rule it goes.
    pub rule: PurgeRule,
}

/// What a sweep came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurgeOutcome {
    /// Messages purged, or that would be.
    pub purged: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Messages that a legal hold keeps.
    pub on_hold: u64,
}

/// A bit for each message.
struct Stays(Vec<u64>);

impl Stays {
    fn set(&mut self, mail: MailId) {
        if let Some(word) = usize::try_from(mail.0 / 64).ok().and_then(|at| self.0.get_mut(at)) {
            *word |= 1 << (mail.0 % 64);
        }
    }

    fn has(&self, mail: MailId) -> bool {
        let word = usize::try_from(mail.0 / 64).ok().and_then(|at| self.0.get(at));
        word.is_some_and(|word| word >> (mail.0 % 64) & 1 == 1)
    }
}

/// A row of `mail`.
struct Candidate {
    receipt: ReceiptId,
    accepted: Timestamp,
    bytes: u64,
}

impl<D: Disk> Store<D> {
    /// Purges everything whose time is over, while `go_on` says so; blocks for as long as that takes
    /// and may be cut off anywhere. `on_due` hears of each. A trial run purges nothing.
    ///
    /// # Errors
    /// Where the store cannot be read or takes no changes; what was purged before is.
    pub fn purge_over(
        &self,
        actor: &Actor,
        dry_run: bool,
        go_on: &dyn Fn() -> bool,
        on_due: &mut dyn FnMut(&Due),
    ) -> Result<PurgeOutcome, Refused> {
        self.finish_purges()?;
        let rules = self.retention_rules().map_err(unavailable)?;
        let now = (self.clock)();
        let Some(limit) = ends(Timestamp(0), rules.least()) else {
            return Ok(PurgeOutcome::default());
        };
        let limit = Timestamp(now.0.saturating_sub(limit.0));
        let stays = self.stays(limit)?;
        let mut outcome = PurgeOutcome::default();
        let mut batches: HashMap<PurgeRule, Found> = HashMap::new();
        let mut last = MailId(0);
        while go_on() {
            let page = self.candidates(last)?;
            let Some(end) = page.last() else { break };
            last = end.receipt.mail;
            let old = |candidate: &&Candidate| candidate.accepted <= limit;
            // Ids grow with the time.
            if !page.iter().any(|candidate| old(&candidate)) {
                break;
            }
            for candidate in page.iter().filter(old) {
                if stays.has(candidate.receipt.mail) {
                    continue;
                }
                let Some((due, found)) = self.due(candidate, &rules, &mut outcome)? else {
                    continue;
                };
                outcome.purged += 1;
                outcome.bytes += due.bytes;
                on_due(&due);
                let batch = batches.entry(due.rule.clone()).or_default();
                batch.extend(found);
                if batch.len() >= MAILS_PER_PURGE && !dry_run {
                    let batch = std::mem::take(batch);
                    self.purge_batch(actor, batch, due.rule, &rules)?;
                }
            }
        }
        if !dry_run {
            for (rule, batch) in batches {
                self.purge_batch(actor, batch, rule, &rules)?;
            }
        }
        Ok(outcome)
    }

    fn purge_batch(
        &self,
        actor: &Actor,
        batch: Found,
        rule: PurgeRule,
        rules: &Rules,
    ) -> Result<(), Refused> {
        if batch.is_empty() {
            return Ok(());
        }
        self.record_purge(actor, batch, rule, rules).wait()?;
        self.finish_purges()
    }

    fn due(
        &self,
        candidate: &Candidate,
        rules: &Rules,
        outcome: &mut PurgeOutcome,
    ) -> Result<Option<(Due, Found)>, Refused> {
        let Candidate { receipt, accepted, bytes } = *candidate;
        let standing = self.standing(receipt.mail, rules, As::Committed).map_err(unavailable)?;
        let Some(standing) = standing else { return Ok(None) };
        let rule = match &standing.kept {
            Kept::Over { keep, spam, of } => rules::rule(*keep, *spam, of.clone()),
            Kept::OnHold(_) => {
                outcome.on_hold += 1;
                None
            }
            Kept::Open(_) | Kept::InMailboxes(_) | Kept::Until(_) | Kept::Purged(_) => None,
        };
        Ok(rule.map(|rule| {
            let due = Due { receipt, accepted, last_at: standing.last_at, bytes, rule };
            (due, vec![(receipt.mail, standing)])
        }))
    }

    /// Messages that lie in a mailbox, or did later than `limit`.
    fn stays(&self, limit: Timestamp) -> Result<Stays, Refused> {
        let last = self.read_committed(|sql| sql.number("SELECT max(id) FROM mail", &[]));
        let last = last.map_err(unavailable)?.unwrap_or(0);
        let mut stays = Stays(vec![0; usize::try_from(last / 64 + 1).unwrap_or(0)]);
        for query in [
            "SELECT mailbox, uid, mail FROM message WHERE (mailbox, uid) > ($1, $2) \
             AND $4 = $4 ORDER BY mailbox, uid LIMIT $3",
            "SELECT mailbox, uid, CASE WHEN at > $4 THEN mail ELSE 0 END FROM expunged \
             WHERE (mailbox, uid) > ($1, $2) ORDER BY mailbox, uid LIMIT $3",
        ] {
            let mut key = (0_i64, 0_i64);
            loop {
                let mut rows = 0;
                let read = self.read_committed(|sql| {
                    let params = [key.0.into(), key.1.into(), PAGE.into(), limit.0.into()];
                    sql.query(query, &params, &mut |row| {
                        key = (row.int(0)?, row.int(1)?);
                        stays.set(MailId(row.id(2)?));
                        rows += 1;
                        Ok(())
                    })
                });
                read.map_err(unavailable)?;
                if rows < PAGE {
                    break;
                }
            }
        }
        Ok(stays)
    }

    fn candidates(&self, after: MailId) -> Result<Vec<Candidate>, Refused> {
        let mut page = Vec::new();
        let read = self.read_committed(|sql| {
            sql.query(
                "SELECT id, receipt_check, accepted, body_bytes FROM mail \
                 WHERE id > $1 AND purged IS NULL ORDER BY id LIMIT $2",
                &[after.0.into(), PAGE.into()],
                &mut |row| {
                    let check = u32::try_from(row.int(1)?).unwrap_or(u32::MAX);
                    page.push(Candidate {
                        receipt: ReceiptId { mail: MailId(row.id(0)?), check },
                        accepted: Timestamp(row.int(2)?),
                        bytes: row.id(3)?,
                    });
                    Ok::<(), SqlError>(())
                },
            )
        });
        read.map_err(unavailable)?;
        Ok(page)
    }
}
