//! What is written comes back as it was.

use interchange::{Dialect, Found, Mbox, WriteAs, crlf, take_flags, write_message};
use mail_types::{Flags, Keyword, Timestamp};
use proptest::prelude::*;

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[ -~]{0,60}",
        1 => Just(String::new()),
        2 => "[>]{0,3}From [a-z@.]{0,12}",
        1 => Just("From a@b Sat Jan  3 01:05:34 1996".to_owned()),
        1 => Just("Content-Length: 3".to_owned()),
    ]
}

fn letter() -> impl Strategy<Value = Vec<u8>> {
    let header = proptest::collection::vec("X-[A-Z][a-z]{1,8}: [ -~]{0,40}", 0..4);
    (header, proptest::collection::vec(line(), 0..12))
        .prop_map(|(header, body)| {
            let text = format!("Subject: s\n{}\n\n{}", header.join("\n"), body.join("\n"));
            let text = text.replace("s\n\n\n", "s\n\n");
            crlf(format!("{}\n", text.trim_end_matches('\n')).as_bytes())
        })
        .prop_filter("flags of its own", |letter| {
            take_flags(&mut letter.clone()) == (Flags::default(), 0)
        })
        .prop_filter("header alone", |letter| memchr(letter))
}

fn memchr(letter: &[u8]) -> bool {
    letter.windows(4).any(|four| four == b"\r\n\r\n")
}

proptest! {
    #[test]
    fn mbox_gives_back_what_it_got(
        letters in proptest::collection::vec((letter(), 0u8..32, 0i64..2_000_000_000), 1..6),
        piece in 1usize..200,
    ) {
        let mut file = Vec::new();
        for (letter, bits, secs) in &letters {
            let mut flags = Flags::from_parts(*bits, Vec::new());
            flags.insert_keyword(Keyword::new("$Kept").unwrap());
            let date = Timestamp::from_secs(*secs);
            write_message(letter, &WriteAs { flags: &flags, date, sender: "a@b" }, &mut file);
        }
        let mut mbox = Mbox::new(Dialect::Auto);
        let mut found = Vec::new();
        for piece in file.chunks(piece) {
            mbox.push(piece);
            while let Some(one) = mbox.find() {
                found.push(one);
            }
        }
        mbox.end();
        while let Some(one) = mbox.find() {
            found.push(one);
        }
        prop_assert_eq!(found.len(), letters.len());
        for (found, (letter, bits, secs)) in found.into_iter().zip(letters) {
            let Found::Message(mut message) = found else { panic!("{found:?}") };
            let (flags, _) = take_flags(&mut message.content);
            prop_assert_eq!(String::from_utf8(message.content), String::from_utf8(letter));
            prop_assert_eq!(flags.system_bits(), bits);
            prop_assert_eq!(message.date, Some(Timestamp::from_secs(secs)));
        }
    }
}
