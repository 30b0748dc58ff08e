//! Reading messages many at a time: what is kept of them, their bodies, and searching in them. What
//! is not kept, or cannot be believed, is made from the body, and comes out the same.

use std::io;
use std::ops::Range;

use extract::{
    BLOCK_BYTES, BodyAt, BodyForm, FileSpan, Head, Header, Keys, Made, Part, ReadAt, Slot, Stream,
    Visit, visit,
};
use journal::{Disk, FRAME_HEADER_BYTES, Reader, decompress_into};
use mail_types::MailId;
use message::header_range;

use crate::extracting::place_of;
use crate::record::Place;
use crate::{Store, StoreError};

/// Messages whose slots are looked at together.
const SLOTS_AT_A_TIME: usize = 1024;
/// Bytes of bodies that a search reads, where nothing is kept of them, before it answers with what
/// it has.
const SEARCH_BODY_BYTES_MAX: usize = 8 << 20;

/// The segments as numbered files.
struct Segments<'a, D: Disk>(&'a Reader<D>);

impl<D: Disk> ReadAt for Segments<'_, D> {
    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_segment(file, offset, buffer)
    }
}

/// Messages with what is known of where they lie.
pub(crate) struct Known<'a> {
    pub(crate) mails: &'a [MailId],
    pub(crate) slots: Vec<Option<Slot>>,
    /// Places of the bodies of those without a slot, by message, ascending.
    places: Vec<(MailId, Place)>,
}

impl Known<'_> {
    /// As the index said.
    fn place(&self, at: usize) -> Option<Place> {
        let mail = self.mails[at];
        let found = self.places.binary_search_by_key(&mail, |(mail, _)| *mail).ok()?;
        Some(self.places[found].1)
    }
}

impl<D: Disk> Store<D> {
    /// Blocks until everything accepted before is extracted. Nobody needs to: what is not is only
    /// slower to read.
    pub fn wait_extracted(&self) {
        self.wait_extracted_unless(&|| false);
    }

    /// The same for one that may be stopped: an extractor that has much to catch up with answers
    /// only behind it.
    pub fn wait_extracted_unless(&self, stopping: &dyn Fn() -> bool) {
        self.shared.extracting.wait(stopping);
    }

