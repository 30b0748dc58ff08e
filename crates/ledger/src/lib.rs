//! The Merkle tree over the journal's records, and its signed heads: what shows that nothing was
//! taken out of the journal, changed in it or cut from its end.
//!
//! - One leaf a record, in the journal's order. A leaf commits to the hash in the header of the
//!   record's frame, salted with a key of this installation: who sees leaves learns nothing of the
//!   record, and when its payload is erased the header stays, and with it the leaf ([`entry`]).
//! - [`Ledger`] follows the journal behind the sync: it reads the headers of what is durable, keeps
//!   the tree's hashes in `heads/tree` (which can be made again from the journal), signs the head
//!   at most once a second and keeps it in `heads/latest`, one a minute in `heads/history`.
//! - A head is signed only of a journal that continues every head that is kept; else
//!   [`LedgerError::Fork`] or [`LedgerError::CutBack`] say what became of it.
//! - [`HeadsCheck`] is `verify`'s part: the tree made anew beside the scan of the whole journal,
//!   compared with every kept head and with the kept tree.
//!
//! It reads no mail, changes nothing of the journal, and its files are never needed to read mail.
//!
//! RFCs: 6962 and 9162 (in crate `transparency`).

mod check;
mod error;
mod files;
mod heads;
mod key;
mod ledger;
mod view;

pub use check::{HeadsCheck, Trouble, read_head};
pub use error::LedgerError;
pub use heads::{SignedHead, cut_heads};
pub use key::{LEAF_SALT_BYTES, entry};
pub use ledger::Ledger;
pub use view::{Compared, View};

use std::path::{Path, PathBuf};

/// Where all of this lies in a data directory.
#[must_use]
pub fn heads_path(root: &Path) -> PathBuf {
    root.join("heads")
}
