//! What a backup consists of.

use std::path::Path;

use journal::Head;
use serde::{Deserialize, Serialize};

use crate::error::{BackupError, io};
use crate::files;

/// The file in the backup's directory.
pub const NAME: &str = "manifest.json";
const FORMAT: u32 = 1;
/// Points that are kept; beyond them every second one of the older half goes.
const POINTS_MAX: usize = 2000;

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// Whose it is: the name of the installation's signed heads, or of its host.
    pub installation: String,
    /// Every backup taken here, the latest last.
    pub points: Vec<Point>,
    /// The journal's segments.
    pub segments: Vec<Segment>,
    /// Files of large bodies: names, which hold their BLAKE3, and bytes.
    pub bodies: Vec<(String, u64)>,
    /// Settings, keys and heads.
    pub files: Vec<SmallFile>,
    /// BLAKE3 of all of the above, so that no bit of this file changes unseen.
    check: String,
}

/// A moment that can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// When it was taken, in milliseconds since 1970.
    pub taken: i64,
    /// Records of the journal then.
    pub records: u64,
    /// The journal's head, as [`Head::to_bytes`], in hexadecimal digits.
    head: String,
    /// The signed head of then, where there was one: of as many records or fewer.
    pub note: Option<String>,
}

/// A segment of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its number.
    pub number: u32,
    /// Its file under `journal/`.
    pub file: String,
    /// Bytes.
    pub bytes: u64,
    /// BLAKE3, in hexadecimal digits.
    pub blake3: String,
    /// When the segment itself was changed last before it was copied, in nanoseconds; the same time
    /// later means that no copy is needed.
    pub changed: i64,
    /// Whether nothing will be added to it.
    pub full: bool,
}

/// A small file that is not the journal's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmallFile {
    /// Its path in the data directory.
    pub name: String,
    /// Its file under `files/`.
    pub file: String,
    /// BLAKE3, in hexadecimal digits.
    pub blake3: String,
}

impl Point {
    pub(crate) fn new(taken: i64, head: &Head, note: Option<String>) -> Self {
        let head_text = head.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { taken, records: head.last_seq.0, head: head_text, note }
    }

    /// The journal's head.
    ///
    /// # Errors
    /// Where the manifest has none there.
    pub fn head(&self) -> Result<Head, BackupError> {
        let digits = self.head.as_bytes().chunks_exact(2);
        let bytes = digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        let head = bytes.collect::<Option<Vec<u8>>>().and_then(|bytes| Head::from_bytes(&bytes));
        head.ok_or_else(|| BackupError::Manifest("a point has no head".to_owned()))
    }
}

impl Manifest {
    pub(crate) fn new(installation: String) -> Self {
        let (points, segments, bodies, files) = Default::default();
        let check = String::new();
        Self { format: FORMAT, installation, points, segments, bodies, files, check }
    }

    /// The latest point.
    ///
    /// # Errors
    /// Where none was taken.
    pub fn latest(&self) -> Result<&Point, BackupError> {
        self.points.last().ok_or_else(|| BackupError::Manifest("it names no point".to_owned()))
    }

    /// The last point that has at most so many records.
    ///
    /// # Errors
    /// Where there is none.
    pub fn point(&self, records: u64) -> Result<&Point, BackupError> {
        let found = self.points.iter().rev().find(|point| point.records <= records);
        let oldest = self.points.first().map_or(0, |point| point.records);
        found.ok_or(BackupError::NoPoint(oldest))
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let segments: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        segments + self.bodies.iter().map(|(_, bytes)| bytes).sum::<u64>()
    }

    pub(crate) fn add_point(&mut self, point: Point) {
        self.points.push(point);
        if self.points.len() > POINTS_MAX {
            let mut number = 0;
            self.points.retain(|_| {
                number += 1;
                number > POINTS_MAX / 2 || number % 2 == 0
            });
        }
    }

    fn digest(&self) -> Result<String, BackupError> {
        let bare = Self { check: String::new(), ..self.clone() };
        let bytes = serde_json::to_vec(&bare).map_err(wrong)?;
        Ok(blake3::hash(&bytes).to_hex().to_string())
    }
}

fn wrong(error: serde_json::Error) -> BackupError {
    BackupError::Manifest(error.to_string())
}

/// Reads it; `None` where there is none.
pub fn read(dir: &Path) -> Result<Option<Manifest>, BackupError> {
    let path = dir.join(NAME);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(io("read", &path))?,
    };
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(wrong)?;
    if manifest.format != FORMAT {
        return Err(BackupError::Manifest(format!("it has format {}", manifest.format)));
    }
    // Written once more it must be the same bytes: what a flipped bit leaves readable counts, too.
    let same = serde_json::to_vec_pretty(&manifest).map_err(wrong)? == bytes;
    if !same || manifest.check != manifest.digest()? {
        return Err(BackupError::Manifest("it is not what was written".to_owned()));
    }
    Ok(Some(manifest))
}

/// Puts it in place: from now on the backup is this one.
pub fn write(dir: &Path, manifest: &mut Manifest) -> Result<(), BackupError> {
    manifest.check = manifest.digest()?;
    let bytes = serde_json::to_vec_pretty(manifest).map_err(wrong)?;
    files::replace(&dir.join(NAME), &bytes)
}
