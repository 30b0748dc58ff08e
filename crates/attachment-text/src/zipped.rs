//! Zip archives (PKWARE APPNOTE), as office documents are: stored or deflated, not encrypted.

use std::cell::Cell;

use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_with_limit};

use crate::{Limits, Unreadable};

/// Octets of a central header, a local header, and the end record without its comment.
const CENTRAL: usize = 46;
const LOCAL: usize = 30;
const END: usize = 22;
/// Octets of the comment at the end of an archive.
const COMMENT_MAX: usize = 0xffff;

/// An archive.
#[derive(Clone, Debug)]
pub struct Zip<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry>,
    /// Octets that may still be unpacked.
    left: Cell<usize>,
}

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub name: String,
    method: u16,
    encrypted: bool,
    packed: usize,
    local: usize,
}

fn two(bytes: &[u8], at: usize) -> Option<usize> {
    let pair = bytes.get(at..at + 2)?;
    Some(usize::from(u16::from_le_bytes([pair[0], pair[1]])))
}

fn four(bytes: &[u8], at: usize) -> Option<usize> {
    Some(two(bytes, at)? | two(bytes, at + 2)? << 16)
}

impl<'a> Zip<'a> {
    /// Reads the directory at the end (APPNOTE §4.3.12, §4.3.16).
    ///
    /// # Errors
    /// Where there is none.
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, Unreadable> {
        let from = bytes.len().saturating_sub(END + COMMENT_MAX);
        let end = memchr::memmem::rfind(&bytes[from..], b"PK\x05\x06");
        let end = from + end.ok_or(Unreadable::Broken)?;
        let mut at = four(bytes, end + 16).ok_or(Unreadable::Broken)?;
        let mut entries = Vec::new();
        while entries.len() < limits.entries_max {
            let Some(header) = bytes.get(at..at + CENTRAL) else { break };
            if !header.starts_with(b"PK\x01\x02") {
                break;
            }
            let field = |at| two(header, at).unwrap_or_default();
            let (name_len, extra, comment) = (field(28), field(30), field(32));
            let name = bytes.get(at + CENTRAL..at + CENTRAL + name_len);
            let name = String::from_utf8_lossy(name.ok_or(Unreadable::Broken)?).into_owned();
            entries.push(Entry {
                name,
                method: field(10) as u16,
                encrypted: field(8) & 1 != 0,
                packed: four(header, 20).unwrap_or_default(),
                local: four(header, 42).unwrap_or_default(),
            });
            at += CENTRAL + name_len + extra + comment;
        }
        if entries.is_empty() {
            return Err(Unreadable::Broken);
        }
        Ok(Self { bytes, entries, left: Cell::new(limits.unpacked_bytes_max) })
    }

    /// What is in it, in the order of its directory.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The file of that path.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Unpacks a file. All of them together may come to [`Limits::unpacked_bytes_max`], so that
    /// files that lie over one another gain nothing.
    ///
    /// # Errors
    /// Where it is encrypted, packed in another way, broken, or too much.
    pub fn unpack(&self, entry: &Entry) -> Result<Vec<u8>, Unreadable> {
        if entry.encrypted {
            return Err(Unreadable::Encrypted);
        }
        let header = self.bytes.get(entry.local..).ok_or(Unreadable::Broken)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(Unreadable::Broken);
        }
        let (name, extra) = two(header, 26).zip(two(header, 28)).ok_or(Unreadable::Broken)?;
        let data = header.get(LOCAL + name + extra..).ok_or(Unreadable::Broken)?;
        let data = data.get(..entry.packed).ok_or(Unreadable::Broken)?;
        let left = self.left.get();
        let unpacked = match entry.method {
            0 if data.len() > left => return Err(Unreadable::UnpacksToTooMuch),
            0 => data.to_vec(),
            8 => decompress_to_vec_with_limit(data, left).map_err(|error| match error.status {
                TINFLStatus::HasMoreOutput => Unreadable::UnpacksToTooMuch,
                _ => Unreadable::Broken,
            })?,
            _ => return Err(Unreadable::Broken),
        };
        self.left.set(left - unpacked.len());
        Ok(unpacked)
    }
}
