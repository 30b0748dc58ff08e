//! A disk in memory that loses what a real one may lose. It has no randomness of its own: what is
//! kept at a power cut follows from a seed.
//!
//! It keeps two images. The live one is what reads see. The durable one takes over a file's bytes
//! at [`DiskFile::sync_data`] and a directory's names at [`Disk::sync_dir`]; all else is pending,
//! and at a power cut any part of it may have reached the disk: any operation, any 512-byte sector
//! of a write, any name.

mod arbitrary;
mod image;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Disk, DiskFile};
pub use arbitrary::read_arbitrary;
use image::{BLOCK_BYTES, Image};

/// A simulated disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// A file on a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    state: Arc<Mutex<State>>,
    inode: usize,
    /// Whether it holds the lock.
    locked: Mutex<bool>,
}

/// What is to go wrong. Operations and syncs are counted from the making of the disk (or the
/// reboot), the first is 1; reading is no operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The power goes right before this operation: it and all later calls fail.
    pub cut_at_operation: Option<u64>,
    /// These operations, where they are writes, fail with EIO after writing the first half.
    pub half_writes: Vec<u64>,
    /// These syncs (of files and directories) fail with EIO. As on Linux, the bytes they were to
    /// make durable stay readable and are lost at the next cut, whatever later syncs say.
    pub fail_syncs: Vec<u64>,
    /// These syncs say `Ok` and do nothing.
    pub lying_syncs: Vec<u64>,
    /// Bytes the disk holds, in blocks of 4 KiB; `None` for no limit.
    pub capacity_bytes: Option<u64>,
    /// Reading these bytes of a file fails with EIO: path, offset, bytes.
    pub unreadable: Vec<(String, u64, u64)>,
}

#[derive(Clone, Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    /// Live names; a directory has no inode.
    names: BTreeMap<String, Option<usize>>,
    durable_names: BTreeMap<String, Option<usize>>,
    pending_names: Vec<NameChange>,
    faults: Faults,
    operations: u64,
    syncs: u64,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Image,
    durable: Image,
    pending: Vec<Change>,
    locked: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
    Allocate { offset: u64, bytes: u64 },
    PunchHole { offset: u64, bytes: u64 },
}

