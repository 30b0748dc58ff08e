use std::io;

/// A directory tree that holds a journal. Paths are relative, with `/` between names.
///
/// Two kinds exist: [`crate::RealDisk`], and [`crate::sim::SimDisk`] for tests, which loses what
/// was not synced. A name (made, renamed or removed) is durable after [`Disk::sync_dir`] of its
/// directory, the bytes of a file after [`DiskFile::sync_data`].
pub trait Disk: Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// Makes a new, empty file for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` where the name is taken; what the system says otherwise.
    fn create(&self, path: &str) -> io::Result<Self::File>;

    /// Opens a file for reading and writing (for reading only, where the system allows no more).
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &str) -> io::Result<Self::File>;

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Makes a directory; that it is there already is no error.
    ///
    /// # Errors
    /// What the system says.
    fn make_dir(&self, path: &str) -> io::Result<()>;

    /// Renames a file, over one of the new name.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Makes the names in a directory durable. The root is `""`.
    ///
    /// # Errors
    /// What the system says; the names may then be lost whatever a later sync says.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
}

/// A file of a [`Disk`]. All methods may be called from any thread.
// A file that is empty is nothing special here.
#[allow(clippy::len_without_is_empty)]
pub trait DiskFile: Send + Sync + 'static {
    /// Reads at `offset` until `buffer` is full or the file ends; returns the bytes read.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. They are durable after `sync_data`, not before.
    ///
    /// # Errors
    /// What the system says; any part of `bytes` may then have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes all bytes written durable, with what is needed to read them back (length, place).
    ///
    /// # Errors
    /// What the system says. The unsynced bytes may then be gone from the disk and still be read
    /// from memory, whatever a later sync says: never sync again and believe it.
    fn sync_data(&self) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Reserves space for `bytes` from `offset`, read as zeros; the file grows to hold them.
    ///
    /// # Errors
    /// What the system says; `StorageFull` before any byte is lost.
    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()>;

    /// Says that what was read of the file is not needed in memory. Only a hint: where the system
    /// knows none, nothing happens.
    fn forget_read(&self) {}

    /// Turns a range into zeros and gives its space back. The length stays.
    ///
    /// # Errors
    /// What the system says.
    fn punch_hole(&self, offset: u64, bytes: u64) -> io::Result<()>;

    /// Cuts or grows (with zeros) the file.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Where, from `offset` on, bytes begin that may be other than zero; `None` where none do.
    /// Saves reading the unused end of a preallocated segment.
    ///
    /// # Errors
    /// What the system says.
    fn data_from(&self, offset: u64) -> io::Result<Option<u64>>;

    /// Takes the file's exclusive lock, held until the file is dropped.
    ///
    /// # Errors
    /// `WouldBlock` where another process holds it.
    fn lock(&self) -> io::Result<()>;
}
