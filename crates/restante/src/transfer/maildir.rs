//! Maildir and Maildir++, as Courier, Dovecot and mutt keep them.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::Context;
use interchange::{Keywords, UidList, crlf, file_flags, is_message_name, unique_name};
use mail_types::Timestamp;

use crate::transfer::source::{
    CHUNK_BYTES, CHUNK_MESSAGES, Chunk, Folder, Found, Source, Trouble, Twins,
};

/// Folders of one Maildir, and levels of directories.
const FOLDERS_MAX: usize = 10_000;
const LEVELS_MAX: usize = 32;

pub struct Maildir {
    root: PathBuf,
    /// Each folder's name and directory.
    directories: Vec<(String, PathBuf)>,
    /// Take dates from the first Received field instead of the file's time.
    dates_from_received: bool,
    open: Option<Open>,
}

struct Open {
    folder: String,
    keywords: Keywords,
    /// Files in the order in which they are read.
    files: VecDeque<PathBuf>,
    twins: Twins,
}

impl Maildir {
    pub fn new(root: &Path, dates_from_received: bool) -> anyhow::Result<Self> {
        if !root.join("cur").is_dir() {
            anyhow::bail!("{} is no Maildir: it has no directory “cur”", root.display());
        }
        let (directories, open) = (Vec::new(), None);
        Ok(Self { root: root.to_owned(), directories, dates_from_received, open })
    }

    /// Maildir++ has folders in `.A.B`, Dovecot's other layout in `A/B`.
    fn walk(&mut self, directory: &Path, above: &str, levels: usize) -> anyhow::Result<()> {
        if levels > LEVELS_MAX || self.directories.len() >= FOLDERS_MAX {
            anyhow::bail!("{} has too many folders or levels", self.root.display());
        }
        let entries = fs::read_dir(directory)
            .with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if matches!(name.as_str(), "cur" | "new" | "tmp") || !path.is_dir() {
                continue;
            }
            let levels_here = match interchange::folder_of_directory(&name) {
                Some(levels) => levels.into_iter().map(readable).collect::<Vec<_>>().join("/"),
                None if name.starts_with('.') => continue,
                None => readable(&name),
            };
            let folder =
                if above.is_empty() { levels_here } else { format!("{above}/{levels_here}") };
            if path.join("cur").is_dir() {
                self.directories.push((folder.clone(), path.clone()));
            }
            if !name.starts_with('.') {
                self.walk(&path, &folder, levels + 1)?;
            }
        }
        Ok(())
    }
}

/// A name in modified UTF-7, or in UTF-8 where it is none.
fn readable(name: &str) -> String {
    match imap_machine::grammar::MailboxName::from_wire(name.as_bytes()) {
        Ok(decoded) if name.is_ascii() => decoded.as_str().to_owned(),
        _ => name.to_owned(),
    }
}

impl Source for Maildir {
    fn describe(&self) -> String {
        format!("Maildir {}", self.root.display())
    }

    fn folders(&mut self) -> anyhow::Result<Vec<Folder>> {
        self.directories = vec![("INBOX".to_owned(), self.root.clone())];
        let root = self.root.clone();
        self.walk(&root, "", 0)?;
        self.directories.sort();
        let text = fs::read_to_string(self.root.join("subscriptions")).unwrap_or_default();
        let subscribed: Vec<String> =
            text.lines().map(|line| readable(line).replace(['\t', '.'], "/")).collect();
        let mut folders = Vec::new();
        for (name, directory) in &self.directories {
            let count = |part: &str| {
                fs::read_dir(directory.join(part)).map_or(0, |files| {
                    files
                        .flatten()
                        .filter(|f| is_message_name(&f.file_name().to_string_lossy()))
                        .count()
                })
            };
            folders.push(Folder {
                name: name.clone(),
                special_use: None,
                subscribed: subscribed.is_empty() || subscribed.contains(name),
                messages: Some((count("cur") + count("new")) as u64),
            });
        }
        Ok(folders)
    }

    fn open(&mut self, folder: &Folder) -> anyhow::Result<()> {
        let found = self.directories.iter().find(|(name, _)| *name == folder.name);
        let (name, directory) = found.context("no such folder")?;
        let text = |file: &str| fs::read_to_string(directory.join(file)).unwrap_or_default();
        let (uids, keywords) =
            (UidList::read(&text("dovecot-uidlist")), Keywords::read(&text("dovecot-keywords")));
        let mut files = Vec::new();
        for part in ["cur", "new"] {
            let path = directory.join(part);
            if !path.is_dir() {
                continue;
            }
            for entry in
                fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?
            {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if is_message_name(&name) {
                    // Those without a UID come behind the others, by their names: these begin with a time.
                    let uid = uids.uid(unique_name(&name)).unwrap_or(u32::MAX);
                    files.push((uid, name, entry.path()));
                }
            }
        }
        files.sort();
        let files = files.into_iter().map(|(_, _, path)| path).collect();
        let folder = name.clone();
        self.open = Some(Open { folder, keywords, files, twins: Twins::default() });
        Ok(())
    }

    fn next(&mut self) -> anyhow::Result<Chunk> {
        let dates_from_received = self.dates_from_received;
        let open = self.open.as_mut().context("no folder is open")?;
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        while chunk.found.len() < CHUNK_MESSAGES && bytes < CHUNK_BYTES {
            let Some(path) = open.files.pop_front() else {
                chunk.last = true;
                break;
            };
            let what = path.display().to_string();
            let read = fs::read(&path).and_then(|raw| Ok((raw, fs::metadata(&path)?)));
            let (raw, about) = match read {
                Ok(read) => read,
                Err(error) => {
                    chunk.troubles.push(Trouble { what, why: error.to_string() });
                    continue;
                }
            };
            let content = crlf(&raw);
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            let of_file =
                about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let of_file =
                of_file.and_then(|age| i64::try_from(age.as_millis()).ok()).map(Timestamp);
            let received = if dates_from_received { received_date(&content) } else { None };
            bytes += content.len();
            chunk.found.push(Found {
                key: open.twins.key(&open.folder, &content),
                what,
                flags: file_flags(&name, &open.keywords),
                date: received.or(of_file),
                content: Some(content),
            });
        }
        Ok(chunk)
    }

    fn fetch(&mut self, found: &Found) -> anyhow::Result<Result<Vec<u8>, Trouble>> {
        let why = "it was read already".to_owned();
        Ok(Err(Trouble { what: found.what.clone(), why }))
    }
}

/// When the last host took it (RFC 5321 §4.4: its Received field is the first).
pub fn received_date(content: &[u8]) -> Option<Timestamp> {
    let field = message::find_field(content, "Received", &message::Limits::default())?;
    let at = field.value.iter().rposition(|&byte| byte == b';')?;
    message::parse_date(field.value[at + 1..].trim_ascii()).map(|date| date.at)
}
