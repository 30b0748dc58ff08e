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
pub use names::target;

use crate::act::{Act, ActKind};
use crate::commit::Work;
use crate::record::{Actor, Record};
use crate::sql::Executor;
use crate::{Refused, Store, StoreError};

/// Acts that are taken back by one job of the writer, the messages of them, and bytes of what was
/// before them: what the last of them adds still fits into a group of the journal.
const ACTS_PER_JOB: usize = 256;
const MESSAGES_PER_JOB: u64 = 50_000;
const BYTES_PER_JOB: usize = 4 << 20;
/// Records that they may take at least, and frames in the group behind which no further act is begun:
/// one act makes tens of thousands at most, and a group takes 65,536.
const FRAMES_PER_JOB: usize = 16_384;
const FRAMES_BEFORE_ACT_MAX: usize = 32_768;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoOutcome {
    /// The acts that were taken back, the newest first.
    pub undone: Vec<RecordSeq>,
    /// Messages that are as they were.
    pub messages: u64,
    /// Why others were not, and how many: acts, and messages of acts.
    pub skipped: BTreeMap<String, u64>,
    /// The first and the last of the records that it made, of each run that nobody else's lie
    /// between: what [`crate::ActFilter::undoing`] takes it back by.
    pub records: Vec<(RecordSeq, RecordSeq)>,
    /// What stopped it. What was taken back before stays so; the same call does the rest.
    pub stopped: Option<Refused>,
}

/// Why something stays as it is.
type Skip = String;

/// An act with what is needed to take it back.
struct Plan {
    act: Act,
    /// What is not of this account is not changed.
    owner: Option<AccountId>,
    /// What it said, of acts that are about messages.
    record: Option<Record>,
    /// Flags as they were before it, where it was about flags and they are known.
    flags: HashMap<Uid, Flags>,
}

/// Acts for one job of the writer.
#[derive(Default)]
struct Batch {
    plans: Vec<Plan>,
    messages: u64,
    bytes: usize,
    frames: usize,
}

impl Batch {
    fn add(&mut self, plan: Plan) {
        self.messages += plan.act.messages;
        self.frames += plan.act.before.len() + 2;
        // At most: many messages have the same flags, which are then recorded once.
        let words = plan.flags.values().flat_map(Flags::keywords);
        self.bytes +=
            plan.act.before_bytes + words.map(|word| word.as_str().len() + 2).sum::<usize>();
        self.plans.push(plan);
    }

    fn is_full(&self) -> bool {
        self.plans.len() >= ACTS_PER_JOB
            || self.messages >= MESSAGES_PER_JOB
            || self.bytes >= BYTES_PER_JOB
            || self.frames >= FRAMES_PER_JOB
    }
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
    /// that account's mail. An act that cannot be taken back is skipped, and stops no other.
    ///
    /// # Errors
    /// Where the store takes no changes or cannot be read, and nothing was taken back yet; else the
    /// outcome says what stopped it.
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
        let mut left = acts.as_slice();
        while !left.is_empty() {
            match self.undo_round(actor, owner, left, &mut outcome) {
                Ok(done) => left = &left[done..],
                Err(refused) if outcome.undone.is_empty() => return Err(refused),
                Err(refused) => {
                    outcome.stopped = Some(refused);
                    break;
                }
            }
        }
        Ok(outcome)
    }

    /// Takes back the first of these acts, as many as are looked at together; how many that are.
    fn undo_round(
        &self,
        actor: &Actor,
        owner: Option<AccountId>,
        acts: &[RecordSeq],
        outcome: &mut UndoOutcome,
    ) -> Result<usize, Refused> {
        let unavailable = |error: StoreError| Refused::Unavailable(error.to_string());
        let (count, mut earlier) = self.flags_of_acts(acts).map_err(unavailable)?;
        let mut batch = Batch::default();
        for &seq in &acts[..count] {
            match self.plan(seq, owner).map_err(unavailable)? {
                Ok(plan) => {
                    let flags = earlier.remove(&seq).unwrap_or_default();
                    batch.add(Plan { flags, ..plan });
                }
                Err(why) => *outcome.skipped.entry(why).or_default() += 1,
            }
            if batch.is_full() {
                self.take_back(actor, std::mem::take(&mut batch).plans, outcome)?;
            }
        }
        self.take_back(actor, batch.plans, outcome)?;
        Ok(count)
    }

    fn plan(
        &self,
        seq: RecordSeq,
        owner: Option<AccountId>,
    ) -> Result<Result<Plan, Skip>, StoreError> {
        let act = self.act(seq)?;
        let Some(act) = act.filter(|act| owner.is_none() || act.owner == owner) else {
            return Ok(Err("not known, or not yours".to_owned()));
        };
        let record = match act.kind {
            ActKind::Flags
            | ActKind::Appended
            | ActKind::Copied
            | ActKind::Restored
            | ActKind::Moved => match self.entry_at(act.place) {
                Ok(entry) => Some(entry.record),
                Err(error) => {
                    tracing::warn!(act = seq.0, %error, "an act cannot be taken back");
                    return Ok(Err("what it said cannot be read".to_owned()));
                }
            },
            ActKind::Expunged
            | ActKind::Deleted
            | ActKind::Created
            | ActKind::Renamed
            | ActKind::MailboxRestored
            | ActKind::Subscribed
            | ActKind::Shared
            | ActKind::Annotated
            | ActKind::Domain
            | ActKind::Account
            | ActKind::Alias
            | ActKind::Route
            | ActKind::Quota => None,
        };
        Ok(Ok(Plan { act, owner, record, flags: HashMap::new() }))
    }

    fn take_back(
        &self,
        actor: &Actor,
        plans: Vec<Plan>,
        outcome: &mut UndoOutcome,
    ) -> Result<(), Refused> {
        let mut left = plans;
        // Ends: each turn takes one back at least.
        while !left.is_empty() {
            let (done, rest) = self.take_some_back(actor.clone(), left).wait()?;
            outcome.add(done);
            left = rest;
        }
        Ok(())
    }

    /// As many as one group takes; answers the rest.
    fn take_some_back(
        &self,
        actor: Actor,
        mut plans: Vec<Plan>,
    ) -> crate::Pending<(UndoOutcome, Vec<Plan>)> {
        self.change(move |work| {
            let mut outcome = UndoOutcome::default();
            let (first, mut done) = (work.next_seq(), 0);
            for plan in &plans {
                if done > 0 && work.frames() > FRAMES_BEFORE_ACT_MAX {
                    break;
                }
                done += 1;
                match one_or_none(work, &actor, plan)? {
                    Ok(taken) => outcome.add(UndoOutcome {
                        undone: vec![plan.act.seq],
                        messages: taken.messages,
                        skipped: taken.skipped,
                        ..UndoOutcome::default()
                    }),
                    Err(why) => *outcome.skipped.entry(why).or_default() += 1,
                }
            }
            let next = work.next_seq();
            if next > first {
                outcome.records.push((first, RecordSeq(next.0 - 1)));
            }
            Ok((outcome, plans.split_off(done)))
        })
    }
}

