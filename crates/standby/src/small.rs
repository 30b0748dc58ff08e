//! Files beside the mail that a standby needs as well: settings, keys, certificates.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// Bytes of one; what is larger is no file of ours.
pub const FILE_BYTES_MAX: u64 = 32 << 20;
/// Where no file may lie that comes from another server: mail, what is made of mail, and what says
/// whom this directory follows.
const NOT_THERE: [&str; 5] = ["journal", "bodies", "extract", "following", "scrub.json"];
const NOT_THERE_BEGINNINGS: [&str; 3] = ["index.sqlite", "search.sqlite", "control.sock"];
/// What the standby keeps by itself.
const OWN: [&str; 6] = [
    "heads/tree",
    "heads/place",
    "heads/latest",
    "heads/history",
    "standby/seen.json",
    "standby/fenced.json",
];

/// Directories below each other, and files in all.
const DEPTH_MAX: usize = 4;
const FILES_MAX: usize = 10_000;

/// All files of a data directory that go to standbys: paths and bytes.
pub fn read(root: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut dirs = vec![(String::new(), 0)];
    // Each directory once, and none below the depth.
    while let Some((below, depth)) = dirs.pop() {
        for entry in std::fs::read_dir(root.join(&below))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            if !goes(&path) {
                continue;
            }
            let found = match entry.metadata() {
                // Replaced or removed this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                found => found?,
            };
            if found.is_dir() && depth < DEPTH_MAX {
                dirs.push((path, depth + 1));
            } else if found.is_file() && found.len() <= FILE_BYTES_MAX && files.len() < FILES_MAX {
                match std::fs::read(entry.path()) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    bytes => files.push((path, bytes?)),
                }
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a file of this path goes to standbys.
pub fn goes(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    !OWN.contains(&path)
        && !NOT_THERE.contains(&first)
        && !NOT_THERE_BEGINNINGS.iter().any(|begin| first.starts_with(begin))
        && !path.ends_with(".new")
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// The hashes of those that were sent or taken, by path.
pub type Known = BTreeMap<String, String>;

pub fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Where it lies; `None` where it may not.
pub fn place(root: &Path, path: &str) -> Option<PathBuf> {
    goes(path).then(|| root.join(path))
}

/// Puts a file in place of the one that is there: whoever reads it has all of either.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let nowhere = || io::Error::new(io::ErrorKind::InvalidInput, "no file name");
    let dir = path.parent().ok_or_else(nowhere)?;
    let mut name = path.file_name().ok_or_else(nowhere)?.to_owned();
    name.push(".new");
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let fresh = dir.join(name);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    File::open(dir)?.sync_all()
}

/// Removes a file; that there is none is well.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
