use std::path::PathBuf;

use mail_types::MailId;

use crate::files::Files;
use crate::slot::{SLOT_BYTES, check, slot_span, u32_at};
use crate::{BodyAt, Extract, ExtractError, Made, Slot, Span, Stream};

/// Bytes of a file after which the next one is begun.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of an entry's header: CRC-32 of the rest 4, bytes behind the header 4, mail id 8.
const ENTRY_HEADER_BYTES: usize = 16;
/// Largest entry. What would be larger is not kept, and made anew when it is asked for.
const ENTRY_BYTES_MAX: usize = 8 << 20;

/// Adds messages: entries first, then the slots that lead to them, so that a reader beside it
/// finds an entry whole or not at all.
#[derive(Debug)]
pub struct Appender {
    extract: Extract,
    mark_path: PathBuf,
    head: Tail,
    header: Tail,
    text: Tail,
    slots: Vec<(MailId, Slot)>,
}

/// The end of a kind of entries.
#[derive(Debug, Default)]
struct Tail {
    file: u32,
    /// Bytes in the file.
    offset: u64,
    /// What is to be written there.
    waiting: Vec<u8>,
}

impl Tail {
    fn of(files: &Files) -> Result<Self, ExtractError> {
        let (file, offset) = files.last()?.unwrap_or((1, 0));
        Ok(Self { file, offset, waiting: Vec::new() })
    }

    /// Takes an entry; an empty span where it is too large, or numbers are used up.
    fn add(&mut self, mail: MailId, entry: &[u8]) -> Span {
        let bytes = ENTRY_HEADER_BYTES + entry.len();
        let offset = self.offset + self.waiting.len() as u64;
        let (Ok(file), Ok(offset)) = (u16::try_from(self.file), u32::try_from(offset)) else {
            return Span::default();
        };
        if bytes > ENTRY_BYTES_MAX {
            return Span::default();
        }
        let start = self.waiting.len();
        self.waiting.extend_from_slice(&[0; 4]);
        // Proven: at most ENTRY_BYTES_MAX.
        self.waiting.extend_from_slice(&(entry.len() as u32).to_le_bytes());
        self.waiting.extend_from_slice(&mail.0.to_le_bytes());
        self.waiting.extend_from_slice(entry);
        let check = check(&self.waiting[start + 4..], mail);
        self.waiting[start..start + 4].copy_from_slice(&check.to_le_bytes());
        Span { file, offset, bytes: bytes as u32 }
    }

    fn write(&mut self, files: &Files) -> Result<(), ExtractError> {
        files.write_at(self.file, self.offset, &self.waiting)?;
        self.offset += self.waiting.len() as u64;
        self.waiting.clear();
        if self.offset >= FILE_BYTES_MAX {
            self.file += 1;
            self.offset = 0;
        }
        Ok(())
    }
}

/// The entry behind its header; `None` where it is not what was written for this message.
pub fn checked(bytes: &[u8], mail: MailId) -> Option<&[u8]> {
    let (header, entry) = bytes.split_at_checked(ENTRY_HEADER_BYTES)?;
    let is_whole = u32_at(header, 0) == check(&bytes[4..], mail)
        && u32_at(header, 4) as usize == entry.len()
        && header[8..] == mail.0.to_le_bytes();
    is_whole.then_some(entry)
}

impl Appender {
    pub(crate) fn new(extract: Extract, dir: PathBuf) -> Result<Self, ExtractError> {
        let tail = |stream| Tail::of(extract.files(stream));
        Ok(Self {
            head: tail(Stream::Head)?,
            header: tail(Stream::Header)?,
            text: tail(Stream::Text)?,
            slots: Vec::new(),
            mark_path: dir.join("mark"),
            extract,
        })
    }

