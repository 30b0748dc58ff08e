use message::check::{check_headers, check_structure, check_text, check_threads, check_transfer};
use message::{
    BodyForm, Limits, SortFacts, Summary, decode_base64, decode_words, fold, preview, search_text,
    write_body, write_envelope,
};
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

/// What is bad at every level at once: deep, wide, long. Also measured by the example `speed`.
fn hostile_sizes() -> Vec<(&'static str, Vec<u8>)> {
    let mut deep = Vec::new();
    for level in 0..100 {
        let field =
            format!("Content-Type: multipart/mixed; boundary=b{level:03}\r\n\r\n--b{level:03}\r\n");
        deep.extend_from_slice(field.as_bytes());
    }
    deep.extend_from_slice(&b"--b\r\n--b00x\r\n".repeat(100_000));
    let mut wide = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    wide.extend_from_slice(
        &b"--b\r\nContent-Type: text/html; name=a\r\n\r\n<p>x\r\n".repeat(20_000),
    );
    vec![
        ("100 multiparts deep", deep),
        ("20,000 parts", wide),
        ("100,000 messages deep", b"Content-Type: message/rfc822\r\n\r\n".repeat(100_000)),
        ("500,000 fields", b"X: y\r\n".repeat(500_000)),
        ("500,000 recipients", [&b"To: "[..], &b"a@b,\r\n ".repeat(500_000)].concat()),
        ("quotes", [&b"To: "[..], &b"\"a(<".repeat(200_000)].concat()),
        ("colons", [&b"To: "[..], &b"x ".repeat(200_000), b"@", &b":".repeat(200_000)].concat()),
        ("parameters", [&b"Content-Type: a/b"[..], &b"; a*0*=\"(".repeat(100_000)].concat()),
        ("comments", [&b"Content-Type: "[..], &b"(".repeat(500_000)].concat()),
        ("escapes", [&b"To: "[..], &b"\\\"".repeat(200_000)].concat()),
        ("brackets", [&b"To: "[..], &b"(".repeat(400_000)].concat()),
        ("references", [&b"References: "[..], &b"<a@b(".repeat(200_000)].concat()),
        ("subject", [&b"Subject: "[..], &b"[a]re[fwd:".repeat(100_000)].concat()),
        ("words", [&b"Subject: "[..], &b"=?a?q?".repeat(200_000)].concat()),
        ("marks", [&b"\r\n"[..], &"e\u{301}\u{5b0}".repeat(200_000).into_bytes()].concat()),
        (
            "tags",
            [&b"Content-Type: text/html\r\n\r\n"[..], &b"<!-- <a <style &".repeat(60_000)].concat(),
        ),
        ("one long line", [&b"\r\n"[..], &b"x".repeat(3_000_000)].concat()),
    ]
}

/// Reading stays linear: this takes seconds unoptimised, and for ever where anything is not.
#[test]
fn hostile_sizes_are_read_in_time() {
    let limits = Limits::default();
    for (name, bytes) in hostile_sizes() {
        let summary = Summary::read(&bytes, &limits);
        let structure = &summary.structure;
        assert_eq!(structure.size(), bytes.len(), "{name}");
        let parts = match name {
            "100 multiparts deep" | "100,000 messages deep" => limits.depth_max,
            "20,000 parts" => limits.parts_max,
            _ => 1,
        };
        assert_eq!(structure.parts().len(), parts, "{name}");
        let mut out = Vec::new();
        write_envelope(&mut out, &summary.envelope);
        write_body(&mut out, structure, BodyForm { extended: true, rev2: true });
        assert!(out.len() < 4 << 20, "{name}: {}", out.len());
        let text = search_text(&bytes, structure, &limits).text;
        assert!(text.len() <= 2 * limits.text_bytes_max, "{name}: {}", text.len());
        assert!(SortFacts::read(&bytes, &limits).encode().len() < 1 << 20, "{name}");
        assert!(preview(&bytes, structure, &limits).chars().count() <= 200, "{name}");
    }
}
