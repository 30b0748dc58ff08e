//! Taking back what was done. Nothing is rolled back: what an act did is met by new records that
//! make it as it was, as far as nothing else has changed it since; what cannot be is told, with the
//! reason. That is an act as well, and can be taken back like any other.
//!
//! What was deleted comes back with its flags and dates, into its mailbox, under new UIDs: programs
//! were told that the old ones are gone. A mailbox that was deleted comes back as it was, under the
//! same UIDs, since nobody could see it meanwhile.

mod directory;
mod flags;
mod messages;
mod names;

use std::collections::{BTreeMap, HashMap};

use journal::Disk;
use mail_types::{AccountId, Flags, RecordSeq, Uid};

pub use messages::{Now, now};

use crate::act::{Act, ActFilter, ActKind};
use crate::commit::Work;
use crate::record::{Actor, Record};
use crate::sql::Executor;
use crate::{Refused, Store, StoreError};

/// Acts that are taken back by one job of the writer, and the messages of them.
const ACTS_PER_JOB: usize = 64;
const MESSAGES_PER_JOB: u64 = 50_000;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoOutcome {
    /// The acts that were taken back, the newest first.
    pub undone: Vec<RecordSeq>,
    /// Messages that are as they were.
    pub messages: u64,
    /// Why others were not, and how many: acts, and messages of acts.
    pub skipped: BTreeMap<String, u64>,
    /// The first and the last record that it made: what [`ActFilter::undoing`] takes it back by.
    pub records: Option<(RecordSeq, RecordSeq)>,
}

/// Why something stays as it is.
type Skip = String;

/// An act with what is needed to take it back.
struct Plan {
    act: Act,
    record: Record,
    /// Flags as they were before it, where it was about flags.
    flags: HashMap<Uid, Flags>,
}

/// What taking back one act comes to.
#[derive(Default)]
struct Taken {
    messages: u64,
    skipped: BTreeMap<Skip, u64>,
}

impl Taken {
    fn skip(&mut self, why: &str, messages: u64) {
        if messages > 0 {
            *self.skipped.entry(why.to_owned()).or_default() += messages;
        }
    }
}

impl<D: Disk> Store<D> {
    /// Takes acts back, the newest first; blocks until all of it is durable. A crash in the middle
    /// leaves the newest of them taken back, each of them whole. With an owner, only acts about
    /// that account's mail.
    ///
    /// # Errors
    /// Where the store takes no changes or cannot be read; what was taken back before stays so.
    pub fn undo(
        &self,
        actor: &Actor,
        owner: Option<AccountId>,
        acts: &[RecordSeq],
    ) -> Result<UndoOutcome, Refused> {
        let mut acts = acts.to_vec();
        acts.sort_unstable_by(|a, b| b.cmp(a));
        acts.dedup();
        let mut outcome = UndoOutcome::default();
        let mut plans: Vec<Plan> = Vec::new();
        let mut messages = 0;
        for seq in acts {
            let plan = self.plan(seq, owner);
            let plan = plan.map_err(|error| Refused::Unavailable(error.to_string()))?;
            let Some(plan) = plan else {
                *outcome.skipped.entry("not known, or not yours".to_owned()).or_default() += 1;
                continue;
            };
            messages += plan.act.messages;
            plans.push(plan);
            if plans.len() >= ACTS_PER_JOB || messages >= MESSAGES_PER_JOB {
                outcome.add(self.take_back(actor, std::mem::take(&mut plans))?);
                messages = 0;
            }
        }
        outcome.add(self.take_back(actor, plans)?);
        Ok(outcome)
    }

    fn plan(&self, seq: RecordSeq, owner: Option<AccountId>) -> Result<Option<Plan>, StoreError> {
        let mut found = None;
        let filter = ActFilter { seq: Some(seq), owner, ..ActFilter::default() };
        self.acts(&filter, &mut |act| {
            found = Some(act);
            false
        })?;
        let Some(act) = found else { return Ok(None) };
        let record = self.entry_at(act.place)?.record;
        let flags = match &record {
            Record::FlagsSet { mailbox, sets, .. } => {
                let uids = sets.iter().flat_map(|(_, uids)| uids).copied();
                self.flags_before(act.seq, *mailbox, uids)?
            }
            _ => HashMap::new(),
        };
        Ok(Some(Plan { act, record, flags }))
    }

