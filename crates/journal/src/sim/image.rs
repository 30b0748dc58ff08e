//! The bytes of one simulated file.

use std::collections::{BTreeMap, BTreeSet};

/// What is written whole or not at all.
pub const SECTOR_BYTES: u64 = 512;
/// Space is given out in blocks of this many bytes.
pub const BLOCK_BYTES: u64 = 4096;

/// Sparse bytes: sectors that were never written are zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub len: u64,
    sectors: BTreeMap<u64, [u8; SECTOR_BYTES as usize]>,
    /// Blocks that hold space.
    blocks: BTreeSet<u64>,
}

impl Image {
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let wanted = self.len.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..wanted];
        buffer.fill(0);
        let end = offset + wanted as u64;
        for (&sector, bytes) in self.sectors.range(offset / SECTOR_BYTES..) {
            let begin = sector * SECTOR_BYTES;
            if begin >= end {
                break;
            }
            let from = begin.max(offset);
            let until = (begin + SECTOR_BYTES).min(end);
            buffer[(from - offset) as usize..(until - offset) as usize]
                .copy_from_slice(&bytes[(from - begin) as usize..(until - begin) as usize]);
        }
        wanted
    }

    /// Writes, sector by sector, those that `keep` lets through.
    pub fn write(&mut self, offset: u64, bytes: &[u8], mut keep: impl FnMut() -> bool) {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let within = (at % SECTOR_BYTES) as usize;
            let step = (SECTOR_BYTES as usize - within).min(bytes.len() - done);
            if keep() {
                let sector = self.sectors.entry(at / SECTOR_BYTES).or_insert([0; 512]);
                sector[within..within + step].copy_from_slice(&bytes[done..done + step]);
                self.blocks.insert(at / BLOCK_BYTES);
                self.len = self.len.max(at + step as u64);
            }
            done += step;
        }
    }

    pub fn set_len(&mut self, len: u64) {
        if len < self.len {
            let keep_sectors = len.div_ceil(SECTOR_BYTES);
            self.sectors.split_off(&keep_sectors);
            self.blocks.split_off(&len.div_ceil(BLOCK_BYTES));
            if let Some(last) = self.sectors.get_mut(&(len / SECTOR_BYTES)) {
                last[(len % SECTOR_BYTES) as usize..].fill(0);
            }
        }
        self.len = len;
    }

    pub fn allocate(&mut self, offset: u64, bytes: u64) {
        self.blocks.extend(blocks_of(offset, bytes));
        self.len = self.len.max(offset + bytes);
    }

    pub fn punch_hole(&mut self, offset: u64, bytes: u64) {
        let end = (offset + bytes).min(self.len);
        let mut at = offset;
        while at < end {
            let within = (at % SECTOR_BYTES) as usize;
            let step = (SECTOR_BYTES - at % SECTOR_BYTES).min(end - at);
            if step == SECTOR_BYTES {
                self.sectors.remove(&(at / SECTOR_BYTES));
            } else if let Some(sector) = self.sectors.get_mut(&(at / SECTOR_BYTES)) {
                sector[within..within + step as usize].fill(0);
            }
            at += step;
        }
        for block in offset.div_ceil(BLOCK_BYTES)..end / BLOCK_BYTES {
            self.blocks.remove(&block);
        }
    }

    /// Blocks that writing this range takes in addition.
    pub fn blocks_wanted(&self, offset: u64, bytes: u64) -> u64 {
        blocks_of(offset, bytes).filter(|block| !self.blocks.contains(block)).count() as u64
    }

    pub fn blocks_held(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// The first sector from `offset` on that was written.
    pub fn data_from(&self, offset: u64) -> Option<u64> {
        let (&sector, _) = self.sectors.range(offset / SECTOR_BYTES..).next()?;
        Some((sector * SECTOR_BYTES).max(offset))
    }
}

fn blocks_of(offset: u64, bytes: u64) -> std::ops::Range<u64> {
    offset / BLOCK_BYTES..(offset + bytes).div_ceil(BLOCK_BYTES)
}
