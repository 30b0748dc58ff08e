//! How many messages hosts get in a while: by limits that settings name for a provider, and by the
//! warm-up of an address of ours that the world does not know yet.
//!
//! What was sent before the start is known from the queue's records, so a restart forgives nothing.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mail_types::Timestamp;

use crate::queue::Sent;
use crate::settings::{HostLimit, Settings, WarmUp};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY_SECS: i64 = 86_400;
/// Parts of a window that are counted apart: a message counts for up to one part longer.
const PARTS: i64 = 60;
/// Addresses of ours that are remembered.
const SOURCES_MAX: usize = 1000;

/// Why and how long mail waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Until then.
    pub until: Timestamp,
    /// For what, in words that follow "waits for".
    pub what: String,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waits for {} until {}", self.what, self.until)
    }
}

/// Where a message is about to go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'a> {
    /// The hosts that may take it, in lower case.
    pub(crate) hosts: &'a [String],
    /// Our own address; none where it does not count (a smart host's does).
    pub(crate) source: Option<IpAddr>,
}

/// What was sent in a sliding time.
#[derive(Debug)]
struct Window {
    part_ms: i64,
    /// Number of a part, and messages in it; the oldest first.
    parts: VecDeque<(i64, u64)>,
}

impl Window {
    fn new(span: Duration) -> Self {
        let part_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX) / PARTS;
        Self { part_ms, parts: VecDeque::new() }
    }

    fn add(&mut self, at: Timestamp, messages: u64) {
        let part = at.0.div_euclid(self.part_ms);
        match self.parts.back_mut() {
            // A clock that goes back adds to what is there.
            Some((last, count)) if *last >= part => *count += messages,
            _ => self.parts.push_back((part, messages)),
        }
    }

    /// When a part has left the window.
    const fn end_of(&self, part: i64) -> Timestamp {
        Timestamp((part + 1 + PARTS) * self.part_ms)
    }

    /// When one more may be sent, where that is not now.
    fn wait(&mut self, max: u64, now: Timestamp) -> Option<Timestamp> {
        while self.parts.front().is_some_and(|(part, _)| self.end_of(*part) <= now) {
            self.parts.pop_front();
        }
        let sent: u64 = self.parts.iter().map(|(_, count)| count).sum();
        let mut over = (sent + 1).saturating_sub(max);
        for (part, count) in &self.parts {
            if over == 0 {
                return None;
            }
            over = over.saturating_sub(*count);
            if over == 0 {
                return Some(self.end_of(*part));
            }
        }
        None
    }
}

/// What one address of ours has sent.
#[derive(Clone, Copy, Debug)]
struct Source {
    first_day: i64,
    day: i64,
    messages: u64,
}

/// What counts against the limits.
#[derive(Debug)]
pub(crate) struct Rates {
    limits: Vec<HostLimit>,
    warm_up: Option<WarmUp>,
    /// Anything is limited at all.
    is_on: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Minute and hour of each limit.
    windows: Vec<[Window; 2]>,
    sources: HashMap<IpAddr, Source>,
}

impl Rates {
    pub(crate) fn new(settings: &Settings) -> Self {
        let limits = settings.host_limits.clone();
        let windows = limits.iter().map(|_| [Window::new(MINUTE), Window::new(HOUR)]).collect();
        let state = Mutex::new(State { windows, sources: HashMap::new() });
        let is_rated = |limit: &HostLimit| limit.per_minute.is_some() || limit.per_hour.is_some();
        let is_on = settings.warm_up.is_some() || limits.iter().any(is_rated);
        Self { limits, warm_up: settings.warm_up, is_on, state }
    }

