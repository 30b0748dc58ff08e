//! From the end of an attempt to what is recorded of it, and to whom it is told.

use std::sync::Arc;
use std::time::Duration;

use mail_types::{Address, ByMode, EnhancedStatus, Peer, Reply, ReversePath, Timestamp};
use message::MailDate;
use message::dsn::{Action, Reader, Recipient, Report as Dsn, Returned};
use route::{Class, Next};

use crate::late::{due_within, end_after, end_of, tells_of_relay, too_late};
use crate::queue::{Attempt, Item, Mail, Notice, Notify, Outcome, Queue, Report};
use crate::rates::Wait;
use crate::setback::Setback;
use crate::tries::Try;
use crate::{Runner, Settings, greylist};

/// Octets of a header that a report returns.
const HEADER_OCTETS_MAX: usize = 64 << 10;
/// Octets of what hosts have said that a report returns, of all its recipients, and what each may
/// have of it anyway: a report is a message of some size, which the queue must take.
const WORDS_OCTETS_MAX: usize = 1 << 20;
const WORDS_OCTETS_MIN: usize = 256;
/// When mail is tried again that met a bug of ours.
const AFTER_BUG: Duration = Duration::from_secs(3600);

/// What came of an attempt for one recipient, before it is decided what follows.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// The reply to the final dot, a 2yz.
    Relayed(Reply),
    /// Not so.
    Failed(Setback),
    /// The reply to the final dot was lost.
    Uncertain(Setback),
    /// Not tried: its time has not come, and that is to be told.
    Waits(Wait),
    /// Not tried: the time to deliver it by is over (RFC 2852).
    TooLate,
}

/// What the peer takes over with the mail.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offers {
    /// It sends DSNs itself (RFC 3461).
    pub(crate) dsn: bool,
    /// It keeps to the time to deliver by (RFC 2852).
    pub(crate) deliver_by: bool,
}

/// An attempt that is over: recipients of one message with their fates.
pub(crate) struct Ended {
    pub(crate) items: Vec<(Item, Fate)>,
    /// Who was asked last.
    pub(crate) peer: Option<Peer>,
    /// What it takes over.
    pub(crate) offers: Offers,
    /// Every host that was asked.
    pub(crate) tries: Vec<Arc<Try>>,
}

/// What a recipient's sender is to be told.
struct Telling<'a> {
    item: &'a Item,
    action: Action,
    status: EnhancedStatus,
    reply: Option<&'a Reply>,
    reason: &'a str,
    /// What was probably meant.
    meant: Option<Address>,
}

impl<Q: Queue> Runner<Q> {
    /// Decides what follows from an attempt, and writes the report where one is due. `None` for no
    /// recipients.
    pub(crate) async fn settle(&self, ended: &Ended) -> Option<Attempt> {
        let mail = &ended.items.first()?.0.mail;
        let now = self.clock.now();
        // One draw for all, so that recipients of a message stay together.
        let random = (self.random)();
        let outcome = |(item, fate): &(Item, Fate)| {
            decide(&self.settings, item, fate, ended.offers, now, random)
        };
        let mut outcomes: Vec<Outcome> = ended.items.iter().map(outcome).collect();
        self.tell_postmaster(mail, &mut outcomes);
        let tellings: Vec<Telling<'_>> = ended
            .items
            .iter()
            .zip(&outcomes)
            .filter_map(|((item, _), outcome)| self.tell(item, outcome))
            .collect();
        let to = match &mail.reverse_path {
            ReversePath::Address(sender) => Some((sender.clone(), Reader::Sender)),
            ReversePath::Null => self.queue.postmaster().map(|to| (to, Reader::Postmaster)),
        };
        let report = match (to, tellings.first()) {
            (Some((to, reader)), Some(first)) => {
                let peer = ended.peer.as_ref();
                let body = self.report(&to, reader, first.item, &tellings, peer, now).await;
                Some(Report { to, about: mail.id, body })
            }
            (None, _) | (_, None) => None,
        };
        drop(tellings);
        self.remember(&ended.items, &mut outcomes);
        let custodies = ended.items.iter().map(|(item, _)| item.custody);
        Some(Attempt {
            at: now,
            mail: mail.id,
            peer: ended.peer.clone(),
            results: custodies.zip(outcomes).collect(),
            tries: ended.tries.clone(),
            report,
        })
    }

