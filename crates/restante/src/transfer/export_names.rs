//! What mailboxes are called as files: below the directory of the export whatever their names are,
//! each by another name, and none longer than file systems bear.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use anyhow::bail;

/// Bytes that a name may have; file systems bear 255, and something is put around it.
const NAME_BYTES_MAX: usize = 200;

/// The files that are taken.
#[derive(Debug, Default)]
pub struct Names {
    taken: HashSet<PathBuf>,
}

impl Names {
    /// The file of a mailbox in an export to mbox: a directory for each level above it.
    pub fn mbox(&mut self, name: &str) -> anyhow::Result<PathBuf> {
        let levels: Vec<String> = name.split('/').map(level).collect();
        self.free(&levels.join("/"), |name| format!("{name}.mbox"))
    }

    /// The directory of a mailbox below the root of a Maildir++, without its first dot: levels behind
    /// dots, in modified UTF-7. A dot in a name would be a level: it becomes an underscore.
    pub fn maildir(&mut self, name: &str) -> anyhow::Result<String> {
        let levels: Vec<String> = name.split('/').map(|level| level.replace('.', "_")).collect();
        let name = match imap_machine::grammar::MailboxName::new(&levels.join(".")) {
            Ok(name) => name.to_wire(),
            Err(_) => levels.join("."),
        };
        Ok(self.free(&short(&name), str::to_owned)?.display().to_string())
    }

    /// With a number where the name is taken.
    fn free(&mut self, name: &str, file: impl Fn(&str) -> String) -> anyhow::Result<PathBuf> {
        let mut path = PathBuf::from(file(name));
        let mut number = 1_u64;
        // Ends: each name that is taken is another.
        while !self.taken.insert(path.clone()) {
            number += 1;
            path = PathBuf::from(file(&format!("{name}~{number}")));
        }
        if !is_below(&path) {
            bail!("its name leads out of the directory as {}", path.display());
        }
        Ok(path)
    }
}

/// Whether the path is made of names alone.
fn is_below(path: &Path) -> bool {
    path.components().next().is_some()
        && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// A level of a mailbox's name as that of a file or directory: no way up, not hidden, and never that
/// of another mailbox's file.
fn level(level: &str) -> String {
    let mut name = level.replace('\0', "_");
    if name.is_empty() || name.starts_with('.') {
        name.replace_range(..name.len().min(1), "_");
    }
    if name.to_lowercase().ends_with(".mbox") {
        name.push('_');
    }
    short(&name)
}

/// A long name has its beginning, and its hash in place of the rest.
fn short(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    let mut start = &name[..name.floor_char_boundary(NAME_BYTES_MAX - 17)];
    // RFC 3501 §5.1.3: not in the middle of what is shifted to BASE64.
    if let Some((before, shifted)) = start.rsplit_once('&')
        && !shifted.contains('-')
    {
        start = before;
    }
    format!("{start}-{}", &hash[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_or_to_what_another_has() {
        let mut names = Names::default();
        let mut mbox = |name: &str| names.mbox(name).unwrap().display().to_string();
        assert_eq!(mbox("Sent/2026"), "Sent/2026.mbox");
        assert_eq!(mbox("../../etc/cron"), "_./_./etc/cron.mbox");
        assert_eq!(mbox("./a"), "_/a.mbox");
        assert_eq!(mbox("_/a"), "_/a~2.mbox");
        assert_eq!(mbox("a.mbox/b"), "a.mbox_/b.mbox");
        assert_eq!(mbox("/"), "_/_.mbox");
        let long = "ü".repeat(300);
        let file = mbox(&long);
        assert!(file.len() < 255 && file != mbox(&format!("{long}x")), "{file}");
        let mut names = Names::default();
        let mut maildir = |name: &str| names.maildir(name).unwrap();
        assert_eq!(maildir("A_B"), "A_B");
        assert_eq!([maildir("A.B"), maildir("A/B")], ["A_B~2", "A.B"]);
        assert_eq!(maildir("../x"), "__.x");
        assert!(maildir(&long).len() < 255);
    }
}
