//! RFC 1951 in both directions of a connection (RFC 4978), without a compressor for each of them.
//!
//! Sending: each flush is compressed by itself, with the worker thread's compressor. Its blocks
//! look back at nothing before them, end at an octet (an empty stored block, as Z_SYNC_FLUSH makes
//! it) and are never the last ones: to the peer they are one stream. A connection holds nothing for
//! it; long answers compress as well as ever, one-line answers a little less.
//!
//! Receiving: the peer may look back 32 KiB, so what it has sent is kept, up to that: a program
//! that has sent 2 KiB of commands costs 2 KiB. The decoder's tables (11 KiB) are kept only inside
//! a block, and every usual peer ends its block when it flushes.

use std::cell::RefCell;
use std::io;

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress, create_comp_flags_from_zip_params,
};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY,
    TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{BlockBoundaryState, DecompressorOxide, decompress};

/// How far a match may look back (RFC 1951 §2).
const WINDOW_OCTETS: usize = 32 * 1024;
/// Octets that one read hands on at most, whatever they were compressed to: a bomb (1:1000) comes
/// out piece by piece, each after the machine has dealt with the one before.
const INFLATED_OCTETS_MAX: usize = 32 * 1024;
/// Octets compressed at once.
pub(crate) const DEFLATED_OCTETS_MAX: usize = 64 * 1024;
/// What `DEFLATED_OCTETS_MAX` that do not get shorter become longer by, with the flush.
const STORED_OCTETS_MAX: usize = 512;
/// 1 is fast, 9 is small. Text gains little beyond this.
const LEVEL: i32 = 3;

thread_local! {
    static COMPRESSOR: RefCell<Box<CompressorOxide>> = RefCell::new(Box::new(
        // A window size below zero asks for raw blocks, without zlib's frame.
        CompressorOxide::new(create_comp_flags_from_zip_params(LEVEL, -15, 0)),
    ));
    /// What the peer sent before, then what comes out now.
    static WINDOW: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; WINDOW_OCTETS + INFLATED_OCTETS_MAX].into_boxed_slice());
}

/// Appends `octets` to `packed` as whole blocks that stand for themselves.
pub(crate) fn deflate(octets: &[u8], packed: &mut Vec<u8>) -> io::Result<()> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        let mut taken = 0;
        let mut end = packed.len();
        loop {
            // Room for octets that do not get shorter (RFC 1951 §3.2.4) and the flush, in one go:
            // a flush that lacks room is begun again.
            packed.resize(end + octets.len() - taken + STORED_OCTETS_MAX, 0);
            let rest = &octets[taken..];
            let (status, consumed, written) =
                compress(compressor, rest, &mut packed[end..], TDEFLFlush::Sync);
            taken += consumed;
            end += written;
            match status {
                TDEFLStatus::Okay => {}
                TDEFLStatus::Done | TDEFLStatus::BadParam | TDEFLStatus::PutBufFailed => {
                    return Err(io::Error::other("compressing failed"));
                }
            }
            // Room was left: everything is out.
            if taken == octets.len() && end < packed.len() {
                packed.truncate(end);
                return Ok(());
            }
        }
    })
}

/// What one connection keeps of its peer's stream between two reads.
pub(crate) struct Inflate {
    /// The last 32 KiB that came out, or less.
    history: Vec<u8>,
    place: Place,
    /// Compressed octets not yet looked at: less than one read's worth.
    pending: Vec<u8>,
    /// The last piece was cut off at its limit: more may come out of what is there.
    full: bool,
}

/// Where the decoder is.
enum Place {
    /// Between blocks.
    Between(BlockBoundaryState),
    Within(Box<DecompressorOxide>),
    /// Behind the last block: the peer has said that no more will come.
    Ended,
}

impl std::fmt::Debug for Inflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflate").field("history", &self.history.len()).finish_non_exhaustive()
    }
}

impl Inflate {
    pub(crate) fn new() -> Self {
        let place = Place::Between(BlockBoundaryState::default());
        Self { history: Vec::new(), place, pending: Vec::new(), full: false }
    }

    /// Takes compressed octets; only when [`Self::next`] has said that it needs some.
    pub(crate) fn feed(&mut self, octets: Vec<u8>) {
        self.pending = octets;
    }

    /// Whether the peer's stream is at its end.
    pub(crate) const fn is_ended(&self) -> bool {
        matches!(self.place, Place::Ended)
    }

    /// Hands the next octets to `take`; `None`, without having called it, where more input is
    /// needed or the stream has ended.
    pub(crate) fn next<R>(&mut self, take: impl FnOnce(&[u8]) -> R) -> io::Result<Option<R>> {
        if self.pending.is_empty() && !self.full {
            return Ok(None);
        }
        WINDOW.with_borrow_mut(|window| {
            let start = self.history.len();
            window[..start].copy_from_slice(&self.history);
            let end = self.inflate(&mut window[..start + INFLATED_OCTETS_MAX], start)?;
            if end == start {
                return Ok(None);
            }
            let kept = end.saturating_sub(WINDOW_OCTETS);
            self.history.clear();
            self.history.reserve_exact(end - kept);
            self.history.extend_from_slice(&window[kept..end]);
            Ok(Some(take(&window[start..end])))
        })
    }

    /// Decodes into the window from `start` on; returns where what came out ends.
    fn inflate(&mut self, window: &mut [u8], start: usize) -> io::Result<usize> {
        let mut decoder = match std::mem::replace(&mut self.place, Place::Ended) {
            Place::Between(state) => Box::new(DecompressorOxide::from_block_boundary_state(&state)),
            Place::Within(decoder) => decoder,
            Place::Ended => {
                self.pending = Vec::new();
                self.full = false;
                return Ok(start);
            }
        };
        let flags = TINFL_FLAG_HAS_MORE_INPUT
            | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
            | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
        let (mut at, mut taken) = (start, 0);
        self.full = false;
        self.place = loop {
            let rest = &self.pending[taken..];
            let (status, consumed, written) = decompress(&mut decoder, rest, window, at, flags);
            taken += consumed;
            at += written;
            match status {
                TINFLStatus::BlockBoundary if taken < self.pending.len() => {}
                TINFLStatus::BlockBoundary => match decoder.block_boundary_state() {
                    Some(state) => break Place::Between(state),
                    None => break Place::Within(decoder),
                },
                TINFLStatus::NeedsMoreInput => break Place::Within(decoder),
                TINFLStatus::HasMoreOutput => {
                    self.full = true;
                    break Place::Within(decoder);
                }
                TINFLStatus::Done => break Place::Ended,
                TINFLStatus::FailedCannotMakeProgress
                | TINFLStatus::BadParam
                | TINFLStatus::Adler32Mismatch
                | TINFLStatus::Failed => {
                    let text = "what the peer sent is not DEFLATE";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                other => return Err(io::Error::other(format!("inflate says {other:?}"))),
            }
        };
        if taken < self.pending.len() && !self.is_ended() {
            self.pending.drain(..taken);
        } else {
            self.pending = Vec::new();
        }
        Ok(at)
    }
}
