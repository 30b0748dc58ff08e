//! Signing in: bound to TLS, slowed down for guessers, and over when the password changes.

use crate::harness::House;

#[test]
fn scram_plus_is_bound_to_the_certificate() {
    House::new().python("scram_plus.py");
}

#[test]
fn guessers_wait_and_owners_do_not() {
    let mut house = House::made("127.0.0.1:1");
    house.set("limits", "loopback_is_limited = true\nconnections_per_ip_max = 1000");
    house.set("sign_in", "failure_delay = \"200ms\"\nfailure_delay_max = \"2s\"");
    house.start();
    house.python("guessing.py");
}

#[test]
fn a_changed_password_ends_the_sessions() {
    House::new().python("password_changes.py");
}
