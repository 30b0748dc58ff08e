//! The messages of a mailbox at one moment, without their contents: UID, modification sequence,
//! flags, dates, size, key. 40 octets each, in chunks that all copies share: a copy is a reference,
//! a change copies the chunks that it touches, and two states of one mailbox are compared by the
//! chunks that they do not share.
//!
//! It knows no protocol and no storage: it never reads a message, and keeps nothing on disk.
//!
//! RFCs: 3501 §2.3 (UIDs, flags, dates, sizes), 7162 (modification sequences), 8514 (SAVEDATE).

mod diff;
mod flags;
mod rows;
mod slices;

pub use diff::Difference;
pub use flags::FlagSet;
pub use rows::{CHUNK_ROWS_MAX, Counts, Packed, Row, Rows};
pub use slices::Slices;
