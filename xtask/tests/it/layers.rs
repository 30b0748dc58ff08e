//! Imports go downward only.

use crate::{found, manifest};

#[track_caller]
fn imports(name: &str, dependency: &str, expected: &[&str]) {
    let path = format!("crates/{name}/Cargo.toml");
    let text = manifest(&format!("{dependency}.workspace = true\n"));
    let expected: Vec<_> = expected.iter().map(|item| format!("layers {path}:0 {item}")).collect();
    assert_eq!(found(&[(&path, &text)]), expected);
}

#[test]
fn downward_is_right() {
    imports("imap", "store", &[]);
    imports("route", "mail-types", &[]);
    imports("store", "journal", &[]);
    imports("imap-machine", "message", &[]);
    imports("restante", "deliver", &[]);
    imports("net", "tokio", &[]);
}

#[test]
fn upward_and_sideways_is_found() {
    imports("smtp-machine", "store", &["store"]);
    imports("mail-types", "config", &["config"]);
    imports("journal", "store", &["store"]);
    imports("smtp", "deliver", &["deliver"]);
    imports("net", "smtp", &["smtp"]);
    imports("pop3-machine", "imap-machine", &["imap-machine"]);
}

#[test]
fn durable_state_has_no_decisions() {
    imports("store", "route", &["route"]);
}

#[test]
fn sockets_clocks_and_chance_stay_above() {
    imports("store", "tokio", &["tokio"]);
    imports("journal", "tokio", &["tokio"]);
    imports("route", "getrandom", &["getrandom"]);
    imports("message", "tracing", &["tracing"]);
}

#[test]
fn what_is_for_tests_is_no_part_of_the_product() {
    imports("restante", "peers", &["peers"]);
    let path = "crates/net/Cargo.toml";
    let text = format!("{}[dev-dependencies]\npeers.workspace = true\n", manifest(""));
    assert!(found(&[(path, &text)]).is_empty());
}

#[test]
fn a_crate_needs_a_layer_and_a_name_that_says_something() {
    let text = manifest("");
    assert_eq!(
        found(&[("crates/mail-util/Cargo.toml", &text)]),
        [
            "layers crates/mail-util/Cargo.toml:0 mail-util",
            "layers crates/mail-util/Cargo.toml:0 mail-util"
        ]
    );
    assert_eq!(
        found(&[("crates/novelty/Cargo.toml", &text)]),
        ["layers crates/novelty/Cargo.toml:0 novelty"]
    );
}

#[test]
fn a_crate_takes_the_lints_of_the_workspace() {
    assert_eq!(
        found(&[("crates/net/Cargo.toml", "[package]\nname = \"net\"\n")]),
        ["layers crates/net/Cargo.toml:0 lints"]
    );
}
