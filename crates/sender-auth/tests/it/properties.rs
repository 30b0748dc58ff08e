//! Two readings of RFC 6376 §3.4 come to the same, however a body is cut into pieces.

use proptest::prelude::*;
use sender_auth::{Reading, Step, Verdict};

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

#[test]
fn the_corpus_keeps_the_promises() {
    let directory = format!("{}/../../fuzz/corpus/dkim_arc", env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap()).collect();
    assert!(files.len() > 3);
    for file in files {
        let bytes = std::fs::read(file.path()).unwrap();
        sender_auth::check::check_message(&bytes)
            .unwrap_or_else(|broken| panic!("{:?}: {broken}", file.file_name()));
        // Each octet lost or changed in turn.
        for at in (0..bytes.len()).step_by(5) {
            let mut changed = bytes.clone();
            changed[at] = [0, b'\n', b';', b'=', b':', 0xff][at % 6];
            sender_auth::check::check_message(&changed).unwrap();
            changed.remove(at);
            sender_auth::check::check_message(&changed).unwrap();
        }
    }
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
        let mut whole = b"DKIM-Signature: v=1; a=rsa-sha256; b=AA; bh=AA; d=a.example; s=s; \
            h=from\r\nARC-Seal: "
            .to_vec();
        whole.extend_from_slice(&message);
        prop_assert_eq!(sender_auth::check::check_message(&whole), Ok(()));
    }
}
