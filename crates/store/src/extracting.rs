//! The extractor: a thread that follows behind the commit, reads each accepted body once more (it is
//! still in memory) and keeps what programs will ask of it, see [`extract`]. It is never on the way
//! of an answer: what it has not done yet, or lost, is made from the body by whoever asks.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use extract::{Appender, BodyAt, BodyForm, Extract, ExtractError, Made, Stream, Visit};
use journal::{Disk, Kept, Reader};
use mail_types::MailId;

use crate::StoreError;
use crate::record::Place;
use crate::sql::{Executor, SqlError};
use crate::sqlite::Sqlite;

/// Messages that may wait to be extracted. Those beyond it are found at the next start.
const WAITING_MAX: usize = 1 << 20;
/// How long the first of a batch waits for others, so that one write serves many.
const GATHER: Duration = Duration::from_millis(5);
/// How long whoever waits for the thread may overlook that it is to stop.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Messages in one write.
const BATCH_MAILS_MAX: usize = 256;
/// Bytes in one write.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Messages looked for at a time at the start.
const LOOK_MAILS: usize = 1024;
/// The last messages of the index, which must be those that the slots tell of.
const COMPARED: usize = 64;
/// Of those, bodies that are read to be compared.
const READ_TO_COMPARE: usize = 4;
/// Slots behind the last message of the index that are looked at: there must be none.
const UNKNOWN_MAX: usize = 1 << 16;
/// Larger bodies are not extracted.
const BODY_BYTES_MAX: u64 = 128 << 20;
/// Bytes that the disk must have left: what is derived never takes the last room from mail.
const FREE_BYTES_MIN: u64 = 256 << 20;
/// How much the extractor stands behind the threads that people wait for.
const NICENESS: i32 = 10;

/// What the extractor is told.
enum Told {
    /// A message was accepted; its body is here.
    Accepted(MailId, Place),
    /// What is kept of a message cannot be believed.
    Again(MailId),
    /// These are purged: nothing is kept of them any more. Say when that is so.
    Forget(Vec<MailId>, Sender<()>),
    /// Say when all that was told before is done.
    Ask(Sender<()>),
    /// Nothing more will come.
    Stop,
}

/// The writer's and the readers' end.
pub struct Extracting {
    told: Sender<Told>,
    state: Arc<State>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    waiting: AtomicUsize,
    stopping: AtomicBool,
    /// All messages of earlier runs have been looked at.
    caught_up: AtomicBool,
    /// Some were passed over: the next start must look again.
    passed_over: AtomicBool,
}

/// Where what is kept of messages lies: beside the index.
pub fn extract_path(index_path: &Path) -> PathBuf {
    index_path.with_file_name("extract")
}

impl Extracting {
    /// Messages that wait.
    pub fn waiting(&self) -> usize {
        self.state.waiting.load(Ordering::Relaxed)
    }

    /// Starts the thread.
    pub fn start<D: Disk>(
        index_path: &Path,
        reader: Reader<D>,
    ) -> Result<(Self, Extract), StoreError> {
        let (extract, appender) = open(index_path, &reader)?;
        let (told, inbox) = mpsc::channel();
        let state: Arc<State> = Arc::default();
        let extractor = Extractor {
            index_path: index_path.to_owned(),
            reader,
            extract: extract.clone(),
            appender,
            inbox,
            state: Arc::clone(&state),
            batch: 0,
        };
        let thread = std::thread::Builder::new()
            .name("extractor".to_owned())
            .spawn(move || extractor.run())
            .map_err(|cause| StoreError::Io { doing: "start the extractor".to_owned(), cause })?;
        Ok((Self { told, state, thread: Mutex::new(Some(thread)) }, extract))
    }

    /// A message was accepted.
    pub fn accepted(&self, mail: MailId, at: Place) {
        self.tell(Told::Accepted(mail, at));
    }

