//! Mail that somebody is to hear of, or that is to go back, while it is not being sent: its time to
//! be delivered by is over (DELIVERBY, RFC 2852), or it waits for a rate of ours for too long.

use std::sync::Arc;
use std::time::Duration;

use mail_types::{ByMode, CustodyId, EnhancedStatus, Host, Timestamp};
use net::Stop;
use route::Relay;

use crate::queue::{Item, Late, Notify, Outcome, Queue};
use crate::rates::Wait;
use crate::settle::{Ended, Fate, Offers, notice, warning_is_due};
use crate::{Runner, Settings};

/// Custodies taken from the queue at once.
const PAGE: usize = 500;
/// How often mail that waits for a rate is looked through.
const LOOK_EVERY: Duration = Duration::from_secs(900);
/// How long after a failure the queue is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// How far the mail that waits for a rate is looked through.
pub(crate) struct Look {
    /// When to go on.
    at: Timestamp,
    /// From behind this one.
    after: CustodyId,
}

impl Look {
    pub(crate) const fn new(now: Timestamp) -> Self {
        Self { at: now, after: CustodyId(0) }
    }
}

impl<Q: Queue> Runner<Q> {
    /// Looks through all that waits for a rate, page after page, for mail whose sender is to hear of
    /// it, or that is to go back. Answers when to come again, if nothing else happens.
    pub(crate) async fn look_through(
        self: &Arc<Self>,
        look: &mut Look,
        stop: &Stop,
        now: Timestamp,
    ) -> Option<Timestamp> {
        // Ends: each page is behind the one before.
        while now >= look.at && !stop.is_requested() {
            let room = self.desk.room();
            if room == 0 {
                // On with it once there is room, which is told.
                self.desk.wait_for_room();
                return None;
            }
            let runner = Arc::clone(self);
            let waits = Arc::new(move |host: &Host, relay: Option<&Relay>, _: _| {
                runner.desk.wait_of(&runner.hop(host, relay), now).is_some()
            });
            let schedule = &self.settings.schedule;
            let ago = |wait: Duration| Timestamp(now.0.saturating_sub(millis(wait)));
            let want = Late {
                now,
                over_since: ago(schedule.lifetime),
                warn_since: schedule.warn_after.map(ago),
                after: look.after,
                count_max: room.min(PAGE),
                which: waits,
            };
            match self.queue.take_late(want).await {
                Ok(taken) => {
                    match taken.after {
                        Some(after) => look.after = after,
                        None => {
                            *look = Look { at: now.after(LOOK_EVERY), after: CustodyId(0) };
                        }
                    }
                    self.put_all(taken.items, stop, now).await;
                }
                Err(error) => {
                    tracing::error!(%error, "mail that waits for a rate cannot be looked through");
                    look.at = now.after(AGAIN_AFTER);
                }
            }
        }
        Some(look.at)
    }

    /// Returns what was to be delivered by now (RFC 2852 §4), wherever it waits, and tells of what
    /// is late. Answers when the next such time is over.
    pub(crate) async fn keep_deadlines(
        self: &Arc<Self>,
        stop: &Stop,
        now: Timestamp,
    ) -> Option<Timestamp> {
        while self.queue.next_deadline().is_some_and(|at| at <= now) && !stop.is_requested() {
            let is_late = |item: &Item| {
                item.mail
                    .deliver_by
                    .is_some_and(|by| by.is_over(now) || warning_is_due(&self.settings, item, now))
            };
            for (key, items) in self.desk.take_late(&is_late) {
                self.tell_late(&key, items, None, now).await;
            }
            let room = self.desk.room();
            if room == 0 {
                self.desk.wait_for_room();
                return None;
            }
            match self.queue.take_by_deadline(now, room.min(PAGE)).await {
                Ok(items) => self.put_all(items, stop, now).await,
                Err(error) => {
                    tracing::error!(%error, "mail whose time is over cannot be taken");
                    return Some(now.after(AGAIN_AFTER));
                }
            }
        }
        self.queue.next_deadline()
    }

