//! What comes over a link, on its way to the thread that keeps it: in order, within a limit.

use std::sync::Arc;
use std::time::Duration;

use journal::{BodyFile, Position};
use mail_types::{BodyHash, RecordSeq};
use tokio::io::AsyncRead;
use tokio::sync::mpsc::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{FollowError, cut};
use crate::follow::Following;
use crate::keeper::Task;
use crate::wire::{self, FromServer};

/// A server that says nothing for so long is gone: it says every second that it is there.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// KiB that wait for the disk.
const WAITING_KIB_MAX: u32 = 64 << 10;

/// What the keeping thread is to do.
pub enum Work {
    /// For the journal.
    Task(Task),
    /// A small file.
    File(String, Vec<u8>),
    /// All small files that there are.
    Files(Vec<String>),
    /// A signed head.
    Note(String),
    /// The server is there, and nothing more came before.
    Beat,
    /// These bodies go; all purges up to this record are done then.
    Punch(RecordSeq, Vec<Position>),
    /// The link has ended.
    End,
}

/// Work, with its part of the memory that there is for it.
pub type Held = (Work, Option<OwnedSemaphorePermit>);

/// Reads until the link is cut, or the server says no.
pub async fn read(
    following: &Following,
    from: &mut (impl AsyncRead + Unpin),
    to: &Sender<Held>,
) -> Result<(), FollowError> {
    let room = Arc::new(Semaphore::new(WAITING_KIB_MAX as usize));
    loop {
        let read = wire::read(from, SILENCE_MAX).await;
        let (said, bytes): (FromServer, Vec<u8>) = read.map_err(cut("the link was cut"))?;
        let kib = u32::try_from(bytes.len() >> 10).unwrap_or(WAITING_KIB_MAX);
        let work = match said {
            FromServer::Group { start: (segment, offset) } => {
                Work::Task(Task::Group { start: Position { segment, offset }, bytes })
            }
            FromServer::Body { hash, serial, size } => {
                Work::Task(Task::Body { file: BodyFile { hash: BodyHash(hash), serial }, size })
            }
            FromServer::Part => Work::Task(Task::Part(bytes)),
            FromServer::BodyEnd => Work::Task(Task::BodyEnd),
            FromServer::File { path } => Work::File(path, bytes),
            FromServer::Files(names) => Work::Files(names),
            FromServer::Head(note) => Work::Note(note),
            FromServer::Beat { head, .. } => {
                following.beat(wire::head(&head).map_err(cut("the link was cut"))?);
                Work::Beat
            }
            FromServer::Refused { what, mend } => return Err(FollowError::Refused { what, mend }),
            FromServer::Welcome { .. } | FromServer::Fenced | FromServer::Itself => {
                let strange = wire::strange("what does not belong here");
                return Err(cut("the link was cut")(strange));
            }
        };
        let permit = Arc::clone(&room).acquire_many_owned(kib.min(WAITING_KIB_MAX)).await;
        // The room is never closed.
        let permit = permit.map_err(|_| FollowError::Panicked)?;
        if to.send((work, Some(permit))).await.is_err() {
            // The thread has ended, and says why.
            return Err(FollowError::Panicked);
        }
    }
}
