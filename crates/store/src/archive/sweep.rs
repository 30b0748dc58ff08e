//! Looking for mail whose time is over, in steps that are bounded: a page of one table by its key, or
//! one message. What a look finds of messages side by side is remembered, so that the next one passes
//! them over until the time of one of them may be over.
//!
//! Where there is much to look at, as behind a start, what lies in mailboxes is told by one walk over
//! them, so that the many that stay cost a bit each; the few that are left are looked at one by one.

use std::collections::HashMap;
use std::ops::Range;

use journal::Disk;
use mail_types::{MailId, ReceiptId, RecordSeq, Timestamp};

use super::purge::{Found, MAILS_PER_PURGE, unavailable};
use super::standing::{As, Kept, ends};
use super::{Rules, rules};
use crate::record::Actor;
use crate::record_archive::PurgeRule;
use crate::sql::{Executor, SqlError};
use crate::{Refused, Store};

/// Rows read at a time.
const PAGE: u64 = 4096;
/// Messages, by their numbers, that are remembered together. Pages of them are whole blocks.
const BLOCK: u64 = 64;
/// Above one in so many blocks to look at, a walk over all mailboxes is less than looking at each.
const WALK_FROM_PART: usize = 16;
/// How much older what is read may be than it seems: the index is committed once a second.
const LAG_MILLIS: i64 = 60_000;

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
    /// Messages that stay since a record of theirs cannot be read.
    pub damaged: u64,
}

/// What was found of the messages whose numbers are side by side, one entry for [`BLOCK`] of them. It
/// costs 16 bytes for each of these, and is made anew after a start.
#[derive(Debug, Default)]
pub struct Swept {
    blocks: Vec<Block>,
    /// The last change of the rules that all of it holds for.
    rules: RecordSeq,
}

