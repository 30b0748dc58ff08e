//! Hosts of a destination that were asked in an attempt.

use std::collections::BTreeSet;
use std::sync::Arc;

use mail_types::Host;

/// Hosts that were asked already, by name: those of equal preference are in another order at each
/// look-up (RFC 5321 §5.1), so that their places say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Asked(Option<Arc<BTreeSet<String>>>);

impl Asked {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |hosts| hosts.len())
    }

    pub(crate) fn has(&self, host: &Host) -> bool {
        self.0.as_ref().is_some_and(|hosts| hosts.contains(&name(host)))
    }

    /// The same, and this one.
    pub(crate) fn add(&mut self, host: &Host) {
        Arc::make_mut(self.0.get_or_insert_default()).insert(name(host));
    }
}

fn name(host: &Host) -> String {
    host.to_string().to_ascii_lowercase()
}
