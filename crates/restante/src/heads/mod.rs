//! Signed heads of the journal: made behind the sync while the server runs, shown, proved and sent
//! elsewhere. Crate `ledger` has the tree and the rules.

pub mod asked;
pub mod command;
mod proof;
pub mod sending;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use config::Config;
use ledger::{Ledger, LedgerError, SignedHead, heads_path};
use mail_types::RecordSeq;
use store::Store;

use crate::data_dir::DataDir;

/// The journal is looked at so often.
const LOOK_EACH: Duration = Duration::from_secs(1);
/// After trouble.
const AFTER_TROUBLE: Duration = Duration::from_secs(60);
/// Steps of the journal, of 16,384 records each, that a stop waits for.
const STEPS_AT_STOP_MAX: u32 = 8;
/// How much it stands behind the threads that people wait for.
const NICENESS: i32 = 10;
/// How often a proof waits for a head that covers its record, a quarter of a second each time.
const WAITS_MAX: u32 = 12;
const WAIT: Duration = Duration::from_millis(250);

/// The tree of an open store.
pub struct Heads {
    ledger: Mutex<Ledger>,
    store: Store,
    dir: PathBuf,
    /// The server stops: nobody waits for what can be done at the next start.
    stopping: AtomicBool,
}

/// Follows the journal until it is dropped.
pub struct Following {
    heads: Arc<Heads>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heads {
    /// Opens what is kept, making a key where there is none.
    pub fn open(data: &DataDir, config: &Config, store: &Store) -> anyhow::Result<Arc<Self>> {
        let dir = heads_path(data.path());
        // tlog-checkpoint: the origin is a URL without scheme.
        let name = format!("{}/restante", config.hostname);
        let ledger = Ledger::open(&dir, &name).context("signed heads cannot be made")?;
        Ok(Arc::new(Self {
            ledger: Mutex::new(ledger),
            store: store.clone(),
            dir,
            stopping: AtomicBool::new(false),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // A panic in the middle leaves a tree that its own checks find wrong.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the journal has and signs; does not wait.
    fn look(&self) -> Result<(), LedgerError> {
        let journal = self.store.journal();
        // Each turn takes a step's records, so that whoever asks for a proof gets in between.
        while self.lock().advance(&journal)? {
            if self.stopping.load(Ordering::Acquire) {
                return Ok(());
            }
        }
        self.lock().sign(net::now()).map(drop)
    }

    /// The latest head, which covers this record.
    fn covering(&self, seq: RecordSeq) -> Result<SignedHead, LedgerError> {
        for _ in 0..WAITS_MAX {
            self.look()?;
            if let Some(head) = self.lock().latest().filter(|head| head.checkpoint.size >= seq.0) {
                return Ok(head.clone());
            }
            // No more than one is signed in a second.
            std::thread::sleep(WAIT);
        }
        Err(LedgerError::NotYet(seq.0))
    }

    /// Follows the journal on a thread of its own.
    pub fn follow(self: &Arc<Self>) -> anyhow::Result<Following> {
        let (stop, stopped) = channel();
        let (heads, followed) = (Arc::clone(self), Arc::clone(self));
        let thread = std::thread::Builder::new()
            .name("heads".to_owned())
            .spawn(move || heads.run(&stopped))
            .context("cannot start the thread of signed heads")?;
        Ok(Following { heads: followed, stop: Some(stop), thread: Some(thread) })
    }

    fn run(&self, stopped: &Receiver<()>) {
        // For this thread alone, as Linux counts; elsewhere, or where it fails, it is not humble.
        if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
            tracing::debug!(%error, "heads are signed at the common priority");
        }
        let mut wait = LOOK_EACH;
        while matches!(stopped.recv_timeout(wait), Err(RecvTimeoutError::Timeout)) {
            wait = match self.look() {
                Ok(()) => LOOK_EACH,
                Err(error) => {
                    tell(&error);
                    AFTER_TROUBLE
                }
            };
        }
        if let Err(error) = self.finish() {
            tell(&error);
        }
    }

    /// Signs what the last second brought, and keeps it: a stop is when journals are changed.
    fn finish(&self) -> Result<(), LedgerError> {
        let journal = self.store.journal();
        let mut ledger = self.lock();
        let now = net::now();
        // Where there is more to catch up with, it goes on at the next start: nobody waits for it.
        for _ in 0..STEPS_AT_STOP_MAX {
            if !ledger.advance(&journal)? {
                ledger.sign(now.after(LOOK_EACH))?;
                break;
            }
        }
        ledger.keep(now)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.heads.stopping.store(true, Ordering::Release);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of signed heads ended in a panic");
        }
    }
}

fn tell(error: &LedgerError) {
    match error {
        LedgerError::CutBack { .. } | LedgerError::Fork { .. } => tracing::error!(
            %error,
            "ALARM: the journal is not the one whose heads were signed: restante verify tells \
             more; if it was put back on purpose, move the directory heads away and start again"
        ),
        LedgerError::Io { .. }
        | LedgerError::Key(_)
        | LedgerError::Journal(_)
        | LedgerError::Gap(_)
        | LedgerError::Tree(_)
        | LedgerError::Checkpoint(_)
        | LedgerError::None
        | LedgerError::NotYet(_) => {
            tracing::error!(%error, "ALARM: no heads are signed; mail is not touched by this");
        }
    }
}
