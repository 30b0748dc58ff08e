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

mod dates;
mod document;
mod excerpt;
mod find;
mod indexing;
mod kept;
mod matching;
mod query;
mod reading;
mod words;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use store::{Store, StoreError};

pub use dates::Span;
pub use excerpt::Excerpt;
pub use find::{Asked, Ended, Found, Lost, TIME_MAX, Told, Where};
pub use indexing::{Pace, Progress};
pub use kept::Attachment;
pub use query::{
    Direction, Fact, Place, QUERY_OCTETS_MAX, Query, QueryError, TERMS_MAX, Term, Verdict, Words,
};
pub use reading::{NoReader, NotRead, Patience, Reader, ReaderProcess, serve_reader};
pub use words::{WORD_OCTETS_MAX, Wanted, fold_words, write_words};

use crate::indexing::{Indexer, State};

/// Searches at a time; one more is asked to come again.
const SEARCHES_MAX: usize = 8;

/// How messages are put in.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Of a core, how much earlier messages may take, in percent.
    pub rebuild_percent: u32,
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
        let (thread, under_way) = (Mutex::new(Some(thread)), AtomicUsize::new(0));
        Ok(Arc::new(Self { path, state, thread, under_way }))
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
        Ok(Self {
            path,
            state: Arc::new(state),
            thread: Mutex::new(None),
            under_way: AtomicUsize::new(0),
        })
    }

    /// A message is not what it was: what is kept of it is made anew.
    pub fn again(&self, mail: mail_types::MailId) {
        self.state.add(&[mail]);
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
