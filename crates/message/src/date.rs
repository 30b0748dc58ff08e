use mail_types::{Timestamp, civil_from_days};

/// Octets of a date that are looked at.
const DATE_OCTETS_MAX: usize = 256;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// A moment with the offset of the place where it was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MailDate {
    /// The moment.
    pub at: Timestamp,
    /// Minutes east of UTC, -1439 to 1439.
    pub offset_minutes: i16,
}

impl MailDate {
    /// Days since 1970-01-01 of the calendar date as written, time and zone left out: what IMAP
    /// SEARCH compares (RFC 3501 §6.4.4 SENTBEFORE: "disregarding time and timezone").
    #[must_use]
    pub fn local_day(&self) -> i64 {
        (self.at.secs() + i64::from(self.offset_minutes) * 60).div_euclid(86_400)
    }
}

/// RFC 5322 §3.3 date-time at this offset: `Sun, 22 Nov 2026 00:08:26 +0000`.
#[must_use]
pub fn format_date(date: MailDate) -> String {
    let c = civil(date);
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} {}",
        c.weekday,
        c.day,
        c.month,
        c.year,
        c.hour,
        c.minute,
        c.second,
        zone(date.offset_minutes)
    )
}

/// RFC 3501 §9 date-time, without its quotes: `22-Nov-2026 00:08:26 +0000`, the day with a space
/// in front where it has one digit.
#[must_use]
pub fn format_internal_date(date: MailDate) -> String {
    let c = civil(date);
    format!(
        "{:2}-{}-{:04} {:02}:{:02}:{:02} {}",
        c.day,
        c.month,
        c.year,
        c.hour,
        c.minute,
        c.second,
        zone(date.offset_minutes)
    )
}

/// RFC 3501 §9 date-time, without its quotes, strictly as the grammar wants it.
#[must_use]
pub fn parse_internal_date(text: &[u8]) -> Option<MailDate> {
    let [d1, d2, b'-', m1, m2, m3, b'-', year @ ..] = text else { return None };
    let [y1, y2, y3, y4, b' ', time @ ..] = year else { return None };
    let (time, zone) = time.split_at_checked(8)?;
    let [b' ', sign @ (b'+' | b'-'), zone @ ..] = zone else { return None };
    let tens = if *d1 == b' ' { b'0' } else { *d1 };
    let [h1, h2, b':', n1, n2, b':', s1, s2] = time else { return None };
    let [z1, z2, z3, z4] = zone else { return None };
    let offset = i64::from(number(&[*z1, *z2])?) * 60 + i64::from(number(&[*z3, *z4])?);
    Parts {
        day: Some(number(&[tens, *d2])?),
        month: Some(month(&[*m1, *m2, *m3])?),
        year: Some(i64::from(number(&[*y1, *y2, *y3, *y4])?)),
        time: Some((number(&[*h1, *h2])?, number(&[*n1, *n2])?, number(&[*s1, *s2])?)),
        offset: Some(if *sign == b'-' { -offset } else { offset }),
    }
    .date()
}

/// RFC 5322 §3.3 and §4.3, leniently: obsolete zones and years, a missing zone (read as UTC), a
/// missing weekday or second, comments, the order of asctime, dashes between day, month and year.
/// RFC 5256 §2.2: an invalid time is midnight, an invalid zone is UTC.
#[must_use]
pub fn parse_date(text: &[u8]) -> Option<MailDate> {
    let text = &text[..text.len().min(DATE_OCTETS_MAX)];
    let mut parts = Parts::default();
    let mut depth = 0_usize;
    let mut start = None;
    for (at, &byte) in text.iter().chain(b" ").enumerate() {
        let outside = depth == 0;
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let inside_token = outside && !byte.is_ascii_whitespace() && !b"(),".contains(&byte);
        match (start, inside_token) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                parts.token(&text[from..at])?;
                start = None;
            }
            _ => {}
        }
    }
    parts.lenient_date()
}

#[derive(Default)]
struct Parts {
    day: Option<u32>,
    month: Option<u32>,
    year: Option<i64>,
    time: Option<(u32, u32, u32)>,
    offset: Option<i64>,
}

impl Parts {
    /// Sorts one token in; `None` where it cannot be part of a date.
    fn token(&mut self, token: &[u8]) -> Option<()> {
        let first = *token.first()?;
        if first.is_ascii_digit() && token.contains(&b':') {
            self.time = self.time.or(Some(time(token).unwrap_or_default()));
        } else if first.is_ascii_digit() && token.contains(&b'-') {
            token.split(|&byte| byte == b'-').try_for_each(|part| self.token(part))?;
        } else if first.is_ascii_digit() {
            self.number(token)?;
        } else if b"+-".contains(&first) && self.time.is_some() {
            self.offset = self.offset.or_else(|| numeric_zone(token));
        } else if first.is_ascii_alphabetic() {
            self.word(token);
        }
        Some(())
    }

