//! Hooks: URLs that are told what happens to mail. Each has its own place in the journal, up to
//! which it was told everything; the journal itself is the queue of what it was not told yet.

use journal::{Disk, Head};
use mail_types::Timestamp;

use crate::commit::Work;
use crate::record::{Actor, HookSecret, HookTry, Record};
use crate::sql::Executor;
use crate::{Pending, Refused, Store, StoreError};

/// Tries of a hook that its log has.
pub const HOOK_TRIES_KEPT: usize = 100;
/// Hooks at a time.
const HOOKS_MAX: i64 = 100;
/// Bytes of a URL.
const URL_BYTES_MAX: usize = 2048;

/// A hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its id.
    pub id: u64,
    /// Where it is told.
    pub url: String,
    /// What signs.
    pub secret: HookSecret,
    /// Kinds of events, by their names; none: all.
    pub kinds: Vec<String>,
    /// Everything up to here was told.
    pub head: Head,
}

impl<D: Disk> Store<D> {
    /// A new hook that is told what happens from now on; answers its id.
    pub fn add_hook(
        &self,
        actor: Actor,
        url: String,
        secret: HookSecret,
        kinds: Vec<String>,
    ) -> Pending<u64> {
        let from = self.reader.head().unwrap_or(Head::START).to_bytes().to_vec();
        self.change(move |work| {
            if url.len() > URL_BYTES_MAX || url.chars().any(|c| c.is_control() || c == ' ') {
                return Err(Refused::Invalid(format!(
                    "a URL has at most {URL_BYTES_MAX} bytes and no spaces"
                )));
            }
            let count = work.index.sql.number("SELECT count(*) FROM hook WHERE removed = 0", &[]);
            if count.map_err(|error| work.fail(error.into()))?.unwrap_or(0) >= HOOKS_MAX {
                return Err(Refused::Invalid(format!("there are {HOOKS_MAX} hooks already")));
            }
            let hook = next_id(work, "SELECT max(id) FROM hook")?;
            work.record(&actor, Record::HookSet { hook, url, secret, kinds, from })?;
            Ok(hook)
        })
    }

    /// Nothing is told there any more.
    pub fn remove_hook(&self, actor: Actor, hook: u64) -> Pending<()> {
        self.change(move |work| {
            let query = "SELECT id FROM hook WHERE id = $1 AND removed = 0";
            let found = work.index.sql.number(query, &[hook.into()]);
            if found.map_err(|error| work.fail(error.into()))?.is_none() {
                return Err(Refused::Missing(format!("hook {hook}")));
            }
            work.record(&actor, Record::HookRemoved { hook })
        })
    }

    /// Everything up to `head` was told by these tries, or is of a kind that the hook does not hear
    /// of.
    pub fn hook_reached(&self, hook: u64, head: &Head, mut tries: Vec<HookTry>) -> Pending<()> {
        let head = head.to_bytes().to_vec();
        // Of more than its log has nothing would be seen, and a record that is too large for the
        // journal fails everybody's group.
        tries.drain(..tries.len().saturating_sub(HOOK_TRIES_KEPT));
        self.change(move |work| {
            tried(work, hook, tries)?;
            work.record(&Actor::Server, Record::HookReached { hook, head })
        })
    }

    /// Keeps what a hook has said so far.
    pub fn hook_tried(&self, hook: u64, tries: Vec<HookTry>) -> Pending<()> {
        self.change(move |work| tried(work, hook, tries))
    }

    /// The latest tries of a hook, newest first.
    ///
    /// # Errors
    /// The index's.
    pub fn hook_log(&self, hook: u64) -> Result<Vec<HookTry>, StoreError> {
        self.read(|sql| {
            let mut tries = Vec::new();
            let query = "SELECT at, event, kind, said, told FROM hook_log WHERE hook = $1 \
                         ORDER BY at DESC, seq DESC, place DESC";
            sql.query(query, &[hook.into()], &mut |row| {
                tries.push(HookTry {
                    at: Timestamp(row.int(0)?),
                    event: row.text(1)?.to_owned(),
                    kind: row.text(2)?.to_owned(),
                    said: row.text(3)?.to_owned(),
                    told: row.int(4)? != 0,
                });
                Ok(())
            })?;
            Ok(tries)
        })
    }

    /// The hooks, by id.
    ///
    /// # Errors
    /// The index's.
    pub fn hooks(&self) -> Result<Vec<Hook>, StoreError> {
        self.read(|sql| {
            let mut hooks = Vec::new();
            let query = "SELECT id, url, secret, kinds, head FROM hook WHERE removed = 0 \
                         ORDER BY id";
            sql.query(query, &[], &mut |row| {
                hooks.push(Hook {
                    id: row.id(0)?,
                    url: row.text(1)?.to_owned(),
                    secret: HookSecret(row.blob(2)?.to_vec()),
                    kinds: row.text(3)?.split_whitespace().map(str::to_owned).collect(),
                    head: Head::from_bytes(row.blob(4)?).unwrap_or(Head::START),
                });
                Ok(())
            })?;
            Ok(hooks)
        })
    }
}

/// A hook that is gone meanwhile has no log.
fn tried(work: &mut Work<'_>, hook: u64, tries: Vec<HookTry>) -> Result<(), Refused> {
    let query = "SELECT 1 FROM hook WHERE id = $1 AND removed = 0";
    let found = work.index.sql.number(query, &[hook.into()]);
    let is_there = found.map_err(|error| work.fail(error.into()))?.is_some();
    if !is_there || tries.is_empty() {
        return Ok(());
    }
    work.record(&Actor::Server, Record::HookTried { hook, tries })
}

/// One above the highest number that `query` finds.
pub fn next_id(work: &mut Work<'_>, query: &'static str) -> Result<u64, Refused> {
    let last = work.index.sql.number(query, &[]);
    let last = last.map_err(|error| work.fail(error.into()))?;
    Ok(last.unwrap_or(0).cast_unsigned() + 1)
}
