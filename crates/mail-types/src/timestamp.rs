use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment this many whole seconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This moment and `wait` later; the end of time where that does not fit.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this moment is; zero where it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// RFC 3339 in UTC with milliseconds, for logs and machine-readable output.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.secs().div_euclid(86_400));
        let of_day = self.secs().rem_euclid(86_400);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60,
            self.0.rem_euclid(1000)
        )
    }
}

/// The proleptic Gregorian date of a count of days since 1970-01-01 (Hinnant's algorithm: exact
/// for every i64 day that a `Timestamp` can hold): year, month from 1, day from 1.
#[must_use]
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u32::try_from(month).unwrap_or(0), u32::try_from(day).unwrap_or(0))
}

/// The days since 1970-01-01 of a date of the proleptic Gregorian calendar (Hinnant's algorithm).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A text that is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time as of RFC 3339, such as 2027-01-31T08:00:00Z")]
pub struct TimestampError;

/// RFC 3339 §5.6 `date-time`, fractions of a second beyond milliseconds cut off.
impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let bytes = text.as_bytes();
        let number = |from: usize, to: usize| -> Result<i64, TimestampError> {
            let digits = bytes.get(from..to).ok_or(TimestampError)?;
            digits.iter().try_fold(0, |number, digit| match digit {
                b'0'..=b'9' => Ok(number * 10 + i64::from(digit - b'0')),
                _ => Err(TimestampError),
            })
        };
        let is = |place: usize, marks: &[u8]| match bytes.get(place) {
            Some(found) if marks.contains(found) => Ok(()),
            _ => Err(TimestampError),
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        for (place, marks) in [(4, b"-"), (7, b"-"), (13, b":"), (16, b":")] {
            is(place, marks)?;
        }
        is(10, b"Tt ")?;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return Err(TimestampError),
        };
        // Second 60 is a leap second, which is not counted here.
        if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return Err(TimestampError);
        }
        let mut at = 19;
        let mut millis = 0;
        if bytes.get(at) == Some(&b'.') {
            let digits = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return Err(TimestampError);
            }
            let kept = digits.min(3);
            millis = number(at + 1, at + 1 + kept)? * [100, 10, 1][kept - 1];
            at += 1 + digits;
        }
        let offset = match bytes.get(at..) {
            Some([b'Z' | b'z']) => 0,
            Some([sign @ (b'+' | b'-'), _, _, b':', _, _]) => {
                let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
                if hours > 23 || minutes > 59 {
                    return Err(TimestampError);
                }
                let minutes = hours * 60 + minutes;
                if *sign == b'-' { -minutes } else { minutes }
            }
            _ => return Err(TimestampError),
        };
        let days = days_from_civil(year, month, day);
        let seconds = days * 86_400 + hour * 3600 + (minute - offset) * 60 + second;
        Ok(Self(seconds * 1000 + millis))
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn times_are_read_as_they_are_written() {
        for secs in [0, 951_782_400, 1_709_164_799, 4_102_444_800, -62_135_596_800] {
            let at = Timestamp(secs * 1000 + 123);
            assert_eq!(at.to_string().parse(), Ok(at), "{at}");
        }
        let at = Timestamp::from_secs(1_800_000_000);
        assert_eq!("2027-01-15T08:00:00Z".parse(), Ok(at));
        assert_eq!("2027-01-15t10:30:00.0+02:30".parse(), Ok(at));
        assert_eq!("2027-01-15T07:59:60-00:00".parse(), Ok(at));
        for wrong in [
            "",
            "2027-01-15",
            "2027-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-01-15T24:00:00Z",
            "2027-01-15T08:00:00",
            "2027-01-15T08:00:00.Z",
            "2027-01-15T08:00:00+2:00",
            "2027-01-15T08:00:00ZZ",
            "2027-01-15T08:00:00+é",
        ] {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
    }
}
