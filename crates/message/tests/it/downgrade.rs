use message::{
    BodyForm, Limits, Structure, downgraded_body, downgraded_envelope, envelope, write_body,
    write_envelope,
};

use crate::support::{Wire, goldens};

fn envelope_of(header: &str) -> String {
    let mut out = Vec::new();
    write_envelope(&mut out, &envelope(header.as_bytes()));
    let downgraded = downgraded_envelope(&out);
    Wire::parse(&downgraded);
    String::from_utf8(downgraded.into_owned()).unwrap()
}

fn body_of(mail: &str) -> String {
    let mut out = Vec::new();
    let structure = Structure::parse(mail.as_bytes(), &Limits::default());
    write_body(&mut out, &structure, BodyForm { extended: true, rev2: false });
    let downgraded = downgraded_body(&out);
    Wire::parse(&downgraded);
    String::from_utf8(downgraded.into_owned()).unwrap()
}

/// RFC 6858 §2.1 to §2.4.
#[test]
fn an_envelope_in_ascii() {
    let got = envelope_of(
        "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nSubject: Grüße\r\n\
         From: Jürgen <juergen@example.org>\r\nSender: Jürgen <jürgen@example.org>\r\n\
         Reply-To: jürgen@bücher.example\r\n\
         To: bücher@example.org, Ann <ann@bücher.example>, =?utf-8?q?B=C3=B6?= <bö@example.org>\r\n\
         Cc: Gäste: a@example.org;\r\nMessage-ID: <grüße@example.org>\r\n\r\n",
    );
    let invalid = "\"invalid\" \"internationalized-address.invalid\"";
    let jürgen = "\"=?utf-8?q?J=C3=BCrgen";
    assert_eq!(
        got,
        format!(
            "(\"Sun, 22 Nov 2026 10:00:00 +0000\" \"=?utf-8?q?Gr=C3=BC=C3=9Fe?=\" \
             (({jürgen}?=\" NIL \"juergen\" \"example.org\")) \
             (({jürgen}_=3Cj=C3=BCrgen=40example=2Eorg=3E?=\" NIL {invalid})) \
             ((\"=?utf-8?q?=3Cj=C3=BCrgen=40b=C3=BCcher=2Eexample=3E?=\" NIL {invalid})) \
             ((\"=?utf-8?q?=3Cb=C3=BCcher=40example=2Eorg=3E?=\" NIL {invalid})\
             (\"Ann\" NIL \"ann\" \"xn--bcher-kva.example\")\
             (\"=?utf-8?q?B=C3=B6_=3Cb=C3=B6=40example=2Eorg=3E?=\" NIL {invalid})) \
             ((NIL NIL \"=?utf-8?q?G=C3=A4ste?=\" NIL)(NIL NIL \"a\" \"example.org\")\
             (NIL NIL NIL NIL)) NIL NIL NIL)"
        )
    );
}

#[test]
fn a_long_subject_is_several_words_on_one_line() {
    let got = envelope_of(&format!("Subject: {}\r\n\r\n", "ü".repeat(40)));
    let words: Vec<&str> = got.split('"').nth(1).unwrap().split(' ').collect();
    assert!(words.len() > 2 && words.iter().all(|word| word.len() <= 75), "{words:?}");
    assert_eq!(message::decode_words(words.join(" ").as_bytes()), "ü".repeat(40));
}

#[test]
fn a_structure_in_ascii() {
    let got = body_of(
        "Content-Type: multipart/mixed; boundary=x; note=grün\r\n\r\n\
         --x\r\nContent-Type: text/plain; charset=utf-8; name=\"Grüße.txt\"\r\n\
         Content-Description: für dich\r\nContent-ID: <ü@x>\r\nContent-Location: http://x/ü\r\n\
         Content-Disposition: attachment; filename=\"Grüße.txt\"; size=3\r\n\r\nabc\r\n\
         --x\r\nContent-Type: message/rfc822\r\nContent-Disposition: inline; filename=\"ä\"\r\n\r\n\
         Subject: Größe\r\nContent-Type: image/png; name*0=\"ö\"; name*1=x\r\n\r\n.\r\n--x--\r\n",
    );
    assert_eq!(
        got,
        "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\" \"NAME*\" \"utf-8''Gr%C3%BC%C3%9Fe.txt\") NIL \
         \"=?utf-8?q?f=C3=BCr_dich?=\" \"7BIT\" 3 0 NIL \
         (\"ATTACHMENT\" (\"FILENAME*\" \"utf-8''Gr%C3%BC%C3%9Fe.txt\" \"SIZE\" \"3\")) NIL NIL)\
         (\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 69 \
         (NIL \"=?utf-8?q?Gr=C3=B6=C3=9Fe?=\" NIL NIL NIL NIL NIL NIL NIL NIL) \
         (\"IMAGE\" \"PNG\" (\"NAME*\" \"utf-8''%C3%B6x\") NIL NIL \"7BIT\" 1 NIL NIL NIL NIL) 3 NIL \
         (\"INLINE\" (\"FILENAME*\" \"utf-8''%C3%A4\")) NIL NIL) \
         \"MIXED\" (\"BOUNDARY\" \"x\" \"NOTE*\" \"utf-8''gr%C3%BCn\") NIL NIL NIL)"
    );
}

/// What nobody knows the meaning of stays, and so does what is in ASCII already.
#[test]
fn other_octets_stay_as_they_are() {
    let mut latin1 = Vec::new();
    write_envelope(&mut latin1, &envelope(b"Subject: Gr\xfc\xdfe\r\nFrom: \xfc@x\r\n\r\n"));
    assert_eq!(downgraded_envelope(&latin1), latin1);
    for broken in
        [&b"(\"\xc3\xbc\""[..], b"\"\xc3\xbc", b"({9}\r\n\xc3\xbc)", b"(\xc3\xbc) x", b"\xc3\xbc)"]
    {
        assert_eq!(downgraded_envelope(broken), broken);
        assert_eq!(downgraded_body(broken), broken);
    }
    let deep = [vec![b'('; 100_000], "\"ü\"".as_bytes().to_vec(), vec![b')'; 100_000]].concat();
    assert_eq!(downgraded_body(&deep), deep);
    for (name, mail) in goldens() {
        let mut rendered = Vec::new();
        let structure = Structure::parse(&mail, &Limits::default());
        write_body(&mut rendered, &structure, BodyForm { extended: true, rev2: false });
        let downgraded = downgraded_body(&rendered);
        Wire::parse(&downgraded);
        if rendered.is_ascii() {
            assert_eq!(downgraded, rendered, "{name}");
        }
    }
}
