//! How other systems keep mail in files: mbox in its dialects, and Maildir with what Dovecot puts
//! beside it. Bytes and file names go in, messages with flags and dates come out, and the other way
//! round.
//!
//! It opens no file and asks no clock. What a format cannot hold is said where it is written; a
//! message is never altered but in the ways that its format demands: line ends become CRLF, quoting
//! is taken away, and fields in which mbox keeps flags become flags.
//!
//! RFC 4155 (mbox), and the descriptions of Maildir by D. J. Bernstein and of Maildir++ by S.
//! Varshavchik.

pub mod check;
mod lines;
mod maildir;
mod mbox;
mod mbox_flags;
mod mbox_write;

pub use lines::{crlf, has_bare_line_ends, lf};
pub use maildir::{
    Keywords, UidList, file_flags, file_name, folder_of_directory, is_message_name, unique_name,
};
pub use mbox::{Dialect, Found, Mbox, Message};
pub use mbox_flags::{internal_data, take_flags};
pub use mbox_write::{WriteAs, write_message};
