use message::{
    Limits, decode_base64, decode_charset, decode_quoted_printable, decode_words, decoded_text,
    fold, html_text, search_body, search_field, search_header, search_text,
};

use crate::support::{golden, structure};

fn words(value: &str) -> String {
    decode_words(value.as_bytes())
}

#[test]
fn encoded_words_of_rfc_2047() {
    // §8, its examples.
    assert_eq!(words("(=?ISO-8859-1?Q?a?=)"), "(a)");
    assert_eq!(words("(=?ISO-8859-1?Q?a?= b)"), "(a b)");
    assert_eq!(words("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)"), "(ab)");
    assert_eq!(words("(=?ISO-8859-1?Q?a?=  \r\n  =?ISO-8859-1?Q?b?=)"), "(ab)");
    assert_eq!(words("(=?ISO-8859-1?Q?a_b?=)"), "(a b)");
    assert_eq!(words("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)"), "(a b)");
    assert_eq!(words("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <k@dk>"), "Keld Jørn Simonsen <k@dk>");
    let split = "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n \
                 =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=";
    assert_eq!(words(split), "If you can read this you understand the example.");
}

#[test]
fn encoded_words_seen_in_the_wild() {
    // A character split between words, a language tag, spaces inside.
    assert_eq!(words("=?utf-8?q?=C3?= =?UTF-8?q?=9F?="), "ß");
    assert_eq!(words("=?utf-8*de?q?=C3=9F?="), "ß");
    assert_eq!(words("=?utf-8?q?two words?="), "two words");
    assert_eq!(words("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?="), "日本");
    assert_eq!(words("=?gb2312?B?1tA=?="), "中");
    // What is none stays.
    for plain in ["=?", "=?utf-8?", "=?utf-8?x?y?=", "a =? b", "=?utf-8?q?abc", "1=?2?=3"] {
        assert_eq!(words(plain), plain);
    }
    assert_eq!(decode_words(b"raw \xc3\xa9 and latin"), "raw é and latin");
    assert_eq!(decode_words(b"caf\xe9"), "café");
    assert_eq!(words("=?x-unknown?q?=C3=A9?="), "é");
    assert_eq!(words("a\r\n b"), "a b");
}

#[test]
fn hostile_encoded_words_take_linear_time() {
    assert_eq!(words(&"=?".repeat(500_000)).len(), 1_000_000);
    assert_eq!(words(&"=?a?q?".repeat(200_000)).len(), 1_200_000);
    assert_eq!(words(&"=?a?q?x?= ".repeat(100_000)).len(), 100_001);
}

#[test]
fn base64_and_quoted_printable() {
    let base64 = |text: &str| decode_base64(text.as_bytes(), 100);
    assert_eq!(base64("aGVsbG8="), b"hello");
    assert_eq!(base64("aGVs\r\nbG8"), b"hello");
    assert_eq!(base64("aGk=aGk="), b"hihi");
    assert_eq!(base64("a!G*k"), b"hi");
    assert_eq!(base64("a"), b"");
    assert_eq!(decode_base64(b"aGVsbG8=", 3), b"hel");
    let qp = |text: &str| decode_quoted_printable(text.as_bytes(), 100);
    assert_eq!(qp("a=3Db=\r\nc  \r\nd= \t\r\ne=zz=4"), b"a=bc\r\nde=zz=4");
    assert_eq!(qp("=c3=BC\n"), "ü\n".as_bytes());
    assert_eq!(decode_quoted_printable(b"abcdef", 3), b"abc");
}

#[test]
fn charsets() {
    assert_eq!(decode_charset(b"caf\xe9", Some(b"iso-8859-1")), "café");
    assert_eq!(decode_charset(b"caf\xe9", Some(b"us-ascii")), "café");
    assert_eq!(decode_charset("é".as_bytes(), Some(b"us-ascii")), "é");
    assert_eq!(decode_charset("é".as_bytes(), None), "é");
    assert_eq!(decode_charset(b"a\xffb", Some(b"utf-8")), "a\u{fffd}b");
    assert_eq!(decode_charset(b"\xcf\xf0\xe8", Some(b"windows-1251")), "При");
    assert_eq!(decode_charset("\u{feff}x".as_bytes(), Some(b"utf-8")), "x");
}

/// "日本語" and others, as each charset of mail has them.
#[test]
fn charsets_of_many_lands() {
    for (charset, bytes, text) in [
        ("iso-2022-jp", &b"\x1b$BF|K\\8l\x1b(B"[..], "日本語"),
        ("ISO-2022-JP-2", b"\x1b$BF|K\\8l\x1b(B", "日本語"),
        ("shift_jis", b"\x93\xfa\x96\x7b\x8c\xea", "日本語"),
        ("cp932", b"\x93\xfa\x96\x7b\x8c\xea", "日本語"),
        ("euc-jp", b"\xc6\xfc\xcb\xdc\xb8\xec", "日本語"),
        ("gb18030", b"\xd6\xd0\xce\xc4\x81\x30\x81\x30", "中文\u{80}"),
        ("gb2312", b"\xd6\xd0\xce\xc4", "中文"),
        ("big5", b"\xa4\xa4\xa4\xe5", "中文"),
        ("euc-kr", b"\xc7\xd1\xb1\xb9", "한국"),
        ("ks_c_5601-1987", b"\xc7\xd1\xb1\xb9", "한국"),
        ("koi8-r", b"\xf0\xd2\xc9", "При"),
        ("koi8-u", b"\xa6\xd7", "ів"),
        ("utf-7", b"Hi Mom -+Jjo--! A+ImIDkQ. 1 +- 1", "Hi Mom -\u{263a}-! A≢Α. 1 + 1"),
        ("utf-7", b"+ZeVnLIqe-", "日本語"),
        ("utf-7", b"a+!b +", "a+!b +"),
        ("utf-16", b"\xfe\xff\0a\0b", "ab"),
        ("utf-16le", b"a\0b\0", "ab"),
        ("hz-gb-2312", b"plain", "plain"),
        ("latin-9", b"\xa4", "€"),
        ("iso-8859-8-i", b"\xf9", "ש"),
        ("windows-1256", b"\xd3", "س"),
        ("tis-620", b"\xa1", "ก"),
        ("no such one", b"caf\xe9", "café"),
    ] {
        assert_eq!(decode_charset(bytes, Some(charset.as_bytes())), text, "{charset}");
    }
}

