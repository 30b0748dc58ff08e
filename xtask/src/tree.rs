//! The tracked files of the workspace, in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::ChoreError;

/// Paths from the root, with `/`, and content. Tests make small ones by hand.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// All files that git tracks or would track (so a new file counts before its commit).
    ///
    /// # Errors
    /// Where git cannot be asked or a file not be read.
    pub fn of_directory(root: &Path) -> Result<Self, ChoreError> {
        let mut files = BTreeMap::new();
        for name in tracked(root)? {
            let path = root.join(&name);
            // A symbolic link or a file that was just deleted has no content of its own.
            if path.is_symlink() || !path.is_file() {
                continue;
            }
            let content = std::fs::read(&path).map_err(|source| ChoreError::File {
                what: "read",
                path: name.clone(),
                source,
            })?;
            files.insert(name, content);
        }
        Ok(Self { files })
    }

    /// A tree of these files.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
        Self { files: files.iter().map(own).collect() }
    }

    /// This tree with one file more, or with other content.
    #[must_use]
    pub fn with(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.as_bytes().to_vec());
        self
    }

    /// The content of a text file.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(path)?).ok()
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// All text files.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = |content| std::str::from_utf8(content).ok();
        self.files().filter_map(move |(path, content)| Some((path, text(content)?)))
    }

    /// Whether a file, or a directory with a file in it, has this path.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let inside = |name: &str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        self.files.contains_key(path) || self.files.keys().any(|name| inside(name))
    }

    /// The names of the directories under `crates/`.
    #[must_use]
    pub fn crates(&self) -> Vec<&str> {
        let manifest = |path: &'_ str| -> Option<usize> {
            let name = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
            (!name.contains('/')).then_some(name.len())
        };
        let name = |path: &String| manifest(path).map(|len| "crates/".len().."crates/".len() + len);
        self.files.keys().filter_map(|path| path.get(name(path)?)).collect()
    }
}

/// What git tracks, or would if it were added. Where there is no git, or it refuses (a tree that
/// belongs to somebody else, an unpacked archive), every file that is not built.
fn tracked(root: &Path) -> Result<Vec<String>, ChoreError> {
    let output = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
            Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
        }
        Ok(_) | Err(_) => {
            let mut names = Vec::new();
            walk(root, "", 0, &mut names)?;
            Ok(names)
        }
    }
}

/// Directories that are built or kept by tools.
const NOT_SOURCE: [&str; 4] = [".git", "target", "fuzz/target", "fuzz/artifacts"];
/// Directories within one another.
const DEPTH_MAX: usize = 32;

/// Adds the files of `root/below` and the directories in it.
fn walk(root: &Path, below: &str, depth: usize, names: &mut Vec<String>) -> Result<(), ChoreError> {
    let error = |source| ChoreError::File { what: "read", path: below.to_owned(), source };
    for entry in std::fs::read_dir(root.join(below)).map_err(error)? {
        let entry = entry.map_err(error)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = if below.is_empty() { name.into_owned() } else { format!("{below}/{name}") };
        let kind = entry.file_type().map_err(error)?;
        if kind.is_dir() && !NOT_SOURCE.contains(&path.as_str()) && depth < DEPTH_MAX {
            walk(root, &path, depth + 1, names)?;
        } else if kind.is_file() {
            names.push(path);
        }
    }
    Ok(())
}
