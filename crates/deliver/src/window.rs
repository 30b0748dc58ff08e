//! How many connections a site bears: more with each success, half as many at each sign of trouble.
//!
//! A site is the hosts that take the mail, not the domain it is for: domains with the same MX hosts
//! share it, since it is the hosts that have limits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mail_types::Timestamp;

use crate::look_up::NextHop;

/// What a site that is not known gets.
const AT_FIRST: usize = 5;
/// One cause of trouble is met by all connections at about the same time: it counts once.
const ONE_CAUSE: Duration = Duration::from_secs(5);
/// Sites and next hops that are remembered; beyond it those without connections are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// The window of each site.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    sites: HashMap<Arc<str>, Site>,
    site_of: HashMap<NextHop, Arc<str>>,
}

#[derive(Debug)]
struct Site {
    connections: usize,
    /// Connections it may ever have, where a setting says so.
    limit: Option<usize>,
    window: usize,
    /// Messages taken since the window grew.
    good: usize,
    /// It is not made smaller again before then.
    quiet_until: Option<Timestamp>,
}

impl Default for Site {
    fn default() -> Self {
        Self { connections: 0, limit: None, window: AT_FIRST, good: 0, quiet_until: None }
    }
}

impl Site {
    /// As many connections as it gets now.
    fn most(&self, connections_max: usize) -> usize {
        self.window.min(self.limit.unwrap_or(connections_max))
    }
}

impl Windows {
    /// The site of a next hop: as the last look-up said, else it alone.
    pub(crate) fn site_of(&self, hop: &NextHop) -> Arc<str> {
        match self.site_of.get(hop) {
            Some(site) => Arc::clone(site),
            None => hop.to_string().into(),
        }
    }

    /// A look-up has named the site of a next hop.
    pub(crate) fn learn(&mut self, hop: &NextHop, site: &Arc<str>) {
        if self.site_of.len() >= REMEMBERED_MAX {
            self.site_of.clear();
        }
        self.site_of.insert(hop.clone(), Arc::clone(site));
    }

    /// A setting says how many connections the site may have.
    pub(crate) fn limit(&mut self, site: &Arc<str>, connections: Option<usize>) {
        self.sites.entry(Arc::clone(site)).or_default().limit = connections;
    }

    /// Whether the site may have one more connection.
    pub(crate) fn has_room(&self, site: &Arc<str>, connections_max: usize) -> bool {
        match self.sites.get(site) {
            Some(known) => known.connections < known.most(connections_max),
            None => true,
        }
    }

    /// Whether the site has more connections than it bears.
    pub(crate) fn is_over(&self, site: &Arc<str>, connections_max: usize) -> bool {
        let over = |known: &Site| known.connections > known.most(connections_max);
        self.sites.get(site).is_some_and(over)
    }

    pub(crate) fn more(&mut self, site: &Arc<str>, connections: usize) {
        if self.sites.len() >= REMEMBERED_MAX {
            self.sites.retain(|_, known| known.connections > 0);
        }
        self.sites.entry(Arc::clone(site)).or_default().connections += connections;
    }

    pub(crate) fn fewer(&mut self, site: &Arc<str>, connections: usize) {
        if let Some(known) = self.sites.get_mut(site) {
            known.connections = known.connections.saturating_sub(connections);
        }
    }

    /// The site took a message.
    pub(crate) fn took(&mut self, site: &Arc<str>, connections_max: usize) {
        let Some(known) = self.sites.get_mut(site) else { return };
        known.good += 1;
        let max = known.limit.unwrap_or(connections_max);
        if known.good >= known.window && known.window < max {
            known.window += 1;
            known.good = 0;
        }
    }

    /// The site did not answer in time, or closed with 421.
    pub(crate) fn struggles(&mut self, site: &Arc<str>, now: Timestamp) {
        let Some(known) = self.sites.get_mut(site) else { return };
        if known.quiet_until.is_none_or(|until| until <= now) {
            known.window = (known.window / 2).max(1);
            known.good = 0;
            known.quiet_until = Some(now.after(ONE_CAUSE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_gets_more_with_success_and_half_with_trouble() {
        let mut windows = Windows::default();
        let site: Arc<str> = "mx1 mx2".into();
        let room = |windows: &Windows| windows.has_room(&site, 8);
        windows.more(&site, AT_FIRST);
        assert!(!room(&windows));
        (0..AT_FIRST).for_each(|_| windows.took(&site, 8));
        assert!(room(&windows));
        (0..1000).for_each(|_| windows.took(&site, 8));
        windows.more(&site, 3);
        assert!(!room(&windows) && !windows.is_over(&site, 8), "8 are the most there may be");
        let now = Timestamp::from_secs(1_000);
        windows.struggles(&site, now);
        windows.struggles(&site, now.after(Duration::from_secs(1)));
        assert!(windows.is_over(&site, 8));
        windows.fewer(&site, 4);
        assert!(!windows.is_over(&site, 8), "half of 8, since one cause counts once");
        windows.struggles(&site, now.after(ONE_CAUSE));
        assert!(windows.is_over(&site, 8));
        windows.fewer(&site, 4);
        (0..10).for_each(|number| windows.struggles(&site, now.after(ONE_CAUSE * (number + 2))));
        assert!(room(&windows), "one is always tried");
    }
}
