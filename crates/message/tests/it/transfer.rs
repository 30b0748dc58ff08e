use message::{UnknownCte, decode_base64, decoded_part, decoded_part_range, decoded_size};
use proptest::prelude::*;

use crate::support::structure;

fn mail(encoding: &str, body: &[u8]) -> Vec<u8> {
    let header =
        format!("Content-Type: application/x\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
    [header.as_bytes(), body].concat()
}

#[track_caller]
fn check(encoding: &str, body: &[u8], decoded: &[u8]) {
    let bytes = mail(encoding, body);
    let structure = structure(&bytes);
    let part = structure.root();
    assert_eq!(decoded_part(&bytes, part).unwrap(), decoded);
    assert_eq!(decoded_size(&bytes, part), Ok(decoded.len()));
    for skip in 0..=decoded.len() + 1 {
        for max in 0..5 {
            let range = decoded_part_range(&bytes, part, skip, max).unwrap();
            let from = skip.min(decoded.len());
            assert_eq!(range, &decoded[from..(from + max).min(decoded.len())], "{skip}.{max}");
        }
    }
}

#[test]
fn parts_are_decoded_whole_and_in_pieces() {
    check("7bit", b"abc\r\n", b"abc\r\n");
    check("BINARY", b"a\0b\r", b"a\0b\r");
    check("base64 (as ever)", b"aGVs\r\nbG8g d29ybGQ=\r\n", b"hello world");
    check("base64", b"aGk=aGk=", b"hihi");
    check("base64", b"aGVsbG8gd29ybGQsIGFuZCBtb3Jl", b"hello world, and more");
    check("quoted-printable", b"a=3Db=\r\nc  \r\n=zz=4\n=", b"a=bc\r\n=zz=4\n");
    check("base64", b"", b"");
}

#[test]
fn an_unknown_encoding_is_said() {
    let bytes = mail("x-uuencode", b"abc");
    let structure_of = structure(&bytes);
    assert_eq!(decoded_part(&bytes, structure_of.root()), Err(UnknownCte));
    assert_eq!(decoded_size(&bytes, structure_of.root()), Err(UnknownCte));
    // RFC 2045 §6.4: a multipart has no encoding.
    let bytes = b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\
                  \r\n\r\n--b\r\n\r\nx\r\n--b--\r\n";
    let structure = structure(bytes);
    assert_eq!(decoded_part(bytes, structure.root()).unwrap(), &b"--b\r\n\r\nx\r\n--b--\r\n"[..]);
}

/// One octet after the other, as the RFC says it.
fn slow_base64(text: &[u8]) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for piece in text.split(|&octet| octet == b'=') {
        let bits: Vec<usize> = piece
            .iter()
            .filter_map(|octet| alphabet.iter().position(|digit| digit == octet))
            .flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1))
            .collect();
        let octet = |bits: &[usize]| bits.iter().fold(0, |value, bit| value << 1 | *bit) as u8;
        out.extend(bits.chunks_exact(8).map(octet));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn base64_is_as_the_rfc_says(text in "[A-Za-z0-9+/=\r\n !]{0,3000}", max in 0_usize..2500) {
        let slow = slow_base64(text.as_bytes());
        prop_assert_eq!(&decode_base64(text.as_bytes(), usize::MAX), &slow);
        prop_assert_eq!(&decode_base64(text.as_bytes(), max), &slow[..max.min(slow.len())]);
    }
}
