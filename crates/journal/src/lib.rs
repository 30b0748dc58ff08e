//! The journal: where Restante keeps the truth. Records and bodies are appended in groups; one
//! sync per group, and the sync is the commit. What [`Journal::sync`] has returned `Ok` for is
//! there after any power cut, exact and whole; what it has not is there whole or not at all.
//!
//! - Segments `journal/00000001.seg` of 64 MiB, preallocated; frames with checks and BLAKE3; groups
//!   closed by a commit frame and chained (module `frame` has the format).
//! - Bodies above a limit are files under `bodies/`, synced (content, then name) before the frame
//!   that names them is written.
//! - [`Journal::open`] cuts a torn group at the end, and only there; damage before the last durable
//!   head is named and contained, never skipped in silence.
//! - What is damaged is written once more from a copy that is proved to be of the same journal
//!   ([`Reader::find_mend`], [`Journal::mend`]); the damaged bytes are kept.
//! - After a failed sync nothing is accepted any more ([`Poisoned`]).
//!
//! - [`Reader::groups`] hands durable groups out byte for byte, and [`Copy`] keeps the same journal of
//!   them elsewhere: checked, at the same places, synced before it is told of.
//!
//! It never interprets a record, reads no clock, draws no random number, opens no socket and starts
//! no thread. The disk is an argument: [`RealDisk`], or [`sim::SimDisk`] in tests.
//!
//! Assumed of the disk: a sector (512 bytes) is written whole or not, and a synced one is not
//! changed by writing its neighbours or the same bytes again.

mod body;
mod copy;
mod disk;
mod error;
mod frame;
mod group;
mod headers;
mod journal;
mod mend;
mod open;
mod position;
mod punch;
mod reader;
mod real;
mod scan;
mod scrub;
mod segment;
pub mod sim;
mod window;

pub use body::{Arrival, Arrivals, Body, BodyFile, decompress_into};
pub use copy::{BodyCopy, Copy, CopyError};
pub use disk::{Disk, DiskFile};
pub use error::{AppendError, MendError, OpenError, Poisoned, PunchError, ReadError, SyncError};
pub use frame::{
    BODY_BYTES_MAX, FRAME_HEADER_BYTES, GROUP_BYTES_MAX, GROUP_FRAMES_MAX, INLINE_BODY_BYTES_MAX,
    RECORD_BYTES_MAX,
};
pub use group::{GroupError, Groups, RawGroup};
pub use headers::{RecordHeader, RecordHeaders};
pub use journal::{Journal, Options};
pub use mend::{Mend, Mended};
pub use open::Opened;
pub use position::{Head, Position};
pub use reader::{Found, Kept, KeptBody, Reader};
pub use real::RealDisk;
pub use scan::{Damage, DamageKind, Entry, Scan, TornTail};
pub use scrub::Scrubbed;
