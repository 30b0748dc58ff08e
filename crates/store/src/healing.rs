//! Damage is mended from a copy of the journal: the bytes, then the record that tells of it.

use std::collections::BTreeSet;

use journal::{Damage, Disk, Head, Mend, MendError, Mended, Position, Reader};
use mail_types::MailId;

use crate::commit::{Request, Writer};
use crate::record::{Actor, Record};
use crate::record_healed::Healed;
use crate::sql::{Executor, SqlError};
use crate::{Refused, Store, StoreError};

/// Messages that one record names.
const MAILS_MAX: usize = 1000;
/// How often it is begun again because mail was purged meanwhile.
const TRIES_MAX: usize = 3;

/// A copy of the journal.
pub struct Copied<'a, C: Disk> {
    /// Reads it.
    pub reader: &'a Reader<C>,
    /// Where it ends.
    pub head: Head,
    /// What people call the place.
    pub place: &'a str,
}

/// Why damage stays.
#[derive(Debug, thiserror::Error)]
pub enum HealError {
    /// The copy does not help, or the disk does not.
    #[error("{}", crate::chain(.0))]
    Mend(#[from] MendError),
    /// The index or the journal cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was mended, and the record of that was refused.
    #[error("it was mended, but that could not be recorded: {0}")]
    Record(#[from] Refused),
    /// Mail was purged each time it was tried.
    #[error("mail is being purged; try again")]
    Purging,
    /// The writer is gone.
    #[error("the store has stopped")]
    Stopped,
}

/// What the writer is asked.
pub struct Mending {
    mend: Mend,
    /// The last purge that the mend knows of: it must not bring back what is to be gone.
    purge: Option<i64>,
    done: oneshot::Sender<Result<Option<Mended>, HealError>>,
}

impl<D: Disk> Store<D> {
    /// Writes once more what is damaged, from a copy, and records that. Damaged bytes are kept in
    /// the data directory. Purged mail stays purged.
    ///
    /// # Errors
    /// [`HealError`]; the damage is then as it was, unless it says otherwise.
    pub fn heal<C: Disk>(
        &self,
        actor: &Actor,
        damage: &Damage,
        copied: &Copied<'_, C>,
    ) -> Result<Healed, HealError> {
        for _ in 0..TRIES_MAX {
            let (purge, purged) =
                self.read(|sql| Ok((last_purge(sql)?, purged_bodies(sql, damage.at.segment)?)))?;
            let is_purged = |at: Position| purged.contains(&at.offset);
            let mend = self.reader.find_mend(copied.reader, &copied.head, damage, &is_purged)?;
            let mails = self.read(|sql| mails_of(sql, &mend))?;
            let (done, answer) = oneshot::channel();
            // A writer that is gone drops its end, which tells as well.
            self.requests.send(Request::Mend(Box::new(Mending { mend, purge, done }))).ok();
            let Some(mended) = answer.recv().map_err(|_| HealError::Stopped)?? else { continue };
            let healed = Healed {
                what: damage.to_string(),
                mails: mails.clone(),
                from: copied.place.to_owned(),
                bytes: mended.bytes,
                evidence: mended.evidence,
            };
            let record = Record::Healed(Box::new(healed.clone()));
            let actor = actor.clone();
            self.change(move |work| work.record(&actor, record)).wait()?;
            // What could not be made of them is made now.
            self.shared.tell_accepted(&mails);
            return Ok(healed);
        }
        Err(HealError::Purging)
    }
}

impl<D: Disk> Writer<D> {
    /// Mends, unless mail was purged since the mend was made.
    pub fn mend(&mut self, mending: Mending) {
        let Mending { mend, purge, done } = mending;
        let now = last_purge(&mut self.index.sql).map_err(|error| StoreError::Index(error).into());
        let mended = match now {
            Ok(now) if now == purge => self.journal.mend(&mend).map(Some).map_err(HealError::Mend),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        };
        // Nobody waits any more: then nobody needs to know.
        done.send(mended).ok();
    }
}

fn last_purge(sql: &mut impl Executor) -> Result<Option<i64>, SqlError> {
    sql.number("SELECT max(seq) FROM purge", &[])
}

/// Where bodies of this segment lie that are to be gone.
fn purged_bodies(sql: &mut impl Executor, segment: u32) -> Result<BTreeSet<u64>, SqlError> {
    let mut places = BTreeSet::new();
    sql.query(
        "SELECT body_place FROM mail WHERE purged IS NOT NULL AND body_segment = $1",
        &[i64::from(segment).into()],
        &mut |row| {
            places.insert(row.id(0)?);
            Ok(())
        },
    )?;
    Ok(places)
}

/// The messages whose bodies or records a mend brings back: the first of them.
fn mails_of(sql: &mut impl Executor, mend: &Mend) -> Result<Vec<MailId>, SqlError> {
    let mut mails = BTreeSet::new();
    let queries = [
        "SELECT id, body_place FROM mail WHERE body_segment = $1 AND body_place BETWEEN $2 AND $3",
        "SELECT id, place FROM mail WHERE segment = $1 AND place BETWEEN $2 AND $3",
    ];
    for (query, places) in queries.into_iter().zip([&mend.bodies, &mend.records]) {
        let (Some(first), Some(last)) = (places.first(), places.last()) else { continue };
        let known: BTreeSet<u64> = places.iter().map(|at| at.offset).collect();
        let between = [
            i64::from(first.segment).into(),
            first.offset.cast_signed().into(),
            last.offset.cast_signed().into(),
        ];
        sql.query(query, &between, &mut |row| {
            if known.contains(&row.id(1)?) && mails.len() < MAILS_MAX {
                mails.insert(MailId(row.id(0)?));
            }
            Ok(())
        })?;
    }
    Ok(mails.into_iter().collect())
}
