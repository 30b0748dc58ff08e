//! Messages of many kinds.

use proptest::prelude::*;

/// A message whose every part is there: the sample that the version is checked by.
pub const RICH: &str = include_str!("../../src/sample.eml");

/// A message with message/global, which RFC 3501 and RFC 9051 write in different ways.
pub const GLOBAL: &str = "Subject: global\r\nContent-Type: message/global\r\n\r\n\
    Subject: inner\r\n\r\ntext\r\n";

/// Messages from pieces that matter to MIME.
pub fn any_mail() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("Subject: ".to_owned()),
        Just("From: a@b.c\r\n".to_owned()),
        Just("Date: Fri, 01 Jan 2027 23:30:00 -0500\r\n".to_owned()),
        Just("Content-Type: text/html\r\n".to_owned()),
        Just("Content-Type: multipart/mixed; boundary=b\r\n".to_owned()),
        Just("Content-Type: message/rfc822\r\n".to_owned()),
        Just("Content-Transfer-Encoding: base64\r\n".to_owned()),
        Just("--b\r\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("=?utf-8?q?=C3=84?=".to_owned()),
        Just("\u{ad}\u{200b} \u{3000}".to_owned()),
        Just("x: ".to_owned()),
        "[ -~]{0,12}",
        "\\PC{0,6}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}
