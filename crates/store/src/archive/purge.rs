//! Purging bodies: the record, the bytes in the journal, what was extracted, the record that all of
//! that is done. A crash between leaves purges without the last record: the next start goes on with
//! them, each step once more.

use std::collections::BTreeMap;

use journal::{Disk, Position};
use mail_types::{MailId, MailboxId, ModSeq, RecordSeq, Timestamp, Uid};

use super::standing::{As, Kept, Standing};
use super::{Rules, rules};
use crate::commit::{Request, Work};
use crate::custody::CustodyState;
use crate::mailboxes::{MESSAGES_PER_RECORD, mod_seq};
use crate::record::{Actor, Place, Record};
use crate::record_archive::{PurgeRule, Purged};
use crate::sql::Executor;
use crate::{Pending, Refused, Store, StoreError};

/// Messages that one record purges.
pub(super) const MAILS_PER_PURGE: usize = 256;
/// Records of purges that are gone through together.
const PURGES_AT_A_TIME: u64 = 16;
/// What is kept of messages is never synced: a power cut may bring back what was taken out of it so
/// long before, so that is taken out once more.
const FORGOTTEN_AGAIN_MILLIS: i64 = 3_600_000;

/// Messages with what was found of each.
pub(super) type Found = Vec<(MailId, Standing)>;

/// The last record, and the bodies of all.
type Purges = (Option<RecordSeq>, Vec<(MailId, Place)>);

impl<D: Disk> Store<D> {
    /// Purges a message for good, for this reason, and takes it out of the mailboxes it lies in
    /// where that is wanted. Answers how many bytes went.
    ///
    /// # Errors
    /// Where a legal hold keeps it, somebody is still to get it, it lies in a mailbox and is not to
    /// be taken out, or is gone already.
    pub fn purge(
        &self,
        actor: &Actor,
        mail: MailId,
        reason: String,
        take_out: bool,
    ) -> Result<u64, Refused> {
        let rules = self.retention_rules().map_err(unavailable)?;
        let standing = self.standing(mail, &rules, As::OfNow).map_err(unavailable)?;
        let standing = standing.ok_or_else(|| Refused::Missing(format!("message {mail}")))?;
        if let Some(name) = &standing.hold {
            let what = format!("the legal hold {name} keeps it; end that first");
            return Err(Refused::Invalid(what));
        }
        match &standing.kept {
            Kept::Purged(at) => return Err(Refused::Invalid(format!("it is gone since {at}"))),
            Kept::Open(state) => {
                let what =
                    format!("a recipient of it is {state}; settle that first (restante queue)");
                return Err(Refused::Invalid(what));
            }
            Kept::InMailboxes(there) if !take_out => {
                let count = there.len();
                let what = format!("it lies in {count} mailboxes; say that it goes there as well");
                return Err(Refused::Invalid(what));
            }
            Kept::InMailboxes(_) | Kept::OnHold(_) | Kept::Until(_) | Kept::Over { .. } => {}
        }
        let bytes = self.mail_facts(&[mail]).map_err(unavailable)?;
        let rule = PurgeRule::Operator { reason };
        let done = self.record_purge(actor, vec![(mail, standing)], rule, &rules).wait()?;
        if done.is_empty() {
            return Err(Refused::Invalid("something happened to it meanwhile; look again".into()));
        }
        self.finish_purges()?;
        Ok(bytes.iter().map(|facts| facts.body_bytes).sum())
    }

    /// Records the purge of those of which nothing has changed since they were looked at; answers
    /// which those are.
    pub(super) fn record_purge(
        &self,
        actor: &Actor,
        found: Found,
        rule: PurgeRule,
        rules: &Rules,
    ) -> Pending<Vec<MailId>> {
        let (actor, changed) = (actor.clone(), rules.changed);
        self.change(move |work| {
            let last = rules::last_change(&mut work.index.sql);
            if last.map_err(|error| work.fail(error.into()))? != changed {
                return Ok(Vec::new());
            }
            let mut mails = Vec::with_capacity(found.len());
            let mut there: BTreeMap<MailboxId, Vec<Uid>> = BTreeMap::new();
            for (mail, standing) in found {
                if is_as_seen(work, mail, standing.seen)? {
                    mails.push(mail);
                    for (mailbox, uid) in standing.there {
                        there.entry(mailbox).or_default().push(uid);
                    }
                }
            }
            if mails.is_empty() {
                return Ok(mails);
            }
            for (mailbox, mut uids) in there {
                uids.sort_unstable();
                let mod_seq = ModSeq(mod_seq(work, mailbox)?.0 + 1);
                for uids in uids.chunks(MESSAGES_PER_RECORD) {
                    let uids = uids.to_vec();
                    work.record(&actor, Record::Expunged { mailbox, mod_seq, uids })?;
                }
            }
            let purged = Purged { mails: mails.clone(), rule };
            work.record(&actor, Record::Purged(Box::new(purged)))?;
            Ok(mails)
        })
    }