    /// Takes what was made of a message; [`Appender::flush`] writes it.
    pub fn add(&mut self, mail: MailId, made: &Made, body: BodyAt) {
        let slot = Slot {
            body,
            header_whole: made.header_whole,
            text_whole: made.text_whole,
            head: self.head.add(mail, &made.head),
            header: self.header.add(mail, &made.header),
            text: self.text.add(mail, made.text.as_bytes()),
        };
        self.slots.push((mail, slot));
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.head.waiting.len() + self.header.waiting.len() + self.text.waiting.len()
    }

    /// Writes what was added; it is readable from then on. It is not synced, see the crate's words.
    ///
    /// # Errors
    /// What the system says; what was added since the last flush is then dropped.
    pub fn flush(&mut self) -> Result<(), ExtractError> {
        let written = self.write();
        if written.is_err() {
            self.forget();
        }
        written
    }

    /// Drops what was added since the last flush.
    pub fn forget(&mut self) {
        self.slots.clear();
        for tail in [&mut self.head, &mut self.header, &mut self.text] {
            tail.waiting.clear();
        }
    }

    /// Takes what is kept of messages off the disk: their bodies are purged. Erasing again is
    /// harmless. It is not synced: after a power cut it is to be asked for again.
    ///
    /// # Errors
    /// What the system says; of some, all may be erased.
    pub fn erase(&mut self, mails: &[MailId]) -> Result<(), ExtractError> {
        let slots = self.extract.slots(mails);
        for (mail, slot) in mails.iter().zip(slots) {
            let Some(slot) = slot else { continue };
            for stream in [Stream::Head, Stream::Header, Stream::Text] {
                if let Some(span) = slot.span(stream) {
                    let files = self.extract.files(stream);
                    files.write_at(span.file, span.offset, &vec![0; span.bytes])?;
                }
            }
            // Last: who finds no slot does not look for entries, and does not erase them again.
            if let Some(span) = slot_span(*mail) {
                self.extract.shared.slots.write_at(span.file, span.offset, &[0; SLOT_BYTES])?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), ExtractError> {
        let shared = &self.extract.shared;
        self.head.write(&shared.head)?;
        self.header.write(&shared.header)?;
        self.text.write(&shared.text)?;
        self.slots.sort_by_key(|(mail, _)| *mail);
        let mut run: Vec<u8> = Vec::with_capacity(self.slots.len() * SLOT_BYTES);
        let mut from = None;
        for (mail, slot) in &self.slots {
            let Some(span) = slot_span(*mail) else { continue };
            let end = from.map(|(file, offset)| (file, offset + run.len() as u64));
            if end != Some((span.file, span.offset)) {
                if let Some((file, offset)) = from {
                    shared.slots.write_at(file, offset, &run)?;
                }
                run.clear();
                from = Some((span.file, span.offset));
            }
            run.extend_from_slice(&slot.encode(*mail));
        }
        if let Some((file, offset)) = from {
            shared.slots.write_at(file, offset, &run)?;
        }
        self.slots.clear();
        Ok(())
    }

    /// Up to which message all were once extracted, as far as is known; 0 where nothing is. What
    /// was lost since is found when it is read.
    #[must_use]
    pub fn mark(&self) -> MailId {
        let mark = std::fs::read(&self.mark_path).ok().and_then(|bytes| {
            let (check, mark) = bytes.split_first_chunk::<4>()?;
            let is_whole = u32::from_le_bytes(*check) == crc32fast::hash(mark);
            is_whole.then(|| mark.try_into().ok().map(u64::from_le_bytes))?
        });
        MailId(mark.unwrap_or(0))
    }

    /// Remembers that all messages up to this one are extracted.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_mark(&self, mail: MailId) -> Result<(), ExtractError> {
        let mark = mail.0.to_le_bytes();
        let bytes = [&crc32fast::hash(&mark).to_le_bytes()[..], &mark].concat();
        std::fs::write(&self.mark_path, bytes)
            .map_err(|source| ExtractError { doing: "write the mark".to_owned(), source })
    }
}
