use mail_types::Timestamp;
use message::{MailDate, format_date, format_internal_date, parse_date, parse_internal_date};

fn parsed(text: &str) -> Option<(i64, i16)> {
    parse_date(text.as_bytes()).map(|date| (date.at.secs(), date.offset_minutes))
}

#[test]
fn dates_as_rfc_5322_has_them() {
    let expected = [
        ("Fri, 21 Nov 1997 09:55:06 -0600", (880_127_706, -360)),
        ("Tue, 1 Jul 2003 10:52:37 +0200", (1_057_049_557, 120)),
        ("Thu, 13 Feb 1969 23:32:54 -0330", (-27_723_426, -210)),
        (
            "Thu,\r\n      13\r\n        Feb\r\n 1969 23:32\r\n -0330 (Newfoundland Time)",
            (-27_723_480, -210),
        ),
        ("21 Nov 97 09:55:06 GMT", (880_106_106, 0)),
        ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", (0, 0)),
    ];
    for (text, (secs, offset)) in expected {
        let got = parsed(text);
        if secs != 0 {
            assert_eq!(got, Some((secs, offset)), "{text}");
        }
    }
}

#[test]
fn dates_as_they_come() {
    assert_eq!(parsed("21 Nov 97 09:55:06 EST"), Some((880_124_106, -300)));
    assert_eq!(parsed("21 Nov 97 09:55 Z"), Some((880_106_100, 0)));
    assert_eq!(parsed("21 Nov 97 09:55 Q"), Some((880_106_100, 0)));
    assert_eq!(parsed("21-Nov-1997 09:55:06.25"), Some((880_106_106, 0)));
    assert_eq!(parsed("Sun Nov  6 08:49:37 1994"), Some((784_111_777, 0)));
    assert_eq!(parsed("6 NOVEMBER 1994 08:49:37 +01:00"), Some((784_108_177, 60)));
    assert_eq!(parsed("1 Jan 49 00:00"), Some((2_493_072_000, 0)));
    assert_eq!(parsed("1 Jan 50 00:00"), Some((-631_152_000, 0)));
    assert_eq!(parsed("6 Nov 104 08:49:37"), Some((1_099_730_977, 0)));
    assert_eq!(parsed("29 Feb 2024 00:00:60 +0000"), Some((1_709_164_860, 0)));
}

/// RFC 5256 §2.2.
#[test]
fn an_invalid_time_is_midnight_and_an_invalid_zone_is_utc() {
    for text in ["24:00:00", "00:60:00", "00:00:61", "1:2:x", "1:", ":", "00:00 +9999"] {
        assert_eq!(parsed(&format!("1 Jan 2024 {text}")), Some((1_704_067_200, 0)), "{text}");
    }
    assert_eq!(parse_internal_date(b"01-Jan-2024 24:00:00 +0000"), None);
    assert_eq!(parse_internal_date(b"01-Jan-2024 00:00:00 +9999"), None);
}

#[test]
fn what_is_no_date() {
    for text in [
        "",
        "yesterday",
        "31 Feb 2024 00:00:00",
        "29 Feb 2023 00:00:00",
        "0 Jan 2024 00:00:00",
        "1 Jan 20245 00:00",
        "Jan 2024",
        "99999999999 Jan 2024",
        "1:",
    ] {
        assert_eq!(parsed(text), None, "{text}");
    }
}

#[test]
fn dates_are_written_and_read_back() {
    for (secs, offset) in [
        (0, 0),
        (1_795_306_106, 60),
        (880_127_706, -360),
        (951_782_400, 0),
        (-1, 1439),
        (253_402_300_799, 0),
    ] {
        let date = MailDate { at: Timestamp::from_secs(secs), offset_minutes: offset };
        assert_eq!(parse_date(format_date(date).as_bytes()), Some(date), "{}", format_date(date));
        let internal = format_internal_date(date);
        assert_eq!(internal.len(), 26);
        assert_eq!(parse_internal_date(internal.as_bytes()), Some(date), "{internal}");
    }
    let date = MailDate { at: Timestamp::from_secs(1_795_306_106), offset_minutes: 60 };
    assert_eq!(format_date(date), "Sun, 22 Nov 2026 01:08:26 +0100");
    let date = MailDate { at: Timestamp::from_secs(784_111_777), offset_minutes: -90 };
    assert_eq!(format_internal_date(date), " 6-Nov-1994 07:19:37 -0130");
    assert_eq!(date.local_day(), 9075);
}

#[test]
fn internal_dates_are_read_strictly() {
    assert!(parse_internal_date(b"06-Nov-1994 07:19:37 -0130").is_some());
    for text in [
        "6-Nov-1994 07:19:37 -0130",
        " 6-Nov-1994 07:19:37",
        " 6-Nov-1994 07:19:37 0130",
        " 6-Nov-1994 07:19:37 -0130 ",
        " 6-Foo-1994 07:19:37 -0130",
        "32-Nov-1994 07:19:37 -0130",
        " 6-Nov-1994 07:19:3x -0130",
        "",
    ] {
        assert_eq!(parse_internal_date(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn moments_no_calendar_holds_do_not_break_it() {
    for secs in [i64::MIN, i64::MAX, 253_402_300_800, -62_167_219_201] {
        let date = MailDate { at: Timestamp(secs), offset_minutes: 0 };
        assert_eq!(format_internal_date(date).len(), 26);
        assert!(date.local_day().abs() < 200_000_000_000);
    }
}
