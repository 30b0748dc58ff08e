//! What programs ask of messages again and again, made once from each body and kept beside the
//! journal: the rendered ENVELOPE and BODYSTRUCTURE, the header, and the decoded, folded text that
//! SEARCH looks through.
//!
//! All of it is derived: it can be dropped at any time and is made anew from the bodies. So nothing
//! here is ever synced, and nothing that is read is believed without its check: what is torn,
//! rotten, of another message or of another version counts as missing, and whoever asks makes it
//! from the body with the same function ([`Made::of`]) that made what is kept.
//!
//! ```text
//! extract/V/slots-N    a slot of 64 bytes for each mail id: where its entries and its body lie
//! extract/V/head-N     envelope, structures, sort facts, preview ([`Head`])
//! extract/V/header-N   the header as it is, and folded ([`Header`])
//! extract/V/text-N     the folded text of the body
//! extract/V/mark       up to which message all were extracted
//! ```
//!
//! V is the version of the format with a check of what [`Made::of`] makes of a sample message: a
//! release that makes something else of it, a folded letter or a word in an ENVELOPE, drops what
//! the one before kept.
//!
//! It opens no socket, runs no thread and never touches the journal: bodies are given to it.
//!
//! RFCs: 3501 §6.4.4, §6.4.5, §7.4.2 (what SEARCH and FETCH ask).

mod appender;
mod files;
mod made;
mod search;
mod slot;
mod visit;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mail_types::MailId;

pub use appender::Appender;
pub use made::{BLOCK_BYTES, Head, Header, Made, Part, thread_number};
pub use search::{Key, Keys};
pub use slot::{BodyAt, BodyForm, Slot, Span};
pub use visit::{FileSpan, ReadAt, Visit, visit};

use crate::files::Files;
use crate::slot::{SLOT_BYTES, slot_span};

/// Version of the files; what is made of a message has a check of its own, see [`version`].
const FORMAT: u32 = 1;
/// A message of all that is decoded, folded and rendered.
const SAMPLE: &[u8] = include_bytes!("sample.eml");

/// Why what is kept cannot be used or added to. Nothing is lost by it: the bodies are there.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} of what is kept of messages")]
pub struct ExtractError {
    /// What was being done, and to what.
    pub doing: String,
    /// Why it failed.
    pub source: io::Error,
}

/// Which entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// [`Head`].
    Head,
    /// [`Header`].
    Header,
    /// The folded text of the body.
    Text,
}

/// Name of the directory of this version, below `extract/`. Others are dropped.
fn version() -> String {
    let Made { head, header, text, .. } = Made::of(SAMPLE);
    let mut check = crc32fast::Hasher::new();
    [&*head, &*header, text.as_bytes()].iter().for_each(|bytes| check.update(bytes));
    format!("{FORMAT}-{:08x}", check.finalize())
}

/// A handle for reading, from any thread, beside the one [`Appender`]; cheap to clone.
#[derive(Clone, Debug)]
pub struct Extract {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    slots: Files,
    head: Files,
    header: Files,
    text: Files,
}

impl Extract {
    /// Opens what is kept in this directory, making it where there is none, and drops what other
    /// versions left. There must be one appender for a directory.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(dir: PathBuf) -> Result<(Self, Appender), ExtractError> {
        let versioned = files::prepare(&dir, &version())?;
        let extract = Self::of(&versioned);
        let appender = Appender::new(extract.clone(), versioned)?;
        Ok((extract, appender))
    }

    /// For looking only, without an appender: changes nothing. What another version kept is not seen.
    #[must_use]
    pub fn look(dir: &Path) -> Self {
        Self::of(&dir.join(version()))
    }

    fn of(versioned: &Path) -> Self {
        let files = |name| Files::new(versioned.to_owned(), name);
        let shared = Arc::new(Shared {
            slots: files("slots"),
            head: files("head"),
            header: files("header"),
            text: files("text"),
        });
        Self { shared }
    }

    /// Removes all that is kept; where there is nothing, that is right.
    ///
    /// # Errors
    /// What the system says.
    pub fn drop_all(dir: PathBuf) -> Result<(), ExtractError> {
        files::remove_all(&dir)
    }

    fn files(&self, stream: Stream) -> &Files {
        match stream {
            Stream::Head => &self.shared.head,
            Stream::Header => &self.shared.header,
            Stream::Text => &self.shared.text,
        }
    }

    /// The slots of these messages, in their order; `None` where nothing is kept that can be
    /// believed.
    #[must_use]
    pub fn slots(&self, mails: &[MailId]) -> Vec<Option<Slot>> {
        let mut slots = Vec::with_capacity(mails.len());
        let spans = mails.iter().map(|&mail| slot_span(mail));
        visit(spans, &self.shared.slots, |at, bytes| {
            let slot = bytes.and_then(|bytes| Slot::decode(bytes.try_into().ok()?, mails[at]));
            slots.push(slot);
            Visit::GoOn
        });
        slots.resize(mails.len(), None);
        slots
    }

    /// Visits entries in order, near ones read together: `each` has the place in `mails` and the
    /// entry, `None` where it is missing or not to be believed. `slots` are those of `mails`.
    pub fn entries(
        &self,
        stream: Stream,
        mails: &[MailId],
        slots: &[Option<Slot>],
        mut each: impl FnMut(usize, Option<&[u8]>) -> Visit,
    ) {
        let spans = slots.iter().map(|slot| slot.as_ref().and_then(|slot| slot.span(stream)));
        visit(spans, self.files(stream), |at, bytes| {
            let entry = bytes.and_then(|bytes| appender::checked(bytes, mails[at]));
            each(at, entry)
        });
    }

    /// Behind the last mail id that a slot can be of: ids from here on have none.
    ///
    /// # Errors
    /// What the system says.
    pub fn end(&self) -> Result<MailId, ExtractError> {
        let last = self.shared.slots.last()?;
        let Some((number, bytes)) = last else { return Ok(MailId(0)) };
        let first = slot::first_mail(number);
        Ok(MailId(first.0 + bytes.div_ceil(SLOT_BYTES as u64)))
    }
}
