//! The auditor: the invariants that the index alone can show, looked at while the server runs, on
//! readers' connections and off the writer's way. What it counts is `unaccounted`: custodies and
//! mailboxes that are not as they must be. It is independent of the queue's runner, which it checks.
//!
//! What is open or held is looked at each time, through indexes of their own. The rest is looked at
//! a piece at a time, so that each look takes a moment however much there is; `verify` reads the
//! journal and proves all of it at once.

use journal::Disk;
use mail_types::Timestamp;

use crate::custody::CustodyState;
use crate::index::EVERYWHERE;
use crate::sql::{Executor, Param, SqlError};
use crate::sqlite::Sqlite;
use crate::verify::Invariant;
use crate::{Store, StoreError};

/// Custodies looked at in one look.
const CUSTODIES_STEP: u64 = 50_000;
/// Messages of the mailboxes whose counts are looked at in one look, and how many mailboxes.
const MESSAGES_STEP: u64 = 50_000;
const MAILBOXES_STEP: usize = 500;
/// Findings told one by one; the rest is counted.
const FINDINGS_MAX: usize = 20;

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// What is not accounted for: must be 0.
    pub unaccounted: u64,
    /// The first of it, in words.
    pub findings: Vec<String>,
    /// Recipients whose mail is still in the queue though its lifetime is over: must be 0.
    pub overdue: u64,
    /// Recipients whose mail waits.
    pub open: u64,
    /// Recipients whose mail is held.
    pub held: u64,
    /// Of how many custodies how many were looked at in this round.
    pub custodies: (u64, u64),
    /// Rounds through all of them so far.
    pub rounds: u64,
}

impl Audit {
    fn add(&mut self, what: String) {
        self.unaccounted += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what);
        }
    }
}

/// Which mail must not be in the queue any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOld {
    /// What was accepted before, unless it came to its first attempt late.
    pub before: Timestamp,
    /// Such mail has had at least one attempt, and fewer than this.
    pub tries_least: u32,
    /// What was accepted before, in any case.
    pub late_before: Timestamp,
}

/// Where the next look goes on, and what the round has found so far: that stays told until a round
/// finds it no more.
#[derive(Clone, Debug, Default)]
pub struct Auditor {
    custody: u64,
    mailbox: u64,
    mailboxes_done: bool,
    rounds: u64,
    /// Found in this round, and in the whole one before.
    now: Audit,
    before: Audit,
}

/// Checks of all that is open or held, which `verify` makes too; each row is one finding.
pub(crate) const OPEN: &[(Invariant, &str, &str)] = &[
    (
        Invariant::OpenIsQueued,
        "open custody without a queue row",
        "SELECT id FROM custody WHERE state = 0 \
         AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.custody = custody.id)",
    ),
    (
        Invariant::OpenIsQueued,
        "queue row without an open custody",
        "SELECT custody FROM queue WHERE NOT EXISTS \
         (SELECT 1 FROM custody WHERE custody.id = queue.custody AND custody.state = 0)",
    ),
    (
        Invariant::OneState,
        "held custody without what it is held for",
        "SELECT id FROM custody WHERE state = 4 \
         AND NOT EXISTS (SELECT 1 FROM held WHERE held.custody = custody.id)",
    ),
    (
        Invariant::OneState,
        "custody that is held, and in another state too",
        "SELECT custody FROM held WHERE NOT EXISTS \
         (SELECT 1 FROM custody WHERE custody.id = held.custody AND custody.state = 4)",
    ),
];

/// Checks of the custodies behind `$1` up to `$2`.
const SETTLED: &[(&str, &str)] = &[
    (
        "the report about this custody was never accepted",
        "SELECT id FROM custody WHERE id > $1 AND id <= $2 AND report IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM mail WHERE mail.id = custody.report)",
    ),
    (
        "delivered custody whose message is neither there nor taken out in a record",
        "SELECT id FROM custody WHERE id > $1 AND id <= $2 AND state = 1 \
         AND NOT EXISTS (SELECT 1 FROM message \
         WHERE message.mailbox = custody.mailbox AND message.uid = custody.uid \
         AND message.mail = custody.mail) AND NOT EXISTS (SELECT 1 FROM expunged \
         WHERE expunged.mailbox = custody.mailbox AND expunged.uid = custody.uid \
         AND expunged.mail = custody.mail)",
    ),
    (
        "custody of a message that is not there",
        "SELECT id FROM custody WHERE id > $1 AND id <= $2 \
         AND NOT EXISTS (SELECT 1 FROM mail WHERE mail.id = custody.mail)",
    ),
];

impl<D: Disk> Store<D> {
    /// Looks at everything that is open or held, and at the next piece of the rest. Mail that is too
    /// old must not be in the queue any more, pauses and holds not counted.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn audit(&self, auditor: &mut Auditor, too_old: TooOld) -> Result<Audit, StoreError> {
        let (audit, next) = self.read(|sql| {
            let mut next = auditor.clone();
            Ok((look(sql, &mut next, too_old)?, next))
        })?;
        *auditor = next;
        Ok(audit)
    }
}

