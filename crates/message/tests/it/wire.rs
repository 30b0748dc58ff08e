use message::{
    BodyForm, Envelope, EnvelopeAddress, Limits, Summary, write_astring, write_body,
    write_envelope, write_string,
};

use crate::support::{Wire, golden, goldens, structure};

fn body(name: &str, form: BodyForm) -> String {
    let mut out = Vec::new();
    write_body(&mut out, &structure(&golden(name)), form);
    Wire::parse(&out);
    String::from_utf8(out).unwrap()
}

const BODY: BodyForm = BodyForm { extended: false, rev2: false };
const BODYSTRUCTURE: BodyForm = BodyForm { extended: true, rev2: false };

fn addresses(wire: &Wire) -> Vec<EnvelopeAddress> {
    wire.list()
        .iter()
        .map(|one| match one.list() {
            [name, route, mailbox, host] => EnvelopeAddress {
                name: name.text(),
                route: route.text(),
                mailbox: mailbox.text(),
                host: host.text(),
            },
            other => panic!("no address: {other:?}"),
        })
        .collect()
}

fn envelope(wire: &Wire) -> Envelope {
    let [date, subject, from, sender, reply_to, to, cc, bcc, in_reply_to, message_id] = wire.list()
    else {
        panic!("no envelope: {wire:?}")
    };
    Envelope {
        date: date.text(),
        subject: subject.text(),
        from: addresses(from),
        sender: addresses(sender),
        reply_to: addresses(reply_to),
        to: addresses(to),
        cc: addresses(cc),
        bcc: addresses(bcc),
        in_reply_to: in_reply_to.text(),
        message_id: message_id.text(),
    }
}

#[test]
fn envelopes_survive_the_wire() {
    for (name, bytes) in goldens() {
        let mut read = Envelope::read(&bytes, &Limits::default());
        let mut out = Vec::new();
        write_envelope(&mut out, &read);
        let back = envelope(&Wire::parse(&out));
        read.sender = read.sender().to_vec();
        read.reply_to = read.reply_to().to_vec();
        assert_eq!(back, read, "{name}");
        // What came back is written the same again.
        let mut again = Vec::new();
        write_envelope(&mut again, &back);
        assert_eq!(again, out, "{name}");
    }
}

#[test]
fn an_envelope_word_for_word() {
    let header = b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
        Subject: IMAP4rev1 WG \"mtg\" \\ summary\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n\
        Sender: Terry Gray <gray@cac.washington.edu>\r\nTo: imap@cac.washington.edu\r\n\
        Cc: minutes@CNRI.Reston.VA.US, J\xf6hn <KLENSIN@MIT.EDU>\r\n\
        Message-ID: <B27397-0100000@cac.washington.edu>\r\n\r\n";
    let mut out = Vec::new();
    write_envelope(&mut out, &Envelope::read(header, &Limits::default()));
    let gray = "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\"))";
    let expected = format!(
        "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG \\\"mtg\\\" \\\\ summary\" \
         {gray} {gray} {gray} ((NIL NIL \"imap\" \"cac.washington.edu\")) \
         ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")({{4}}\r\nJ\u{f6}hn NIL \"KLENSIN\" \
         \"MIT.EDU\")) NIL NIL \"<B27397-0100000@cac.washington.edu>\")"
    );
    let latin1: Vec<u8> = expected.chars().map(|c| c as u8).collect();
    assert_eq!(out, latin1);
}

#[test]
fn body_of_simple_and_nested_messages() {
    let plain = "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 29 3)";
    assert_eq!(body("plain", BODY), plain);
    assert_eq!(
        body("plain", BODYSTRUCTURE),
        "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 29 3 NIL NIL NIL NIL)"
    );
    assert_eq!(
        body("alternative", BODYSTRUCTURE),
        "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"iso-8859-1\") NIL NIL \"QUOTED-PRINTABLE\" 110 3 NIL \
         NIL NIL NIL)(\"TEXT\" \"HTML\" (\"CHARSET\" \"utf-8\") NIL NIL \"BASE64\" 36 0 NIL NIL \
         (\"de\" \"en\") NIL) \"ALTERNATIVE\" (\"BOUNDARY\" \"=_b1\") NIL NIL NIL)"
    );
    assert_eq!(
        body("digest", BODY),
        "((\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 49 (NIL \"first\" ((NIL NIL \"one\" \
         \"example.org\")) ((NIL NIL \"one\" \"example.org\")) ((NIL NIL \"one\" \
         \"example.org\")) NIL NIL NIL NIL NIL) (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 8 0) \
         3)(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 13 0)(\"MESSAGE\" \"RFC822\" NIL NIL NIL \
         \"7BIT\" 23 (NIL NIL ((NIL NIL \"two\" \"example.org\")) ((NIL NIL \"two\" \
         \"example.org\")) ((NIL NIL \"two\" \"example.org\")) NIL NIL NIL NIL NIL) (\"TEXT\" \
         \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 0 0) 1) \"DIGEST\")"
    );
    assert!(body("rfc3501", BODYSTRUCTURE).contains(
        "(\"IMAGE\" \"GIF\" NIL \"<gif@example.org>\" NIL \"7BIT\" 3 \
         \"Q2hlY2sgSW50ZWdyaXR5IQ==\" (\"ATTACHMENT\" (\"FILENAME\" \"a \\\"b\\\".gif\")) NIL \
         \"http://example.org/a.gif\")"
    ));
}

