//! Proofs as files (c2sp.org/tlog-proof): an entry's place and path in front of a checkpoint.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{
    Checkpoint, CheckpointError, Hash, Note, NoteError, ProofError, Verifier, leaf_hash,
    verify_inclusion,
};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Hashes of a path: the height of the largest tree.
const PATH_MAX: usize = 63;

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileError {
    /// It is no such file.
    #[error("not a proof: {0}")]
    Malformed(&'static str),
    /// Its checkpoint is no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Its checkpoint is not one of the key's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The path.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// A proof that an entry is in a log, that needs nothing else but the log's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// What the application adds; nothing in the file vouches for it.
    pub extra: Option<Vec<u8>>,
    /// Number of the entry, from 0.
    pub index: u64,
    /// From the entry to the root.
    pub path: Vec<Hash>,
    /// The head.
    pub checkpoint: Note,
}

impl ProofFile {
    /// Reads one.
    ///
    /// # Errors
    /// Where it is none. Nothing of it is checked: [`ProofFile::verify`] does.
    pub fn parse(text: &str) -> Result<Self, ProofFileError> {
        let wrong = ProofFileError::Malformed;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(wrong("it has no empty line"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(wrong("its first line is another one"));
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra
            .map(|line| STANDARD.decode(&line["extra ".len()..]))
            .transpose()
            .map_err(|_| wrong("its extra line is no base64"))?;
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.filter(|digits| !digits.starts_with('+'));
        let index = index.and_then(|digits| digits.parse().ok()).ok_or(wrong("it has no index"))?;
        let mut path = Vec::new();
        for line in lines {
            let hash = STANDARD.decode(line).ok().and_then(|bytes| Hash::try_from(bytes).ok());
            path.push(hash.ok_or(wrong("a line of its path is no hash"))?);
            if path.len() > PATH_MAX {
                return Err(wrong("its path is longer than any tree is high"));
            }
        }
        Ok(Self { extra, index, path, checkpoint: Note::parse(checkpoint)? })
    }

    /// Checks that `entry` is in the log that this key signs for; the head that says so.
    ///
    /// # Errors
    /// Where it is not proved.
    pub fn verify(&self, entry: &[u8], verifier: &Verifier) -> Result<Checkpoint, ProofFileError> {
        let head = Checkpoint::verify(&self.checkpoint, verifier)?;
        verify_inclusion(&leaf_hash(entry), self.index, &self.path, head.size, &head.root)?;
        Ok(head)
    }
}

impl fmt::Display for ProofFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
