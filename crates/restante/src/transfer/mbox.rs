//! mbox: a file is a folder, a directory is a tree of them.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use interchange::{Dialect, Found as Entry, internal_data, take_flags};

use crate::transfer::maildir::received_date;
use crate::transfer::source::{
    CHUNK_BYTES, CHUNK_MESSAGES, Chunk, Folder, Found, Source, Trouble, Twins,
};

const FOLDERS_MAX: usize = 10_000;
const LEVELS_MAX: usize = 32;
const PIECE_BYTES: usize = 1 << 20;

pub struct MboxFiles {
    root: PathBuf,
    dialect: Dialect,
    files: Vec<(String, PathBuf)>,
    open: Option<Open>,
}

struct Open {
    folder: String,
    path: PathBuf,
    file: File,
    mbox: interchange::Mbox,
    twins: Twins,
    ended: bool,
}

impl MboxFiles {
    pub fn new(root: &Path, dialect: Dialect) -> Self {
        Self { root: root.to_owned(), dialect, files: Vec::new(), open: None }
    }

    fn walk(&mut self, directory: &Path, above: &str, levels: usize) -> anyhow::Result<()> {
        if levels > LEVELS_MAX || self.files.len() >= FOLDERS_MAX {
            anyhow::bail!("{} has too many files or levels", self.root.display());
        }
        let entries = fs::read_dir(directory)
            .with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            let below = |name: &str| {
                if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
            };
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                // Apple Mail keeps `X.mbox/mbox`, Thunderbird what is below X in `X.sbd`.
                if path.join("mbox").is_file() {
                    self.files.push((below(&folder_name(name)), path.join("mbox")));
                } else {
                    let name = name.strip_suffix(".sbd").unwrap_or(name).to_owned();
                    self.walk(&path, &below(&name), levels + 1)?;
                }
            } else if is_mbox(&path) {
                self.files.push((below(&folder_name(name)), path.clone()));
            }
        }
        Ok(())
    }
}

/// What a file's folder is called.
fn folder_name(file: &str) -> String {
    let name = file.strip_suffix(".mbox").unwrap_or(file);
    if ["inbox", "mbox"].iter().any(|inbox| name.eq_ignore_ascii_case(inbox)) {
        return "INBOX".to_owned();
    }
    name.to_owned()
}

/// An mbox begins with a separator, or is empty and named so.
fn is_mbox(path: &Path) -> bool {
    let mut begin = [0; 5];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut begin));
    match read {
        Ok(()) => &begin == b"From ",
        Err(_) => path.extension().is_some_and(|extension| extension == "mbox"),
    }
}

impl Source for MboxFiles {
    fn describe(&self) -> String {
        format!("mbox {}", self.root.display())
    }

    fn folders(&mut self) -> anyhow::Result<Vec<Folder>> {
        self.files.clear();
        if self.root.is_dir() {
            let root = self.root.clone();
            self.walk(&root, "", 0)?;
        } else {
            let name = self.root.file_name().and_then(|name| name.to_str()).unwrap_or("INBOX");
            self.files.push((folder_name(name), self.root.clone()));
        }
        self.files.sort();
        let folder = |(name, _): &(String, PathBuf)| Folder {
            name: name.clone(),
            special_use: None,
            subscribed: true,
            messages: None,
        };
        Ok(self.files.iter().map(folder).collect())
    }

    fn open(&mut self, folder: &Folder) -> anyhow::Result<()> {
        let found = self.files.iter().find(|(name, _)| *name == folder.name);
        let (name, path) = found.context("no such folder")?;
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        self.open = Some(Open {
            folder: name.clone(),
            path: path.clone(),
            file,
            mbox: interchange::Mbox::new(self.dialect),
            twins: Twins::default(),
            ended: false,
        });
        Ok(())
    }

    fn next(&mut self) -> anyhow::Result<Chunk> {
        let open = self.open.as_mut().context("no folder is open")?;
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        let mut piece = vec![0; PIECE_BYTES];
        while chunk.found.len() < CHUNK_MESSAGES && bytes < CHUNK_BYTES {
            match open.mbox.find() {
                Some(Entry::Message(message)) => {
                    let what = format!("{} at byte {}", open.path.display(), message.offset);
                    let mut content = message.content;
                    if internal_data(&content) {
                        continue;
                    }
                    let (flags, strange) = take_flags(&mut content);
                    if strange > 0 {
                        let why = format!("{strange} of its keywords are none here, left out");
                        chunk.troubles.push(Trouble { what: what.clone(), why });
                    }
                    bytes += content.len();
                    chunk.found.push(Found {
                        key: open.twins.key(&open.folder, &content),
                        what,
                        flags,
                        date: message.date.or_else(|| received_date(&content)),
                        content: Some(content),
                    });
                }
                Some(Entry::NoMbox { bytes }) => chunk.troubles.push(Trouble {
                    what: open.path.display().to_string(),
                    why: format!("{bytes} bytes stand before the first “From ” line"),
                }),
                Some(Entry::TooLarge { bytes }) => chunk.troubles.push(Trouble {
                    what: open.path.display().to_string(),
                    why: format!("a message of more than {bytes} bytes is too large"),
                }),
                None if open.ended => {
                    chunk.last = true;
                    break;
                }
                None => {
                    let read = open.file.read(&mut piece);
                    let read =
                        read.with_context(|| format!("cannot read {}", open.path.display()))?;
                    if read == 0 {
                        open.mbox.end();
                        open.ended = true;
                    }
                    open.mbox.push(&piece[..read]);
                }
            }
        }
        Ok(chunk)
    }

    fn fetch(&mut self, found: &Found) -> anyhow::Result<Result<Vec<u8>, Trouble>> {
        let why = "it was read already".to_owned();
        Ok(Err(Trouble { what: found.what.clone(), why }))
    }
}
