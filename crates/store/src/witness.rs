//! Who else must have what is acknowledged.

use journal::{Disk, Head};

use crate::StoreError;
use crate::commit::{Finish, Synced, Writer};

/// What is to be done once it is known whether a group is at the standby, too.
pub type Then = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Hears of every group that is durable here, in order, and says when anybody may be told of it.
pub trait Witness: Send + Sync {
    /// A group is durable here. `then` is called, from any thread and after those of earlier
    /// groups, when it may be acknowledged, or with why it may not be. It must not wait here: this
    /// is the writer's thread.
    fn durable(&self, head: &Head, then: Then);

    /// Whether a message may be begun now: asked before anything of it is recorded, so that what is
    /// refused is nowhere.
    ///
    /// # Errors
    /// Why it would not be acknowledged.
    fn ready(&self) -> Result<(), String>;
}

impl<D: Disk> Writer<D> {
    /// Has the answers of a synced group go out: now, or when the standby has the group, too.
    /// What recorded nothing waits as well, for it may tell of what an earlier group did; but it is
    /// answered, since looking changes nothing.
    pub(crate) fn acknowledge(&self, synced: Synced, records: usize, finishes: Vec<Finish>) {
        match &self.witness {
            Some(witness) => {
                let then = Box::new(move |witnessed: Result<(), String>| {
                    let error = witnessed.map_err(StoreError::Unwitnessed).err();
                    let error = error.filter(|_| records > 0);
                    for finish in finishes {
                        finish(error.as_ref().map_or(Ok(&synced), Err));
                    }
                });
                witness.durable(&self.journal.head(), then);
            }
            None => finishes.into_iter().for_each(|finish| finish(Ok(&synced))),
        }
    }
}
