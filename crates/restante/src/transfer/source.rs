//! Where mail comes from.

use mail_types::{Flags, Timestamp};

/// Messages that are read at a time, and their bytes.
pub const CHUNK_MESSAGES: usize = 500;
pub const CHUNK_BYTES: usize = 8 << 20;

/// A folder there.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Its name with `/` between levels, as people read it.
    pub name: String,
    /// RFC 6154, with its backslash.
    pub special_use: Option<String>,
    pub subscribed: bool,
    /// Messages there, where that is known before they are read.
    pub messages: Option<u64>,
}

/// A message there.
pub struct Found {
    /// What it is known by for ever: a hash of what names it there.
    pub key: String,
    /// How to name it to a person.
    pub what: String,
    pub flags: Flags,
    pub date: Option<Timestamp>,
    /// Its bytes; none where they are fetched only if they are not here yet.
    pub content: Option<Vec<u8>>,
}

/// A message that cannot be had, or something about one that a person should know.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub what: String,
    pub why: String,
}

/// The next of a folder.
#[derive(Default)]
pub struct Chunk {
    pub found: Vec<Found>,
    pub troubles: Vec<Trouble>,
    /// Nothing is behind it.
    pub last: bool,
}

/// A system that keeps mail.
pub trait Source {
    /// In words, for the records: `Maildir /home/ann/Maildir`.
    fn describe(&self) -> String;
    /// Its folders.
    fn folders(&mut self) -> anyhow::Result<Vec<Folder>>;
    /// Begins to read a folder.
    fn open(&mut self, folder: &Folder) -> anyhow::Result<()>;
    /// The next messages of the open folder.
    fn next(&mut self) -> anyhow::Result<Chunk>;
    /// The bytes of a message of the last chunk that came without.
    fn fetch(&mut self, found: &Found) -> anyhow::Result<Result<Vec<u8>, Trouble>>;
}

/// What names a message: a hash of words that stay the same for ever.
pub fn key(words: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for word in words {
        hasher.update(&(word.len() as u64).to_le_bytes()).update(word);
    }
    hasher.finalize().to_hex().to_string()
}

/// Names messages by their content: the second of two equal ones in a folder is another one.
#[derive(Default)]
pub struct Twins(std::collections::HashMap<[u8; 32], u32>);

impl Twins {
    pub fn key(&mut self, folder: &str, content: &[u8]) -> String {
        let hash = *blake3::hash(content).as_bytes();
        let count = self.0.entry(hash).or_default();
        *count += 1;
        key(&[b"content", folder.as_bytes(), &hash, &count.to_le_bytes()])
    }
}
