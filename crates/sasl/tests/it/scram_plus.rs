//! Channel binding (RFC 5802 §6): what the client may say of it, and what it proves.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use mail_types::{AccountId, ChannelBindings};
use sasl::{Answer, Exchange, Failure, Mechanism, Next, Question, ScramKeys, base64_encode};

const SALT: &[u8] = b"a salt of its own";
const ROUNDS: u32 = 4096;

fn bindings() -> ChannelBindings {
    ChannelBindings { exporter: Some([7; 32]), server_end_point: Some([8; 48].into()) }
}

fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

/// A client: `channel` is what it believes to talk through.
fn sign_in(mechanism: Mechanism, have: &ChannelBindings, header: &str, channel: &[u8]) -> Next {
    let mut exchange = Exchange::start(mechanism, "server", have);
    let bare = "n=user,r=client";
    let next = exchange.client(format!("{header}{bare}").as_bytes());
    let Next::Ask(Question::ScramKeys { .. }) = next else { return next };
    let (account, name) = (AccountId(7), "ann@example.org".to_owned());
    let keys = ScramKeys::derive("pencil", SALT, ROUNDS);
    let next = exchange.answer(Answer::Keys { account, name: name.clone(), keys });
    let Next::Challenge(server_first) = next else { return next };
    let server_first = String::from_utf8(server_first).unwrap();
    let input = base64_encode(&[header.as_bytes(), channel].concat());
    let without_proof = format!("c={input},r=clientserver");
    let auth_message = format!("{bare},{server_first},{without_proof}");
    let mut salted = [0; 32];
    let rounds = NonZeroU32::new(ROUNDS).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, SALT, b"pencil", &mut salted);
    let client_key = hmac_sha256(&salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, &client_key);
    let signature = hmac_sha256(stored_key.as_ref(), auth_message.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, other)| key ^ other).collect();
    let last = format!("{without_proof},p={}", base64_encode(&proof));
    let next = exchange.client(last.as_bytes());
    let Next::Ask(Question::ScramProof { right, .. }) = next else { return next };
    assert!(right);
    let next = exchange.answer(Answer::Accepted { account, name });
    let Next::Challenge(_) = next else { return next };
    exchange.client(b"")
}

#[test]
fn a_sign_in_is_bound_to_its_channel() {
    let plus = Mechanism::ScramSha256Plus;
    for (header, channel) in
        [("p=tls-exporter,,", &[7_u8; 32][..]), ("p=tls-server-end-point,,", &[8; 48])]
    {
        let done = sign_in(plus, &bindings(), header, channel);
        assert!(matches!(done, Next::Done(who) if who.mechanism == plus), "{header}");
        // The client talks to somebody else, who passes it on to us.
        let mut other = channel.to_vec();
        other[3] ^= 1;
        for other in [other.as_slice(), &channel[1..], &[]] {
            let next = sign_in(plus, &bindings(), header, other);
            assert_eq!(next, Next::Failed(Failure::Refused), "{header}");
        }
    }
}

#[test]
fn what_the_client_says_of_binding_must_be_so() {
    let (plus, bare) = (Mechanism::ScramSha256Plus, Mechanism::ScramSha256);
    let (some, none) = (bindings(), ChannelBindings::default());
    let only_end_point = ChannelBindings { exporter: None, ..bindings() };
    let malformed = Some(Failure::Malformed);
    for (mechanism, have, header, failure) in [
        // It cannot.
        (bare, &some, "n,,", None),
        (bare, &none, "n,,", None),
        // It can, and believes that we cannot: so it is, or somebody has taken our offer away.
        (bare, &none, "y,,", None),
        (bare, &some, "y,,", Some(Failure::Refused)),
        // It does, without the mechanism for it.
        (bare, &some, "p=tls-exporter,,", malformed),
        (bare, &none, "p=tls-exporter,,", malformed),
        // It chose the mechanism, and then not.
        (plus, &some, "n,,", malformed),
        (plus, &some, "y,,", malformed),
        // A binding that we do not have.
        (plus, &some, "p=tls-unique,,", malformed),
        (plus, &some, "p=,,", malformed),
        (plus, &only_end_point, "p=tls-exporter,,", malformed),
    ] {
        let next = sign_in(mechanism, have, header, b"");
        match failure {
            None => assert!(matches!(next, Next::Done(_)), "{mechanism:?} {header}: {next:?}"),
            Some(failure) => assert_eq!(next, Next::Failed(failure), "{mechanism:?} {header}"),
        }
    }
}