impl UndoOutcome {
    fn add(&mut self, other: Self) {
        self.undone.extend(other.undone);
        self.messages += other.messages;
        for (first, last) in other.records {
            match self.records.last_mut() {
                Some((_, end)) if end.0 + 1 == first.0 => *end = last,
                _ => self.records.push((first, last)),
            }
        }
        for (why, count) in other.skipped {
            *self.skipped.entry(why).or_default() += count;
        }
    }
}

/// Takes one act back. What is refused is skipped, so that the others of its job become true, and
/// whoever shares the group with it is not refused.
fn one_or_none(
    work: &mut Work<'_>,
    actor: &Actor,
    plan: &Plan,
) -> Result<Result<Taken, Skip>, Refused> {
    let first = work.next_seq();
    match one(work, actor, plan) {
        // Our own trouble, with which the group fails.
        Err(refused @ Refused::Unavailable(_)) => Err(refused),
        Err(refused) if work.next_seq() == first => Ok(Err(refused.to_string())),
        done => done,
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
            messages::take_out(work, actor, plan)?
        }
        ActKind::Moved => messages::move_back(work, actor, plan)?,
        ActKind::Expunged => messages::bring_back(work, actor, plan)?,
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
    // Not everything is in a mailbox: accounts subscribe to the same names.
    let owner = act.owner.map_or(0, |owner| owner.0);
    let key = [mailbox.into(), act.kind.code().into(), owner.into(), act.seq.0.into()];
    let subject = act.subject.as_str().into();
    let sql = &mut work.index.sql;
    // The index says the same of kinds: acts about messages are many, and never asked of here.
    let later = if any_subject {
        sql.number(
            "SELECT 1 FROM act INDEXED BY act_thing WHERE mailbox = $1 AND kind = $2 \
             AND owner = $3 AND seq > $4 AND (undoes IS NULL OR undoes <= $4) \
             AND undone IS NULL AND kind NOT IN (7, 8, 9, 10, 11, 12) LIMIT 1",
            &key,
        )
    } else {
        sql.number(
            "SELECT 1 FROM act INDEXED BY act_thing WHERE mailbox = $1 AND kind = $2 \
             AND owner = $3 AND seq > $4 AND (undoes IS NULL OR undoes <= $4) AND subject = $5 \
             AND undone IS NULL AND kind NOT IN (7, 8, 9, 10, 11, 12) LIMIT 1",
            &[key[0], key[1], key[2], key[3], subject],
        )
    };
    match later {
        Ok(later) => Ok(later.is_some()),
        Err(error) => Err(work.fail(error.into())),
    }
}
