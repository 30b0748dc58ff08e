use message::check::{check_headers, check_structure, check_text, check_threads, check_transfer};
use message::{Limits, Summary, decode_base64, decode_words, fold};
use proptest::prelude::*;

/// Messages from pieces that mean something to the readers.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "\r\n",
        "\n",
        "\r",
        "--",
        "--a",
        "--a--",
        "--b\r\n",
        "\r\n--a\r\n",
        "\r\n--b--\r\n",
        " ",
        "\t",
        "Content-Type: multipart/mixed; boundary=a\r\n",
        "Content-Type: multipart/digest; boundary=\"b\"\r\n",
        "Content-Type: message/rfc822\r\n",
        "Content-Type: message/global\r\n\r\n",
        "Content-Type: text/html; charset=x\r\n",
        "Content-Transfer-Encoding: base64\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n",
        "Content-Disposition: ;a*0=1;a*1*=%\r\n",
        "Content-Language: a, b\r\n",
        "From: a b <c@d>\r\n",
        "To: g: x@y, z;\r\n",
        "Subject: =?utf-8?q?",
        "?=",
        ":",
        ";",
        ",",
        "<",
        ">",
        "@",
        "(",
        ")",
        "\"",
        "\\",
        "=",
        "=3D",
        "\u{fc}",
        "\0",
        "x",
        "{3}",
        "Date: 1 Jan 2020 00:00 +0000\r\n",
        "Message-ID: <",
        "[",
        "]",
        "'",
        "%41",
        "&",
        "&#65;",
        "<!--",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_octets_keep_the_promises(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(check_structure(&bytes), Ok(()));
        prop_assert_eq!(check_headers(&bytes), Ok(()));
        prop_assert_eq!(check_text(&bytes), Ok(()));
        prop_assert_eq!(check_transfer(&bytes), Ok(()));
        prop_assert_eq!(check_threads(&bytes), Ok(()));
    }

    #[test]
    fn meaningful_pieces_keep_the_promises(bytes in pieces()) {
        prop_assert_eq!(check_structure(&bytes), Ok(()));
        prop_assert_eq!(check_headers(&bytes), Ok(()));
    }

    #[test]
    fn any_octets_are_a_summary_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        if let Ok(summary) = Summary::decode(&bytes) {
            prop_assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
        }
    }

    #[test]
    fn folding_twice_is_folding_once(text in any::<String>()) {
        let once = fold(&text);
        prop_assert!(!once.contains('\n'));
        prop_assert_eq!(fold(&once), once);
    }

    #[test]
    fn base64_of_anything_is_bounded(bytes in prop::collection::vec(any::<u8>(), 0..200), max in 0_usize..50) {
        prop_assert!(decode_base64(&bytes, max).len() <= max);
        prop_assert!(decode_words(&bytes).len() <= 3 * bytes.len());
    }
}

/// Reading stays linear: input that is bad at every level of nesting at once.
#[test]
fn hostile_sizes_are_read_in_time() {
    let limits = Limits::default();
    let mut deep = Vec::new();
    for level in 0..100 {
        let field =
            format!("Content-Type: multipart/mixed; boundary=b{level:03}\r\n\r\n--b{level:03}\r\n");
        deep.extend_from_slice(field.as_bytes());
    }
    deep.extend_from_slice(&b"--b\r\n--b00x\r\n".repeat(100_000));
    let messages = b"Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
    let quotes = [&b"To: "[..], &b"\"a(<".repeat(200_000)].concat();
    let params = [&b"Content-Type: a/b"[..], &b"; a*0*=\"(".repeat(100_000)].concat();
    let comments = [&b"Content-Type: "[..], &b"(".repeat(500_000)].concat();
    let escapes = [&b"To: "[..], &b"\\\"".repeat(200_000)].concat();
    let names = [&b"To: "[..], &b"(".repeat(400_000)].concat();
    for (bytes, parts) in [
        (deep, 100),
        (messages, 100),
        (quotes, 1),
        (params, 1),
        (comments, 1),
        (escapes, 1),
        (names, 1),
    ] {
        let summary = Summary::read(&bytes, &limits);
        assert_eq!(summary.structure.parts().len(), parts);
        assert_eq!(summary.structure.size(), bytes.len());
    }
}