    /// Settles mail of a line that is not sent now: it goes back, or its sender is told what it
    /// waits for.
    pub(crate) async fn tell_late(
        &self,
        key: &crate::desk::Key,
        items: Vec<Item>,
        wait: Option<&Wait>,
        now: Timestamp,
    ) {
        let in_line = || Wait { until: now, what: "a connection to its destination".to_owned() };
        let fate = |item: &Item| match item.mail.deliver_by.is_some_and(|by| by.is_over(now)) {
            true => Fate::TooLate,
            false => Fate::Waits(wait.cloned().unwrap_or_else(in_line)),
        };
        let items: Vec<_> = items
            .into_iter()
            .map(|item| {
                let fate = fate(&item);
                (item, fate)
            })
            .collect();
        if !items.is_empty() {
            let (peer, offers, tries) = (None, Offers::default(), Vec::new());
            self.end(key, Ended { items, peer, offers, tries }).await;
        }
    }
}

/// Whether the mail is to go back, or its sender is to be told of the delay, though it is not sent.
pub(crate) fn is_late(settings: &Settings, item: &Item, now: Timestamp) -> bool {
    now >= end_of(settings, item) || warning_is_due(settings, item, now)
}

/// When mail that was not delivered goes back to its sender.
pub(crate) fn end_of(settings: &Settings, item: &Item) -> Timestamp {
    end_after(settings, item, item.attempts)
}

/// The same after so many attempts. What came to its first one late, because a rate, a pause or a
/// stop of ours kept it, gets as many as others have had by then, for one lifetime more: a host that
/// greylists would never have it otherwise.
pub(crate) fn end_after(settings: &Settings, item: &Item, attempts: u32) -> Timestamp {
    let schedule = &settings.schedule;
    let mut end = item.since.after(schedule.lifetime);
    if attempts > 0 && attempts < schedule.tries_least() {
        end = end.after(schedule.lifetime);
    }
    match item.mail.deliver_by {
        Some(by) if by.mode == ByMode::Return => end.min(by.at),
        Some(_) | None => end,
    }
}

/// A due time that passes over nothing that its sender has named: RFC 2852 §4 wants the mail back, or
/// a report, when that time is over.
pub(crate) fn due_within(item: &Item, due: Timestamp, now: Timestamp) -> Timestamp {
    let Some(by) = item.mail.deliver_by else { return due };
    let moment = match by.mode {
        ByMode::Return => Some(by.at),
        ByMode::Notify => by.late_at().filter(|at| *at > now),
    };
    moment.map_or(due, |moment| due.min(moment))
}

/// RFC 2852 §4: X.4.7, delivery time expired.
pub(crate) fn too_late(item: &Item, said: Option<&str>) -> Outcome {
    let by = item.mail.deliver_by;
    let (secs, at) = by.map_or((0, Timestamp::default()), |by| (by.asked_secs, by.at));
    let after = match (said, item.attempts) {
        (Some(said), _) => format!("the last time: {said}"),
        (None, 0) => "it was not tried before that".to_owned(),
        (None, 1) => "it was tried once".to_owned(),
        (None, tries) => format!("it was tried {tries} times"),
    };
    Outcome::Returned {
        reason: format!(
            "it was to be delivered within {secs} seconds, by {at}, or not at all, as its sender \
             asked (DELIVERBY); {after}"
        ),
        status: EnhancedStatus::new(5, 4, 7),
        reply: None,
        notice: notice(item),
    }
}

/// RFC 2852 §4: who is to hear that it was handed on: its sender who asked for a trace, or who is to
/// hear of a delay from a host that does not promise to tell. Not where no report is wanted at all.
pub(crate) fn tells_of_relay(item: &Item, offers: Offers) -> bool {
    item.notify != Some(Notify::Never)
        && item.mail.deliver_by.is_some_and(|by| match by.mode {
            ByMode::Notify => by.trace || !offers.deliver_by,
            ByMode::Return => by.trace,
        })
}

fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
}
