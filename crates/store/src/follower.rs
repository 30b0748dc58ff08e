//! The index of a standby: brought up to a journal that another server writes.

use std::path::Path;

use journal::{Disk, Head, Position, Reader};
use mail_types::RecordSeq;

use crate::StoreError;
use crate::commit::replay;
use crate::index::Index;
use crate::open::{fresh_index, index_path, usable_index};
use crate::read::read_facts;
use crate::record::{Entry, Record};
use crate::sql::Executor;
use crate::sqlite::Sqlite;

/// Purges that are gone through together.
const PURGES_AT_A_TIME: i64 = 16;

/// The index beside a journal that follows another one. It is only ever behind it.
pub struct Follower {
    index: Index<Sqlite>,
}

impl Follower {
    /// Opens the index in this directory, or makes an empty one. What cannot be gone on with is
    /// made anew.
    ///
    /// # Errors
    /// Where none can be made.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let path = index_path(root);
        let index = match usable_index(&path) {
            Ok(Some(index)) => index,
            Ok(None) => fresh_index(&path)?,
            Err(error) => {
                tracing::warn!(%error, "the index is broken: it is made anew from the journal");
                fresh_index(&path)?
            }
        };
        Ok(Self { index })
    }

    /// Forgets everything: the index is not one of this journal.
    ///
    /// # Errors
    /// Where no empty one can be made.
    pub fn anew(root: &Path) -> Result<Self, StoreError> {
        Ok(Self { index: fresh_index(&index_path(root))? })
    }

    /// Up to where it is applied: known to be durable.
    ///
    /// # Errors
    /// The engine's.
    pub fn applied(&mut self) -> Result<Option<Head>, StoreError> {
        Ok(self.index.applied()?)
    }

    /// Brings it up to `head`, which must be durable; answers how many records that were.
    ///
    /// # Errors
    /// Where the journal is damaged, or the engine fails.
    pub fn apply<D: Disk>(&mut self, reader: &Reader<D>, head: &Head) -> Result<u64, StoreError> {
        let applied = self.index.applied()?;
        let replayed = replay(&mut self.index, reader, applied, head)?;
        // Nobody asks here for what is news to somebody.
        self.index.take_quota_news();
        match replayed.damage.first() {
            None => Ok(replayed.records),
            Some(_) => Err(StoreError::Damaged(replayed.damage.join("; "))),
        }
    }

    /// The next purges behind this record: the last of their records, and where the bodies lie that
    /// must go from this disk, too. `None` where there are no more.
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn purges_behind<D: Disk>(
        &mut self,
        reader: &Reader<D>,
        seq: RecordSeq,
    ) -> Result<Option<(RecordSeq, Vec<Position>)>, StoreError> {
        let query = "SELECT seq, segment, place FROM purge WHERE seq > $1 ORDER BY seq LIMIT $2";
        let mut purges = Vec::new();
        let parameters = [seq.0.into(), PURGES_AT_A_TIME.into()];
        self.index.sql.query(query, &parameters, &mut |row| {
            let segment = u32::try_from(row.int(1)?).unwrap_or(u32::MAX);
            purges.push((RecordSeq(row.id(0)?), Position { segment, offset: row.id(2)? }));
            Ok(())
        })?;
        let mut bodies = Vec::new();
        for (_, at) in &purges {
            let (_, payload) = reader.read_record(*at)?;
            let Record::Purged(purged) = Entry::decode(&payload)?.record else { continue };
            for mail in purged.mails {
                let facts = read_facts(&mut self.index.sql, mail)?;
                bodies.extend(facts.map(|facts| Position::from(facts.body_at)));
            }
        }
        Ok(purges.last().map(|(last, _)| (*last, bodies)))
    }
}