#[derive(Clone, Copy, Debug, Default)]
struct Block {
    /// None of it is over its time before. What happens to one of them later, begins its time anew:
    /// this is never further away than the shortest time that any mail is kept.
    not_before: Timestamp,
    /// Of it, messages that only a legal hold keeps.
    on_hold: u32,
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

/// What a look at one message found.
enum Look {
    Due(Due, Found),
    OnHold,
    /// What is recorded of it cannot be read.
    Damaged,
    /// Not before then.
    Stays(Timestamp),
}

/// A sweep under way.
struct Sweep<'a> {
    rules: &'a Rules,
    now: Timestamp,
    /// The shortest time that any mail is kept, in milliseconds.
    least: i64,
    stays: Option<Stays>,
    outcome: PurgeOutcome,
    batches: HashMap<PurgeRule, Found>,
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
        if !dry_run && *actor != Actor::Server {
            self.believe_clock();
        }
        let rules = self.retention_rules().map_err(unavailable)?;
        let now = (self.clock)();
        let Some(least) = ends(Timestamp(0), rules.least()) else {
            return Ok(PurgeOutcome::default());
        };
        let last = self.read_committed(|sql| sql.number("SELECT max(id) FROM mail", &[]));
        let last = last.map_err(unavailable)?.unwrap_or(0).cast_unsigned();
        let mut swept = self.shared.swept();
        swept.fit(last, &rules);
        let mut sweep = Sweep {
            rules: &rules,
            now,
            least: least.0,
            stays: None,
            outcome: PurgeOutcome::default(),
            batches: HashMap::new(),
        };
        if swept.is_much_due(now) {
            sweep.stays = Some(self.stays(sweep.limit(), last)?);
        }
        let mut from = 0;
        while from <= last && go_on() {
            let ids = from..from + PAGE;
            from = ids.end;
            let page = if swept.is_due(&ids, now) { self.candidates(&ids)? } else { Vec::new() };
            // Ids grow with the time.
            let oldest = page.iter().map(|candidate| candidate.accepted).min();
            if let Some(oldest) = oldest.filter(|oldest| *oldest > sweep.limit()) {
                swept.set_from(ids.start, sweep.least_until(oldest));
                break;
            }
            let mut page = page.into_iter().peekable();
            for block in ids.step_by(BLOCK as usize) {
                let own = |one: &Candidate| one.receipt.mail.0 < block + BLOCK;
                let known = swept.block(block);
                if known.not_before > now {
                    sweep.outcome.on_hold += u64::from(known.on_hold);
                    while page.next_if(own).is_some() {}
                    continue;
                }
                let mut found = Block { not_before: sweep.again_at(), on_hold: 0 };
                while let Some(candidate) = page.next_if(own) {
                    match self.look_at(&candidate, &sweep)? {
                        Look::Stays(until) => found.not_before = found.not_before.min(until),
                        Look::OnHold => found.on_hold += 1,
                        Look::Damaged => {
                            found.not_before = now;
                            sweep.outcome.damaged += 1;
                        }
                        Look::Due(due, standing) => {
                            found.not_before = now;
                            on_due(&due);
                            self.add(actor, dry_run, &mut sweep, due, standing)?;
                        }
                    }
                }
                sweep.outcome.on_hold += u64::from(found.on_hold);
                swept.set(block, found);
            }
        }
        if !dry_run {
            for (rule, batch) in sweep.batches {
                self.purge_batch(actor, batch, rule, &rules)?;
            }
        }
        Ok(sweep.outcome)
    }

    fn add(
        &self,
        actor: &Actor,
        dry_run: bool,
        sweep: &mut Sweep<'_>,
        due: Due,
        standing: Found,
    ) -> Result<(), Refused> {
        sweep.outcome.purged += 1;
        sweep.outcome.bytes += due.bytes;
        if dry_run {
            return Ok(());
        }
        let batch = sweep.batches.entry(due.rule.clone()).or_default();
        batch.extend(standing);
        if batch.len() < MAILS_PER_PURGE {
            return Ok(());
        }
        let batch = std::mem::take(batch);
        self.purge_batch(actor, batch, due.rule, sweep.rules)
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

    fn look_at(&self, candidate: &Candidate, sweep: &Sweep<'_>) -> Result<Look, Refused> {
        let Candidate { receipt, accepted, bytes } = *candidate;
        let stays = Ok(Look::Stays(sweep.again_at()));
        if accepted > sweep.limit() {
            return Ok(Look::Stays(sweep.least_until(accepted)));
        }
        if sweep.stays.as_ref().is_some_and(|stays| stays.has(receipt.mail)) {
            return stays;
        }
        let standing = match self.standing(receipt.mail, sweep.rules, As::Committed) {
            // It stops no other. Whose it is nobody knows: it stays.
            Err(error) if error.is_of_one_message() => {
                tracing::warn!(message = %receipt, %error, "what keeps a message cannot be read");
                return Ok(Look::Damaged);
            }
            standing => standing.map_err(unavailable)?,
        };
        let Some(standing) = standing else { return stays };
        let rule = match &standing.kept {
            Kept::Over { keep, spam, of } => rules::rule(*keep, *spam, of.clone()),
            Kept::OnHold(_) => return Ok(Look::OnHold),
            Kept::Until(Some(until)) => return Ok(Look::Stays(*until)),
            Kept::Open(_) | Kept::InMailboxes(_) | Kept::Until(None) | Kept::Purged(_) => None,
        };
        let Some(rule) = rule else { return stays };
        let due = Due { receipt, accepted, last_at: standing.last_at, bytes, rule };
        Ok(Look::Due(due, vec![(receipt.mail, standing)]))
    }

    /// Messages that lie in a mailbox, or did later than `limit`.
    fn stays(&self, limit: Timestamp, last: u64) -> Result<Stays, Refused> {
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

    /// Of the messages with these numbers, those that have a body.
    fn candidates(&self, ids: &Range<u64>) -> Result<Vec<Candidate>, Refused> {
        let mut page = Vec::new();
        let read = self.read_committed(|sql| {
            sql.query(
                "SELECT id, receipt_check, accepted, body_bytes FROM mail \
                 WHERE id >= $1 AND id < $2 AND purged IS NULL ORDER BY id",
                &[ids.start.into(), ids.end.into()],
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

impl Sweep<'_> {
    /// What is accepted later is not over its time now.
    const fn limit(&self) -> Timestamp {
        Timestamp(self.now.0.saturating_sub(self.least))
    }

    /// What happened then keeps a message at least so long.
    const fn least_until(&self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_add(self.least))
    }

    /// Nothing that stays is looked at again later than this.
    const fn again_at(&self) -> Timestamp {
        self.least_until(Timestamp(self.now.0.saturating_sub(LAG_MILLIS)))
    }
}

impl Swept {
    /// Room for all messages; nothing is known where the rules are others.
    fn fit(&mut self, last: u64, rules: &Rules) {
        if self.rules != rules.changed {
            self.blocks.clear();
            self.rules = rules.changed;
        }
        let blocks = usize::try_from(last / BLOCK + 1).unwrap_or(usize::MAX);
        self.blocks.resize(blocks, Block::default());
    }

    fn block(&self, first: u64) -> Block {
        let at = usize::try_from(first / BLOCK).ok();
        at.and_then(|at| self.blocks.get(at)).copied().unwrap_or_default()
    }

    fn set(&mut self, first: u64, found: Block) {
        let at = usize::try_from(first / BLOCK).ok();
        if let Some(block) = at.and_then(|at| self.blocks.get_mut(at)) {
            *block = found;
        }
    }

    /// From this number on nothing is over its time before.
    fn set_from(&mut self, first: u64, not_before: Timestamp) {
        let at = usize::try_from(first / BLOCK).unwrap_or(usize::MAX);
        for block in self.blocks.iter_mut().skip(at) {
            *block = Block { not_before, on_hold: 0 };
        }
    }

    fn is_due(&self, ids: &Range<u64>, now: Timestamp) -> bool {
        let at = |id: u64| usize::try_from(id / BLOCK).unwrap_or(usize::MAX);
        let there = at(ids.start)..at(ids.end).min(self.blocks.len());
        let blocks = self.blocks.get(there).unwrap_or_default();
        blocks.iter().any(|block| block.not_before <= now)
    }

    fn is_much_due(&self, now: Timestamp) -> bool {
        let due = self.blocks.iter().filter(|block| block.not_before <= now).count();
        due > self.blocks.len() / WALK_FROM_PART
    }
}
