//! Reading a segment in order, through a window in memory.

use std::io;
use std::sync::Arc;

use crate::DiskFile;
use crate::frame::{ALIGN_BYTES, FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader};

/// Bytes read at a time (a larger frame is read whole).
const WINDOW_BYTES: usize = 256 << 10;
/// What is tried on its own where a larger read fails.
const BLOCK_BYTES: usize = 4096;

pub struct Window<F> {
    file: Arc<F>,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
    /// First place that could not be read, with the bytes that failed and the cause, since asked
    /// last. What cannot be read counts as zeros.
    unreadable: Option<(u64, u64, io::Error)>,
}

impl<F: DiskFile> Window<F> {
    pub fn new(file: Arc<F>) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self { file, len, start: 0, bytes: Vec::new(), unreadable: None })
    }

    pub const fn len(&self) -> u64 {
        self.len
    }

    pub fn take_unreadable(&mut self) -> Option<(u64, u64, io::Error)> {
        self.unreadable.take()
    }

    /// Up to `want` bytes at `offset`: fewer only where the file ends.
    pub fn bytes(&mut self, offset: u64, want: usize) -> &[u8] {
        let want = (self.len.saturating_sub(offset)).min(want as u64) as usize;
        let held = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + want as u64 > held {
            self.fill(offset, want);
        }
        let from = (offset - self.start) as usize;
        &self.bytes[from..from + want]
    }

    fn fill(&mut self, offset: u64, want: usize) {
        let whole = (self.len.saturating_sub(offset)).min(want.max(WINDOW_BYTES) as u64) as usize;
        self.start = offset;
        self.bytes = vec![0; whole];
        match self.file.read_at(offset, &mut self.bytes) {
            Ok(read) if read == whole => return,
            // Somebody cut the file meanwhile: zeros, which end the journal here.
            Ok(read) => return self.bytes[read..].fill(0),
            Err(_) => {}
        }
        for (index, block) in self.bytes.chunks_mut(BLOCK_BYTES).enumerate() {
            let at = offset + (index * BLOCK_BYTES) as u64;
            if let Err(cause) = self.file.read_at(at, block) {
                block.fill(0);
                let bytes = block.len() as u64;
                match &mut self.unreadable {
                    Some((_, sum, _)) => *sum += bytes,
                    none => *none = Some((at, bytes, cause)),
                }
            }
        }
    }

    /// The frame header at `offset`, if one is there.
    pub fn header(&mut self, offset: u64) -> Option<FrameHeader> {
        FrameHeader::decode(self.bytes(offset, FRAME_HEADER_BYTES))
    }

    /// The first frame header from `offset` on, before `end`.
    pub fn find_header(&mut self, offset: u64, end: u64) -> Option<(u64, FrameHeader)> {
        let mut at = offset.next_multiple_of(ALIGN_BYTES);
        while let Some(word) = self.next_word(at, end, |word| word[..4] == FRAME_MAGIC) {
            if let Some(header) = self.header(word) {
                return Some((word, header));
            }
            at = word + ALIGN_BYTES;
        }
        None
    }

    /// The first aligned place from `offset` on, before `end`, that is not zero.
    pub fn find_data(&mut self, offset: u64, end: u64) -> Option<u64> {
        self.next_word(offset, end, |word| word.iter().any(|&byte| byte != 0))
    }

    fn next_word(&mut self, offset: u64, end: u64, wanted: fn(&[u8]) -> bool) -> Option<u64> {
        let end = end.min(self.len);
        let mut at = offset;
        while at < end {
            let held = self.start..self.start + self.bytes.len() as u64;
            if !held.contains(&at) {
                // A hole needs no reading. What the system cannot tell is read.
                match self.file.data_from(at) {
                    Ok(Some(data)) => at = at.max(data - data % ALIGN_BYTES),
                    Ok(None) => return None,
                    Err(_) => {}
                }
                if at >= end {
                    return None;
                }
            }
            // What is in the window is looked through before more is read: asking for more would
            // read the whole window again for every word found.
            let want = if held.contains(&at) { held.end.min(end) - at } else { end - at };
            let chunk = self.bytes(at, want.min(WINDOW_BYTES as u64) as usize);
            let step = chunk.len() as u64;
            if let Some(index) = chunk.chunks(ALIGN_BYTES as usize).position(|word| {
                // A cut word at the end of a file holds no frame, but may hold bytes.
                word.len() < 4 && word.iter().any(|&byte| byte != 0)
                    || word.len() >= 4 && wanted(word)
            }) {
                return Some(at + index as u64 * ALIGN_BYTES);
            }
            at += step;
        }
        None
    }
}
