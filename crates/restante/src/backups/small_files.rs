//! What of a data directory cannot be made again, besides the journal: settings, keys, certificates,
//! signed heads.

use std::path::Path;

use anyhow::{Context, bail};

/// What is made from the journal, or is the journal, or was it before it was damaged.
const LEFT_OUT: &[&str] = &["journal", "bodies", "extract", "scrub.json", "backup.json", "damaged"];
/// The index and the search, and what belongs to them.
const LEFT_OUT_BEGINNINGS: &[&str] = &["index.sqlite", "search.sqlite"];
/// Of the signed heads: made from the journal, too.
const TREE: &[&str] = &["heads/tree", "heads/place"];
/// Bytes of one, and how many: more is no file of ours.
const BYTES_MAX: u64 = 256 << 20;
const FILES_MAX: usize = 10_000;
/// Directories below each other.
const DEPTH_MAX: usize = 4;

/// Paths in the data directory, and what is in them.
pub fn read(root: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    walk(root, "", 0, &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(
    root: &Path,
    below: &str,
    depth: usize,
    files: &mut Vec<(String, Vec<u8>)>,
) -> anyhow::Result<()> {
    let dir = root.join(below);
    let doing = || format!("cannot read {}", dir.display());
    for entry in std::fs::read_dir(&dir).with_context(doing)? {
        let entry = entry.with_context(doing)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let top = below.is_empty();
        let left_out = top
            && (LEFT_OUT.contains(&name.as_str())
                || LEFT_OUT_BEGINNINGS.iter().any(|begin| name.starts_with(begin)));
        let derived = left_out || TREE.contains(&path.as_str()) || name.ends_with(".new");
        if derived {
            continue;
        }
        let kind = entry.file_type().with_context(doing)?;
        if kind.is_dir() && depth < DEPTH_MAX {
            walk(root, &path, depth + 1, files)?;
        } else if kind.is_file() {
            let bytes = match std::fs::read(entry.path()) {
                // Replaced or removed this moment.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                bytes => bytes.with_context(|| format!("cannot read {path}"))?,
            };
            if bytes.len() as u64 > BYTES_MAX || files.len() >= FILES_MAX {
                bail!("{path} is too large, or there are too many files beside the journal");
            }
            files.push((path, bytes));
        }
    }
    Ok(())
}