    /// Goes on with purges that are recorded and not done. Nothing to do: costs one look.
    ///
    /// # Errors
    /// Where the disk fails, or the store takes no changes. The next call goes on.
    pub fn finish_purges(&self) -> Result<(), Refused> {
        loop {
            let (last, mails) = self.open_purges().map_err(unavailable)?;
            let Some(last) = last else { return Ok(()) };
            // The writer takes no message while it does this.
            mails.chunks(MAILS_PER_PURGE).try_for_each(|mails| self.punch(mails))?;
            self.shared.extracting.forget(mails.iter().map(|(mail, _)| *mail).collect(), true);
            let gone = Record::BodiesGone { through: last };
            self.change(move |work| work.record(&Actor::Server, gone)).wait()?;
            // What was made of them elsewhere is made anew, now that there is nothing to make it of.
            self.shared.tell_accepted(&mails.iter().map(|(mail, _)| *mail).collect::<Vec<_>>());
        }
    }

    /// The next messages whose bodies are gone behind this record, and the last of their records;
    /// `None` where there are no more.
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn gone_behind(
        &self,
        seq: RecordSeq,
    ) -> Result<Option<(RecordSeq, Vec<MailId>)>, StoreError> {
        let query = "SELECT seq, segment, place FROM purge WHERE seq > $1 AND done = 1 \
                     ORDER BY seq LIMIT 16";
        let (last, mails) = self.purges(query, seq.0.cast_signed())?;
        Ok(last.map(|last| (last, mails.into_iter().map(|(mail, _)| mail).collect())))
    }

    /// At the start: what a crash left between record and disk goes before anybody can ask for it.
    pub(crate) fn punch_again(&self) -> Result<(), StoreError> {
        let (last, mails) = self.open_purges()?;
        if last.is_some() {
            let what = |refused: Refused| StoreError::Damaged(refused.to_string());
            self.punch(&mails).map_err(what)?;
        }
        let since = Timestamp((self.clock)().0.saturating_sub(FORGOTTEN_AGAIN_MILLIS));
        let lately =
            self.purges("SELECT seq, segment, place FROM purge WHERE at >= $1", since.0)?;
        let mails = lately.1.into_iter().map(|(mail, _)| mail).collect();
        self.shared.extracting.forget(mails, false);
        Ok(())
    }

    /// The last of the next purges that are not done, and the bodies of all of them.
    fn open_purges(&self) -> Result<Purges, StoreError> {
        let query = "SELECT seq, segment, place FROM purge WHERE done = 0 ORDER BY seq LIMIT $1";
        self.purges(query, PURGES_AT_A_TIME.cast_signed())
    }

    fn purges(&self, query: &'static str, parameter: i64) -> Result<Purges, StoreError> {
        let mut purges = Vec::new();
        self.read(|sql| {
            sql.query(query, &[parameter.into()], &mut |row| {
                let segment = u32::try_from(row.int(1)?).unwrap_or(u32::MAX);
                purges.push((RecordSeq(row.id(0)?), Place { segment, offset: row.id(2)? }));
                Ok(())
            })
        })?;
        let mut bodies = Vec::new();
        for (seq, at) in &purges {
            let mails = match self.entry_at(*at).map(|entry| entry.record) {
                Ok(Record::Purged(purged)) => purged.mails,
                Ok(_) => continue,
                // The index knows them as well; it takes longer.
                Err(error) if error.is_of_one_message() => {
                    tracing::warn!(record = seq.0, %error, "a record of a purge cannot be read");
                    self.purged_by(*seq)?
                }
                Err(error) => return Err(error),
            };
            let facts = self.mail_facts(&mails)?;
            bodies.extend(facts.iter().map(|facts| (facts.receipt.mail, facts.body_at)));
        }
        Ok((purges.last().map(|(seq, _)| *seq), bodies))
    }

    /// The messages that a record purged.
    fn purged_by(&self, seq: RecordSeq) -> Result<Vec<MailId>, StoreError> {
        let mut mails = Vec::new();
        self.read(|sql| {
            let query = "SELECT id FROM mail WHERE purged = $1";
            sql.query(query, &[seq.0.into()], &mut |row| {
                mails.push(MailId(row.id(0)?));
                Ok(())
            })
        })?;
        Ok(mails)
    }

    /// Takes bodies off the disk.
    fn punch(&self, mails: &[(MailId, Place)]) -> Result<(), Refused> {
        let bodies: Vec<Position> = mails.iter().map(|(_, at)| (*at).into()).collect();
        let (done, answer) = oneshot::channel();
        // A writer that is gone drops its end, which tells as well.
        self.requests.send(Request::Punch { bodies, done }).ok();
        let told = answer.recv();
        told.unwrap_or_else(|_| Err("the store has stopped".to_owned()))
            .map_err(Refused::Unavailable)
    }
}

/// Whether nothing has happened to a message since it was looked at.
fn is_as_seen(work: &mut Work<'_>, mail: MailId, seen: RecordSeq) -> Result<bool, Refused> {
    let open = [CustodyState::Queued, CustodyState::Held].map(CustodyState::code);
    let found = work.index.sql.number(
        "SELECT 1 FROM mail WHERE id = $1 AND purged IS NULL \
         AND $2 = (SELECT coalesce(max(seq), 0) FROM story WHERE mail = $1) \
         AND NOT EXISTS (SELECT 1 FROM custody WHERE mail = $1 AND state IN ($3, $4))",
        &[mail.0.into(), seen.0.into(), open[0].into(), open[1].into()],
    );
    match found {
        Ok(found) => Ok(found.is_some()),
        Err(error) => Err(work.fail(error.into())),
    }
}

pub(super) fn unavailable(error: StoreError) -> Refused {
    Refused::Unavailable(error.to_string())
}
