//! How much mail goes by, and the queue by senders and destinations, for those who watch.

use std::collections::BTreeMap;

use mail_types::{MailId, Timestamp};
use serde_json::{Value, json};
use store::{FlowKind, Pause, Store, StoreError, WaitingFilter};

use crate::data_dir::DataDir;
use crate::request::Failure;

/// Minutes of the flow if not asked for more, and at most.
const MINUTES_DEFAULT: u32 = 60;
const MINUTES_MAX: u32 = 24 * 60;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// Groups that are shown of each kind.
const GROUPS_MAX: usize = 200;
/// Recipients that are looked at.
const ITEMS_MAX: usize = 1_000_000;

/// What went by in each of the last minutes, and the balance of today (UTC).
pub fn flow(store: &Store, minutes: Option<u32>) -> Result<Value, Failure> {
    let minutes = i64::from(minutes.unwrap_or(MINUTES_DEFAULT).clamp(1, MINUTES_MAX));
    let now = net::now().0;
    let first = now.div_euclid(MINUTE_MS) - minutes + 1;
    let found = store.flow(Timestamp(first * MINUTE_MS))?;
    let mut series = serde_json::Map::new();
    for kind in FlowKind::ALL {
        let mut counts = vec![0_u64; usize::try_from(minutes).unwrap_or_default()];
        for one in found.iter().filter(|one| one.kind == kind) {
            let place = one.begins.0.div_euclid(MINUTE_MS) - first;
            if let Some(count) = usize::try_from(place).ok().and_then(|at| counts.get_mut(at)) {
                *count += one.count;
            }
        }
        series.insert(kind.word().to_owned(), json!(counts));
    }
    let day = Timestamp(now.div_euclid(DAY_MS) * DAY_MS);
    Ok(json!({
        "begins": Timestamp(first * MINUTE_MS).to_string(),
        "begins_ms": first * MINUTE_MS,
        "minutes": series,
        "today": balance(store, day)?,
        "today_since": day.to_string(),
    }))
}

/// How much room the data directory's file system has.
pub fn storage(data: &DataDir) -> Value {
    match rustix::fs::statvfs(data.path()) {
        Ok(found) => json!({
            "bytes": found.f_blocks.saturating_mul(found.f_frsize),
            "free_bytes": found.f_bavail.saturating_mul(found.f_frsize),
        }),
        Err(error) => json!({ "trouble": error.to_string() }),
    }
}

/// I11 for today: of all recipients that came, how many are where.
fn balance(store: &Store, since: Timestamp) -> Result<Value, StoreError> {
    let counts = store.balance(since)?;
    let mut states: serde_json::Map<String, Value> =
        counts.iter().map(|(state, count)| (state.word().to_owned(), json!(count))).collect();
    states.insert("all".to_owned(), json!(counts.iter().map(|(_, count)| count).sum::<u64>()));
    Ok(Value::Object(states))
}

#[derive(Default)]
struct Group {
    waiting: u64,
    held: u64,
    bytes: u64,
    /// Of those that wait, how many have failed at least once.
    failed: u64,
    oldest: Option<Timestamp>,
    /// One that was tried, whose last reply is told where the group is shown.
    tried: Option<MailId>,
}

