//! Heads that were signed and are kept: the latest in a file of its own, one a minute in a file that
//! only grows.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mail_types::RecordSeq;
use transparency::{Checkpoint, Note, Verifier};

use crate::error::{LedgerError, io};
use crate::files::{self, Durable};

/// Bytes of one head, as a note.
const HEAD_BYTES_MAX: u64 = 16 << 10;

/// Lines of a head as it is kept: origin, size, root, none, signature, none.
const LINES: usize = 6;

/// A head, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// As it was signed.
    pub note: Note,
}

impl SignedHead {
    /// Reads one that this key signed.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str, verifier: &Verifier) -> Result<Self, LedgerError> {
        let note = Note::parse(text)?;
        Ok(Self { checkpoint: Checkpoint::verify(&note, verifier)?, note })
    }
}

/// Where they are.
pub struct Paths(pub PathBuf);

impl Paths {
    pub fn key(&self) -> PathBuf {
        self.0.join("key")
    }
    pub fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }
    pub fn place(&self) -> PathBuf {
        self.0.join("place")
    }
    pub fn latest(&self) -> PathBuf {
        self.0.join("latest")
    }
    pub fn history(&self) -> PathBuf {
        self.0.join("history")
    }
}

/// The text of the latest head; `None` where there is none.
pub fn read_latest(paths: &Paths) -> Result<Option<String>, LedgerError> {
    read_head(&paths.latest())
}

/// A head's file.
pub fn read_head(path: &Path) -> Result<Option<String>, LedgerError> {
    let doing = || format!("read {}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(io(doing()))?,
    };
    let mut bytes = Vec::new();
    file.take(HEAD_BYTES_MAX).read_to_end(&mut bytes).map_err(io(doing()))?;
    // What is no text is no head, either.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Whether anything was signed here.
pub fn are_kept(paths: &Paths) -> Result<bool, LedgerError> {
    for path in [paths.latest(), paths.history()] {
        match std::fs::metadata(&path) {
            Ok(kept) if kept.len() > 0 => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(format!("read {}", path.display()))(error)),
        }
    }
    Ok(false)
}

/// A latest head that cannot be read is kept beside the one that takes its place.
pub fn set_unreadable_aside(paths: &Paths, verifier: &Verifier) -> Result<(), LedgerError> {
    let Some(text) = read_latest(paths)?.filter(|text| !text.is_empty()) else { return Ok(()) };
    if SignedHead::parse(&text, verifier).is_ok() {
        return Ok(());
    }
    tracing::error!("ALARM: heads/latest cannot be read; it is kept as heads/latest-unreadable");
    files::replace(&paths.0.join("latest-unreadable"), text.as_bytes(), Durable::Yes)
}

/// Keeps it as the latest.
pub fn write_latest(paths: &Paths, head: &SignedHead) -> Result<(), LedgerError> {
    files::replace(&paths.latest(), head.note.to_string().as_bytes(), Durable::No)
}

/// Adds it to those that stay; returns their bytes then.
pub fn append(history: &File, end: u64, head: &SignedHead) -> Result<u64, LedgerError> {
    let text = format!("{}\n", head.note);
    history.write_all_at(text.as_bytes(), end).map_err(io("write to the history of heads"))?;
    Ok(end + text.len() as u64)
}

/// One of the history, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A head, whole by its form.
    Head(String),
    /// Bytes at the end that are none: it was being written when the power went.
    Torn {
        /// Where it begins.
        at: u64,
        /// What is there.
        text: String,
    },
}

impl Kept {
    /// Whether bytes at the end may be what a power cut left of a head, and not a head that was
    /// damaged: they end before its last line does.
    pub fn may_be_torn(text: &str, verifier: &Verifier) -> bool {
        let lines = text.matches('\n').count();
        lines < LINES - 1 || lines == LINES - 1 && SignedHead::parse(text, verifier).is_ok()
    }
}

/// Goes through the history.
pub fn history(
    paths: &Paths,
) -> Result<impl Iterator<Item = Result<Kept, LedgerError>>, LedgerError> {
    let path = paths.history();
    let doing = format!("read {}", path.display());
    let file: Box<dyn Read> = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Box::new(std::io::empty()),
        file => Box::new(file.map_err(io(doing))?),
    };
    let mut lines = BufReader::new(file);
    let mut at = 0;
    Ok(std::iter::from_fn(move || next_kept(&mut lines, &mut at).transpose()))
}

fn next_kept(lines: &mut impl BufRead, at: &mut u64) -> Result<Option<Kept>, LedgerError> {
    let begin = *at;
    let mut text = Vec::new();
    // Up to the empty line behind a signature.
    while (text.len() as u64) < HEAD_BYTES_MAX {
        let before = text.len();
        let read = lines
            .by_ref()
            .take(HEAD_BYTES_MAX)
            .read_until(b'\n', &mut text)
            .map_err(io("read the history of heads"))?;
        *at += read as u64;
        if read == 0 {
            break;
        }
        let signed = text[..before].rsplit(|&byte| byte == b'\n').nth(1);
        let signed = signed.is_some_and(|line| line.starts_with("— ".as_bytes()));
        if text[before..] == *b"\n" && signed {
            text.pop();
            return Ok(Some(Kept::Head(String::from_utf8_lossy(&text).into_owned())));
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok((!text.is_empty()).then_some(Kept::Torn { at: begin, text }))
}

/// Keeps only heads over at most so many records as those of this journal, which was put back as of
/// then; later ones stay in a file of their own, `beyond`, as what shows what is missing.
///
/// # Errors
/// Where files cannot be read or written.
pub fn cut_heads(dir: &Path, records: RecordSeq) -> Result<(), LedgerError> {
    let paths = Paths(dir.to_owned());
    let (mut kept, mut beyond) = (String::new(), String::new());
    let mut sort = |text: &str| {
        let size = text.lines().nth(1).and_then(|size| size.parse::<u64>().ok());
        let later = size.is_some_and(|size| size > records.0);
        let file = if later { &mut beyond } else { &mut kept };
        file.push_str(text);
        file.push('\n');
        later
    };
    for head in history(&paths)? {
        if let Kept::Head(text) = head? {
            sort(&text);
        }
    }
    let latest = read_latest(&paths)?;
    let latest_is_later = latest.as_deref().is_some_and(&mut sort);
    if beyond.is_empty() {
        return Ok(());
    }
    // What was cut before is evidence, too; where a power cut had this begin anew, it is there.
    let path = paths.0.join("beyond");
    let before = match std::fs::read_to_string(&path) {
        Ok(before) => before,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(io("read the heads cut before")(error)),
    };
    if !before.ends_with(&beyond) {
        beyond.insert_str(0, &before);
    } else {
        beyond = before;
    }
    files::replace(&path, beyond.as_bytes(), Durable::Yes)?;
    files::replace(&paths.history(), kept.as_bytes(), Durable::Yes)?;
    if latest_is_later {
        files::replace(&paths.latest(), b"", Durable::Yes)?;
    }
    Ok(())
}
