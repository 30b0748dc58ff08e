//! UIDONLY (RFC 9586): messages are named by their UIDs alone.

use crate::grammar::{Command, SearchKey};

/// Whether a command names messages by sequence numbers, or would be answered with them.
pub(super) fn names_sequence_numbers(command: &Command) -> bool {
    match command {
        Command::Fetch(fetch) => !fetch.uid,
        Command::Store(store) => !store.uid,
        Command::Copy { uid, .. } => !uid,
        Command::Search(search) => !search.uid || search.key.has(&names_numbers),
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

/// What a search saved is UIDs.
fn names_numbers(key: &SearchKey) -> bool {
    matches!(key, SearchKey::Numbers { uid: false, set } if !set.is_saved())
}