#[test]
fn html_names_its_charset() {
    for meta in [
        "<meta charset=koi8-r>",
        "<META CHARSET = \"koi8-r\">",
        "<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>",
    ] {
        let bytes = [b"Content-Type: text/html\r\n\r\n", meta.as_bytes(), b"\xf0\xd2\xc9"].concat();
        let structure = structure(&bytes);
        let text = decoded_text(structure.root(), &bytes, &Limits::default());
        assert_eq!(text.as_deref(), Some(&*format!("{meta}При")));
    }
}

#[test]
fn attachments_are_found_by_their_names() {
    let bytes = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
        Content-Type: application/pdf; name=\"=?utf-8?q?Pr=C3=BCfung?=.pdf\"\r\n\r\nx\r\n--b\r\n\
        Content-Disposition: attachment; filename*=utf-8''%e8%a8%88.txt\r\n\r\nx\r\n--b--\r\n";
    let body = search_body(bytes, &structure(bytes), &Limits::default());
    assert_eq!(body.text, "prüfung.pdf\n計.txt\nx\n");
}

#[test]
fn text_parts_are_decoded() {
    let bytes = golden("alternative");
    let structure = structure(&bytes);
    let text = |at: usize| decoded_text(&structure.parts()[at], &bytes, &Limits::default());
    assert!(text(1).unwrap().starts_with("Grüße: a long line that is folded softly\r\n"));
    assert_eq!(text(2).unwrap(), "<p>Grüße <b>f</b>ett</p>");
    assert_eq!(text(0), None);
}

#[test]
fn html_becomes_text() {
    assert_eq!(html_text("<p>b<b>ol</b>d</p>x"), " bold x");
    assert_eq!(html_text("a<!-- <b> -->b<SCRIPT>x<p></script>c<style>y</style >d"), "ab  c  d");
    assert_eq!(html_text("&lt;&amp;&gt;&nbsp;&#65;&#x42;&auml;&bogus;&"), "<&>\u{a0}ABä&bogus;&");
    assert_eq!(html_text("&times;&yuml;&alpha;&Omega;&sigmaf;&hellip;&#146;&#x80;"), "×ÿαΩς…’€");
    assert_eq!(html_text("a&nbsp;b&shy;c"), "a\u{a0}b\u{ad}c");
    assert_eq!(html_text("1 < 2 <3 a<b"), "1 < 2 <3 a<b");
    assert_eq!(html_text("&#xd800;&#x110000;"), "&#xd800;&#x110000;");
    let hostile = "<!-- <a <style &".repeat(100_000);
    assert!(html_text(&hostile).len() <= 2 * hostile.len());
}

#[test]
fn search_finds_what_people_see() {
    let bytes = golden("alternative");
    let structure_of = structure(&bytes);
    let body = search_body(&bytes, &structure_of, &Limits::default());
    assert!(body.complete);
    for key in ["GRÜSSE", "Grüße: A LONG line", "is folded", "softly ends", "Grüße FETT"] {
        assert!(body.text.contains(&fold(key)), "{key}");
    }
    assert!(!body.text.contains("<b>") && !body.text.contains("two forms"));
    let all = search_text(&bytes, &structure_of, &Limits::default());
    assert!(all.text.contains("subject: two forms\n"));

    let bytes = golden("plain");
    let limits = Limits::default();
    assert_eq!(search_field(&bytes, "subject", &limits).text, "grüsse aus köln\n");
    assert_eq!(search_field(&bytes, "x-none", &limits).text, "");
    let header = search_header(&bytes, &limits);
    assert!(header.text.contains("from: \"ann a. author\" <ann@example.org>\n"));

    // Headers of messages inside belong to the body.
    let bytes = golden("rfc3501");
    let body = search_body(&bytes, &structure(&bytes), &limits);
    assert!(body.text.contains("subject: four two") && body.text.contains("part 4.2.2.1"));
    assert!(!body.text.contains("the tree of"));
}

#[test]
fn what_search_leaves_out_is_said() {
    let bytes = b"Subject: x\r\n\r\nsome longer text at the end";
    let structure = structure(bytes);
    let limits = Limits { text_bytes_max: 20, ..Limits::default() };
    let body = search_body(bytes, &structure, &limits);
    assert!(!body.complete && body.text.len() <= 21);
    let limits = Limits { header_fields_max: 1, ..Limits::default() };
    assert!(!search_header(b"A: 1\r\nB: 2\r\n\r\n", &limits).complete);
    assert!(search_header(b"A: 1\r\n\r\n", &limits).complete);
}
