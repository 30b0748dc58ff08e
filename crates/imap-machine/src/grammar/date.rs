use std::fmt;

use mail_types::Timestamp;

use super::scan::{Parsed, Scan, SyntaxError};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const SECS_PER_DAY: i64 = 86_400;

/// A day, counted from 1970-01-01 (which is 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// The day of a moment, in UTC.
    #[must_use]
    pub fn of(moment: Timestamp) -> Self {
        Self(i32::try_from(moment.secs().div_euclid(SECS_PER_DAY)).unwrap_or(i32::MAX))
    }

    /// The first moment of the day, in UTC.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp::from_secs(i64::from(self.0) * SECS_PER_DAY)
    }

    // RFC 3501 §9: date = date-text / DQUOTE date-text DQUOTE;
    // date-text = date-day "-" date-month "-" date-year; date-day = 1*2DIGIT
    pub(crate) fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        let quoted = scan.eat(b'"');
        let digits = scan.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.len() > 2 {
            return Err(SyntaxError("a date is day-month-year, as in 1-Feb-1994"));
        }
        let day = Self::rest(scan, decimal(digits))?;
        if quoted {
            scan.expect(b'"', "a date's quote does not end")?;
        }
        Ok(day)
    }

    /// `"-" date-month "-" date-year` behind the day of the month.
    fn rest(scan: &mut Scan<'_>, day: u32) -> Parsed<Self> {
        scan.expect(b'-', "a date is day-month-year, as in 1-Feb-1994")?;
        let month = MONTHS.iter().position(|month| scan.eat_text(month));
        let month = month.ok_or(SyntaxError("a month is Jan, Feb, ..., Dec"))?;
        scan.expect(b'-', "a date is day-month-year, as in 1-Feb-1994")?;
        let year = digits(scan, 4)?;
        let month = u32::try_from(month).unwrap_or(0) + 1;
        if day == 0 || day > days_in_month(year, month) {
            return Err(SyntaxError("there is no such day"));
        }
        Ok(Self(days_from_civil(year, month, day)))
    }
}

/// As in SEARCH: `1-Feb-1994`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0);
        write!(f, "{day}-{}-{year:04}", MONTHS[month as usize - 1])
    }
}

// RFC 3501 §9: date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone
// DQUOTE; date-day-fixed = (SP DIGIT) / 2DIGIT; time = 2DIGIT ":" 2DIGIT ":" 2DIGIT;
// zone = ("+" / "-") 4DIGIT
pub(crate) fn parse_date_time(scan: &mut Scan<'_>) -> Parsed<Timestamp> {
    scan.expect(b'"', "a date-time is in quotes")?;
    let of_month = if scan.eat(b' ') { digits(scan, 1)? } else { digits(scan, 2)? };
    let day = Day::rest(scan, of_month)?;
    scan.space()?;
    let hour = digits(scan, 2)?;
    scan.expect(b':', "a time is hh:mm:ss")?;
    let minute = digits(scan, 2)?;
    scan.expect(b':', "a time is hh:mm:ss")?;
    let second = digits(scan, 2)?;
    scan.space()?;
    let east = scan.eat(b'+');
    if !east {
        scan.expect(b'-', "a zone is +hhmm or -hhmm")?;
    }
    let (zone_hour, zone_minute) = (digits(scan, 2)?, digits(scan, 2)?);
    scan.expect(b'"', "a date-time's quote does not end")?;
    // RFC 5322 §3.3: second 60 is a leap second.
    if hour > 23 || minute > 59 || second > 60 || zone_minute > 59 {
        return Err(SyntaxError("there is no such time of day"));
    }
    let offset = i64::from(zone_hour * 60 + zone_minute) * if east { 60 } else { -60 };
    let of_day = i64::from(hour * 3600 + minute * 60 + second);
    Ok(Timestamp::from_secs(day.start().secs() + of_day - offset))
}

