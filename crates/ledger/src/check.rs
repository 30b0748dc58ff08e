//! `verify`'s part: the tree made anew from every record, against every head and the kept tree.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use mail_types::RecordSeq;
use transparency::{Frontier, HASH_BYTES, Hash};

use crate::error::{LedgerError, io};
use crate::files::TreeFile;
use crate::heads::{self, Kept, Paths, SignedHead};
use crate::key::Key;

/// Hashes of the kept tree read at a time.
const STEP_HASHES: usize = 4096;
/// Troubles told one by one.
const TOLD_MAX: usize = 20;

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A head is not one of this journal: I1.
    Head(String),
    /// What is kept of the tree is not what the journal gives.
    Tree(String),
}

/// The check, while the journal is read.
pub struct HeadsCheck {
    key: Key,
    /// Roots by size, with where each was kept.
    heads: BTreeMap<u64, Vec<(Hash, String)>>,
    frontier: Frontier,
    tree: Option<KeptTree>,
    /// The first record that is missing: the tree ends before it.
    gap: Option<u64>,
    /// The last record there is.
    last: u64,
    troubles: Vec<Trouble>,
}

/// The kept tree, read in order.
struct KeptTree {
    file: TreeFile,
    at: u64,
    bytes: Vec<u8>,
    used: usize,
    told: bool,
    /// It has no more: it follows the journal, and what it gets meanwhile is not looked at.
    ended: bool,
}

impl HeadsCheck {
    /// Reads the heads of a data directory, and those kept elsewhere (name and text), before the
    /// journal is read; `None` where nothing was ever signed here.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn open(dir: &Path, elsewhere: &[(String, String)]) -> Result<Option<Self>, LedgerError> {
        let paths = Paths(dir.to_owned());
        let mut troubles = Vec::new();
        let key = match Key::read(&paths.key()) {
            Ok(Some(key)) => key,
            Ok(None) if !paths.latest().exists() && elsewhere.is_empty() => return Ok(None),
            Ok(None) => return Err(LedgerError::Key(paths.key().display().to_string())),
            Err(error) => return Err(error),
        };
        let mut heads: BTreeMap<u64, Vec<(Hash, String)>> = BTreeMap::new();
        let verifier = key.signer.verifier();
        let mut add = |text: &str, what: String| match SignedHead::parse(text, &verifier) {
            Ok(head) => {
                let known = heads.entry(head.checkpoint.size).or_default();
                if known.iter().all(|(root, _)| *root != head.checkpoint.root) {
                    known.push((head.checkpoint.root, what));
                }
            }
            Err(error) => troubles.push(Trouble::Head(format!("{what} cannot be read: {error}"))),
        };
        let mut kept_heads = heads::history(&paths)?.enumerate().peekable();
        while let Some((number, kept)) = kept_heads.next() {
            let what = format!("head {} of heads/history", number + 1);
            let is_end = kept_heads.peek().is_none();
            match kept? {
                Kept::Head(text) => add(&text, what),
                // What was torn by a power cut is cut at the next start.
                Kept::Torn { text, .. } if is_end && Kept::may_be_torn(&text, &verifier) => {}
                Kept::Torn { text, .. } => add(&text, what),
            }
        }
        if let Some(text) = heads::read_latest(&paths)?.filter(|text| !text.is_empty()) {
            add(&text, "heads/latest".to_owned());
        }
        for (name, text) in elsewhere {
            add(text, name.clone());
        }
        let tree = File::open(paths.tree()).ok().map(|file| KeptTree {
            file: TreeFile(file),
            at: 0,
            bytes: Vec::new(),
            used: 0,
            told: false,
            ended: false,
        });
        let frontier = Frontier::default();
        Ok(Some(Self { key, heads, frontier, tree, gap: None, last: 0, troubles }))
    }

    /// The next record of the journal, by BLAKE3 of its payload: as the header of its frame has it,
    /// also where the payload is damaged.
    pub fn record(&mut self, seq: RecordSeq, payload_hash: &[u8; 32]) {
        self.last = self.last.max(seq.0);
        if self.gap.is_some() || seq.0 != self.frontier.size() + 1 {
            self.gap.get_or_insert(self.frontier.size() + 1);
            return;
        }
        let leaf = self.key.leaf(seq, payload_hash);
        let (tree, troubles) = (&mut self.tree, &mut self.troubles);
        self.frontier.push(leaf, |hash| {
            if let Some(tree) = tree {
                troubles.extend(tree.compare(&hash));
            }
        });
        // Heads are few: the root is made where one stands.
        if let Some(heads) = self.heads.remove(&seq.0) {
            let is = self.frontier.root();
            for (root, what) in heads {
                if root != is && self.troubles.len() < TOLD_MAX {
                    self.troubles.push(Trouble::Head(format!(
                        "{what} says that the first {seq} records were others: the journal was \
                         changed, or is another one"
                    )));
                }
            }
        }
    }

    /// The journal has no more.
    #[must_use]
    pub fn finish(mut self) -> Vec<Trouble> {
        self.heads.remove(&0);
        let records = self.last;
        let beyond = self.heads.split_off(&(records + 1));
        for (size, heads) in beyond.iter().rev().take(TOLD_MAX) {
            for (_, what) in heads {
                self.troubles.push(Trouble::Head(format!(
                    "{what} was signed over {size} records, and there are {records}: the journal \
                     was cut back"
                )));
            }
        }
        if let Some(gap) = self.gap
            && !self.heads.is_empty()
        {
            self.troubles.push(Trouble::Head(format!(
                "{} heads over more records cannot be checked, since record {gap} is missing",
                self.heads.len()
            )));
        }
        self.troubles
    }
}

impl KeptTree {
    /// Whether the next hash is this one. It may be missing, since the tree follows the journal.
    fn compare(&mut self, hash: &Hash) -> Option<Trouble> {
        if self.ended {
            return None;
        }
        if self.used >= self.bytes.len() {
            match self.file.read(self.at, STEP_HASHES).map_err(|error| error.to_string()) {
                Ok(bytes) => (self.bytes, self.used) = (bytes, 0),
                Err(error) => return self.tell(error),
            }
        }
        let at = self.at;
        let Some(kept) = self.bytes.get(self.used..self.used + HASH_BYTES) else {
            self.ended = true;
            return None;
        };
        let same = kept == hash;
        self.used += HASH_BYTES;
        self.at += 1;
        if same {
            return None;
        }
        self.tell(format!("heads/tree differs from the journal at hash {at}"))
    }

    fn tell(&mut self, what: String) -> Option<Trouble> {
        let first = !std::mem::replace(&mut self.told, true);
        first.then_some(Trouble::Tree(what))
    }
}

/// The text of a head in a file of somebody's.
///
/// # Errors
/// Where it cannot be read.
pub fn read_head(path: &Path) -> Result<String, LedgerError> {
    let doing = format!("read {}", path.display());
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    heads::read_head(path)?.ok_or_else(|| io(doing)(missing()))
}
