//! The exchanges against the examples of their RFCs, and against clients that cheat.
#![allow(clippy::unwrap_used)]

mod bearer;
mod client;
mod login;
mod plain;
mod scram;
mod scram_plus;

use mail_types::{AccountId, ChannelBindings};
use sasl::{Exchange, Mechanism, Offer, SignedIn, base64_decode, base64_encode};

fn ann(mechanism: Mechanism) -> SignedIn {
    SignedIn { account: AccountId(7), name: "ann@example.org".into(), mechanism }
}

/// An exchange where there is nothing to bind to.
fn start(mechanism: Mechanism, nonce: &str) -> Exchange {
    Exchange::start(mechanism, nonce, &ChannelBindings::default())
}

#[test]
fn mechanism_names() {
    let none = ChannelBindings::default();
    let some = ChannelBindings { exporter: Some([1; 32]), server_end_point: None };
    let all = Offer { bindings: &some, tokens: true };
    for mechanism in Mechanism::ALL {
        assert_eq!(Mechanism::from_name(mechanism.name(), all), Some(mechanism));
        let lower = mechanism.name().to_ascii_lowercase();
        assert_eq!(Mechanism::from_name(&lower, all), Some(mechanism));
    }
    let bare = Offer { bindings: &none, tokens: false };
    for missing in ["SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2", ""] {
        assert_eq!(Mechanism::from_name(missing, bare), None, "{missing}");
    }
    assert_eq!(Mechanism::from_name("", all), None);
}

#[test]
fn base64_is_strict() {
    assert_eq!(base64_decode(base64_encode(b"\0ann\0pw").as_bytes()).unwrap(), b"\0ann\0pw");
    for bad in ["YQ", "YQ=", "YR==", "Y Q==", "YQ==\r\n", "====", "YQ==YQ==", "Y-_="] {
        assert!(base64_decode(bad.as_bytes()).is_err(), "{bad:?} was decoded");
    }
}