fn look(sql: &mut Sqlite, auditor: &mut Auditor, too_old: TooOld) -> Result<Audit, SqlError> {
    let mut audit = Audit::default();
    for (_, what, query) in OPEN {
        rows(sql, what, query, &[], &mut audit)?;
    }
    let count = |sql: &mut Sqlite, query, params: &[Param<'_>]| -> Result<u64, SqlError> {
        Ok(sql.number(query, params)?.unwrap_or(0).cast_unsigned())
    };
    audit.open = count(sql, "SELECT count(*) FROM queue", &[])?;
    audit.held = count(sql, "SELECT count(*) FROM held", &[])?;
    audit.overdue = count(
        sql,
        "SELECT count(*) FROM queue WHERE accepted < $1 \
         AND (attempts = 0 OR attempts >= $3 OR accepted < $4) AND NOT EXISTS \
         (SELECT 1 FROM pause WHERE pause.destination = queue.destination \
         OR pause.destination = $2)",
        &[
            too_old.before.0.into(),
            EVERYWHERE.into(),
            too_old.tries_least.into(),
            too_old.late_before.0.into(),
        ],
    )?;
    let last = count(sql, "SELECT max(id) FROM custody", &[])?;
    settled(sql, auditor, last)?;
    counts(sql, auditor)?;
    if auditor.custody >= last && auditor.mailboxes_done {
        (auditor.custody, auditor.mailbox, auditor.mailboxes_done) = (0, 0, false);
        auditor.rounds += 1;
        auditor.before = std::mem::take(&mut auditor.now);
    }
    // What the round has found so far, or where that is less, what the one before found.
    let (now, before) = (&auditor.now, &auditor.before);
    let found = if now.unaccounted >= before.unaccounted { now } else { before };
    audit.unaccounted += found.unaccounted;
    let room = FINDINGS_MAX.saturating_sub(audit.findings.len());
    audit.findings.extend(found.findings.iter().take(room).cloned());
    audit.custodies = (if auditor.custody == 0 { last } else { auditor.custody }, last);
    audit.rounds = auditor.rounds;
    Ok(audit)
}

/// The next custodies: each is there, in a state that there is, with what that state needs.
fn settled(sql: &mut Sqlite, auditor: &mut Auditor, last: u64) -> Result<(), SqlError> {
    let (from, to) = (auditor.custody, last.min(auditor.custody + CUSTODIES_STEP));
    if to <= from {
        return Ok(());
    }
    let range = [from.into(), to.into()];
    let (mut there, mut states) = (0, Vec::new());
    sql.query(
        "SELECT state, count(*) FROM custody WHERE id > $1 AND id <= $2 GROUP BY state",
        &range,
        &mut |row| {
            there += row.id(1)?;
            states.push(row.int(0)?);
            Ok(())
        },
    )?;
    let found = &mut auditor.now;
    // Ids are given out without gaps, those of groups that failed once more.
    for _ in 0..(to - from).saturating_sub(there) {
        found.add(format!("custody missing between {} and {to}", from + 1));
    }
    for state in states.into_iter().filter(|code| CustodyState::from_code(*code).is_none()) {
        found.add(format!("custodies between {} and {to} in state {state}", from + 1));
    }
    for (what, query) in SETTLED {
        rows(sql, what, query, &range, found)?;
    }
    auditor.custody = to;
    Ok(())
}

/// The next mailboxes: their counts are those of their messages.
fn counts(sql: &mut Sqlite, auditor: &mut Auditor) -> Result<(), SqlError> {
    if auditor.mailboxes_done {
        return Ok(());
    }
    let (from, mut to, mut messages, mut seen) = (auditor.mailbox, None, 0, 0);
    sql.query(
        "SELECT id, messages FROM mailbox WHERE id > $1 ORDER BY id LIMIT $2",
        &[from.into(), (MAILBOXES_STEP as u64).into()],
        &mut |row| {
            if messages < MESSAGES_STEP {
                to = Some(row.id(0)?);
                messages += row.id(1)?;
            }
            seen += 1;
            Ok(())
        },
    )?;
    let Some(to) = to else {
        auditor.mailboxes_done = true;
        return Ok(());
    };
    rows(
        sql,
        "mailbox whose counts are not those of its messages",
        "SELECT id FROM mailbox WHERE id > $1 AND id <= $2 AND ( \
         messages <> (SELECT count(*) FROM message WHERE message.mailbox = mailbox.id) \
         OR unseen <> (SELECT coalesce(sum(1 - (flags & 1)), 0) FROM message \
         WHERE message.mailbox = mailbox.id) \
         OR bytes <> (SELECT coalesce(sum(message.bytes), 0) FROM message \
         WHERE message.mailbox = mailbox.id))",
        &[from.into(), to.into()],
        &mut auditor.now,
    )?;
    auditor.mailbox = to;
    auditor.mailboxes_done = seen < MAILBOXES_STEP && messages < MESSAGES_STEP;
    Ok(())
}

fn rows(
    sql: &mut Sqlite,
    what: &str,
    query: &'static str,
    params: &[Param<'_>],
    found: &mut Audit,
) -> Result<(), SqlError> {
    sql.query(query, params, &mut |row| {
        found.add(format!("{what}: {}", row.int(0)?));
        Ok(())
    })
}