#[derive(Clone, Debug)]
enum NameChange {
    Add { path: String, inode: Option<usize> },
    Rename { from: String, to: String, inode: Option<usize> },
    Remove { path: String },
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Arc::default() }
    }

    /// From now on these faults happen; earlier ones are forgotten.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Operations so far: everything that changes something, and syncs.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Syncs so far, of files and directories.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Bytes in use, in whole blocks.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    /// The disk as found after a power cut now; this one stays as it is. Seed 0 keeps nothing that
    /// was not synced, seed 1 keeps all; others keep any mix.
    #[must_use]
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let mut found = self.lock().clone();
        found.cut(seed);
        Self { state: Arc::new(Mutex::new(found)) }
    }

    /// The disk as found by a new process after the old one was killed: nothing is lost, and what
    /// was not synced still is not.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let mut found = self.lock().clone();
        found.begin_run();
        Self { state: Arc::new(Mutex::new(found)) }
    }

    /// All bytes of a file, as read.
    #[must_use]
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.lock();
        let inode = state.inode(path).ok()?;
        let image = &state.inodes[inode].live;
        let mut bytes = vec![0; image.len as usize];
        image.read(0, &mut bytes);
        Some(bytes)
    }

    /// Changes bytes behind everybody's back, durably, as a failing disk would. Makes the file and
    /// its directories where they are missing.
    pub fn overwrite(&self, path: &str, offset: u64, bytes: &[u8]) {
        let mut state = self.lock();
        let inode = match state.inode(path) {
            Ok(inode) => inode,
            Err(_) => state.add_durable(path),
        };
        let Inode { live, durable, .. } = &mut state.inodes[inode];
        live.write(offset, bytes, || true);
        durable.write(offset, bytes, || true);
    }

    /// Removes a name behind everybody's back, durably.
    pub fn lose(&self, path: &str) {
        let mut state = self.lock();
        state.names.remove(path);
        state.durable_names.remove(path);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn file(&self, inode: usize) -> SimFile {
        SimFile { state: Arc::clone(&self.state), inode, locked: Mutex::new(false) }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create(&self, path: &str) -> io::Result<SimFile> {
        let mut state = self.lock();
        state.operation()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.has_dir(path)?;
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        state.change_name(NameChange::Add { path: path.to_owned(), inode: Some(inode) });
        Ok(self.file(inode))
    }

    fn open(&self, path: &str) -> io::Result<SimFile> {
        let state = self.lock();
        state.powered()?;
        Ok(self.file(state.inode(path)?))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let state = self.lock();
        state.powered()?;
        let below = format!("{dir}/");
        let name = |path: &String| {
            let name = path.strip_prefix(&below)?;
            (!name.contains('/')).then(|| name.to_owned())
        };
        Ok(state.names.keys().filter_map(name).collect())
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.operation()?;
        state.has_dir(path)?;
        if !state.names.contains_key(path) {
            state.change_name(NameChange::Add { path: path.to_owned(), inode: None });
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.operation()?;
        let inode = Some(state.inode(from)?);
        state.has_dir(to)?;
        let (from, to) = (from.to_owned(), to.to_owned());
        state.change_name(NameChange::Rename { from, to, inode });
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.operation()?;
        state.inode(path)?;
        state.change_name(NameChange::Remove { path: path.to_owned() });
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.lock();
        match state.sync()? {
            Sync::Lie => {}
            Sync::Fail => {
                state.pending_names.retain(|change| !change.concerns(dir));
                return Err(io::Error::from_raw_os_error(EIO));
            }
            Sync::Work => {
                let (now, later): (Vec<_>, Vec<_>) =
                    state.pending_names.drain(..).partition(|change| change.concerns(dir));
                state.pending_names = later;
                for change in now {
                    change.apply(&mut state.durable_names);
                }
            }
        }
        Ok(())
    }
}

const EIO: i32 = 5;

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = lock(&self.state);
        state.powered()?;
        let end = offset + buffer.len() as u64;
        let bad = state.faults.unreadable.iter().any(|(path, from, bytes)| {
            state.names.get(path) == Some(&Some(self.inode)) && offset < from + bytes && *from < end
        });
        if bad {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        Ok(state.inodes[self.inode].live.read(offset, buffer))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.operation()?;
        let free = state.free_blocks();
        let live = &state.inodes[self.inode].live;
        // A disk that runs full takes the beginning of a write.
        let half = state.faults.half_writes.contains(&state.operations);
        let mut fits = bytes.len() as u64 / if half { 2 } else { 1 };
        while live.blocks_wanted(offset, fits) > free {
            let block = (offset + fits - 1) / BLOCK_BYTES * BLOCK_BYTES;
            fits = block.saturating_sub(offset);
        }
        let written = bytes[..fits as usize].to_vec();
        state.change(self.inode, Change::Write { offset, bytes: written });
        match fits < bytes.len() as u64 {
            true if half => Err(io::Error::from_raw_os_error(EIO)),
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        let outcome = state.sync()?;
        let Inode { durable, pending, .. } = &mut state.inodes[self.inode];
        match outcome {
            Sync::Lie => Ok(()),
            Sync::Fail => {
                pending.clear();
                Err(io::Error::from_raw_os_error(EIO))
            }
            Sync::Work => {
                for change in pending.drain(..) {
                    change.apply(durable, || true);
                }
                Ok(())
            }
        }
    }

    fn len(&self) -> io::Result<u64> {
        let state = lock(&self.state);
        state.powered()?;
        Ok(state.inodes[self.inode].live.len)
    }

    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.operation()?;
        if state.inodes[self.inode].live.blocks_wanted(offset, bytes) > state.free_blocks() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.change(self.inode, Change::Allocate { offset, bytes });
        Ok(())
    }

    fn punch_hole(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.operation()?;
        state.change(self.inode, Change::PunchHole { offset, bytes });
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.operation()?;
        state.change(self.inode, Change::SetLen(bytes));
        Ok(())
    }

    fn data_from(&self, offset: u64) -> io::Result<Option<u64>> {
        let state = lock(&self.state);
        state.powered()?;
        Ok(state.inodes[self.inode].live.data_from(offset))
    }

    fn lock(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.powered()?;
        if std::mem::replace(&mut state.inodes[self.inode].locked, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        *self.locked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        Ok(())
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if *self.locked.get_mut().unwrap_or_else(PoisonError::into_inner) {
            lock(&self.state).inodes[self.inode].locked = false;
        }
    }
}

enum Sync {
    Work,
    Lie,
    Fail,
}

impl State {
    fn powered(&self) -> io::Result<()> {
        match self.faults.cut_at_operation {
            Some(cut) if self.operations >= cut => Err(io::Error::other("the power is gone")),
            _ => Ok(()),
        }
    }

    fn operation(&mut self) -> io::Result<()> {
        self.powered()?;
        if self.faults.cut_at_operation == Some(self.operations + 1) {
            self.operations += 1;
            return self.powered();
        }
        self.operations += 1;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<Sync> {
        self.operation()?;
        self.syncs += 1;
        Ok(if self.faults.fail_syncs.contains(&self.syncs) {
            Sync::Fail
        } else if self.faults.lying_syncs.contains(&self.syncs) {
            Sync::Lie
        } else {
            Sync::Work
        })
    }

    fn inode(&self, path: &str) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Some(inode)) => Ok(*inode),
            Some(None) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn has_dir(&self, path: &str) -> io::Result<()> {
        let dir = parent(path);
        if dir.is_empty() || self.names.get(dir) == Some(&None) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    fn change(&mut self, inode: usize, change: Change) {
        let Inode { live, pending, .. } = &mut self.inodes[inode];
        change.apply(live, || true);
        pending.push(change);
    }

    fn used_bytes(&self) -> u64 {
        let named = self.names.values().flatten();
        named.map(|&inode| self.inodes[inode].live.blocks_held() * BLOCK_BYTES).sum()
    }

    fn free_blocks(&self) -> u64 {
        match self.faults.capacity_bytes {
            Some(capacity) => capacity.saturating_sub(self.used_bytes()) / BLOCK_BYTES,
            None => u64::MAX,
        }
    }

    fn add_durable(&mut self, path: &str) -> usize {
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        for names in [&mut self.names, &mut self.durable_names] {
            let mut dir = parent(path);
            while !dir.is_empty() {
                names.insert(dir.to_owned(), None);
                dir = parent(dir);
            }
            names.insert(path.to_owned(), Some(inode));
        }
        inode
    }

    fn cut(&mut self, seed: u64) {
        let mut coin = Coin::new(seed);
        for change in std::mem::take(&mut self.pending_names) {
            if coin.keep() {
                change.apply(&mut self.durable_names);
            }
        }
        let names = self.durable_names.clone();
        // What lies in a lost directory is lost.
        self.durable_names.retain(|path, _| {
            let mut dir = parent(path);
            while !dir.is_empty() && names.contains_key(dir) {
                dir = parent(dir);
            }
            dir.is_empty()
        });
        self.names = self.durable_names.clone();
        for inode in &mut self.inodes {
            for change in std::mem::take(&mut inode.pending) {
                // Half of the changes are kept or lost as a whole, half of them in part.
                let whole = coin.flip().then(|| coin.keep());
                change.apply(&mut inode.durable, || whole.unwrap_or_else(|| coin.keep()));
            }
            inode.live = inode.durable.clone();
        }
        self.begin_run();
    }

    fn begin_run(&mut self) {
        self.faults = Faults::default();
        self.operations = 0;
        self.syncs = 0;
        for inode in &mut self.inodes {
            inode.locked = false;
        }
    }
}

impl Change {
    fn apply(&self, image: &mut Image, mut keep: impl FnMut() -> bool) {
        match self {
            Self::Write { offset, bytes } => image.write(*offset, bytes, keep),
            Self::SetLen(len) if keep() => image.set_len(*len),
            Self::Allocate { offset, bytes } if keep() => image.allocate(*offset, *bytes),
            Self::PunchHole { offset, bytes } if keep() => image.punch_hole(*offset, *bytes),
            Self::SetLen(_) | Self::Allocate { .. } | Self::PunchHole { .. } => {}
        }
    }
}

impl NameChange {
    fn concerns(&self, dir: &str) -> bool {
        match self {
            Self::Add { path, .. } | Self::Remove { path } => parent(path) == dir,
            // A rename is one step for every file system we know: neither or both names change.
            Self::Rename { from, to, .. } => parent(from) == dir || parent(to) == dir,
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, Option<usize>>) {
        match self {
            Self::Add { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            Self::Rename { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Remove { path } => {
                names.remove(path);
            }
        }
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// A stream of decisions from a seed (`SplitMix64`).
struct Coin {
    state: u64,
    /// Of 256 decisions, how many keep.
    keep_of_256: u64,
}

impl Coin {
    fn new(seed: u64) -> Self {
        let mut coin = Self { state: seed, keep_of_256: 0 };
        coin.keep_of_256 = match seed {
            0 => 0,
            1 => 256,
            _ => coin.next() % 257,
        };
        coin
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn flip(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    fn keep(&mut self) -> bool {
        self.next() >> 56 < self.keep_of_256
    }
}
