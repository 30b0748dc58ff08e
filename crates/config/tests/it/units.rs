//! Times and sizes as text.

use std::time::Duration;

use config::{format_bytes, format_duration, parse_bytes, parse_duration};

#[test]
fn times_are_read() {
    let millis = |text| parse_duration(text).map(|time| time.as_millis());
    assert_eq!(millis("0s"), Some(0));
    assert_eq!(millis("250ms"), Some(250));
    assert_eq!(millis("5m"), Some(300_000));
    assert_eq!(millis(" 1h 30m "), Some(5_400_000));
    assert_eq!(millis("1h30m"), Some(5_400_000));
    assert_eq!(millis("1 w"), Some(604_800_000));
    assert_eq!(millis("5d"), Some(432_000_000));
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        " ",
        "5",
        "m",
        "5 days",
        "-5m",
        "1.5h",
        "30m 1h",
        "1m 1m",
        "5m,",
        "5m é",
        "1h 30",
        "99999999999999999999s",
        "18446744073709551615d",
        "5M",
    ] {
        assert_eq!(parse_duration(text), None, "{text:?}");
    }
}

#[test]
fn times_are_written_as_they_are_read() {
    for (millis, text) in [
        (0, "0s"),
        (1, "1ms"),
        (90_000, "1m 30s"),
        (432_000_000, "5d"),
        (90_061_001, "1d 1h 1m 1s 1ms"),
    ] {
        let time = Duration::from_millis(millis);
        assert_eq!(format_duration(time), text);
        assert_eq!(parse_duration(text), Some(time));
    }
    let longest = Duration::from_millis(u64::MAX);
    assert_eq!(parse_duration(&format_duration(longest)), Some(longest));
}

#[test]
fn sizes_are_read() {
    assert_eq!(parse_bytes("0 B"), Some(0));
    assert_eq!(parse_bytes("25 MiB"), Some(26_214_400));
    assert_eq!(parse_bytes("25MiB"), Some(26_214_400));
    assert_eq!(parse_bytes("25 MB"), Some(25_000_000));
    assert_eq!(parse_bytes(" 2 GiB "), Some(2_147_483_648));
    for text in ["", "5", "MiB", "5 mib", "5 MiB 1 B", "-1 B", "1.5 MiB", "99999999999999 GiB"] {
        assert_eq!(parse_bytes(text), None, "{text:?}");
    }
}

#[test]
fn sizes_are_written_as_they_are_read() {
    for (bytes, text) in [
        (0, "0 B"),
        (1, "1 B"),
        (1024, "1 KiB"),
        (1536, "1536 B"),
        (26_214_400, "25 MiB"),
        (1_000_000, "1000000 B"),
    ] {
        assert_eq!(format_bytes(bytes), text);
        assert_eq!(parse_bytes(text), Some(bytes));
    }
    assert_eq!(parse_bytes(&format_bytes(u64::MAX)), Some(u64::MAX));
}
