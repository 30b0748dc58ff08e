//! The files of the ledger: none of them is mail, and only the key could not be made again.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use journal::Position;
use transparency::{HASH_BYTES, Hash, Nodes, stored_index};

use crate::error::{LedgerError, io as doing};

/// Whether a file must be there after a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    Yes,
    /// It is written again soon, or can be made again.
    No,
}

/// Makes the directory, for the server's user alone.
pub fn make_dir(dir: &Path) -> Result<(), LedgerError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(doing(format!("make the directory {}", dir.display()))),
    }
}

/// Puts a file in place of the one that is there: whoever reads it has all of either.
pub fn replace(path: &Path, bytes: &[u8], durable: Durable) -> Result<(), LedgerError> {
    let write = || {
        let fresh = path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        if durable == Durable::Yes {
            file.sync_all()?;
        }
        std::fs::rename(&fresh, path)?;
        match (durable, path.parent()) {
            (Durable::Yes, Some(dir)) => File::open(dir)?.sync_all(),
            (Durable::Yes | Durable::No, _) => Ok(()),
        }
    };
    write().map_err(doing(format!("write {}", path.display())))
}

/// Opens a file that grows, making it where there is none.
pub fn open(path: &Path) -> Result<File, LedgerError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(doing(format!("open {}", path.display())))
}

/// The hashes of the tree's complete subtrees, one behind the other ([`stored_index`]).
#[derive(Debug)]
pub struct TreeFile(pub File);

impl TreeFile {
    /// Hashes that are there.
    pub fn len(&self) -> Result<u64, LedgerError> {
        let bytes = self.0.metadata().map_err(doing("read the length of the tree"))?.len();
        Ok(bytes / HASH_BYTES as u64)
    }

    /// Cuts what stands behind the first `hashes`.
    pub fn cut(&self, hashes: u64) -> Result<(), LedgerError> {
        self.0.set_len(hashes * HASH_BYTES as u64).map_err(doing("cut the tree"))
    }

    /// Writes hashes behind the first `at`.
    pub fn write(&self, at: u64, hashes: &[u8]) -> Result<(), LedgerError> {
        self.0.write_all_at(hashes, at * HASH_BYTES as u64).map_err(doing("write to the tree"))
    }

    /// Reads hashes from number `at` on; fewer at the end.
    pub fn read(&self, at: u64, hashes: usize) -> Result<Vec<u8>, LedgerError> {
        let mut bytes = vec![0; hashes * HASH_BYTES];
        let mut read = 0;
        while read < bytes.len() {
            let offset = at * HASH_BYTES as u64 + read as u64;
            match self.0.read_at(&mut bytes[read..], offset) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(doing("read the tree")(error)),
            }
        }
        bytes.truncate(read - read % HASH_BYTES);
        Ok(bytes)
    }
}

impl Nodes for TreeFile {
    fn node(&self, level: u32, index: u64) -> Option<Hash> {
        self.read(stored_index(level, index)?, 1).ok()?.try_into().ok()
    }
}

/// Up to where the tree is on the disk: where to go on after a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Records that are in the tree.
    pub size: u64,
    /// Where the frame of the last of them begins.
    pub last: Position,
    /// Behind it.
    pub next: Position,
}

const PLACE_MAGIC: [u8; 8] = *b"RSTTREE1";
const PLACE_BYTES: usize = 48;

impl Place {
    pub fn to_bytes(self) -> [u8; PLACE_BYTES] {
        let mut out = [0; PLACE_BYTES];
        out[..8].copy_from_slice(&PLACE_MAGIC);
        out[8..16].copy_from_slice(&self.size.to_le_bytes());
        for (at, place) in [(16, self.last), (28, self.next)] {
            out[at..at + 4].copy_from_slice(&place.segment.to_le_bytes());
            out[at + 4..at + 12].copy_from_slice(&place.offset.to_le_bytes());
        }
        let check = blake3::hash(&out[..40]);
        out[40..].copy_from_slice(&check.as_bytes()[..8]);
        out
    }

    /// `None` where they are not what was written.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; PLACE_BYTES] = bytes.try_into().ok()?;
        let check = blake3::hash(&bytes[..40]);
        if bytes[..8] != PLACE_MAGIC || bytes[40..] != check.as_bytes()[..8] {
            return None;
        }
        let long = |at: usize| Some(u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
        let position = |at: usize| {
            let segment = u32::from_le_bytes(bytes[at..at + 4].try_into().ok()?);
            Some(Position { segment, offset: long(at + 4)? })
        };
        Some(Self { size: long(8)?, last: position(16)?, next: position(28)? })
    }
}
