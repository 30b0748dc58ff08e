//! Looking at heads without the journal, beside a server.

use std::fs::File;
use std::path::Path;

use transparency::{Verifier, consistency, root_of, stored_leaves, verify_consistency};

use crate::error::{LedgerError, io};
use crate::files::TreeFile;
use crate::heads::{self, Kept, Paths, SignedHead};
use crate::key::Key;
use crate::ledger::latest;

/// What is kept in a data directory, read only.
pub struct View {
    paths: Paths,
    verifier: Verifier,
}

/// What a head kept elsewhere is to those kept here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// It is a beginning of what is here.
    Prefix {
        /// Records of the head.
        size: u64,
        /// Records of the latest head here.
        latest: u64,
    },
    /// It is over more records than there are here.
    CutBack {
        /// Records of the head.
        size: u64,
        /// Records of the latest head here.
        latest: u64,
    },
    /// It is of another journal, or of another past of this one.
    Fork {
        /// Records of the head.
        size: u64,
        /// Records of the latest head here.
        latest: u64,
    },
}

impl View {
    /// Opens it.
    ///
    /// # Errors
    /// [`LedgerError::None`] where nothing was ever signed.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        let paths = Paths(dir.to_owned());
        let key = Key::read(&paths.key())?.ok_or(LedgerError::None)?;
        Ok(Self { verifier: key.signer.verifier(), paths })
    }

    /// Who checks the heads.
    #[must_use]
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The latest head.
    ///
    /// # Errors
    /// Where there is none.
    pub fn latest(&self) -> Result<SignedHead, LedgerError> {
        latest(&self.paths, &self.verifier)?.ok_or(LedgerError::None)
    }

    /// The heads that stay, the oldest first, at most the last `count`.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn history(&self, count: usize) -> Result<Vec<SignedHead>, LedgerError> {
        let mut last = std::collections::VecDeque::new();
        for kept in heads::history(&self.paths)? {
            if let Kept::Head(text) = kept? {
                last.push_back(text);
                if last.len() > count {
                    last.pop_front();
                }
            }
        }
        last.iter().map(|text| SignedHead::parse(text, &self.verifier)).collect()
    }

    /// Whether a head that was kept elsewhere is a beginning of what is here, by the kept tree.
    ///
    /// # Errors
    /// Where it is no head of this log, or nothing is kept here.
    pub fn compare(&self, text: &str) -> Result<Compared, LedgerError> {
        let theirs = SignedHead::parse(text, &self.verifier)?.checkpoint;
        let ours = self.latest()?.checkpoint;
        let (size, latest) = (theirs.size, ours.size);
        if size > latest {
            return Ok(Compared::CutBack { size, latest });
        }
        let path = self.paths.tree();
        let doing = format!("open {}", path.display());
        let tree = TreeFile(File::open(&path).map_err(io(doing))?);
        if stored_leaves(tree.len()?) < latest || root_of(&tree, latest) != Some(ours.root) {
            return Err(LedgerError::Tree(latest));
        }
        let proof = consistency(&tree, size, latest).ok_or(LedgerError::Tree(size))?;
        let ours = (latest, &ours.root);
        Ok(match verify_consistency((size, &theirs.root), ours, &proof) {
            Ok(()) => Compared::Prefix { size, latest },
            Err(_) => Compared::Fork { size, latest },
        })
    }
}
