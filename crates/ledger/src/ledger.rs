//! Follows the journal and signs.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use journal::{Disk, Head, Position, Reader};
use mail_types::{RecordSeq, Timestamp};
use transparency::{
    Checkpoint, Frontier, ProofFile, Verifier, inclusion, root_of, stored_count, stored_leaves,
};

use crate::error::{LedgerError, io};
use crate::files::{self, Durable, Place, TreeFile};
use crate::heads::{self, Kept, Paths, SignedHead};
use crate::key::{Key, LEAF_SALT_BYTES};

/// Between two heads.
const SIGN_EACH: Duration = Duration::from_secs(1);
/// Between two heads that stay, and two times that the tree is made durable.
const KEEP_EACH: Duration = Duration::from_secs(60);
/// Steps of catching up after which what was done is kept.
const STEPS_PER_SYNC: u32 = 32;
/// Records taken at a time.
const STEP_RECORDS: usize = 16_384;

/// The tree, its key and its heads. One at a time for a data directory: whoever has the journal open.
pub struct Ledger {
    paths: Paths,
    key: Key,
    tree: TreeFile,
    frontier: Frontier,
    /// Where the frame of the last record in the tree begins, and the place behind it.
    last: Position,
    next: Position,
    /// The latest head, and when it was signed.
    latest: Option<SignedHead>,
    signed_at: Option<Timestamp>,
    history: File,
    history_end: u64,
    /// The head kept last, and when.
    kept_size: u64,
    kept_at: Option<Timestamp>,
    /// Whether the journal was found to continue the heads that are kept.
    continues: bool,
    /// Steps of catching up since the tree was made durable.
    steps: u32,
    /// The kept tree was given up and is made from the journal.
    made_anew: bool,
}