    /// Visits envelopes, structures and summaries in order; `None` for a message that is lost, which
    /// is logged.
    ///
    /// # Errors
    /// The index's.
    pub fn heads(
        &self,
        mails: &[MailId],
        mut each: impl FnMut(usize, Option<Head<'_>>) -> Visit,
    ) -> Result<(), StoreError> {
        let known = self.known(mails)?;
        self.extract.entries(Stream::Head, mails, &known.slots, |at, entry| {
            if let Some(head) = entry.and_then(Head::read) {
                return each(at, Some(head));
            }
            let made = self.anew(&known, at).map(|body| Made::of(&body));
            each(at, made.as_ref().and_then(|made| Head::read(&made.head)))
        });
        Ok(())
    }

    /// Visits the headers in order, each with its blank line; `None` as above.
    ///
    /// # Errors
    /// The index's.
    pub fn headers(
        &self,
        mails: &[MailId],
        mut each: impl FnMut(usize, Option<&[u8]>) -> Visit,
    ) -> Result<(), StoreError> {
        let known = self.known(mails)?;
        self.extract.entries(Stream::Header, mails, &known.slots, |at, entry| {
            match entry.and_then(Header::read) {
                Some(header) if !header.raw.is_empty() => each(at, Some(header.raw)),
                // A long one is not kept.
                Some(_) => self.header_of_body(&known, at, &mut each),
                None => {
                    self.shared.extracting.again(known.mails[at]);
                    self.header_of_body(&known, at, &mut each)
                }
            }
        });
        Ok(())
    }

    fn header_of_body(
        &self,
        known: &Known<'_>,
        at: usize,
        each: &mut impl FnMut(usize, Option<&[u8]>) -> Visit,
    ) -> Visit {
        let body = self.body_at(known, at);
        each(at, body.as_ref().map(|body| &body[header_range(body)]))
    }

    /// Visits the bodies in order; `None` as above.
    ///
    /// # Errors
    /// The index's.
    pub fn bodies(
        &self,
        mails: &[MailId],
        mut each: impl FnMut(usize, Option<&[u8]>) -> Visit,
    ) -> Result<(), StoreError> {
        let known = self.known(mails)?;
        let spans = known.slots.iter().map(|slot| body_span(&slot.as_ref()?.body));
        let mut raw = Vec::new();
        visit(spans, &Segments(&self.reader), |at, stored| {
            let slot = known.slots[at].as_ref();
            let body =
                stored.zip(slot).and_then(|(bytes, slot)| plain(&slot.body, bytes, &mut raw));
            match body {
                Some(body) => each(at, Some(body)),
                // Kept in another way, rotten, purged or unknown: the careful way tells.
                None => each(at, self.body_at(&known, at).as_deref()),
            }
        });
        Ok(())
    }

    /// A part of a body: of a large one, only the blocks around it are read. `None` where the body
    /// is lost, which is logged; fewer bytes where the body ends.
    ///
    /// # Errors
    /// The index's.
    pub fn body_range(
        &self,
        mail: MailId,
        range: Range<u64>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mails = [mail];
        let known = self.known(&mails)?;
        let slot = known.slots[0].filter(|slot| slot.body.form == BodyForm::File);
        if let Some(part) = slot.and_then(|slot| self.checked_blocks(&known, &slot.body, &range)) {
            return Ok(Some(part));
        }
        let clamp = |at: u64, len: usize| usize::try_from(at).unwrap_or(usize::MAX).min(len);
        Ok(self.body_at(&known, 0).map(|body| {
            let end = clamp(range.end, body.len());
            body[clamp(range.start, end)..end].to_vec()
        }))
    }

    /// The range, from the blocks that it lies in, each with its check; `None` where one fails or
    /// the checks are not kept.
    fn checked_blocks(
        &self,
        known: &Known<'_>,
        body: &BodyAt,
        range: &Range<u64>,
    ) -> Option<Vec<u8>> {
        let end = range.end.min(u64::from(body.bytes));
        let start = range.start.min(end);
        let first = usize::try_from(start).ok()? / BLOCK_BYTES;
        let last = usize::try_from(end).ok()?.div_ceil(BLOCK_BYTES);
        let mut checks: Vec<u32> = Vec::new();
        self.extract.entries(Stream::Head, known.mails, &known.slots, |_, entry| {
            let blocks = entry.and_then(Head::read).map(|head| head.part(Part::Blocks));
            let blocks = blocks.and_then(|blocks| blocks.get(first * 4..last * 4));
            let words = blocks.unwrap_or_default().as_chunks::<4>().0;
            checks.extend(words.iter().map(|word| u32::from_le_bytes(*word)));
            Visit::Stop
        });
        let from = (first * BLOCK_BYTES) as u64;
        let to = ((last * BLOCK_BYTES) as u64).min(u64::from(body.bytes));
        let mut bytes = vec![0; usize::try_from(to.checked_sub(from)?).ok()?];
        let at = place_of(body)?.into();
        let read = self.reader.read_body_file(at, from, &mut bytes).ok()?;
        let blocks = bytes.chunks(BLOCK_BYTES);
        let is_whole = read == bytes.len()
            && blocks.len() == checks.len()
            && blocks.zip(&checks).all(|(block, check)| crc32fast::hash(block) == *check);
        if !is_whole {
            return None;
        }
        bytes.truncate((end - from) as usize);
        bytes.drain(..(start - from) as usize);
        Some(bytes)
    }

    /// Which of the keys are found in which of the messages, for the first of them, and at least one:
    /// [`Keys::words`] words for each. A message that is lost matches nothing.
    ///
    /// # Errors
    /// The index's.
    pub fn search(&self, mails: &[MailId], keys: &Keys) -> Result<Vec<u64>, StoreError> {
        let mut found = Vec::with_capacity(mails.len() * keys.words());
        let mut body_bytes = 0;
        for mails in mails.chunks(SLOTS_AT_A_TIME) {
            let known = self.known(mails)?;
            let start = found.len();
            found.resize(start + mails.len() * keys.words(), 0);
            self.search_known(&known, keys, &mut found[start..], &mut body_bytes);
            if body_bytes >= SEARCH_BODY_BYTES_MAX {
                break;
            }
        }
        Ok(found)
    }

    fn search_known(
        &self,
        known: &Known<'_>,
        keys: &Keys,
        found: &mut [u64],
        body_bytes: &mut usize,
    ) {
        let words = keys.words();
        let of = |at: usize| at * words..(at + 1) * words;
        let mut in_body = |at: usize, found: &mut [u64]| {
            if let Some(body) = self.anew(known, at) {
                *body_bytes += body.len();
                keys.in_body(known.mails[at], &body, found);
            }
        };
        // All keys have been tried.
        let mut done = vec![false; known.mails.len()];
        let whole =
            |at: usize, is_whole: fn(&Slot) -> bool| known.slots[at].as_ref().is_some_and(is_whole);
        if keys.look_at_header() {
            self.extract.entries(Stream::Header, known.mails, &known.slots, |at, entry| {
                let found = &mut found[of(at)];
                let entry = entry.filter(|_| whole(at, |slot| slot.header_whole));
                match entry.and_then(Header::read) {
                    Some(header) => keys.in_header(known.mails[at], &header, found),
                    None => {
                        in_body(at, found);
                        done[at] = true;
                    }
                }
                Visit::GoOn
            });
        }
        let mut open = known.slots.clone();
        for (at, done) in done.iter_mut().enumerate() {
            *done |= !keys.look_at_text(&found[of(at)]);
            open[at] = open[at].filter(|_| !*done);
        }
        if done.iter().all(|done| *done) {
            return;
        }
        self.extract.entries(Stream::Text, known.mails, &open, |at, entry| {
            let found = &mut found[of(at)];
            match entry.filter(|_| whole(at, |slot| slot.text_whole)) {
                _ if done[at] => {}
                Some(text) => keys.in_text(text, found),
                None => in_body(at, found),
            }
            Visit::GoOn
        });
    }

    /// Where messages lie: from the slots, and for those without one from the index.
    pub(crate) fn known<'a>(&self, mails: &'a [MailId]) -> Result<Known<'a>, StoreError> {
        let slots = self.extract.slots(mails);
        let unknown = mails
            .iter()
            .zip(&slots)
            .filter(|(_, slot)| slot.as_ref().is_none_or(|slot| place_of(&slot.body).is_none()));
        let unknown: Vec<MailId> = unknown.map(|(mail, _)| *mail).collect();
        let mut places = Vec::new();
        if !unknown.is_empty() {
            let facts = self.mail_facts(&unknown)?;
            places = facts.iter().map(|facts| (facts.receipt.mail, facts.body_at)).collect();
            places.sort_unstable_by_key(|(mail, _)| *mail);
        }
        Ok(Known { mails, slots, places })
    }

    /// The body of a message of which something kept was missing, and is made anew.
    pub(crate) fn anew(&self, known: &Known<'_>, at: usize) -> Option<Vec<u8>> {
        self.shared.extracting.again(known.mails[at]);
        self.body_at(known, at)
    }

    /// A body by the careful way, its hash checked; `None` where it is lost, which is logged.
    fn body_at(&self, known: &Known<'_>, at: usize) -> Option<Vec<u8>> {
        let mail = known.mails[at];
        let slot = known.slots[at].as_ref().filter(|slot| place_of(&slot.body).is_some());
        if let Some(slot) = slot
            && let Some(place) = place_of(&slot.body)
            && let Ok(body) = self.reader.read_body(place.into())
            && crc32fast::hash(&body) == slot.body.crc
        {
            return Some(body);
        }
        // The index has the last word on where it lies.
        let place = match known.place(at) {
            Some(place) => Some(place),
            None => self.mail_facts(&[mail]).ok()?.first().map(|facts| facts.body_at),
        };
        let Some(place) = place else {
            tracing::error!(%mail, "a message of a mailbox is not known");
            return None;
        };
        let read = self.reader.read_body(place.into());
        read.inspect_err(|error| tracing::error!(%error, %mail, "a message cannot be read")).ok()
    }
}

/// Where the stored bytes of a body lie, if they can be read with those around them.
fn body_span(body: &BodyAt) -> Option<FileSpan> {
    match body.form {
        BodyForm::Plain | BodyForm::Zstd => Some(FileSpan {
            file: body.segment,
            offset: u64::from(body.offset) + FRAME_HEADER_BYTES as u64,
            bytes: body.stored as usize,
        }),
        BodyForm::File | BodyForm::Other => None,
    }
}

/// The body of its stored bytes, `None` where it has not its check. The extractor took that when
/// the hash had been checked; it finds what a disk or memory spoils as surely, at a quarter of the
/// time. `verify` checks the hashes.
fn plain<'a>(body: &BodyAt, stored: &'a [u8], raw: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let bytes = match body.form {
        BodyForm::Plain => stored,
        BodyForm::Zstd => {
            raw.resize(body.bytes as usize, 0);
            decompress_into(stored, raw)?;
            raw
        }
        BodyForm::File | BodyForm::Other => return None,
    };
    (bytes.len() == body.bytes as usize && crc32fast::hash(bytes) == body.crc).then_some(bytes)
}
