//! The exchanges against the examples of their RFCs, and against clients that cheat.
#![allow(clippy::unwrap_used)]

mod login;
mod plain;
mod scram;

use mail_types::AccountId;
use sasl::{Mechanism, SignedIn, base64_decode, base64_encode};

fn ann(mechanism: Mechanism) -> SignedIn {
    SignedIn { account: AccountId(7), name: "ann@example.org".into(), mechanism }
}

#[test]
fn mechanism_names() {
    for mechanism in Mechanism::ALL {
        assert_eq!(Mechanism::from_name(mechanism.name()), Some(mechanism));
        let lower = mechanism.name().to_ascii_lowercase();
        assert_eq!(Mechanism::from_name(&lower), Some(mechanism));
    }
    assert_eq!(Mechanism::from_name("SCRAM-SHA-256-PLUS"), None);
    assert_eq!(Mechanism::from_name(""), None);
}

#[test]
fn base64_is_strict() {
    assert_eq!(base64_decode(base64_encode(b"\0ann\0pw").as_bytes()).unwrap(), b"\0ann\0pw");
    for bad in ["YQ", "YQ=", "YR==", "Y Q==", "YQ==\r\n", "====", "YQ==YQ==", "Y-_="] {
        assert!(base64_decode(bad.as_bytes()).is_err(), "{bad:?} was decoded");
    }
}