    /// Whether anything is limited at all.
    pub(crate) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether our own addresses count.
    pub(crate) const fn warms_up(&self) -> bool {
        self.warm_up.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts are whole at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was sent before the start.
    pub(crate) fn remember(&self, sent: &Sent) {
        let mut state = self.state();
        let mut by_host: Vec<_> = sent.by_host.iter().collect();
        by_host.sort_by_key(|(_, at, _)| *at);
        for (host, at, messages) in by_host {
            if let Some(place) = self.limit_of(std::slice::from_ref(host)) {
                state.windows[place].iter_mut().for_each(|window| window.add(*at, *messages));
            }
        }
        for (source, day, messages) in &sent.by_source {
            let first = Source { first_day: *day, day: *day, messages: 0 };
            let known = state.sources.entry(*source).or_insert(first);
            known.first_day = known.first_day.min(*day);
            if *day > known.day {
                (known.day, known.messages) = (*day, 0);
            }
            known.messages += if *day == known.day { *messages } else { 0 };
        }
    }

    fn limit_of(&self, hosts: &[String]) -> Option<usize> {
        let fits = |limit: &HostLimit| hosts.iter().any(|host| limit.fits(host));
        self.limits.iter().position(fits)
    }

    /// What keeps a message from going this way now.
    pub(crate) fn wait(&self, way: Way<'_>, now: Timestamp) -> Option<Wait> {
        if !self.is_on {
            return None;
        }
        self.wait_in(&mut self.state(), way, now)
    }

    fn wait_in(&self, state: &mut State, way: Way<'_>, now: Timestamp) -> Option<Wait> {
        let by_host = self.limit_of(way.hosts).and_then(|place| {
            let limit = &self.limits[place];
            let rates = [(limit.per_minute, "a minute"), (limit.per_hour, "an hour")];
            let windows = state.windows[place].iter_mut();
            let waits = rates.into_iter().zip(windows).filter_map(|((max, each), window)| {
                let until = window.wait(max?.into(), now)?;
                let what = format!("the rate to {} ({} {each})", limit.hosts, max?);
                Some(Wait { until, what })
            });
            waits.max_by_key(|wait| wait.until)
        });
        let warm = self.warm_up.zip(way.source).and_then(|(warm_up, source)| {
            let day = now.secs().div_euclid(DAY_SECS);
            let known = state.sources.get(&source)?;
            let max = warm_up.messages_on(day - known.first_day)?;
            let sent = if known.day == day { known.messages } else { 0 };
            let what =
                format!("the warm-up of {source} ({max} on day {})", day - known.first_day + 1);
            let until = Timestamp::from_secs((day + 1) * DAY_SECS);
            (sent >= max).then_some(Wait { until, what })
        });
        [by_host, warm].into_iter().flatten().max_by_key(|wait| wait.until)
    }

    /// Counts a message that is about to go this way; or says why it must wait.
    pub(crate) fn take(&self, way: Way<'_>, now: Timestamp) -> Result<(), Wait> {
        if !self.is_on {
            return Ok(());
        }
        // Under one lock: two that look at once would both find the last place free.
        let mut state = self.state();
        if let Some(wait) = self.wait_in(&mut state, way, now) {
            return Err(wait);
        }
        if let Some(place) = self.limit_of(way.hosts) {
            state.windows[place].iter_mut().for_each(|window| window.add(now, 1));
        }
        if let Some(source) = way.source.filter(|_| self.warm_up.is_some()) {
            let day = now.secs().div_euclid(DAY_SECS);
            if state.sources.len() < SOURCES_MAX || state.sources.contains_key(&source) {
                let first = Source { first_day: day, day, messages: 0 };
                let known = state.sources.entry(source).or_insert(first);
                if day > known.day {
                    (known.day, known.messages) = (day, 0);
                }
                known.messages += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(warm_up: Option<WarmUp>) -> Rates {
        let host = "mx.example.org".parse().unwrap();
        let mut settings = Settings::new(host, "postmaster@example.org".parse().unwrap());
        settings.host_limits = vec![HostLimit {
            hosts: "*.provider.test".to_owned(),
            connections: None,
            messages: None,
            per_minute: Some(3),
            per_hour: Some(5),
        }];
        settings.warm_up = warm_up;
        Rates::new(&settings)
    }

    #[test]
    fn a_provider_gets_what_it_takes_in_a_minute_and_in_an_hour() {
        let rates = rates(None);
        let at = |secs: i64| Timestamp::from_secs(1_800_000_000 + secs);
        let hosts = ["mx1.provider.test".to_owned()];
        let way = Way { hosts: &hosts, source: None };
        let others = ["mx.other.test".to_owned()];
        (0..3).for_each(|_| rates.take(way, at(0)).unwrap());
        let wait = rates.take(way, at(10)).unwrap_err();
        assert_eq!(wait.until, at(61));
        assert!(wait.to_string().contains("the rate to *.provider.test (3 a minute)"), "{wait}");
        rates.take(Way { hosts: &others, source: None }, at(10)).unwrap();
        (0..2).for_each(|_| rates.take(way, at(61)).unwrap());
        let wait = rates.take(way, at(62)).unwrap_err();
        assert_eq!((wait.until, wait.what.contains("5 an hour")), (at(3660), true), "{wait}");
        // A restart knows of it.
        let again = self::rates(None);
        again.remember(&Sent {
            by_host: vec![("mx2.provider.test".to_owned(), at(0), 5)],
            by_source: Vec::new(),
        });
        assert_eq!(again.wait(way, at(62)).unwrap().until, at(3660));
    }

    #[test]
    fn a_new_address_sends_more_each_day_until_it_is_known() {
        let warm_up = WarmUp { first_day: 2, growth_percent: 200, done_at: 8 };
        let counts: Vec<_> = (0..4).map(|day| warm_up.messages_on(day)).collect();
        assert_eq!(counts, [Some(2), Some(4), None, None]);
        let rates = rates(Some(warm_up));
        let day = |day: i64, secs: i64| Timestamp::from_secs(1_800_057_600 + day * DAY_SECS + secs);
        let way = Way { hosts: &[], source: Some("192.0.2.1".parse().unwrap()) };
        (0..2).for_each(|_| rates.take(way, day(0, 5)).unwrap());
        let wait = rates.take(way, day(0, 6)).unwrap_err();
        assert_eq!(wait.until, day(1, 0));
        assert!(wait.what.contains("192.0.2.1 (2 on day 1)"), "{wait}");
        rates.take(Way { source: None, ..way }, day(0, 6)).unwrap();
        (0..4).for_each(|_| rates.take(way, day(1, 0)).unwrap());
        assert!(rates.take(way, day(1, 1)).is_err());
        (0..100).for_each(|_| rates.take(way, day(2, 0)).unwrap());
    }
}
