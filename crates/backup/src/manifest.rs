//! What a backup consists of.

use std::io::{self, Cursor};

use journal::Head;
use serde::{Deserialize, Serialize};

use crate::error::{BackupError, doing};
use crate::place::Place;

/// Its file in the place.
pub const NAME: &str = "manifest.json";
/// Of what lies as it is, and of what is sealed.
const FORMAT: u32 = 1;
const FORMAT_SEALED: u32 = 2;
/// Bytes of it at most: some hundred for each large message.
const BYTES_MAX: u64 = 1 << 30;
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
    /// Where everything is encrypted: what stands in for bodies and files, whose names do not show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// BLAKE3 of all of the above, so that no bit of this file changes unseen.
    check: String,
}

/// What of an encrypted backup shows to whoever has no identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Who can open it, `age1…`.
    pub recipients: Vec<String>,
    /// Files of large bodies; their names are hashes that need the server's key.
    pub bodies: Vec<Stored>,
    /// Settings, keys and heads.
    pub files: Vec<Stored>,
    /// [`Contents`]: what those are.
    pub contents: Stored,
}

/// A file in the place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its name there.
    pub file: String,
    /// Bytes, as it lies there.
    pub bytes: u64,
    /// BLAKE3 of them, in hexadecimal digits.
    pub blake3: String,
}

/// What the files of an encrypted backup are: itself encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Names of body files, and their files in the place.
    pub bodies: Vec<(String, String)>,
    /// Paths in the data directory, and their files in the place.
    pub files: Vec<(String, String)>,
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
    /// BLAKE3 of its file, in hexadecimal digits.
    pub blake3: String,
    /// When the segment itself was changed last before it was copied, in nanoseconds; the same time
    /// later means that no copy is needed.
    pub changed: i64,
    /// Whether nothing will be added to it.
    pub full: bool,
    /// An earlier copy, from before the segment was found damaged: kept until it is healed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound: Option<Stored>,
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
        let (check, sealed) = (String::new(), None);
        Self { format: FORMAT, installation, points, segments, bodies, files, sealed, check }
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
        let sealed = self.sealed.iter().flat_map(|sealed| &sealed.bodies);
        segments
            + self.bodies.iter().map(|(_, bytes)| bytes).sum::<u64>()
            + sealed.map(|stored| stored.bytes).sum::<u64>()
    }

    /// Every file it names, with its BLAKE3 and, where that is known, how many bytes it has.
    pub(crate) fn stored(&self) -> Vec<(String, String, Option<u64>)> {
        let plain = self.sealed.is_none();
        let mut all = Vec::new();
        for one in &self.segments {
            let bytes = plain.then_some(one.bytes);
            all.push((format!("journal/{}", one.file), one.blake3.clone(), bytes));
        }
        for (name, bytes) in &self.bodies {
            let hash = name.split('-').next().unwrap_or_default().to_owned();
            all.push((format!("bodies/{name}"), hash, Some(*bytes)));
        }
        for one in &self.files {
            all.push((format!("files/{}", one.file), one.blake3.clone(), None));
        }
        let sound = self.segments.iter().filter_map(|one| one.sound.as_ref());
        let sealed = self
            .sealed
            .iter()
            .flat_map(|sealed| sealed.bodies.iter().chain(&sealed.files).chain([&sealed.contents]));
        for one in sound.chain(sealed) {
            all.push((one.file.clone(), one.blake3.clone(), Some(one.bytes)));
        }
        all
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
pub fn read(place: &dyn Place) -> Result<Option<Manifest>, BackupError> {
    let bytes = match whole(place, NAME, BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(doing("read", NAME))?,
    };
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(wrong)?;
    let wanted = if manifest.sealed.is_some() { FORMAT_SEALED } else { FORMAT };
    if manifest.format != wanted {
        return Err(BackupError::Manifest(format!("it has format {}", manifest.format)));
    }
    // Written once more it must be the same bytes: what a flipped bit leaves readable counts, too.
    let same = serde_json::to_vec_pretty(&manifest).map_err(wrong)? == bytes;
    if !same || manifest.check != manifest.digest()? {
        return Err(BackupError::Manifest("it is not what was written".to_owned()));
    }
    Ok(Some(manifest))
}

/// A file of at most so many bytes.
fn whole(place: &dyn Place, name: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
    let bytes = place.size(name)?;
    if bytes > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // At most the limit.
    let mut all = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    let read = place.read_at(name, 0, &mut all)?;
    all.truncate(read);
    Ok(all)
}

/// Puts it in place: from now on the backup is this one.
pub fn write(place: &dyn Place, manifest: &mut Manifest) -> Result<(), BackupError> {
    manifest.format = if manifest.sealed.is_some() { FORMAT_SEALED } else { FORMAT };
    manifest.check = manifest.digest()?;
    let bytes = serde_json::to_vec_pretty(manifest).map_err(wrong)?;
    let written = place.put(NAME, &mut Cursor::new(&bytes), bytes.len() as u64);
    written.and_then(|()| place.settle("")).map_err(doing("write", NAME))
}
