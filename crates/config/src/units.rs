use std::time::Duration;

/// 1,024 bytes.
pub const KIB: u64 = 1024;
/// 1,024 KiB.
pub const MIB: u64 = 1024 * KIB;
/// 1,024 MiB.
pub const GIB: u64 = 1024 * MIB;

pub(crate) const MINUTE: Duration = secs(60);
pub(crate) const HOUR: Duration = secs(3600);
pub(crate) const DAY: Duration = secs(86_400);

pub(crate) const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Units of time, longest first, with their milliseconds.
const TIMES: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Units of size. A file is written with the powers of two; those of ten are read as well.
const SIZES: [(&str, u64); 7] = [
    ("GiB", GIB),
    ("MiB", MIB),
    ("KiB", KIB),
    ("B", 1),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
];

/// Reads a time: numbers with `w`, `d`, `h`, `m`, `s` or `ms`, longest unit first: `90s`,
/// `1h 30m`. `None` for anything else, a bare number included.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut units = TIMES.as_slice();
    let mut millis = 0_u64;
    if rest.is_empty() {
        return None;
    }
    // At most one turn for each unit: `units` gets shorter.
    while !rest.is_empty() {
        let (number, behind) = leading_number(rest)?;
        let name_end = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (name, after) = behind.split_at(name_end);
        let at = units.iter().position(|(unit, _)| *unit == name)?;
        millis = millis.checked_add(number.checked_mul(units.get(at)?.1)?)?;
        units = units.get(at + 1..)?;
        rest = after.trim_start();
    }
    Some(Duration::from_millis(millis))
}

/// Writes a time so that [`parse_duration`] reads it back; less than a millisecond is dropped.
#[must_use]
pub fn format_duration(time: Duration) -> String {
    let mut rest = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (unit, millis) in TIMES.into_iter().filter(|(unit, _)| *unit != "w") {
        if rest >= millis {
            parts.push(format!("{}{unit}", rest / millis));
            rest %= millis;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// Reads a size: one number with `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB` or `GB`. `None` for anything
/// else, a bare number included.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, behind) = leading_number(text.trim())?;
    let (_, factor) = SIZES.into_iter().find(|(unit, _)| *unit == behind)?;
    number.checked_mul(factor)
}

/// Writes a size in its largest whole unit, so that [`parse_bytes`] reads it back.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    let whole = |(_, factor): &(&str, u64)| bytes >= *factor && bytes.is_multiple_of(*factor);
    let (unit, factor) = SIZES.into_iter().find(whole).unwrap_or(("B", 1));
    format!("{} {unit}", bytes / factor)
}

/// The number a text begins with, and what follows it behind spaces.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, behind) = text.split_at(end);
    Some((digits.parse().ok()?, behind.trim_start()))
}