    /// What is kept of a message is missing or wrong.
    pub fn again(&self, mail: MailId) {
        // While it is behind, it will come to this one anyway.
        let caught_up = self.state.caught_up.load(Ordering::Acquire);
        if caught_up && self.state.waiting.load(Ordering::Relaxed) < LOOK_MAILS {
            self.tell(Told::Again(mail));
        }
    }

    /// What is kept of purged messages goes; waits for it where that is wanted.
    pub fn forget(&self, mails: Vec<MailId>, wait: bool) {
        if mails.is_empty() {
            return;
        }
        let (done, answer) = mpsc::channel();
        self.state.waiting.fetch_add(1, Ordering::Relaxed);
        // A thread that is gone forgets nothing; the next start has it do so.
        self.told.send(Told::Forget(mails, done)).ok();
        if wait {
            answer.recv().ok();
        }
    }

    /// Waits until all that was told before is extracted, or whoever waits is to stop.
    pub fn wait(&self, stopping: &dyn Fn() -> bool) {
        let (done, answer) = mpsc::channel();
        self.tell(Told::Ask(done));
        while !stopping() {
            // A thread that ends says nothing: there is nothing more to wait for.
            if answer.recv_timeout(ASK_AGAIN) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn tell(&self, told: Told) {
        if self.state.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
            self.state.passed_over.store(true, Ordering::Release);
            return;
        }
        // A thread that is gone extracts nothing; the next start does.
        self.told.send(told).ok();
    }

    /// Has the thread end soon; what waits is left for the next start.
    pub fn stop(&self) {
        self.state.stopping.store(true, Ordering::Release);
        self.told.send(Told::Stop).ok();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the extractor ended in a panic");
        }
    }
}

/// Opens what is kept, and drops it where it is of another journal than the index: of one that was
/// put back from a copy, say, whose message ids were then given out once more.
fn open<D: Disk>(index_path: &Path, reader: &Reader<D>) -> Result<(Extract, Appender), StoreError> {
    let path = extract_path(index_path);
    let (extract, appender) = Extract::open(path.clone()).map_err(failed)?;
    if belongs(&extract, index_path, reader)? {
        return Ok((extract, appender));
    }
    tracing::warn!("what is kept of messages is of another journal: it is made anew");
    drop((extract, appender));
    Extract::drop_all(path.clone()).map_err(failed)?;
    Extract::open(path).map_err(failed)
}

fn failed(error: ExtractError) -> StoreError {
    StoreError::Io { doing: error.doing, cause: error.source }
}

/// Whether no slot tells of a message that the index does not know, and the last ones that it knows
/// lie where the slots say, and are what they say.
fn belongs<D: Disk>(
    extract: &Extract,
    index_path: &Path,
    reader: &Reader<D>,
) -> Result<bool, StoreError> {
    let mut sql = Sqlite::open_reader(index_path)?;
    let mut last = Vec::new();
    sql.query(
        "SELECT id, body_segment, body_place, body_bytes FROM mail ORDER BY id DESC LIMIT $1",
        &[(COMPARED as u64).into()],
        &mut |row| {
            last.push((MailId(row.id(0)?), place(row.id(1)?, row.id(2)?), row.id(3)?));
            Ok(())
        },
    )?;
    let mails: Vec<MailId> = last.iter().map(|(mail, ..)| *mail).collect();
    let slots = extract.slots(&mails);
    let kept = last.iter().zip(slots).filter_map(|(known, slot)| {
        let slot = slot?;
        Some((known, slot.body, place_of(&slot.body)?))
    });
    for (number, ((_, at, bytes), body, kept_at)) in kept.enumerate() {
        if kept_at != *at || u64::from(body.bytes) != *bytes {
            return Ok(false);
        }
        // Another body may lie at the same place.
        if number < READ_TO_COMPARE
            && let Ok(read) = reader.read_body((*at).into())
            && crc32fast::hash(&read) != body.crc
        {
            return Ok(false);
        }
    }
    let behind = mails.first().map_or(0, |last| last.0 + 1);
    let end = extract.end().map_err(failed)?;
    let unknown: Vec<MailId> = (behind..end.0).take(UNKNOWN_MAX).map(MailId).collect();
    Ok(extract.slots(&unknown).iter().all(Option::is_none))
}

