//! Checkpoints (c2sp.org/tlog-checkpoint): a tree's head as the text of a signed note.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Hash, Note, NoteError, Signer, Verifier};

/// Lines behind the three that every checkpoint has.
const EXTENSIONS_MAX: usize = 64;

/// Why a checkpoint is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// As a note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Its text is no head.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// It is of another log.
    #[error("it is of another log: {0}")]
    Origin(String),
}

/// A tree's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log, the same for ever: a URL without scheme.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Further lines, which mean nothing here.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// The head as a note, signed.
    ///
    /// # Errors
    /// Where the origin or an extension has a line break in it.
    pub fn sign(&self, signer: &Signer) -> Result<Note, CheckpointError> {
        let text = self.to_string();
        if Self::parse_text(&text)? != *self {
            return Err(CheckpointError::Malformed("a line of it is two, or none"));
        }
        Ok(signer.sign(&text)?)
    }

    /// Reads what this key signed.
    ///
    /// # Errors
    /// Where it did not, or it is no head of a log of the key's name.
    pub fn verify(note: &Note, verifier: &Verifier) -> Result<Self, CheckpointError> {
        verifier.verify(note)?;
        let checkpoint = Self::parse_text(note.text())?;
        // tlog-checkpoint: "the key name SHOULD match the origin".
        if checkpoint.origin != verifier.name() {
            return Err(CheckpointError::Origin(checkpoint.origin));
        }
        Ok(checkpoint)
    }

    /// Reads the text of a note, whoever signed it.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`].
    pub fn parse_text(text: &str) -> Result<Self, CheckpointError> {
        let wrong = CheckpointError::Malformed;
        let mut lines =
            text.strip_suffix('\n').ok_or(wrong("it does not end with a line"))?.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or(wrong("it names no log"))?.to_owned();
        let size = lines.next().unwrap_or_default();
        // tlog-checkpoint: decimal without leading zeros.
        let plain = size == "0" || !size.starts_with(['0', '+']);
        let size = size.parse().ok().filter(|_| plain).ok_or(wrong("it has no size"))?;
        let root = STANDARD.decode(lines.next().unwrap_or_default()).ok();
        let root = root.and_then(|bytes| Hash::try_from(bytes).ok());
        let root = root.ok_or(wrong("it has no root"))?;
        let mut extensions = Vec::new();
        for line in lines {
            if line.is_empty() || extensions.len() >= EXTENSIONS_MAX {
                return Err(wrong("there is an empty line in it, or too many"));
            }
            extensions.push(line.to_owned());
        }
        Ok(Self { origin, size, root, extensions })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
