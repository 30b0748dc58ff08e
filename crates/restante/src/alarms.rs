//! What a person should look at: each alarm that the log has told, how often and since when, for
//! `restante status`. The log itself may be nowhere near the one who asks.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use mail_types::Timestamp;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer};

/// Alarms that are remembered, by their words. Those words stand in the source, so that they do not
/// become many.
const KINDS_MAX: usize = 64;
/// Octets kept of what one alarm says.
const DETAIL_BYTES_MAX: usize = 400;

/// The memory, and the part of the log that fills it.
#[derive(Clone, Default)]
pub struct Alarms(Arc<Mutex<BTreeMap<String, Alarm>>>);

struct Alarm {
    times: u64,
    first: Timestamp,
    last: Timestamp,
    /// What the last one said besides.
    detail: String,
}

impl Alarms {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Alarm>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How often each was told.
    pub fn times(&self) -> Vec<(String, u64)> {
        self.lock().iter().map(|(what, alarm)| (what.clone(), alarm.times)).collect()
    }

    /// The latest first.
    pub fn view(&self) -> Value {
        let known = self.lock();
        let mut all: Vec<_> = known.iter().collect();
        all.sort_by_key(|(_, alarm)| std::cmp::Reverse(alarm.last));
        let view = |(what, alarm): (&String, &Alarm)| {
            json!({
                "what": what,
                "detail": alarm.detail,
                "times": alarm.times,
                "first": alarm.first.to_string(),
                "last": alarm.last.to_string(),
            })
        };
        Value::Array(all.into_iter().map(view).collect())
    }

    fn raise(&self, words: Words) {
        let now = net::now();
        let mut known = self.lock();
        if known.len() >= KINDS_MAX && !known.contains_key(&words.message) {
            return;
        }
        let alarm = known.entry(words.message).or_insert_with(|| Alarm {
            times: 0,
            first: now,
            last: now,
            detail: String::new(),
        });
        alarm.times += 1;
        alarm.last = now;
        alarm.detail = words.detail;
    }
}

impl<S: tracing::Subscriber> Layer<S> for Alarms {
    /// An error is always one: we are broken. Other lines are where they say so.
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > tracing::Level::WARN {
            return;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let message = words.message.strip_prefix("ALARM: ").map(str::to_owned);
        if message.is_none() && level != tracing::Level::ERROR {
            return;
        }
        words.message = message.unwrap_or(words.message);
        self.raise(words);
    }
}

/// The words of one line of the log.
#[derive(Default)]
struct Words {
    message: String,
    detail: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else if self.detail.len() < DETAIL_BYTES_MAX {
            let space = if self.detail.is_empty() { "" } else { ", " };
            // Writing to a String does not fail.
            write!(self.detail, "{space}{}: {value:?}", field.name()).ok();
            let mut end = self.detail.len().min(DETAIL_BYTES_MAX);
            while !self.detail.is_char_boundary(end) {
                end -= 1;
            }
            self.detail.truncate(end);
        }
    }
}
