#![allow(clippy::unwrap_used)]
//! Signing in against a real directory.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use mail_types::{Address, Timestamp};
use sasl::{Answer, Question, Secret};
use sign_in::{SignIn, credentials};
use store::{Actor, Options, Store};

const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn ask(sign_in: &SignIn, name: &str, password: &str) -> sign_in::Held {
    let question = Question::Password {
        authcid: name.to_owned(),
        authzid: None,
        password: Secret::new(password.to_owned()),
    };
    sign_in.answer(&question, OUTSIDE, NOW)
}

fn with_ann() -> (tempfile::TempDir, Store, SignIn) {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), Options::new(Arc::new(|| NOW))).unwrap();
    let operator = Actor::Operator { name: "root".to_owned() };
    store.add_domain(operator.clone(), "example.org".parse().unwrap()).wait().unwrap();
    let ann = Address::parse("ann@example.org").unwrap();
    store.add_account(operator, ann, credentials("swordfish", &[7; 16]).unwrap()).wait().unwrap();
    let directory = store.clone();
    let sign_in =
        SignIn::new(move || directory.directory(), [9; 32], Duration::from_secs(60)).unwrap();
    (root, store, sign_in)
}

#[test]
fn the_right_password_signs_in_under_any_spelling_of_the_name() {
    let (_root, _store, sign_in) = with_ann();
    for name in ["ann@example.org", "Ann@Example.ORG", "ann"] {
        let held = ask(&sign_in, name, "swordfish");
        assert!(
            matches!(held.answer, Answer::Accepted { ref name, .. } if name == "ann@example.org")
        );
    }
    assert_eq!(ask(&sign_in, "ann", "swordfish ").answer, Answer::Refused);
    assert_eq!(ask(&sign_in, "bob", "swordfish").answer, Answer::Refused);
}

#[test]
fn a_remembered_password_is_forgotten_when_it_changes() {
    let (_root, store, sign_in) = with_ann();
    assert!(matches!(ask(&sign_in, "ann", "swordfish").answer, Answer::Accepted { .. }));
    let operator = Actor::Operator { name: "root".to_owned() };
    let ann = Address::parse("ann@example.org").unwrap();
    let new = credentials("herring", &[8; 16]).unwrap();
    store.set_credentials(operator, ann, new).wait().unwrap();
    assert_eq!(ask(&sign_in, "ann", "swordfish").answer, Answer::Refused);
    assert!(matches!(ask(&sign_in, "ann", "herring").answer, Answer::Accepted { .. }));
}

#[test]
fn guessing_from_outside_waits_longer_each_time() {
    let (_root, _store, sign_in) = with_ann();
    let delays: Vec<_> = (0..8).map(|_| ask(&sign_in, "ann", "x").delay.as_millis()).collect();
    assert_eq!(delays, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
    let question = Question::Password {
        authcid: "ann".to_owned(),
        authzid: None,
        password: Secret::new("x".to_owned()),
    };
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert_eq!(sign_in.answer(&question, loopback, NOW).delay, Duration::ZERO);
}
