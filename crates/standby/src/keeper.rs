//! What a standby does with what comes: checks it, writes it, and says that it has it behind the
//! sync alone.

use journal::{BodyCopy, BodyFile, Copy, CopyError, Disk, Head, Position};

use crate::FollowError;

/// Bytes written before a sync while much comes at once.
const BYTES_PER_SYNC: usize = 8 << 20;

/// A piece of what comes, in the order it comes in.
#[derive(Debug)]
pub enum Task {
    /// A group.
    Group {
        /// Where it begins.
        start: Position,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A body file begins.
    Body {
        /// Its name.
        file: BodyFile,
        /// Its bytes.
        size: u64,
    },
    /// More of it.
    Part(Vec<u8>),
    /// All of it is there.
    BodyEnd,
    /// Bodies that were purged.
    Punch(Vec<Position>),
    /// Nothing more comes for now.
    Quiet,
}

/// Keeps a journal that follows another one.
pub struct Keeper<D: Disk> {
    copy: Copy<D>,
    body: Option<BodyCopy<D>>,
    unsynced_bytes: usize,
}

impl<D: Disk> Keeper<D> {
    /// Of an open copy.
    #[must_use]
    pub const fn new(copy: Copy<D>) -> Self {
        Self { copy, body: None, unsynced_bytes: 0 }
    }

    /// The copy.
    #[must_use]
    pub const fn copy(&self) -> &Copy<D> {
        &self.copy
    }

    /// Takes a piece. What it brings is not durable before [`Keeper::acknowledge`].
    ///
    /// # Errors
    /// Where it is refused, or the disk fails; nothing that was there has changed.
    pub fn take(&mut self, task: Task) -> Result<(), FollowError> {
        match task {
            Task::Group { start, bytes } => {
                self.copy.add(start, &bytes)?;
                self.unsynced_bytes += bytes.len();
            }
            Task::Body { file, size } => self.body = Some(self.copy.begin_body(file, size)?),
            Task::Part(bytes) => match &mut self.body {
                Some(body) => body.write(&bytes)?,
                None => return Err(CopyError::File("of no name".to_owned()).into()),
            },
            Task::BodyEnd => match self.body.take() {
                Some(body) => body.finish()?,
                None => return Err(CopyError::File("of no name".to_owned()).into()),
            },
            Task::Punch(bodies) => {
                // Only what is durable can be purged.
                self.copy.sync()?;
                self.copy.punch_all(&bodies)?;
            }
            Task::Quiet => {
                self.copy.settle()?;
            }
        }
        Ok(())
    }

    /// Whether it is time to sync although more waits.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.unsynced_bytes >= BYTES_PER_SYNC
    }

    /// Makes durable what was taken; only what this answers may the other side be told of.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn acknowledge(&mut self) -> Result<Head, FollowError> {
        self.copy.sync()?;
        self.unsynced_bytes = 0;
        Ok(self.copy.head())
    }
}
