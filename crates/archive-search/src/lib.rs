//! Finds any message ever accepted: by its words, people and files, and by what is so of it.
//!
//! - [`Query`] is what people write, [`Search::find`] hands out what it finds as it is found, the
//!   newest first.
//! - Words stand in a file of its own beside the index (`search.sqlite`). It is derived: it can be
//!   removed at any time and is made anew in the background, and a search says how many messages it
//!   knows. What changes (state, mailboxes) is asked of the store for each message found.
//! - What stands in attachments is read by [`attachment_text`] in a process of its own.
//!
//! It never decides about mail, never changes it, and is on nobody's way: not on that of an
//! acceptance, nor of a session. It opens no socket.

mod again;
mod dates;
mod document;
mod excerpt;
mod find;
mod indexing;
mod kept;
mod matching;
mod query;
mod reading;
mod scour;
mod sight;
mod words;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use store::{Store, StoreError};

pub use again::Unread;
pub use dates::Span;
pub use excerpt::Excerpt;
pub use find::{Asked, Ended, Found, Lost, TIME_MAX, Told, Where};
pub use indexing::{Pace, Progress};
pub use kept::Attachment;
pub use query::{
    Direction, Fact, Place, QUERY_OCTETS_MAX, Query, QueryError, TERMS_MAX, Term, Verdict, Words,
};
pub use reading::{NoReader, NotRead, Patience, Reader, ReaderProcess, serve_reader};
pub use sight::{Seen, Sight};
pub use words::{WORD_OCTETS_MAX, Wanted, fold_words, write_words};

use crate::indexing::{Indexer, State};

/// Searches at a time; one more is asked to come again.
const SEARCHES_MAX: usize = 8;
/// Of these, for those who may not see everything, each one at a time: the rest is the operators'.
const VISITORS_MAX: usize = 4;

/// How messages are put in.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Of a core, how much earlier messages may take, in percent.
    pub rebuild_percent: u32,
    /// How long nothing was taken out before its traces are taken off the disk.
    pub scour_after: Duration,
}

impl Settings {
    /// How long to rest after so much work.
    fn rest_after(self, work: Duration) -> Duration {
        let percent = self.rebuild_percent.clamp(1, 100);
        work.saturating_mul(100 - percent) / percent
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// Too many at once.
    #[error("{SEARCHES_MAX} searches are under way already; try again")]
    Busy,
    /// The same asks already.
    #[error("another search of yours is under way; let it end first")]
    OneAtATime,
    /// It would tell of others.
    #[error("{0} cannot be asked for here: it would tell of the mail of others")]
    NotYours(&'static str),
    /// It is not there yet.
    #[error("nothing can be searched yet: it is being made")]
    NotThere,
    /// A mailbox of this name has more messages than can be looked through.
    #[error("in:{0} names too many messages; add account:… to it")]
    TooManyIn(String),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is searched in could not be read or written.
    #[error("what is searched in: {0}")]
    Sql(#[from] rusqlite::Error),
    /// A file could not be changed.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A text could not be packed.
    #[error("cannot pack a text: {0}")]
    Packing(#[source] std::io::Error),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// Attachments cannot be read now.
    #[error("the reader of attachments cannot be started: {0}")]
    Reader(String),
    /// It was to stop.
    #[error("making messages searchable was stopped")]
    Stopped,
    /// The disk has no room for what is only derived.
    #[error("the disk is nearly full")]
    DiskFull,
}

impl SearchError {
    /// The file itself is broken, rather than the disk full or the system out of something.
    fn is_broken(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let Self::Sql(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
    }
}

/// Where words are kept in a data directory.
#[must_use]
pub fn search_path(data: &Path) -> PathBuf {
    data.join("search.sqlite")
}

/// What can be searched in.
#[derive(Debug)]
pub struct Search {
    path: PathBuf,
    state: Arc<State>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Searches under way.
    under_way: AtomicUsize,
    /// Who looks that may not see everything.
    visitors: Mutex<HashSet<String>>,
}

impl Search {
    /// Puts in what is missing and whatever comes, in the background, until [`Search::stop`].
    ///
    /// # Errors
    /// The index's, or where no thread can be had.
    pub fn start(
        store: &Store,
        path: PathBuf,
        settings: Settings,
        reader: Box<dyn Reader>,
    ) -> Result<Arc<Self>, SearchError> {
        let state: Arc<State> = Arc::default();
        // From here on it hears of each, and those before are in the index.
        let heard = Arc::clone(&state);
        store.on_accepted(Box::new(move |mails| heard.add(mails)));
        let indexer =
            Indexer::new(store.clone(), path.clone(), Arc::clone(&state), reader, settings)?;
        let thread = std::thread::Builder::new()
            .name("search".to_owned())
            .spawn(move || indexer.run())
            .map_err(SearchError::Thread)?;
        Ok(Arc::new(Self::new(path, state, Some(thread))))
    }

    /// Puts in what is missing here and now, where no server runs, and can then be searched.
    ///
    /// # Errors
    /// Where the file cannot be made, or the archive not be read.
    pub fn caught_up(
        store: &Store,
        path: PathBuf,
        reader: &mut dyn Reader,
        each: &mut dyn FnMut(Progress) -> Pace,
    ) -> Result<Self, SearchError> {
        let progress = indexing::catch_up(store, &path, reader, each)?;
        let state = State::default();
        state.searchable.store(progress.searchable, Ordering::Release);
        Ok(Self::new(path, Arc::new(state), None))
    }

    fn new(path: PathBuf, state: Arc<State>, thread: Option<JoinHandle<()>>) -> Self {
        let (thread, visitors) = (Mutex::new(thread), Mutex::default());
        Self { path, state, thread, under_way: AtomicUsize::new(0), visitors }
    }

    /// How many messages can be found, of how many.
    ///
    /// # Errors
    /// The index's.
    pub fn progress(&self, store: &Store) -> Result<Progress, SearchError> {
        let complete = self.state.is_complete();
        let searchable = self.state.searchable.load(Ordering::Acquire);
        let messages = if complete { searchable } else { store.mail_count()? };
        Ok(Progress { searchable, messages: messages.max(searchable) })
    }

    /// The attachments that are not found by what is written in them, by the reason.
    ///
    /// # Errors
    /// Where there is nothing to read it from yet.
    pub fn unread(&self) -> Result<Vec<Unread>, SearchError> {
        let sql = self.reader()?;
        Ok(again::unread(&sql)?)
    }

    fn reader(&self) -> Result<rusqlite::Connection, SearchError> {
        let sql = kept::open_reader(&self.path);
        let sql = sql.map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::CannotOpen) => SearchError::NotThere,
            _ => SearchError::Sql(error),
        })?;
        // It may be about to be made.
        if kept::has_tables(&sql)? { Ok(sql) } else { Err(SearchError::NotThere) }
    }

    /// Has the thread end; what it has not done is left for the next start.
    pub fn stop(&self) {
        self.state.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("making messages searchable ended in a panic");
        }
    }
}
