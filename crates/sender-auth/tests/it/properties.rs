//! Two readings of RFC 6376 §3.4 come to the same, however a body is cut into pieces.

use proptest::prelude::*;
use sender_auth::{Answers, Reading, Step, Verdict};

use crate::signer::{Key, NOW, dns, signed};

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just(" ".to_owned()),
        2 => Just("\t".to_owned()),
        6 => Just("\r\n".to_owned()),
        1 => Just("\r".to_owned()),
        4 => "[a-z=.]{1,5}",
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn canonical_forms_are_those_of_another_reading(
        body in text(),
        canon in prop_oneof![
            Just("simple/simple"), Just("simple/relaxed"), Just("relaxed/simple"),
            Just("relaxed/relaxed"),
        ],
        piece in 1_usize..9,
    ) {
        let key = Key::ed25519();
        let header = "From: a@example.org\r\nSubject:\r\n\t what  now\t \r\n\r\n";
        let tags = format!("v=1; a=ed25519-sha256; c={canon}; d=example.org; s=s; h=from:subject");
        let message = signed(&key, &tags, &format!("{header}{body}"));
        let mut reading = Reading::new();
        for piece in message.as_bytes().chunks(piece) {
            reading.write(piece);
        }
        let answers = dns(&[("s._domainkey.example.org", &key.record())]);
        let Step::Done(results) = reading.finish().dkim(&answers, NOW) else { panic!() };
        prop_assert_eq!(results[0].outcome.verdict, Verdict::Pass, "{:?}", body);
    }

    #[test]
    fn any_octets_are_read(message in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let prefix = b"DKIM-Signature: v=1; a=rsa-sha256; b=AA; bh=AA; d=a.example; s=s; h=from\r\nARC-Seal: ";
        let mut reading = Reading::for_signing();
        reading.write(prefix);
        reading.write(&message);
        let examined = reading.finish();
        let answers = Answers::default();
        prop_assert!(matches!(examined.dkim(&answers, NOW), Step::Ask(_) | Step::Done(_)));
        prop_assert!(matches!(examined.arc(&answers), Step::Ask(_) | Step::Done(_)));
    }
}
