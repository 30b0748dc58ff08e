//! Days and moments as people write them, in UTC as everywhere else.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span as Days, Timestamp as Moment};
use mail_types::Timestamp;

/// A span of time: from, included, and to, not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From here on.
    pub from: Timestamp,
    /// Before this.
    pub to: Timestamp,
}

/// The furthest that anything is counted back.
const AGO_MAX: Duration = Duration::from_secs(200 * 366 * 86_400);

/// A moment: a day's, month's or year's begin, a time, or how long ago.
pub fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(span) = span(text, now) {
        return Some(span.from);
    }
    if let Ok(time) = text.parse::<Moment>() {
        return Some(Timestamp(time.as_millisecond()));
    }
    if let Ok(time) = text.trim_end_matches('Z').parse::<jiff::civil::DateTime>() {
        return Some(Timestamp(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond()));
    }
    let ago = config::parse_duration(text)?.min(AGO_MAX);
    Some(Timestamp(now.0.saturating_sub(i64::try_from(ago.as_millis()).ok()?)))
}

/// A day, a month or a year; `today`, `yesterday`.
pub fn span(text: &str, now: Timestamp) -> Option<Span> {
    let today = || Some(Moment::from_millisecond(now.0).ok()?.to_zoned(TimeZone::UTC).date());
    let (first, days) = match text {
        "today" => (today()?, Days::new().days(1)),
        "yesterday" => (today()?.yesterday().ok()?, Days::new().days(1)),
        _ => civil(text)?,
    };
    let behind = first.checked_add(days).ok()?;
    Some(Span { from: begin(first)?, to: begin(behind)? })
}

/// `2026`, `2026-11`, `2026-11-21`: digits and hyphens alone.
fn civil(text: &str) -> Option<(Date, Days)> {
    let numbers: Vec<i16> = text
        .split('-')
        .map(|part| {
            let digits = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        })
        .collect::<Option<_>>()?;
    let small = |number: i16| i8::try_from(number).ok();
    let whole_year = text.split('-').next().is_some_and(|year| year.len() == 4);
    match *numbers {
        _ if !whole_year => None,
        [year] => Some((Date::new(year, 1, 1).ok()?, Days::new().years(1))),
        [year, month] => Some((Date::new(year, small(month)?, 1).ok()?, Days::new().months(1))),
        [year, month, day] => {
            Some((Date::new(year, small(month)?, small(day)?).ok()?, Days::new().days(1)))
        }
        _ => None,
    }
}

fn begin(day: Date) -> Option<Timestamp> {
    Some(Timestamp(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond()))
}