impl Ledger {
    /// Opens what is kept in this directory, making it where there is none. `name` names the log
    /// where it is new.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open(dir: &Path, name: &str) -> Result<Self, LedgerError> {
        files::make_dir(dir)?;
        let paths = Paths(dir.to_owned());
        let key = Key::ensure(&paths.key(), name, heads::are_kept(&paths)?)?;
        let tree = TreeFile(files::open(&paths.tree())?);
        let history = files::open(&paths.history())?;
        let history_end = cut_torn(&paths, &history)?;
        heads::set_unreadable_aside(&paths, &key.signer.verifier())?;
        let latest = latest(&paths, &key.signer.verifier())?;
        let kept_size = latest.as_ref().map_or(0, |head| head.checkpoint.size);
        Ok(Self {
            paths,
            key,
            tree,
            frontier: Frontier::default(),
            last: Position::first_of(1),
            next: Position::first_of(1),
            latest,
            signed_at: None,
            history,
            history_end,
            kept_size,
            kept_at: None,
            continues: false,
            steps: 0,
            made_anew: false,
        })
    }

    /// Who checks what it signs.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        self.key.signer.verifier()
    }

    /// The latest head.
    #[must_use]
    pub const fn latest(&self) -> Option<&SignedHead> {
        self.latest.as_ref()
    }

    /// Takes what is durable in the journal into the tree, at most so much that it takes a moment;
    /// whether there is more. The first time, what was kept is looked at.
    ///
    /// # Errors
    /// [`LedgerError`]; `CutBack` and `Fork` where the journal does not continue what was signed.
    pub fn advance<D: Disk>(&mut self, reader: &Reader<D>) -> Result<bool, LedgerError> {
        let Some(head) = reader.head() else { return Ok(false) };
        self.advance_to(reader, &head)
    }

    /// The same up to a head that is known to be durable.
    ///
    /// # Errors
    /// As [`Ledger::advance`].
    pub fn advance_to<D: Disk>(
        &mut self,
        reader: &Reader<D>,
        head: &Head,
    ) -> Result<bool, LedgerError> {
        if self.frontier.size() == 0 {
            self.resume(reader)?;
        }
        let found = reader.record_headers(self.next, head, STEP_RECORDS)?;
        let mut hashes = Vec::new();
        let mut frontier = self.frontier.clone();
        for record in &found.records {
            if record.seq.0 != frontier.size() + 1 {
                return Err(LedgerError::Gap(frontier.size() + 1));
            }
            let leaf = self.key.leaf(record.seq, &record.hash);
            frontier.push(leaf, |hash| hashes.extend_from_slice(&hash));
        }
        let at = stored_count(self.frontier.size()).unwrap_or(u64::MAX);
        self.tree.write(at, &hashes)?;
        self.frontier = frontier;
        self.next = found.next;
        if let Some(record) = found.records.last() {
            self.last = record.at;
        }
        let more = found.next < head.end;
        if self.continues {
            return Ok(more);
        }
        if more {
            // A stop while it catches up does not have it begin again.
            self.steps += 1;
            if self.steps.is_multiple_of(STEPS_PER_SYNC) {
                self.keep_place()?;
            }
            return Ok(true);
        }
        self.continues = self.check_continues()?;
        Ok(!self.continues)
    }

    /// Goes on where the tree is on the disk, where that belongs to this journal; else from the
    /// first record.
    fn resume<D: Disk>(&mut self, reader: &Reader<D>) -> Result<(), LedgerError> {
        let place = std::fs::read(self.paths.place()).ok();
        let place = place.and_then(|bytes| Place::from_bytes(&bytes));
        if let Some(place) = place
            && stored_leaves(self.tree.len()?) >= place.size
            && let Some(frontier) = Frontier::load(place.size, &self.tree)
            && let Some(record) = reader.record_header(place.last)?
            && record.seq.0 == place.size
            && self.leaf_is_kept(record.seq, &record.hash)
        {
            (self.frontier, self.last, self.next) = (frontier, place.last, place.next);
        }
        self.tree.cut(stored_count(self.frontier.size()).unwrap_or(0))
    }

    fn leaf_is_kept(&self, seq: RecordSeq, hash: &[u8; 32]) -> bool {
        use transparency::Nodes;
        self.tree.node(0, seq.0 - 1) == Some(self.key.leaf(seq, hash))
    }

    /// Every kept head must be of a beginning of this tree; the latest one says so for all, since it
    /// was signed by the same rule. `verify` looks at each.
    /// False where the kept tree is wrong: it is made anew first.
    fn check_continues(&mut self) -> Result<bool, LedgerError> {
        let Some(latest) = &self.latest else { return Ok(true) };
        let (signed, records) = (latest.checkpoint.size, self.frontier.size());
        if signed > records {
            return Err(LedgerError::CutBack { records, signed });
        }
        if root_of(&self.tree, signed) == Some(latest.checkpoint.root) {
            return Ok(true);
        }
        if self.made_anew {
            return Err(LedgerError::Fork { signed });
        }
        self.make_anew()?;
        Ok(false)
    }

    /// What is kept of the tree is damaged: it is made from the journal again.
    fn make_anew(&mut self) -> Result<(), LedgerError> {
        tracing::warn!("the kept tree over the journal is wrong; it is made anew");
        files::replace(&self.paths.place(), &[], Durable::No)?;
        self.tree.cut(0)?;
        (self.last, self.next) = (Position::first_of(1), Position::first_of(1));
        self.frontier = Frontier::default();
        (self.continues, self.made_anew) = (false, true);
        Ok(())
    }

    /// Makes the tree durable, and where it ends.
    fn keep_place(&self) -> Result<(), LedgerError> {
        self.tree.0.sync_data().map_err(io("sync the tree"))?;
        let place = Place { size: self.frontier.size(), last: self.last, next: self.next };
        files::replace(&self.paths.place(), &place.to_bytes(), Durable::Yes)
    }

    /// Signs the head where it has changed, and not more often than once a second; the latest head.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn sign(&mut self, now: Timestamp) -> Result<Option<&SignedHead>, LedgerError> {
        let size = self.frontier.size();
        let signed = self.latest.as_ref().map_or(0, |head| head.checkpoint.size);
        if self.continues && size > signed && is_over(SIGN_EACH, self.signed_at, now) {
            let checkpoint = Checkpoint {
                origin: self.verifier().name().to_owned(),
                size,
                root: self.frontier.root(),
                extensions: Vec::new(),
            };
            let head = SignedHead { note: checkpoint.sign(&self.key.signer)?, checkpoint };
            heads::write_latest(&self.paths, &head)?;
            self.latest = Some(head);
            self.signed_at = Some(now);
        }
        if is_over(KEEP_EACH, self.kept_at, now) {
            self.keep(now)?;
        }
        Ok(self.latest.as_ref())
    }

    /// Takes a head that the server signed whose journal this one follows: `false` where it is of
    /// more records than are here yet.
    ///
    /// # Errors
    /// [`LedgerError`]; `Fork` where it is not of a beginning of this journal.
    pub fn follow(&mut self, note: &str, now: Timestamp) -> Result<bool, LedgerError> {
        let head = SignedHead::parse(note, &self.verifier())?;
        let size = head.checkpoint.size;
        if !self.continues || size > self.frontier.size() {
            return Ok(false);
        }
        if root_of(&self.tree, size) != Some(head.checkpoint.root) {
            return Err(LedgerError::Fork { signed: size });
        }
        if self.latest.as_ref().is_none_or(|latest| latest.checkpoint.size < size) {
            heads::write_latest(&self.paths, &head)?;
            self.latest = Some(head);
        }
        if is_over(KEEP_EACH, self.kept_at, now) {
            self.keep(now)?;
        }
        Ok(true)
    }

    /// Keeps the latest head for good, and makes the tree durable up to here: now and then, and
    /// before stopping.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn keep(&mut self, now: Timestamp) -> Result<(), LedgerError> {
        self.kept_at = Some(now);
        if !self.continues {
            return if self.frontier.size() > 0 { self.keep_place() } else { Ok(()) };
        }
        let Some(latest) = &self.latest else { return Ok(()) };
        if latest.checkpoint.size <= self.kept_size {
            return Ok(());
        }
        self.history_end = heads::append(&self.history, self.history_end, latest)?;
        self.kept_size = latest.checkpoint.size;
        self.history.sync_data().map_err(io("sync the history of heads"))?;
        self.keep_place()
    }

    /// The proof that a record is in the latest head, and the salt that opens its leaf. `extra` is
    /// added as it is.
    ///
    /// # Errors
    /// [`LedgerError`]; `NotYet` where it is in none.
    pub fn prove(
        &mut self,
        seq: RecordSeq,
        extra: Option<Vec<u8>>,
    ) -> Result<ProofFile, LedgerError> {
        let proved = self.proof(seq, extra);
        if let Err(LedgerError::Tree(_)) = proved {
            self.make_anew()?;
        }
        proved
    }

    fn proof(&self, seq: RecordSeq, extra: Option<Vec<u8>>) -> Result<ProofFile, LedgerError> {
        let latest = self.latest.as_ref().ok_or(LedgerError::None)?;
        let (size, root) = (latest.checkpoint.size, latest.checkpoint.root);
        if seq.0 == 0 || seq.0 > size {
            return Err(LedgerError::NotYet(seq.0));
        }
        let index = seq.0 - 1;
        let damaged = || LedgerError::Tree(index);
        let path = inclusion(&self.tree, index, size).ok_or_else(damaged)?;
        let leaf = transparency::Nodes::node(&self.tree, 0, index).ok_or_else(damaged)?;
        // No proof that proves nothing leaves the house.
        transparency::verify_inclusion(&leaf, index, &path, size, &root).map_err(|_| damaged())?;
        Ok(ProofFile { extra, index, path, checkpoint: latest.note.clone() })
    }

    /// What opens the leaf of a record.
    #[must_use]
    pub fn salt(&self, seq: RecordSeq) -> [u8; LEAF_SALT_BYTES] {
        self.key.salt(seq)
    }
}

