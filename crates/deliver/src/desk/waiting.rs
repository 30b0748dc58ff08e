//! Lines that want a connection and may not have one now.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use mail_types::Timestamp;

use super::{Desk, Key, State};

/// Who waits for what, in turn. A site that is full keeps nobody else waiting.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// There are as many connections as there may be.
    for_any: VecDeque<Key>,
    /// These hosts have as many as they bear. No site without lines.
    for_site: HashMap<Arc<str>, VecDeque<Key>>,
}

impl Waiting {
    pub(super) fn for_any(&mut self, key: &Key) {
        self.for_any.push_back(key.clone());
    }

    pub(super) fn for_site(&mut self, site: &Arc<str>, key: &Key) {
        self.for_site.entry(Arc::clone(site)).or_default().push_back(key.clone());
    }

    /// How many wait for any connection to end.
    pub(super) fn any_len(&self) -> usize {
        self.for_any.len()
    }

    pub(super) fn next_for_any(&mut self) -> Option<Key> {
        self.for_any.pop_front()
    }

    pub(super) fn next_for_site(&mut self, site: &Arc<str>) -> Option<Key> {
        let keys = self.for_site.get_mut(site)?;
        let key = keys.pop_front();
        if keys.is_empty() {
            self.for_site.remove(site);
        }
        key
    }

    /// A line of that site goes to other hosts now. Whether it waited there.
    pub(super) fn leave_site(&mut self, site: &Arc<str>, key: &Key) -> bool {
        let Some(keys) = self.for_site.get_mut(site) else { return false };
        let before = keys.len();
        keys.retain(|waiting| waiting != key);
        let left = keys.len() < before;
        if keys.is_empty() {
            self.for_site.remove(site);
        }
        left
    }

    /// Whether somebody waits for a connection of this site to end, or for any.
    pub(super) fn is_waited_for(&self, site: Option<&Arc<str>>) -> bool {
        !self.for_any.is_empty() || site.is_some_and(|site| self.for_site.contains_key(site))
    }

    pub(super) fn clear(&mut self) {
        self.for_any.clear();
        self.for_site.clear();
    }
}

impl Desk {
    /// The lines that get a connection when one of this line has ended: one of those that wait for
    /// any to end, and one that waits for these hosts.
    pub(super) fn start_waiting(&self, state: &mut State, ended: &Key, now: Timestamp) -> Vec<Key> {
        let mut start = Vec::new();
        let mut turn = |state: &mut State, next: Key| {
            if let Some(line) = state.lines.get_mut(&next) {
                line.waits = false;
            }
            let may = self.may_connect(state, &next, now);
            let waits_on = state.lines.get(&next).is_some_and(|line| line.waits);
            if may {
                start.push(next);
            }
            (may, waits_on)
        };
        for _ in 0..state.waiting.any_len() {
            let Some(next) = state.waiting.next_for_any() else { break };
            if turn(state, next).0 {
                break;
            }
        }
        let site = state.lines.get(ended).and_then(|line| line.site.clone());
        let per_site = self.limits.per_destination;
        if let Some(site) = site.filter(|site| state.windows.has_room(site, per_site)) {
            // One place there is free: for the first that wants it, who may have to wait for any to
            // end now.
            while let Some(next) = state.waiting.next_for_site(&site) {
                let (may, waits_on) = turn(state, next);
                if may || waits_on {
                    break;
                }
            }
        }
        start
    }
}
