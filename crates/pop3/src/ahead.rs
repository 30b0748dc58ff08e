//! Reading for RETR and TOP: large messages in pieces, small ones that are asked for one after the
//! other with those behind them, since most programs fetch a maildrop from its first to its last.

use std::collections::VecDeque;
use std::ops::Range;

use mail_types::MailId;
use mailbox::Rows;
use store::{Store, StoreError, Visit};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Octets read at once; of a message that is larger, a piece.
const READ_OCTETS_MAX: u64 = 256 << 10;
/// Messages read at once.
const READ_MESSAGES_MAX: usize = 64;
/// Sessions that read at a time.
const READS_MAX: usize = 8;

/// Sessions take turns at reading.
#[derive(Debug)]
pub struct Reads(Semaphore);

impl Default for Reads {
    fn default() -> Self {
        Self(Semaphore::new(READS_MAX))
    }
}

impl Reads {
    /// Waits for a turn; the semaphore is never closed.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }
}

/// Octets that were read and not yet sent.
#[derive(Debug, Default)]
pub struct Ahead {
    parts: VecDeque<Part>,
    octets: Vec<u8>,
    /// The message that is asked for next, if it goes on as it went.
    next: Option<usize>,
}

#[derive(Debug)]
struct Part {
    message: usize,
    /// The part's first octet in the message.
    from: u64,
    /// Where it lies in the octets read.
    at: Range<usize>,
}

/// What is to be read.
pub struct Plan {
    mails: Vec<MailId>,
    /// Place of the first of them.
    first: usize,
    /// A piece of the one message; `None`: whole messages.
    piece: Option<Range<u64>>,
    octets: usize,
}

impl Ahead {
    /// Takes a part out, of at most so many octets; `None` where it was not read.
    pub fn take(&mut self, message: usize, from: u64, octets_max: usize) -> Option<Vec<u8>> {
        // Parts are in order: those in front were not asked for.
        while self.parts.front().is_some_and(|part| (part.message, part.from) < (message, from)) {
            self.parts.pop_front();
        }
        let part = self
            .parts
            .front_mut()
            .filter(|part| (part.message, part.from) == (message, from) && !part.at.is_empty())?;
        let end = part.at.end.min(part.at.start.saturating_add(octets_max));
        let taken = self.octets[part.at.start..end].to_vec();
        part.from += taken.len() as u64;
        part.at.start = end;
        if part.at.is_empty() {
            self.parts.pop_front();
            self.next = Some(message + 1);
            if self.parts.is_empty() {
                self.octets = Vec::new();
            }
        }
        Some(taken)
    }

    /// What to read for this part; `None` where there is no such message.
    pub fn plan(&self, rows: &Rows, message: usize, from: u64) -> Option<Plan> {
        if message >= rows.len() {
            return None;
        }
        let row = rows.at(message);
        if u64::from(row.size) > READ_OCTETS_MAX || from > 0 {
            let piece = from..from.saturating_add(READ_OCTETS_MAX);
            let mails = vec![MailId(row.mail)];
            return Some(Plan { mails, first: message, piece: Some(piece), octets: 0 });
        }
        let count_max = if self.next == Some(message) { READ_MESSAGES_MAX } else { 1 };
        let (mut mails, mut octets) = (Vec::new(), 0);
        for row in rows.slices(message..message + count_max).flat_map(|(_, rows)| rows) {
            octets += u64::from(row.size);
            if octets > READ_OCTETS_MAX {
                break;
            }
            mails.push(MailId(row.mail));
        }
        let octets = usize::try_from(octets).ok()?;
        Some(Plan { mails, first: message, piece: None, octets })
    }
}

impl Plan {
    /// Reads it; may block. What is lost is left out.
    pub fn read(self, store: &Store) -> Result<Ahead, StoreError> {
        let mut ahead = Ahead { octets: Vec::with_capacity(self.octets), ..Ahead::default() };
        let mut add = |message: usize, from: u64, octets: &[u8]| {
            let start = ahead.octets.len();
            ahead.octets.extend_from_slice(octets);
            ahead.parts.push_back(Part { message, from, at: start..ahead.octets.len() });
        };
        match (self.piece, self.mails.first()) {
            (Some(piece), Some(&mail)) => {
                if let Some(octets) = store.body_range(mail, piece.clone())? {
                    add(self.first, piece.start, &octets);
                }
            }
            _ => store.bodies(&self.mails, |at, body| {
                if let Some(body) = body {
                    add(self.first + at, 0, body);
                }
                Visit::GoOn
            })?,
        }
        Ok(ahead)
    }
}