/// Whether a wait is over; it is where the clock was set back.
fn is_over(wait: Duration, since: Option<Timestamp>, now: Timestamp) -> bool {
    since.is_none_or(|since| now < since || now.since(since) >= wait)
}

/// The latest head that is kept.
pub fn latest(paths: &Paths, verifier: &Verifier) -> Result<Option<SignedHead>, LedgerError> {
    let text = heads::read_latest(paths)?;
    let mut latest = text.and_then(|text| SignedHead::parse(&text, verifier).ok());
    // It is not synced: after a power cut the history may have a later one, or the only one.
    for kept in heads::history(paths)? {
        let Kept::Head(text) = kept? else { continue };
        let larger = |head: &SignedHead| {
            latest.as_ref().is_none_or(|latest| latest.checkpoint.size < head.checkpoint.size)
        };
        // What cannot be read is for `verify` to tell; it is not lost here.
        if let Some(size) = text.lines().nth(1).and_then(|size| size.parse::<u64>().ok())
            && latest.as_ref().is_none_or(|latest| latest.checkpoint.size < size)
            && let Ok(head) = SignedHead::parse(&text, verifier)
            && larger(&head)
        {
            latest = Some(head);
        }
    }
    Ok(latest)
}

/// Cuts what a power cut left at the history's end; its bytes then.
fn cut_torn(paths: &Paths, history: &File) -> Result<u64, LedgerError> {
    let mut torn = None;
    for kept in heads::history(paths)? {
        torn = match kept? {
            Kept::Torn { at, .. } => Some(at),
            // What is damaged in the middle is for `verify` to tell; the heads behind it stay.
            Kept::Head(_) => None,
        };
    }
    if let Some(at) = torn {
        tracing::warn!(at, "the end of the history of signed heads was torn, and is cut");
        history.set_len(at).map_err(io("cut the history of heads"))?;
    }
    Ok(history.metadata().map_err(io("read the length of the history of heads"))?.len())
}