#[test]
fn what_is_not_taken_apart_is_still_written() {
    let text = "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 23 1)";
    assert_eq!(body("boundary_never", BODY), text);
    assert_eq!(
        body("encoded_message", BODY),
        "(\"APPLICATION\" \"OCTET-STREAM\" NIL NIL NIL \"BASE64\" 22)"
    );
}

#[test]
fn message_global_is_a_message_in_rev2_only() {
    let bytes = golden("global");
    let written = |rev2| {
        let mut out = Vec::new();
        write_body(&mut out, &structure(&bytes), BodyForm { extended: false, rev2 });
        Wire::parse(&out)
    };
    let part = |wire: &Wire| wire.list()[0].list().len();
    assert_eq!(part(&written(false)), 7);
    assert_eq!(part(&written(true)), 10);
}

#[test]
fn strings_are_quoted_or_literal() {
    let string = |text: &[u8]| {
        let mut out = Vec::new();
        write_string(&mut out, text);
        out
    };
    assert_eq!(string(b""), b"\"\"");
    assert_eq!(string(b"a\"b\\c\td"), b"\"a\\\"b\\\\c\td\"");
    assert_eq!(string(b"a\r\nb"), b"{4}\r\na\r\nb");
    assert_eq!(string("\u{fc}".as_bytes()), b"{2}\r\n\xc3\xbc");
    assert_eq!(string(b"a\0b\xff"), b"{3}\r\nab\xff");
    assert!(string(&[b'a'; 1001]).starts_with(b"{1001}\r\n"));
    let mut out = Vec::new();
    write_astring(&mut out, b"");
    write_astring(&mut out, b"a]b");
    assert_eq!(out, b"\"\"a]b");
}

#[test]
fn a_summary_answers_like_the_message() {
    for (name, bytes) in goldens() {
        let summary = Summary::read(&bytes, &Limits::default());
        let encoded = summary.encode();
        assert_eq!(Summary::decode(&encoded).unwrap(), summary, "{name}");
        // Cut or changed octets give an error or another summary, never a panic.
        for at in 0..encoded.len() {
            assert!(Summary::decode(&encoded[..at]).is_err(), "{name} cut at {at}");
            for flip in [1, 0x80, 0xff] {
                let mut damaged = encoded.clone();
                damaged[at] ^= flip;
                if let Ok(other) = Summary::decode(&damaged) {
                    let mut out = Vec::new();
                    write_body(&mut out, &other.structure, BODYSTRUCTURE);
                }
            }
        }
    }
    let plain = Summary::read(&golden("plain"), &Limits::default()).encode();
    assert!(plain.len() < 400, "{} octets", plain.len());
    assert!(matches!(Summary::decode(&[9]), Err(message::SummaryError::Version(9))));
}

/// Format 1, word for word: this must decode for ever.
#[test]
fn summary_format_1_is_read() {
    let bytes = b"Subject: s\r\nContent-Type: a/b\r\n\r\nx\r\n";
    let summary = Summary::read(bytes, &Limits::default());
    let format_1 = b"\x01\0\x02s\0\0\0\0\0\0\0\0\x01\0\x21\x03\x01\x01a\x01b\0\0\0\0\0\0\0\0\0";
    assert_eq!(Summary::decode(format_1).unwrap(), summary);
    assert_eq!(summary.encode(), format_1);
}

/// Parts that contain one another would be written without end.
#[test]
fn summaries_in_a_circle_are_refused() {
    let part = |kind: &[u8]| {
        [b"\0\0\0\0\x01a\x01b\0\0\0\0\0\0\0\0", kind, &[0; 10][..usize::from(kind.len() == 2) * 10]]
            .concat()
    };
    let summary = |parts: &[Vec<u8>]| {
        let count = u8::try_from(parts.len()).unwrap();
        let bytes = [&[1][..], &[0; 10], &[count], &parts.concat()].concat();
        Summary::decode(&bytes)
    };
    let (message, leaf) = (|inner: u8| part(&[5, inner]), part(&[0]));
    assert!(summary(&[message(1), leaf.clone()]).is_ok());
    assert!(summary(&[message(1), message(0)]).is_err());
    assert!(summary(&[message(1), message(1)]).is_err());
    assert!(summary(&[message(2), leaf.clone()]).is_err());
    assert!(summary(&[leaf.clone(), leaf]).is_err());
    assert!(summary(&[]).is_err());
}