// RFC 3339 §5.6: date-time = full-date "T" full-time; full-date = 4DIGIT "-" 2DIGIT "-" 2DIGIT;
// full-time = partial-time time-offset; partial-time = 2DIGIT ":" 2DIGIT ":" 2DIGIT ["." 1*DIGIT];
// time-offset = "Z" / (("+" / "-") 2DIGIT ":" 2DIGIT)
pub(crate) fn parse_internet_date_time(scan: &mut Scan<'_>) -> Parsed<Timestamp> {
    const WRONG: SyntaxError = SyntaxError("a date-time is as in 1996-12-19T16:39:57-08:00");
    let year = digits(scan, 4)?;
    scan.expect(b'-', WRONG.0)?;
    let month = digits(scan, 2)?;
    scan.expect(b'-', WRONG.0)?;
    let of_month = digits(scan, 2)?;
    if !scan.eat_text("T") {
        return Err(WRONG);
    }
    let hour = digits(scan, 2)?;
    scan.expect(b':', WRONG.0)?;
    let minute = digits(scan, 2)?;
    scan.expect(b':', WRONG.0)?;
    let second = digits(scan, 2)?;
    if scan.eat(b'.') {
        // Parts of a second make no difference here.
        scan.take_while(|byte| byte.is_ascii_digit());
    }
    let mut offset = 0;
    if !scan.eat_text("Z") {
        let east = scan.eat(b'+');
        if !east {
            scan.expect(b'-', WRONG.0)?;
        }
        let hours = digits(scan, 2)?;
        scan.expect(b':', WRONG.0)?;
        let minutes = digits(scan, 2)?;
        offset = i64::from(hours * 60 + minutes) * if east { 60 } else { -60 };
    }
    let day = 1..=days_in_month(year, month.clamp(1, 12));
    if !(1..=12).contains(&month) || !day.contains(&of_month) {
        return Err(SyntaxError("there is no such day"));
    }
    if hour > 23 || minute > 59 || second > 60 {
        return Err(SyntaxError("there is no such time of day"));
    }
    let day = Day(days_from_civil(year, month, of_month));
    let of_day = i64::from(hour * 3600 + minute * 60 + second);
    Ok(Timestamp::from_secs(day.start().secs() + of_day - offset))
}

/// Appends INTERNALDATE in UTC, quotes included: `"17-Jul-1996 02:44:25 +0000"`.
pub(crate) fn write_date_time(moment: Timestamp, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(Day::of(moment).0);
    let of_day = u32::try_from(moment.secs().rem_euclid(SECS_PER_DAY)).unwrap_or(0);
    let two = |number: u32| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    out.push(b'"');
    let mut of_month = two(day);
    if day < 10 {
        of_month[0] = b' ';
    }
    out.extend_from_slice(&of_month);
    out.push(b'-');
    out.extend_from_slice(MONTHS[month as usize - 1].as_bytes());
    out.push(b'-');
    out.extend_from_slice(&two(year / 100));
    out.extend_from_slice(&two(year));
    for (before, part) in [(b' ', of_day / 3600), (b':', of_day / 60 % 60), (b':', of_day % 60)] {
        out.push(before);
        out.extend_from_slice(&two(part));
    }
    out.extend_from_slice(b" +0000\"");
}

/// The next so many digits.
fn digits(scan: &mut Scan<'_>, count: usize) -> Parsed<u32> {
    scan.take(count)
        .filter(|found| found.iter().all(u8::is_ascii_digit))
        .map(decimal)
        .ok_or(SyntaxError("a date or time has the wrong number of digits"))
}

/// The value of at most four digits.
fn decimal(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'))
}

const fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar (Hinnant's algorithm); years
/// 0 to 9999 fit.
fn days_from_civil(year: u32, month: u32, day: u32) -> i32 {
    let year = year as i32 - i32::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted_month = (month as i32 + 9) % 12;
    let of_year = (153 * shifted_month + 2) / 5 + day as i32 - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The way back: year (0 to 9999; others are clamped, four digits are all the wire has), month,
/// day.
fn civil_from_days(days: i32) -> (u32, u32, u32) {
    let shifted = i64::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = (year_of_era + era * 400 + i64::from(month <= 2)).clamp(0, 9999);
    (year as u32, month as u32, day as u32)
}