/// The queue by sender and by destination; what is unlike the rest is marked.
pub fn groups(store: &Store) -> Result<Value, Failure> {
    let mut senders: BTreeMap<String, Group> = BTreeMap::new();
    let mut destinations: BTreeMap<String, Group> = BTreeMap::new();
    let mut seen = 0;
    store.find_waiting(&WaitingFilter::default(), false, &mut |item| {
        let accepted = &item.mail.accepted;
        let sender = accepted.reverse_path.to_string();
        let host = item.recipient.host.to_string().to_lowercase();
        for group in [senders.entry(sender).or_default(), destinations.entry(host).or_default()] {
            match item.hold.is_some() {
                true => group.held += 1,
                false => {
                    group.waiting += 1;
                    group.failed += u64::from(item.attempts > 0);
                }
            }
            group.bytes += accepted.body_bytes;
            let at = item.mail.facts.accepted;
            group.oldest = Some(group.oldest.map_or(at, |oldest| oldest.min(at)));
        }
        seen += 1;
        seen < ITEMS_MAX
    })?;
    Ok(json!({
        "senders": told(store, &senders, Of::Senders)?,
        "destinations": told(store, &destinations, Of::Destinations)?,
        "all": seen,
    }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Senders,
    Destinations,
}

/// A sender with so many waiting recipients may be marked, one with fewer is nobody's trouble.
const SENDER_MANY: u64 = 50;
/// So many times what the median sender has.
const SENDER_TIMES: u64 = 10;
/// A destination of which so many wait, and all have failed, does not get through.
const DESTINATION_MANY: u64 = 5;

fn told(store: &Store, groups: &BTreeMap<String, Group>, of: Of) -> Result<Value, Failure> {
    let mut counts: Vec<u64> = groups.values().map(|group| group.waiting).collect();
    counts.sort_unstable();
    let median = counts.get(counts.len() / 2).copied().unwrap_or(0).max(1);
    let unusual = |group: &Group| match of {
        Of::Senders if group.waiting >= SENDER_MANY && group.waiting >= SENDER_TIMES * median => {
            Some("many more than others")
        }
        Of::Destinations if group.waiting >= DESTINATION_MANY && group.failed == group.waiting => {
            Some("nothing gets through")
        }
        Of::Senders | Of::Destinations => None,
    };
    let mut all: Vec<_> = groups.iter().collect();
    all.sort_by_key(|(name, group)| {
        (unusual(group).is_none(), std::cmp::Reverse(group.waiting + group.held), *name)
    });
    let rows = all.into_iter().take(GROUPS_MAX).map(|(name, group)| {
        Ok(json!({
            "name": name,
            "waiting": group.waiting,
            "held": group.held,
            "failed": group.failed,
            "bytes": group.bytes,
            "oldest": group.oldest.map(|at| at.to_string()),
            "last_reply": last_reply(store, group)?,
            "unusual": unusual(group),
        }))
    });
    rows.collect()
}

/// Of the groups that are shown alone: it is read from the journal.
fn last_reply(store: &Store, group: &Group) -> Result<Option<String>, Failure> {
    let Some(mail) = group.tried else { return Ok(None) };
    let mut said = None;
    let filter = WaitingFilter { mail: Some(mail), ..WaitingFilter::default() };
    store.find_waiting(&filter, true, &mut |item| {
        said = item.last.map(|last| last.said);
        said.is_none()
    })?;
    Ok(said)
}

/// Never an error: it is asked most when something does not work.
pub fn status(store: &Store) -> Value {
    let mut answer = serde_json::json!({
        "accepting": store.stopped().is_none(),
        "stopped_because": store.stopped(),
        "accounts": store.directory().accounts().len(),
        "domains": store.directory().domains().count(),
    });
    let read = queue_status(store);
    let more = match read {
        Ok(more) => more,
        Err(error) => serde_json::json!({ "unreadable_because": error.to_string() }),
    };
    if let (Value::Object(answer), Value::Object(more)) = (&mut answer, more) {
        answer.extend(more);
    }
    answer
}

fn queue_status(store: &Store) -> Result<Value, store::StoreError> {
    let counts = store.queue_counts()?;
    let pauses: Vec<Value> = store
        .pauses()?
        .into_iter()
        .map(|Pause { destination, since, reason }| {
            let to = destination.unwrap_or_else(|| "all".to_owned());
            serde_json::json!({ "destination": to, "since": since.to_string(), "reason": reason })
        })
        .collect();
    Ok(serde_json::json!({
        "queued": counts.values().sum::<u64>(),
        "queued_by_destination": counts,
        "held": store.held_count()?,
        "paused": pauses,
    }))
}
