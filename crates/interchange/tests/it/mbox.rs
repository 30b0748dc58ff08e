use interchange::{Dialect, Found, Mbox, internal_data, take_flags};
use mail_types::SystemFlag;

/// Everything found, the bytes given in pieces of this size.
fn read(bytes: &[u8], dialect: Dialect, piece: usize) -> Vec<Found> {
    let mut mbox = Mbox::new(dialect);
    let mut found = Vec::new();
    for piece in bytes.chunks(piece) {
        mbox.push(piece);
        while let Some(one) = mbox.find() {
            found.push(one);
        }
    }
    mbox.end();
    while let Some(one) = mbox.find() {
        found.push(one);
    }
    found
}

fn contents(bytes: &[u8], dialect: Dialect) -> Vec<String> {
    let whole = read(bytes, dialect, bytes.len());
    for piece in [1, 7, 64] {
        assert_eq!(read(bytes, dialect, piece), whole, "in pieces of {piece}");
    }
    let text = |found| match found {
        Found::Message(message) => String::from_utf8(message.content).unwrap(),
        other => format!("{other:?}"),
    };
    whole.into_iter().map(text).collect()
}

const TWO: &str = "From a@b Sat Jan  3 01:05:34 1996\nSubject: one\n\nFrom here on\n\n\
                   From there, at noon\n>From quoted\n\nFrom c@d Sun Jan  4 02:00:00 +0100 1996\n\
                   Subject: two\n\nbody\n\n";

#[test]
fn separators_have_a_date_and_a_blank_line_before_them() {
    let found = contents(TWO.as_bytes(), Dialect::Auto);
    let one = "Subject: one\r\n\r\nFrom here on\r\n\r\nFrom there, at noon\r\nFrom quoted\r\n";
    assert_eq!(found, [one, "Subject: two\r\n\r\nbody\r\n"]);
    let crlf = TWO.replace('\n', "\r\n");
    assert_eq!(contents(crlf.as_bytes(), Dialect::Mboxrd), found);
    let asis = contents(TWO.as_bytes(), Dialect::Mboxo);
    assert!(asis[0].ends_with("\r\n>From quoted\r\n"));
}

#[test]
fn dates_of_separators() {
    let found = read(TWO.as_bytes(), Dialect::Auto, 100);
    let dates: Vec<i64> = found
        .iter()
        .map(|found| match found {
            Found::Message(message) => message.date.unwrap().secs(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(dates, [820_631_134, 820_717_200]);
}

#[test]
fn a_right_content_length_goes_over_separators() {
    let body = "one\n\nFrom x@y Sat Jan  3 01:05:34 1996\n>From kept\n";
    let file = format!(
        "From a@b Sat Jan  3 01:05:34 1996\nContent-Length: {}\n\n{body}\n\
         From c@d Sun Jan  4 02:00:00 1996\nContent-Length: 9999\n\nlast\n",
        body.len()
    );
    let found = contents(file.as_bytes(), Dialect::Auto);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].ends_with("1996\r\n>From kept\r\n"), "{found:?}");
    // The second one's length is wrong: what stands there is read by separators.
    assert!(found[1].ends_with("\r\n\r\nlast\r\n"), "{found:?}");
}

#[test]
fn what_is_no_mbox_is_told() {
    let found = read(b"Subject: no\n\nmbox\n", Dialect::Auto, 5);
    assert_eq!(found, [Found::NoMbox { bytes: 18 }]);
    assert!(read(b"", Dialect::Auto, 1).is_empty());
}

#[test]
fn flags_are_taken_out_of_the_header() {
    let mut message = b"Subject: x\r\nStatus: RO\r\nX-Status: AF\r\nX-Keywords: $A b\r\n (c\r\nTo: y\r\n\r\nStatus: no\r\n".to_vec();
    let (flags, strange) = take_flags(&mut message);
    assert_eq!(message, b"Subject: x\r\nTo: y\r\n\r\nStatus: no\r\n");
    assert!(flags.has(SystemFlag::Seen) && flags.has(SystemFlag::Answered));
    assert!(flags.has(SystemFlag::Flagged) && !flags.has(SystemFlag::Deleted));
    assert_eq!((flags.keywords().len(), strange), (2, 1));
    let mut other = b"X-Mozilla-Status: 0005\r\n\r\n".to_vec();
    let (flags, _) = take_flags(&mut other);
    assert_eq!(flags.system_bits(), SystemFlag::Seen as u8 | SystemFlag::Flagged as u8);
    assert_eq!(other, b"\r\n");
}

#[test]
fn data_of_the_folder_is_no_message() {
    let data =
        b"X-IMAP: 1 2\r\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\n\r\nx";
    assert!(internal_data(data));
    assert!(!internal_data(b"Subject: hello\r\n\r\nx"));
}