    /// What is recorded where a bug keeps the rest from being found out: what is certain, and that
    /// it is tried again. It is never given up so, since nobody would be told.
    pub(crate) fn settle_without_words(&self, ended: &Ended) -> Option<Attempt> {
        let mail = ended.items.first()?.0.mail.id;
        let now = self.clock.now();
        let due = now.after(AFTER_BUG);
        let reason = || "what came of it could not be found out: an internal error".to_owned();
        let outcome = |(item, fate): &(Item, Fate)| match fate {
            Fate::Relayed(reply) => Outcome::Relayed {
                reply: reply.clone(),
                reported: false,
                may_be_duplicate: item.uncertain,
            },
            Fate::Waits(_) => Outcome::Waits { reason: reason(), due, reported: false },
            Fate::Failed(_) | Fate::TooLate => Outcome::Deferred {
                reason: reason(),
                status: EnhancedStatus::new(4, 3, 0),
                reply: None,
                due,
                reported: false,
            },
            Fate::Uncertain(_) => Outcome::Uncertain { reason: reason(), due },
        };
        let results = ended.items.iter().map(|end| (end.0.custody, outcome(end))).collect();
        let (peer, tries) = (ended.peer.clone(), ended.tries.clone());
        Some(Attempt { at: now, mail, peer, results, tries, report: None })
    }

    /// RFC 5321 §4.5.5: nobody who sent a message from `<>` may be told, so that reports do not
    /// breed. What failed may be a report that its reader waits for, so the postmaster is told.
    fn tell_postmaster(&self, mail: &Mail, outcomes: &mut [Outcome]) {
        if mail.for_postmaster || self.queue.postmaster().is_none() {
            return;
        }
        for outcome in outcomes {
            if let Outcome::Returned { notice: notice @ Notice::NullReversePath, .. } = outcome {
                *notice = Notice::Reported;
            }
        }
    }

    /// Keeps which hosts were reached, and says in the record of a failure what was probably meant.
    fn remember(&self, items: &[(Item, Fate)], outcomes: &mut [Outcome]) {
        for ((item, _), outcome) in items.iter().zip(outcomes) {
            match outcome {
                Outcome::Relayed { .. } => self.familiar.reached(&item.recipient.host),
                Outcome::Returned { reason, status, .. } => {
                    if let Some(meant) = self.familiar.meant(&item.recipient, *status) {
                        reason.push_str(&format!("; was {meant} meant?"));
                    }
                }
                Outcome::Deferred { .. } | Outcome::Uncertain { .. } | Outcome::Waits { .. } => {}
            }
        }
    }

