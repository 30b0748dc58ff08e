//! Damage that was mended.

use mail_types::MailId;
use serde::{Deserialize, Serialize};

/// Damaged bytes of the journal, or of the file of a large body, were written once more from a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healed {
    /// What was damaged, in words: where, and what was wrong.
    pub what: String,
    /// The messages that can be read again: the first of them, where they are very many.
    pub mails: Vec<MailId>,
    /// The place of the copy.
    pub from: String,
    /// Bytes that were written.
    pub bytes: u64,
    /// Where the damaged bytes are kept, below the data directory; none where there were none.
    pub evidence: Option<String>,
}
