//! Reading what lies in a place: through pieces that are kept a while, opened where it is sealed.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use journal::{Disk, DiskFile};

use crate::age::{CHUNK_BYTES, Identity, Opened};
use crate::place::Place;

/// Bytes of a piece that is fetched at a time, and pieces kept: 32 MiB in all.
const PIECE_BYTES: u64 = 4 << 20;
const PIECES_MAX: usize = 8;
/// Bytes read first where a file is read as it lies.
const FIRST_BYTES: usize = 64 << 10;

/// A file, its place in it, its bytes.
type Piece = (String, u64, Arc<Vec<u8>>);

/// Reads files of a place in pieces, the last of which it keeps.
#[derive(Debug)]
pub struct Pieces {
    pub place: Arc<dyn Place>,
    kept: Mutex<VecDeque<Piece>>,
}

impl Pieces {
    pub fn new(place: Arc<dyn Place>) -> Arc<Self> {
        Arc::new(Self { place, kept: Mutex::default() })
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Piece>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn piece(&self, name: &str, number: u64) -> io::Result<Arc<Vec<u8>>> {
        let known = self.kept().iter().find(|(of, at, _)| of == name && *at == number).cloned();
        if let Some((_, _, bytes)) = known {
            return Ok(bytes);
        }
        let mut bytes = vec![0; PIECE_BYTES as usize];
        let read = self.place.read_at(name, number * PIECE_BYTES, &mut bytes)?;
        bytes.truncate(read);
        let bytes = Arc::new(bytes);
        let mut kept = self.kept();
        if kept.len() >= PIECES_MAX {
            kept.pop_front();
        }
        kept.push_back((name.to_owned(), number, Arc::clone(&bytes)));
        Ok(bytes)
    }

    pub fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        // Each turn takes what one piece has.
        while done < buffer.len() {
            let at = offset + done as u64;
            let piece = self.piece(name, at / PIECE_BYTES)?;
            let from = piece.get((at % PIECE_BYTES) as usize..).unwrap_or_default();
            let take = from.len().min(buffer.len() - done);
            if take == 0 {
                break;
            }
            buffer[done..done + take].copy_from_slice(&from[..take]);
            done += take;
        }
        Ok(done)
    }

    /// Opens a file, to read what was put into it.
    pub fn open(
        self: &Arc<Self>,
        name: &str,
        identity: Option<&Identity>,
    ) -> io::Result<StoredFile> {
        let stored = self.place.size(name)?;
        let read = &mut |offset, buffer: &mut [u8]| self.read_at(name, offset, buffer);
        let sealed = identity.map(|identity| Opened::new(stored, identity, read)).transpose()?;
        let bytes = sealed.as_ref().map_or(stored, |opened| opened.bytes);
        let (pieces, chunk) = (Arc::clone(self), Mutex::default());
        Ok(StoredFile { pieces, name: name.to_owned(), bytes, sealed, chunk })
    }
}

/// A file in a place, opened.
pub struct StoredFile {
    pieces: Arc<Pieces>,
    name: String,
    bytes: u64,
    sealed: Option<Opened>,
    /// The chunk opened last.
    chunk: Mutex<Option<(u64, Vec<u8>)>>,
}

impl StoredFile {
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn sealed_at(&self, opened: &Opened, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut held = self.chunk.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = 0;
        // Each turn takes what one chunk has.
        while done < buffer.len() && offset + (done as u64) < self.bytes {
            let at = offset + done as u64;
            let number = at / CHUNK_BYTES as u64;
            let known = held.take().filter(|(known, _)| *known == number);
            let (_, bytes) = match known {
                Some(known) => held.insert(known),
                None => {
                    let read = &mut |offset, buffer: &mut [u8]| {
                        self.pieces.read_at(&self.name, offset, buffer)
                    };
                    held.insert((number, opened.chunk(number, read)?))
                }
            };
            let from = bytes.get((at % CHUNK_BYTES as u64) as usize..).unwrap_or_default();
            let take = from.len().min(buffer.len() - done);
            buffer[done..done + take].copy_from_slice(&from[..take]);
            done += take;
        }
        Ok(done)
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl DiskFile for StoredFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.sealed {
            Some(opened) => self.sealed_at(opened, offset, buffer),
            None => self.pieces.read_at(&self.name, offset, buffer),
        }
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        read_only()
    }

    fn sync_data(&self) -> io::Result<()> {
        read_only()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }

    fn allocate(&self, _: u64, _: u64) -> io::Result<()> {
        read_only()
    }

    fn punch_hole(&self, _: u64, _: u64) -> io::Result<()> {
        read_only()
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        read_only()
    }

    fn data_from(&self, offset: u64) -> io::Result<Option<u64>> {
        Ok((offset < self.bytes).then_some(offset))
    }

    fn lock(&self) -> io::Result<()> {
        read_only()
    }
}

/// Reads an opened file from its beginning.
pub struct InOrder<'a> {
    pub file: &'a StoredFile,
    pub at: u64,
}

impl Read for InOrder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(self.at, buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Reads what is stored as it lies, keeping nothing.
pub struct Raw<'a> {
    place: &'a dyn Place,
    name: &'a str,
    at: u64,
    piece: Vec<u8>,
    given: usize,
    /// Bytes that are asked for next: most files are small. None behind the end.
    ask: usize,
}

impl<'a> Raw<'a> {
    pub fn new(place: &'a dyn Place, name: &'a str) -> Self {
        place.forget_read(name);
        Self { place, name, at: 0, piece: Vec::new(), given: 0, ask: FIRST_BYTES }
    }
}

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.piece.len() {
            self.piece.resize(self.ask, 0);
            let read = match self.ask {
                0 => 0,
                _ => self.place.read_at(self.name, self.at, &mut self.piece)?,
            };
            self.ask = if read < self.ask { 0 } else { (self.ask * 8).min(PIECE_BYTES as usize) };
            self.piece.truncate(read);
            self.at += read as u64;
            self.given = 0;
        }
        let give = buffer.len().min(self.piece.len() - self.given);
        buffer[..give].copy_from_slice(&self.piece[self.given..self.given + give]);
        self.given += give;
        Ok(give)
    }
}

/// A backup as a disk that the journal's reader reads; nothing can be changed through it.
pub struct BackupDisk {
    pub(crate) pieces: Arc<Pieces>,
    pub(crate) identity: Option<Arc<Identity>>,
    /// Files in the place, by the paths that the journal knows.
    pub(crate) files: BTreeMap<String, String>,
}

impl Disk for BackupDisk {
    type File = StoredFile;

    fn create(&self, _: &str) -> io::Result<StoredFile> {
        read_only()
    }

    fn open(&self, path: &str) -> io::Result<StoredFile> {
        let name = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        self.pieces.open(name, self.identity.as_deref())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let below = format!("{dir}/");
        let names = self.files.keys().filter_map(|path| path.strip_prefix(&below));
        Ok(names.map(str::to_owned).collect())
    }

    fn make_dir(&self, _: &str) -> io::Result<()> {
        read_only()
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        read_only()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        read_only()
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        read_only()
    }
}