    async fn report(
        &self,
        to: &Address,
        reader: Reader,
        item: &Item,
        tellings: &[Telling<'_>],
        peer: Option<&Peer>,
        now: Timestamp,
    ) -> Vec<u8> {
        let mail = &item.mail;
        let date = |at| MailDate { at, offset_minutes: 0 };
        let end = end_of(&self.settings, item);
        let each_max = (WORDS_OCTETS_MAX / tellings.len().max(1)).max(WORDS_OCTETS_MIN);
        let said: Vec<Option<String>> = tellings
            .iter()
            .map(|telling| telling.reply.map(|reply| cut(&diagnostic(reply), each_max).to_owned()))
            .collect();
        let recipients: Vec<Recipient<'_>> = tellings
            .iter()
            .zip(&said)
            .map(|(telling, said)| Recipient {
                address: &telling.item.recipient,
                original: telling.item.original_recipient.as_deref(),
                action: telling.action,
                status: telling.status,
                remote_mta: peer.filter(|_| said.is_some()).map(|peer| peer.host.as_str()),
                diagnostic: said.as_deref(),
                reason: said.is_none().then(|| cut(telling.reason, each_max)),
                meant: telling.meant.as_ref(),
                last_attempt: Some(date(now)),
                will_retry_until: (telling.action == Action::Delayed).then(|| date(end)),
            })
            .collect();
        // The gravest comes first in the words.
        let kind = [Action::Failed, Action::Delayed, Action::Relayed]
            .into_iter()
            .find(|kind| tellings.iter().any(|telling| telling.action == *kind))
            .unwrap_or(Action::Failed);
        let (original, returned) = self.original(item, kind).await;
        let receipt = mail.receipt.map(|receipt| receipt.to_string());
        let unique = self.unique();
        Dsn {
            kind,
            reporting_mta: &self.settings.hostname,
            from: &self.settings.report_from,
            to,
            reader,
            at: date(now),
            message_id: &format!("<{unique}@{}>", self.settings.hostname),
            boundary: &format!("report-{unique}"),
            envelope_id: mail.envelope_id.as_deref(),
            future_release: mail.future_release.as_deref(),
            deliver_by: mail.deliver_by.map(|by| (date(by.at), by.mode)),
            receipt: receipt.as_deref(),
            arrival: Some(date(mail.accepted)),
            recipients: &recipients,
            original: &original,
            returned,
        }
        .build()
    }

    /// What of the message goes back: all of it only with a failure, unless RET=HDRS was said or it
    /// is large (RFC 3461 §6.2). A message that cannot be read now does not keep the sender from
    /// being told (RFC 6522 §3: the third part may be left out).
    async fn original(&self, item: &Item, kind: Action) -> (Vec<u8>, Returned) {
        let mail = &item.mail;
        let full = kind == Action::Failed
            && mail.return_headers_only != Some(true)
            // RFC 8689 §5: its content must not travel back without what it was to travel with.
            && !mail.requires_tls
            && usize::try_from(mail.body_bytes)
                .is_ok_and(|octets| octets <= self.settings.report_returned_bytes_max);
        let (octets_max, returned) = match full {
            true => (self.settings.report_returned_bytes_max, Returned::Full),
            false => (HEADER_OCTETS_MAX, Returned::Headers),
        };
        match self.queue.read_body(mail.id, 0, octets_max).await {
            Ok(original) => (original, returned),
            Err(error) => {
                tracing::error!(mail = %mail.id, %error, "a report goes without its message");
                (Vec::new(), Returned::Headers)
            }
        }
    }
}

impl<Q: Queue> Runner<Q> {
    /// What the report says of a recipient, if anything.
    fn tell<'a>(&self, item: &'a Item, outcome: &'a Outcome) -> Option<Telling<'a>> {
        let (action, status, reply, reason) = match outcome {
            Outcome::Relayed { reply, reported: true, .. } => {
                (Action::Relayed, EnhancedStatus::new(2, 0, 0), Some(reply), "")
            }
            Outcome::Deferred { reason, status, reply, reported: true, .. } => {
                (Action::Delayed, *status, reply.as_ref(), reason.as_str())
            }
            // RFC 3463 §3.5: X.4.5, mail system congestion.
            Outcome::Waits { reason, reported: true, .. } => {
                (Action::Delayed, EnhancedStatus::new(4, 4, 5), None, reason.as_str())
            }
            Outcome::Returned { reason, status, reply, notice: Notice::Reported } => {
                (Action::Failed, *status, reply.as_ref(), reason.as_str())
            }
            Outcome::Relayed { .. }
            | Outcome::Deferred { .. }
            | Outcome::Uncertain { .. }
            | Outcome::Waits { .. }
            | Outcome::Returned { notice: Notice::NullReversePath | Notice::NotWanted, .. } => {
                return None;
            }
        };
        let meant = match action {
            Action::Failed | Action::Delayed => self.familiar.meant(&item.recipient, status),
            Action::Delivered | Action::Relayed | Action::Expanded => None,
        };
        Some(Telling { item, action, status, reply, reason, meant })
    }
}

/// What follows for one recipient.
fn decide(
    settings: &Settings,
    item: &Item,
    fate: &Fate,
    offers: Offers,
    now: Timestamp,
    random: u64,
) -> Outcome {
    let next = || {
        let attempts = item.attempts.saturating_add(1);
        if now >= end_after(settings, item, attempts) {
            return Next::GiveUp;
        }
        Next::Due(match settings.schedule.next(attempts, item.since, now, random) {
            Next::Due(due) => due_within(item, due, now),
            // It began late.
            Next::GiveUp => {
                due_within(item, now.after(settings.schedule.wait(attempts, random)), now)
            }
        })
    };
    match fate {
        Fate::Relayed(reply) => Outcome::Relayed {
            reply: reply.clone(),
            reported: told_of_relay(item, offers),
            may_be_duplicate: item.uncertain,
        },
        Fate::Uncertain(setback) => match next() {
            Next::Due(due) => Outcome::Uncertain { reason: setback.reason(), due },
            Next::GiveUp => give_up(settings, item, setback, now),
        },
        Fate::Failed(setback) => match (setback.verdict.failure.class, next()) {
            (Class::Permanent, _) => Outcome::Returned {
                reason: setback.reason(),
                status: setback.verdict.failure.status,
                reply: setback.reply.clone(),
                notice: notice(item),
            },
            (Class::Temporary | Class::Ours, Next::GiveUp) => give_up(settings, item, setback, now),
            (Class::Temporary | Class::Ours, Next::Due(due)) => Outcome::Deferred {
                reason: setback.reason(),
                status: setback.verdict.failure.status,
                reply: setback.reply.clone(),
                // RFC 6647 §4.1: from then on the same host takes it from the same address.
                due: match setback.reply.as_ref().and_then(|r| greylist::wait(r, item.attempts)) {
                    Some(wait) => due_within(item, now.after(wait), now),
                    None => due,
                },
                reported: warning_is_due(settings, item, now),
            },
        },
        Fate::TooLate => too_late(item, None),
        Fate::Waits(_) if item.mail.deliver_by.is_some_and(|by| by.is_over(now)) => {
            too_late(item, None)
        }
        Fate::Waits(wait) if now >= end_of(settings, item) => Outcome::Returned {
            reason: format!(
                "it waited for {} in all, the last of it for {}, a limit of this server and not \
                 of the other side",
                time_words(settings.schedule.lifetime),
                wait.what
            ),
            status: EnhancedStatus::new(5, 4, 7),
            reply: None,
            notice: notice(item),
        },
        Fate::Waits(wait) => Outcome::Waits {
            reason: match item.attempts {
                0 => format!("it was not tried yet: it waits for {}", wait.what),
                _ => format!("it is tried again later: it waits for {}", wait.what),
            },
            due: [Some(end_of(settings, item)), warning_at(settings, item, now)]
                .into_iter()
                .flatten()
                .fold(due_within(item, wait.until, now), Timestamp::min),
            reported: warning_is_due(settings, item, now),
        },
    }
}

/// RFC 3461 §6.2.2, RFC 2852 §4: whether the sender hears that it was handed on.
fn told_of_relay(item: &Item, offers: Offers) -> bool {
    item.mail.reverse_path != ReversePath::Null
        && (!offers.dsn && wants_success(item) || tells_of_relay(item, offers))
}

/// Whether the sender is to be told now that the mail is delayed.
pub(crate) fn warning_is_due(settings: &Settings, item: &Item, now: Timestamp) -> bool {
    // RFC 2852 §4: who named a time hears of it then, and not at ours.
    let due = match item.mail.deliver_by {
        Some(by) if by.mode == ByMode::Notify => by.late_at(),
        Some(_) | None => settings.schedule.warning_due(item.since),
    };
    !item.warned && due.is_some_and(|due| now >= due) && wants_delay(item)
}

/// When that will be, where it is not yet.
fn warning_at(settings: &Settings, item: &Item, now: Timestamp) -> Option<Timestamp> {
    let at = settings.schedule.warning_due(item.since).filter(|at| *at > now);
    at.filter(|_| !item.warned && wants_delay(item))
}

/// RFC 3463 §3.5: X.4.7, delivery time expired.
fn give_up(settings: &Settings, item: &Item, setback: &Setback, now: Timestamp) -> Outcome {
    if item.mail.deliver_by.is_some_and(|by| by.is_over(now)) {
        return too_late(item, Some(&setback.reason()));
    }
    let tried = time_words(settings.schedule.lifetime);
    Outcome::Returned {
        reason: format!("it was tried for {tried}; the last time: {}", setback.reason()),
        status: EnhancedStatus::new(5, 4, 7),
        reply: setback.reply.clone(),
        notice: notice(item),
    }
}

fn time_words(time: Duration) -> String {
    let hours = time.as_secs() / 3600;
    match hours {
        0..48 => format!("{hours} hours"),
        48.. => format!("{} days", hours / 24),
    }
}

/// Whether and why not the sender is told of a failure.
pub(crate) fn notice(item: &Item) -> Notice {
    // RFC 5321 §4.5.5, RFC 3461 §6.1: never to the null reverse-path, or reports would breed.
    if item.mail.reverse_path == ReversePath::Null {
        return Notice::NullReversePath;
    }
    match item.notify {
        // RFC 3461 §4.1: without NOTIFY, FAILURE is meant.
        None | Some(Notify::On { failure: true, .. }) => Notice::Reported,
        Some(Notify::Never | Notify::On { failure: false, .. }) => Notice::NotWanted,
    }
}

/// RFC 3461 §4.1: without NOTIFY, the server may report delays.
fn wants_delay(item: &Item) -> bool {
    item.mail.reverse_path != ReversePath::Null
        && matches!(item.notify, None | Some(Notify::On { delay: true, .. }))
}

fn wants_success(item: &Item) -> bool {
    item.mail.reverse_path != ReversePath::Null
        && matches!(item.notify, Some(Notify::On { success: true, .. }))
}

/// A reply word for word, as many lines as it had.
fn diagnostic(reply: &Reply) -> String {
    let mut bytes = Vec::new();
    reply.write(&mut bytes);
    String::from_utf8_lossy(&bytes).trim_end().replace("\r\n", "\n")
}

/// The beginning of a text, of at most so many octets.
fn cut(text: &str, octets_max: usize) -> &str {
    &text[..text.floor_char_boundary(octets_max)]
}
