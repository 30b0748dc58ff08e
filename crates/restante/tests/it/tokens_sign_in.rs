//! OAUTHBEARER and XOAUTH2: a token is good where the introspection endpoint says so, and only then.

use crate::harness::{House, Smtp, words};

#[test]
fn tokens_are_asked_about_and_remembered() {
    let mut house = House::made("127.0.0.1:1");
    // A port of this installation where nothing listens.
    let endpoint = house.address(80).port();
    house.set("oauth", &format!("introspection_url = \"http://127.0.0.1:{endpoint}/introspect\""));
    house.set("oauth", "client_id = \"restante\"\nclient_secret_file = \"oauth-secret\"");
    let configuration = "https://login.example.test/.well-known/openid-configuration";
    house.set("oauth", &format!("openid_configuration = \"{configuration}\""));
    std::fs::write(house.installation.data.join("oauth-secret"), "s3cret+ %\n").unwrap();
    house.start();
    house.python("tokens.py");
    let log = house.log();
    assert!(log.contains("tokens cannot be checked"), "{log}");
    assert!(!log.contains("s3cret"), "the secret is in the log");
}

#[test]
fn without_an_endpoint_no_token_is_asked_for() {
    let house = House::new();
    let mut smtp = Smtp::connect(house.address(587));
    let answer = smtp.say("EHLO [127.0.0.1]");
    assert!(answer.contains("PLAIN") && !answer.contains("OAUTH"), "{answer}");
    smtp.expect("AUTH OAUTHBEARER", "504");
}

#[test]
fn a_secret_that_is_not_there_stops_the_start() {
    let house = House::made("127.0.0.1:1");
    house.set("oauth", "introspection_url = \"https://login.example.test/introspect\"");
    house.set("oauth", "client_id = \"restante\"\nclient_secret_file = \"oauth-secret\"");
    let output = house.installation.command(&["serve"]).unwrap();
    let text = words(&output);
    assert!(!output.status.success() && text.contains("oauth.client_secret_file"), "{text}");
}
