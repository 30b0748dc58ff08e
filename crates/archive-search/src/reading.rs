//! Reading attachments in a process of its own: whatever is in them, it can be ended.

use std::io::{BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use attachment_text::{Kind, Limits, Unreadable};

/// How long one attachment may take.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Octets of an answer: a text, or why there is none.
const ANSWER_BYTES_MAX: u32 = 8 << 20;
/// Attachments that one process reads: whatever it does not give back comes back with its end.
const READ_MAX: u32 = 1000;

/// Reads attachments.
pub trait Reader: Send {
    /// What is written in one.
    ///
    /// # Errors
    /// Why nothing was read, to be shown.
    fn read(&mut self, kind: Kind, bytes: &[u8]) -> Result<String, NotRead>;
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
    /// It took longer than it may.
    #[error("it takes too long to read")]
    TooLong,
    /// The reader ended over it: no memory, or a bug.
    #[error("the reader ended over it")]
    Ended,
    /// Attachments are not to be read.
    #[error("attachments are not read")]
    Off,
}

/// Reads none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoReader;

impl Reader for NoReader {
    fn read(&mut self, _kind: Kind, _bytes: &[u8]) -> Result<String, NotRead> {
        Err(NotRead::Off)
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

    fn end(&mut self) {
        if let Some(mut running) = self.running.take() {
            // One that has ended cannot be killed, and needs not.
            running.child.kill().ok();
            running.child.wait().ok();
        }
    }
}

impl Drop for ReaderProcess {
    fn drop(&mut self) {
        self.end();
    }
}

impl Reader for ReaderProcess {
    fn read(&mut self, kind: Kind, bytes: &[u8]) -> Result<String, NotRead> {
        if bytes.len() > Limits::default().bytes_max {
            return Err(Unreadable::TooLarge.into());
        }
        if self.running.as_ref().is_some_and(|running| running.read >= READ_MAX) {
            self.end();
        }
        if self.running.is_none() {
            let started = self.start();
            self.running = started
                .inspect_err(|error| tracing::warn!(%error, "attachments cannot be read"))
                .ok();
        }
        let Some(running) = &mut self.running else { return Err(NotRead::Ended) };
        running.read += 1;
        let asked = write_question(&mut running.questions, kind, bytes);
        let answer = asked.map(|()| running.answers.recv_timeout(TIME_MAX));
        let outcome = match answer {
            Ok(Ok(Ok(text))) => return Ok(text),
            Ok(Ok(Err(why))) => return Err(NotRead::Said(why)),
            Ok(Err(mpsc::RecvTimeoutError::Timeout)) => NotRead::TooLong,
            Ok(Err(mpsc::RecvTimeoutError::Disconnected)) | Err(_) => NotRead::Ended,
        };
        self.end();
        Err(outcome)
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
