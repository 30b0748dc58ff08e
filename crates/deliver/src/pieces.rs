//! Messages between the pieces that are sent of them.
//!
//! A message is checked as a whole whenever it is read, so reading it anew for each piece would cost
//! its length squared. As many as fit are kept whole; of each of the others the next part is, so
//! that hosts that take forever hold no more than that part of memory each.

use std::collections::HashMap;
use std::ops::{Deref, Range};
use std::sync::Arc;

use mail_types::MailId;

/// Octets of a message that are kept where it does not fit whole.
const PART_OCTETS: usize = 1 << 20;

/// What is kept of messages that are being sent: one entry for each at most.
#[derive(Debug)]
pub struct Pieces {
    kept: HashMap<MailId, Kept>,
    whole_octets: usize,
    whole_octets_max: usize,
}

#[derive(Debug)]
struct Kept {
    /// Where in the message it begins.
    start: usize,
    octets: Arc<Vec<u8>>,
    is_whole: bool,
}

/// A piece of a message.
#[derive(Clone, Debug)]
pub struct Piece {
    octets: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Piece {
    /// This part of a message.
    #[must_use]
    pub const fn of(message: Arc<Vec<u8>>, range: Range<usize>) -> Self {
        Self { octets: message, range }
    }
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.octets.get(self.range.clone()).unwrap_or_default()
    }
}

impl Pieces {
    /// Messages of so many octets together are kept whole.
    #[must_use]
    pub fn new(whole_octets_max: usize) -> Self {
        Self { kept: HashMap::new(), whole_octets: 0, whole_octets_max }
    }

    /// All of a message, where it is kept.
    #[must_use]
    pub fn whole(&self, mail: MailId) -> Option<Arc<Vec<u8>>> {
        self.kept.get(&mail).filter(|kept| kept.is_whole).map(|kept| Arc::clone(&kept.octets))
    }

    /// This part of a message, where it is kept.
    #[must_use]
    pub fn get(&self, mail: MailId, range: Range<usize>) -> Option<Piece> {
        let kept = self.kept.get(&mail)?;
        let start = range.start.checked_sub(kept.start)?;
        let end = range.end.checked_sub(kept.start)?;
        kept.octets.get(start..end)?;
        Some(Piece { octets: Arc::clone(&kept.octets), range: start..end })
    }

    /// A message was read; what follows from `start` on is wanted next.
    pub fn keep(&mut self, mail: MailId, message: &Arc<Vec<u8>>, start: usize) {
        self.forget(mail);
        let is_whole = message.len() <= self.whole_octets_max.saturating_sub(self.whole_octets);
        let kept = match is_whole {
            true => {
                self.whole_octets += message.len();
                Kept { start: 0, octets: Arc::clone(message), is_whole }
            }
            false => {
                let start = start.min(message.len());
                let end = start.saturating_add(PART_OCTETS).min(message.len());
                Kept { start, octets: Arc::new(message[start..end].to_vec()), is_whole }
            }
        };
        self.kept.insert(mail, kept);
    }

    /// A message was read, and is wanted again at once: kept where it fits whole.
    pub fn keep_whole(&mut self, mail: MailId, message: &Arc<Vec<u8>>) {
        if message.len() <= self.whole_octets_max.saturating_sub(self.whole_octets)
            && !self.kept.contains_key(&mail)
        {
            self.keep(mail, message, 0);
        }
    }

    /// Nothing more is wanted of it for now.
    pub fn forget(&mut self, mail: MailId) {
        if let Some(kept) = self.kept.remove(&mail)
            && kept.is_whole
        {
            self.whole_octets -= kept.octets.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mail_types::MailId;

    use super::{PART_OCTETS, Pieces};

    #[test]
    fn a_large_message_is_not_read_for_each_piece_of_it() {
        const PIECE: usize = 64 << 10;
        let message: Vec<u8> =
            (0..5 * PART_OCTETS).map(|at| u8::try_from(at / 7 % 251).unwrap_or_default()).collect();
        let message = Arc::new(message);
        let mut pieces = Pieces::new(message.len() + 10);
        pieces.keep(MailId(1), &message, 0);
        assert!(pieces.whole(MailId(1)).is_some());
        // There is no room for a second one.
        let (mut reads, mut got) = (0, Vec::new());
        while got.len() < message.len() {
            let range = got.len()..(got.len() + PIECE).min(message.len());
            if pieces.get(MailId(2), range.clone()).is_none() {
                reads += 1;
                pieces.keep(MailId(2), &message, range.start);
            }
            got.extend_from_slice(&pieces.get(MailId(2), range).unwrap());
        }
        assert_eq!((got == *message, reads), (true, 5));
        assert!(pieces.whole(MailId(2)).is_none());
        pieces.forget(MailId(1));
        pieces.keep(MailId(2), &message, 0);
        assert!(pieces.whole(MailId(2)).is_some());
        pieces.forget(MailId(2));
        assert!(pieces.kept.is_empty() && pieces.whole_octets == 0);
        // Where it does not fit, a message that is wanted whole is not kept in part.
        pieces.keep(MailId(1), &message, 0);
        pieces.keep_whole(MailId(2), &message);
        assert!(pieces.get(MailId(2), 0..1).is_none());
        pieces.forget(MailId(1));
        pieces.keep_whole(MailId(2), &message);
        assert!(pieces.get(MailId(2), 0..1).is_some());
    }
}