    fn take_back(&self, actor: &Actor, plans: Vec<Plan>) -> Result<UndoOutcome, Refused> {
        if plans.is_empty() {
            return Ok(UndoOutcome::default());
        }
        let actor = actor.clone();
        let job = self.change(move |work| {
            let mut outcome = UndoOutcome::default();
            let first = work.next_seq();
            for plan in &plans {
                match one(work, &actor, plan)? {
                    Ok(taken) => outcome.add(UndoOutcome {
                        undone: vec![plan.act.seq],
                        messages: taken.messages,
                        skipped: taken.skipped,
                        records: None,
                    }),
                    Err(why) => *outcome.skipped.entry(why).or_default() += 1,
                }
            }
            let next = work.next_seq();
            outcome.records = (next > first).then(|| (first, RecordSeq(next.0 - 1)));
            Ok(outcome)
        });
        job.wait()
    }
}

impl UndoOutcome {
    fn add(&mut self, other: Self) {
        self.undone.extend(other.undone);
        self.messages += other.messages;
        self.records = match (self.records, other.records) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (one, other) => one.or(other),
        };
        for (why, count) in other.skipped {
            *self.skipped.entry(why).or_default() += count;
        }
    }
}

/// Takes one act back. Nothing is recorded where it is skipped.
fn one(work: &mut Work<'_>, actor: &Actor, plan: &Plan) -> Result<Result<Taken, Skip>, Refused> {
    // New flags of open mailboxes wait, and the acts that they are with them.
    if let Err(error) = work.live.apply_deferred(work.index) {
        return Err(work.fail(error.into()));
    }
    if is_undone(work, plan.act.seq)? {
        return Ok(Err("taken back already".to_owned()));
    }
    let first = work.next_seq();
    let act = &plan.act;
    let taken = match act.kind {
        ActKind::Flags => flags::take_back(work, actor, plan)?,
        ActKind::Appended | ActKind::Copied | ActKind::Restored => {
            messages::take_out(work, actor, &plan.record)?
        }
        ActKind::Moved => messages::move_back(work, actor, &plan.record)?,
        ActKind::Expunged => messages::bring_back(work, actor, act)?,
        ActKind::Deleted => names::bring_back(work, actor, act)?,
        ActKind::Created
        | ActKind::Renamed
        | ActKind::MailboxRestored
        | ActKind::Subscribed
        | ActKind::Shared
        | ActKind::Annotated => names::take_back(work, actor, act)?,
        ActKind::Domain | ActKind::Account | ActKind::Alias | ActKind::Route | ActKind::Quota => {
            directory::take_back(work, actor, act)?
        }
    };
    let taken = match taken {
        Ok(taken) => taken,
        Err(why) => return Ok(Err(why)),
    };
    let by: Vec<RecordSeq> = (first.0..work.next_seq().0).map(RecordSeq).collect();
    // Where nothing is left of it, such as of `\\Deleted` on what came back, it is taken back.
    if by.is_empty()
        && let Some(why) = taken.skipped.keys().next()
    {
        return Ok(Err(why.clone()));
    }
    work.record(actor, Record::Undone { act: act.seq, by })?;
    Ok(Ok(taken))
}

fn is_undone(work: &mut Work<'_>, act: RecordSeq) -> Result<bool, Refused> {
    let query = "SELECT undone FROM act WHERE seq = $1";
    match work.index.sql.number(query, &[act.0.into()]) {
        Ok(undone) => Ok(undone.is_some()),
        Err(error) => Err(work.fail(error.into())),
    }
}

/// Whether something of this kind was done later to the same thing and still holds: what took back
/// a later act brought it nearer to this one.
fn is_overtaken(work: &mut Work<'_>, act: &Act, any_subject: bool) -> Result<bool, Refused> {
    let mailbox = act.mailbox.map_or(0, |mailbox| mailbox.0);
    let later = work.index.sql.number(
        "SELECT 1 FROM act WHERE mailbox = $1 AND kind = $2 AND seq > $3 AND undone IS NULL \
         AND (undoes IS NULL OR undoes <= $3) AND ($4 = 1 OR subject = $5) LIMIT 1",
        &[
            mailbox.into(),
            act.kind.code().into(),
            act.seq.0.into(),
            i64::from(any_subject).into(),
            act.subject.as_str().into(),
        ],
    );
    match later {
        Ok(later) => Ok(later.is_some()),
        Err(error) => Err(work.fail(error.into())),
    }
}