fn place(segment: u64, offset: u64) -> Place {
    Place { segment: u32::try_from(segment).unwrap_or(u32::MAX), offset }
}

/// Where a body lies, where the slot knows.
pub fn place_of(body: &BodyAt) -> Option<Place> {
    let known = body.segment > 0;
    known.then(|| Place { segment: body.segment, offset: u64::from(body.offset) })
}

/// The thread.
struct Extractor<D: Disk> {
    index_path: PathBuf,
    reader: Reader<D>,
    extract: Extract,
    appender: Appender,
    inbox: Receiver<Told>,
    state: Arc<State>,
    /// Messages in the write that is being prepared.
    batch: usize,
}

impl<D: Disk> Extractor<D> {
    fn run(mut self) {
        // For this thread alone, as Linux counts; elsewhere, or where it fails, it is not humble.
        if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
            tracing::debug!(%error, "the extractor runs at the common priority");
        }
        let mark = match self.catch_up() {
            Ok(mark) => mark,
            Err(error) => {
                tracing::warn!(%error, "not all earlier messages were looked at for extracting");
                self.state.passed_over.store(true, Ordering::Release);
                MailId(0)
            }
        };
        self.state.caught_up.store(true, Ordering::Release);
        let last = self.follow(mark);
        if !self.state.passed_over.load(Ordering::Acquire)
            && self.inbox.try_recv().is_err()
            && let Err(error) = self.appender.set_mark(last)
        {
            tracing::warn!(%error, "the next start looks at all messages again");
        }
    }

    fn is_stopping(&self) -> bool {
        self.state.stopping.load(Ordering::Acquire)
    }

    /// Extracts what earlier runs did not; answers the last message that there is.
    fn catch_up(&mut self) -> Result<MailId, SqlError> {
        let mut sql = Sqlite::open_reader(&self.index_path)?;
        let mut last = self.appender.mark();
        let mut made = 0_u64;
        loop {
            let mut known = Vec::with_capacity(LOOK_MAILS);
            sql.query(
                "SELECT id, body_segment, body_place FROM mail WHERE id > $1 ORDER BY id LIMIT $2",
                &[last.0.into(), (LOOK_MAILS as u64).into()],
                &mut |row| {
                    known.push((MailId(row.id(0)?), place(row.id(1)?, row.id(2)?)));
                    Ok(())
                },
            )?;
            let Some((end, _)) = known.last() else { break };
            last = *end;
            let mails: Vec<MailId> = known.iter().map(|(mail, _)| *mail).collect();
            let slots = self.extract.slots(&mails);
            for ((mail, at), slot) in known.into_iter().zip(slots) {
                if self.is_stopping() {
                    self.state.passed_over.store(true, Ordering::Release);
                    return Ok(last);
                }
                if slot.is_none() {
                    made += 1;
                    self.mail(mail, at);
                }
            }
            self.flush();
        }
        if made > 0 {
            tracing::info!(messages = made, "earlier messages are extracted");
        }
        Ok(last)
    }

    /// Extracts what is told, until the end; answers the last message.
    fn follow(&mut self, mark: MailId) -> MailId {
        let mut last = mark;
        while let Ok(first) = self.inbox.recv() {
            if matches!(first, Told::Stop) || self.is_stopping() {
                if !matches!(first, Told::Stop) {
                    self.state.passed_over.store(true, Ordering::Release);
                }
                break;
            }
            std::thread::sleep(GATHER);
            let mut next = Some(first);
            let mut taken = 0;
            while let Some(told) = next {
                match told {
                    Told::Accepted(mail, at) => {
                        last = last.max(mail);
                        self.mail(mail, at);
                    }
                    Told::Again(mail) => self.again(mail),
                    Told::Forget(mails, done) => {
                        self.flush();
                        if let Err(error) = self.appender.erase(&mails) {
                            tracing::warn!(%error, "what is kept of purged messages is not erased");
                        }
                        // Whoever asked may be gone.
                        done.send(()).ok();
                    }
                    Told::Ask(done) => {
                        self.flush();
                        // Whoever asked may be gone.
                        done.send(()).ok();
                    }
                    Told::Stop => {
                        self.flush();
                        return last;
                    }
                }
                taken += 1;
                let full = self.batch == 0 || self.is_stopping();
                next = if full { None } else { self.inbox.try_recv().ok() };
            }
            self.flush();
            self.state.waiting.fetch_sub(taken, Ordering::AcqRel);
        }
        last
    }

    /// What is kept of a message was found missing or wrong: makes it anew if that is still so.
    fn again(&mut self, mail: MailId) {
        if self.is_whole(mail) {
            return;
        }
        let found = Sqlite::open_reader(&self.index_path)
            .and_then(|mut sql| crate::read::read_facts(&mut sql, mail));
        match found {
            Ok(Some(facts)) => {
                tracing::info!(%mail, "what is kept of a message is made anew");
                self.mail(mail, facts.body_at);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, %mail, "a message cannot be extracted anew"),
        }
    }

    fn is_whole(&self, mail: MailId) -> bool {
        let mails = [mail];
        let slots = self.extract.slots(&mails);
        let [Some(_)] = &*slots else { return false };
        let mut whole = true;
        for stream in [Stream::Head, Stream::Header, Stream::Text] {
            self.extract.entries(stream, &mails, &slots, |_, entry| {
                whole &= entry.is_some();
                Visit::GoOn
            });
        }
        whole
    }

    /// Makes what is to be kept of a message, and writes when enough of it waits.
    fn mail(&mut self, mail: MailId, at: Place) {
        match self.reader.read_kept_body(at.into()) {
            Ok(body) if body.bytes.len() as u64 <= BODY_BYTES_MAX => {
                let made = Made::of(&body.bytes);
                self.appender.add(mail, &made, body_at(at, &body));
                self.batch += 1;
            }
            Ok(_) => {}
            // Whoever asks for it hears why, and `verify` does.
            Err(error) => tracing::debug!(%error, %mail, "a message cannot be extracted"),
        }
        if self.batch >= BATCH_MAILS_MAX || self.appender.waiting() >= BATCH_BYTES_MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.batch == 0 {
            return;
        }
        self.batch = 0;
        let flushed = if self.has_room() {
            self.appender.flush()
        } else {
            self.appender.forget();
            Err(ExtractError {
                doing: "write while the disk is nearly full".to_owned(),
                source: std::io::ErrorKind::StorageFull.into(),
            })
        };
        if let Err(error) = flushed {
            let before = self.state.passed_over.swap(true, Ordering::AcqRel);
            if !before {
                tracing::warn!(%error, cause = %error.source, "messages are not extracted");
            }
        }
    }

    fn has_room(&self) -> bool {
        let dir = self.index_path.parent().unwrap_or(Path::new("."));
        // Where the system does not say, there is.
        rustix::fs::statvfs(dir)
            .map_or(true, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= FREE_BYTES_MIN)
    }
}

/// Where a body lies, for its slot.
pub fn body_at(at: Place, body: &journal::KeptBody) -> BodyAt {
    let (Ok(offset), Ok(bytes)) = (u32::try_from(at.offset), u32::try_from(body.bytes.len()))
    else {
        return BodyAt { form: BodyForm::Other, ..BodyAt::default() };
    };
    let form = match body.kept {
        Kept::Plain => BodyForm::Plain,
        Kept::Zstd => BodyForm::Zstd,
        Kept::Masked => BodyForm::Other,
        Kept::File => BodyForm::File,
    };
    let crc = crc32fast::hash(&body.bytes);
    BodyAt { segment: at.segment, offset, stored: body.stored, bytes, crc, form }
}
