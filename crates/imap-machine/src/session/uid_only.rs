//! UIDONLY (RFC 9586): messages are named by their UIDs alone.

use crate::grammar::{Command, SearchKey};

/// Whether a command names messages by sequence numbers, or would be answered with them.
pub(super) fn names_sequence_numbers(command: &Command) -> bool {
    match command {
        Command::Fetch(fetch) => !fetch.uid,
        Command::Store(store) => !store.uid,
        Command::Copy { uid, .. } => !uid,
        Command::Search(search) => !search.uid || in_key(&search.key),
        // RFC 9586 §3.2: QRESYNC without pairs of sequence numbers and UIDs.
        Command::Select { params, .. } => {
            params.qresync.as_ref().is_some_and(|resync| resync.pairs.is_some())
        }
        Command::Capability
        | Command::Noop
        | Command::Logout
        | Command::Id(_)
        | Command::StartTls
        | Command::Authenticate { .. }
        | Command::Login { .. }
        | Command::Unauthenticate
        | Command::Enable(_)
        | Command::Compress(_)
        | Command::Namespace
        | Command::Create { .. }
        | Command::Delete(_)
        | Command::Rename(..)
        | Command::Subscribe(_)
        | Command::Unsubscribe(_)
        | Command::List(_)
        | Command::Status(..)
        | Command::Check
        | Command::Close
        | Command::Unselect
        | Command::Expunge(_)
        | Command::CancelUpdate(_)
        | Command::Manage(_)
        // REPLACE is refused when its message has been read over.
        | Command::Append(_)
        | Command::Idle
        | Command::Notify(_)
        | Command::Url(_) => false,
    }
}

/// Recursion is as deep as the parser allowed. What a search saved is UIDs.
fn in_key(key: &SearchKey) -> bool {
    match key {
        SearchKey::And(keys) | SearchKey::Or(keys) => keys.iter().any(in_key),
        SearchKey::Not(key) => in_key(key),
        SearchKey::Numbers { uid, set } => !uid && !set.is_saved(),
        SearchKey::Flag(_)
        | SearchKey::Recent
        | SearchKey::Keyword(_)
        | SearchKey::Before(_)
        | SearchKey::On(_)
        | SearchKey::Since(_)
        | SearchKey::Larger(_)
        | SearchKey::Smaller(_)
        | SearchKey::Uids(_)
        | SearchKey::ModSeq(_)
        | SearchKey::Older(_)
        | SearchKey::Younger(_)
        | SearchKey::SavedBefore(_)
        | SearchKey::SavedOn(_)
        | SearchKey::SavedSince(_)
        | SearchKey::Email(_)
        | SearchKey::Content(_) => false,
    }
}