    fn number(&mut self, token: &[u8]) -> Option<()> {
        let value = number(token)?;
        if self.day.is_none() && token.len() <= 2 {
            self.day = Some(value);
        } else if self.year.is_none() {
            // RFC 5322 §4.3: two digits 00 to 49 are 20yy, 50 to 99 are 19yy, three are 1900 more.
            self.year = Some(match token.len() {
                ..=2 if value < 50 => i64::from(value) + 2000,
                ..=3 => i64::from(value) + 1900,
                4 => i64::from(value),
                _ => return None,
            });
        }
        Some(())
    }

    fn word(&mut self, token: &[u8]) {
        if self.month.is_none() && token.len() >= 3 {
            self.month = month(&token[..3]);
            if self.month.is_some() {
                return;
            }
        }
        if self.time.is_some() && self.offset.is_none() {
            self.offset = named_zone(token);
        }
    }

    /// Strict: an invalid time or zone is no date.
    fn date(self) -> Option<MailDate> {
        let (hour, minute, second) = self.time.unwrap_or_default();
        let offset = self.offset.unwrap_or(0);
        if hour > 23 || minute > 59 || second > 60 || offset.abs() >= 1440 {
            return None;
        }
        let (day, month, year) = (self.day?, self.month?, self.year?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days_max = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if !(1..=days_max).contains(&day) {
            return None;
        }
        let offset_minutes = i16::try_from(offset).ok()?;
        let of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        let secs = days_from_civil(year, month, day) * 86_400 + of_day - offset * 60;
        Some(MailDate { at: Timestamp::from_secs(secs), offset_minutes })
    }

    /// RFC 5256 §2.2: what is invalid of time and zone left out.
    fn lenient_date(mut self) -> Option<MailDate> {
        self.time =
            self.time.filter(|&(hour, minute, second)| hour <= 23 && minute <= 59 && second <= 60);
        self.offset = self.offset.filter(|offset| offset.abs() < 1440);
        self.date()
    }
}

/// Up to nine digits.
fn number(token: &[u8]) -> Option<u32> {
    if token.is_empty() || token.len() > 9 {
        return None;
    }
    token.iter().try_fold(0_u32, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0'))
    })
}

fn month(name: &[u8]) -> Option<u32> {
    let at = MONTHS.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
    u32::try_from(at + 1).ok()
}

/// `hour:minute[:second]`, a fraction of the second dropped.
fn time(token: &[u8]) -> Option<(u32, u32, u32)> {
    let mut parts = token.split(|&byte| byte == b':');
    let hour = number(parts.next()?)?;
    let minute = number(parts.next()?)?;
    let second = match parts.next() {
        Some(second) => number(second.split(|&byte| byte == b'.').next()?)?,
        None => 0,
    };
    Some((hour, minute, second))
}

/// `+hhmm`, and the `+hh:mm` seen in the wild, in minutes.
fn numeric_zone(token: &[u8]) -> Option<i64> {
    let digits: Vec<u8> = token[1..].iter().copied().filter(|&byte| byte != b':').collect();
    let [h1, h2, m1, m2] = *digits else { return None };
    let minutes = i64::from(number(&[h1, h2])?) * 60 + i64::from(number(&[m1, m2])?);
    Some(if token[0] == b'-' { -minutes } else { minutes })
}

/// RFC 5322 §4.3 obs-zone. Military letters (and unknown names) are -0000.
fn named_zone(token: &[u8]) -> Option<i64> {
    let hours = match &*token.to_ascii_uppercase() {
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        b"UT" | b"UTC" | b"GMT" => 0,
        [letter] if letter.is_ascii_alphabetic() => 0,
        _ => return None,
    };
    Some(hours * 60)
}

struct Civil {
    weekday: &'static str,
    day: u32,
    month: &'static str,
    year: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

/// The calendar date at the offset. Years outside of 0 to 9999, which no format here can write,
/// become the nearest moment inside.
fn civil(date: MailDate) -> Civil {
    const FIRST: i64 = -62_167_219_200;
    const LAST: i64 = 253_402_300_799;
    let local = date.at.secs().saturating_add(i64::from(date.offset_minutes) * 60);
    let local = local.clamp(FIRST, LAST);
    let days = local.div_euclid(86_400);
    let of_day = local.rem_euclid(86_400);
    let (year, month, day) = civil_from_days(days);
    Civil {
        weekday: WEEKDAYS[usize::try_from(days.rem_euclid(7)).unwrap_or(0)],
        day,
        month: MONTHS[(month - 1) as usize % 12],
        year,
        hour: of_day / 3600,
        minute: of_day / 60 % 60,
        second: of_day % 60,
    }
}

fn zone(offset_minutes: i16) -> String {
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let minutes = offset_minutes.unsigned_abs();
    format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Hinnant's algorithm).
pub(crate) fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
