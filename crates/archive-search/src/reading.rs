//! Reading attachments in a process of its own: whatever is in them, it can be ended.
//!
//! What is said of an attachment is kept, so it must be the attachment's own doing: whoever starts the
//! process limits its CPU time (`RLIMIT_CPU`), which a busy machine does not use up, and one that
//! ended over an attachment is asked once more, from the start.

use std::io::{BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use attachment_text::{Kind, Limits, Unreadable};
use rustix::process::Signal;

/// How long it may overlook that it is to stop.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Octets of an answer: a text, or why there is none.
const ANSWER_BYTES_MAX: u32 = 8 << 20;
/// Attachments that one process reads: whatever it does not give back comes back with its end.
const READ_MAX: u32 = 1000;

/// How long whoever asks waits.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// Until then.
    pub until: Instant,
    /// Whether to end now.
    pub stopping: &'a dyn Fn() -> bool,
}

impl Patience<'_> {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// Reads attachments.
pub trait Reader: Send {
    /// What is written in one.
    ///
    /// # Errors
    /// Why nothing was read.
    fn read(
        &mut self,
        kind: Kind,
        bytes: &[u8],
        patience: &Patience<'_>,
    ) -> Result<String, NotRead>;

    /// Whether it reads at all.
    fn is_on(&self) -> bool {
        true
    }
}

/// Why an attachment was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRead {
    /// It says so itself.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The reader said so.
    #[error("{0}")]
    Said(String),
    /// It took more of a processor's time than it may.
    #[error("it takes too long to read")]
    TooLong,
    /// The machine had no time for it.
    #[error("there was no time to read it")]
    NoTime,
    /// The reader ended over it: no memory, or a bug.
    #[error("the reader ended over it")]
    Ended,
    /// Attachments are not to be read.
    #[error("attachments are not read")]
    Off,
    /// No reader could be started: nothing is said of the attachment.
    #[error("the reader of attachments cannot be started: {0}")]
    NotStarted(String),
    /// It was to stop: nothing is said of the attachment.
    #[error("reading was stopped")]
    Stopped,
}

impl NotRead {
    /// Whether it may be another time: the machine was busy, or had no memory for it.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::NoTime | Self::Ended | Self::NotStarted(_) | Self::Stopped => true,
            Self::Unreadable(_) | Self::Said(_) | Self::TooLong | Self::Off => false,
        }
    }
}

/// Reads none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoReader;

impl Reader for NoReader {
    fn read(&mut self, _: Kind, _: &[u8], _: &Patience<'_>) -> Result<String, NotRead> {
        Err(NotRead::Off)
    }

    fn is_on(&self) -> bool {
        false
    }
}

/// Has a process read, which is started when it is first needed and after each end.
#[derive(Debug)]
pub struct ReaderProcess {
    program: PathBuf,
    arguments: Vec<String>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<Result<String, String>>,
    read: u32,
}

impl ReaderProcess {
    /// A program that calls [`serve_reader`] when it is given these arguments.
    #[must_use]
    pub const fn new(program: PathBuf, arguments: Vec<String>) -> Self {
        Self { program, arguments, running: None }
    }

    fn start(&self) -> std::io::Result<Running> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            // Proven: both were asked for above.
            return Err(std::io::ErrorKind::BrokenPipe.into());
        };
        let (told, heard) = mpsc::channel();
        std::thread::Builder::new().name("reader-answers".to_owned()).spawn(move || {
            let mut answers = BufReader::new(answers);
            // The end of the process ends this; so does that of whoever hears it.
            while let Ok(answer) = read_answer(&mut answers) {
                if told.send(answer).is_err() {
                    return;
                }
            }
        })?;
        Ok(Running { child, questions, answers: heard, read: 0 })
    }

    fn end(&mut self) -> Option<ExitStatus> {
        let mut running = self.running.take()?;
        // One that has ended cannot be killed, and needs not.
        running.child.kill().ok();
        running.child.wait().ok()
    }

    fn ask(
        &mut self,
        kind: Kind,
        bytes: &[u8],
        patience: &Patience<'_>,
    ) -> Result<String, NotRead> {
        let running = match &mut self.running {
            Some(running) => running,
            None => {
                let started = self.start().map_err(|error| NotRead::NotStarted(error.to_string()));
                self.running.insert(started?)
            }
        };
        running.read += 1;
        let asked = write_question(&mut running.questions, kind, bytes);
        let outcome = match asked {
            Ok(()) => running.answer(patience),
            Err(_) => Err(NotRead::Ended),
        };
        match outcome {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(why)) => Err(NotRead::Said(why)),
            Err(why) => {
                let signal = self.end().and_then(|status| status.signal());
                let no_time = signal == Some(Signal::XCPU.as_raw());
                Err(if no_time { NotRead::TooLong } else { why })
            }
        }
    }
}

impl Running {
    fn answer(&self, patience: &Patience<'_>) -> Result<Result<String, String>, NotRead> {
        loop {
            if (patience.stopping)() {
                return Err(NotRead::Stopped);
            }
            let left = patience.until.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left.min(ASK_AGAIN)) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(NotRead::Ended),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Err(NotRead::NoTime),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Drop for ReaderProcess {
    fn drop(&mut self) {
        self.end();
    }
}

impl Reader for ReaderProcess {
    fn read(
        &mut self,
        kind: Kind,
        bytes: &[u8],
        patience: &Patience<'_>,
    ) -> Result<String, NotRead> {
        if bytes.len() > Limits::default().bytes_max {
            return Err(Unreadable::TooLarge.into());
        }
        if self.running.as_ref().is_some_and(|running| running.read >= READ_MAX) {
            self.end();
        }
        let fresh = self.running.is_none();
        match self.ask(kind, bytes, patience) {
            // The system may have ended it, for want of memory, or what it read before.
            Err(NotRead::Ended) => self.ask(kind, bytes, patience),
            // Its CPU time may have gone to those before.
            Err(NotRead::TooLong) if !fresh && !patience.is_over() => {
                self.ask(kind, bytes, patience)
            }
            other => other,
        }
    }
}

// kind u8 · length u32 · the octets; answered by: 1 or 0 · length u32 · the text, or why there is none
fn write_question(to: &mut impl Write, kind: Kind, bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(&[kind.code()])?;
    let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

fn read_answer(from: &mut impl Read) -> std::io::Result<Result<String, String>> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    if length > ANSWER_BYTES_MAX {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text)?;
    let text = String::from_utf8(text).map_err(std::io::Error::other)?;
    Ok(if head[0] == 1 { Ok(text) } else { Err(text) })
}

/// Answers questions until there are no more: what the reader's process does.
///
/// # Errors
/// Where whoever asks is gone.
pub fn serve_reader(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<()> {
    let limits = Limits::default();
    loop {
        let mut head = [0; 5];
        match from.read_exact(&mut head) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > limits.bytes_max {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes)?;
        let read = Kind::from_code(head[0])
            .ok_or(Unreadable::Broken)
            .and_then(|kind| attachment_text::text_of(kind, bytes, &limits));
        let (ok, text) = match read {
            Ok(text) => (1, text),
            Err(error) => (0, error.to_string()),
        };
        to.write_all(&[ok])?;
        let length = u32::try_from(text.len()).map_err(std::io::Error::other)?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(text.as_bytes())?;
        to.flush()?;
    }
}
