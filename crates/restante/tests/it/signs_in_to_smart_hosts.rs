//! Smart hosts that want to know who we are (RFC 4954), and a password that nothing shows.

use crate::foreign_servers::{FAR, Foreign, Kind, RELAY_PASSWORD, RELAY_USER};
use crate::harness::{ALICE, House, PASSWORD, message, receipt_id};

fn route(house: &House, domain: &str, relay: &str, user: &str, password: &str) {
    let file = house.path().join("relay-password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    let file = file.display().to_string();
    house.restante(&["route", "add", domain, relay, "--user", user, "--password-file", &file]);
    std::fs::remove_file(house.path().join("relay-password")).unwrap();
}

#[test]
fn exim_lets_us_in_and_nothing_shows_the_password() {
    let mut house = House::new();
    let foreign = Foreign::start(Kind::Exim, house.address(25));
    let relay = foreign.address().to_string();
    route(&house, FAR, &relay, RELAY_USER, "not the right one");
    let receipt = house.submit(&[&format!("only-signed-in@{FAR}")], &message("Known", "known"));
    let id = receipt_id(&receipt);
    // No mail comes back because somebody has to give us another password.
    let story = house.await_trace(id, "does not let us sign in");
    assert!(story.contains("535") && !story.contains("given up"), "{story}");
    assert!(house.log().contains("ALARM: cannot sign in"));
    let waiting = house.restante(&["queue", "show", "all", "--json"]);
    route(&house, FAR, &relay, RELAY_USER, RELAY_PASSWORD);
    // It is remembered.
    house.kill();
    house.start();
    house.restante(&["queue", "retry", "all"]);
    house.await_trace(id, "relayed");
    assert!(foreign.log().contains(&format!("A=plain:{RELAY_USER}")), "{}", foreign.log());
    let routes = house.restante(&["route", "list"]);
    assert!(routes.contains(RELAY_USER), "{routes}");
    for shown in [
        story,
        house.restante(&["trace", id, "--json"]),
        house.restante(&["route", "list", "--json"]),
        waiting,
        house.restante(&["status", "--json"]),
        house.log(),
    ] {
        let leaks = shown.contains(RELAY_PASSWORD) || shown.contains("not the right one");
        assert!(!leaks, "{shown}");
    }
}

#[test]
fn a_server_that_proves_itself_hears_no_password() {
    let (house, other) = (House::new(), House::new());
    route(&house, "*", &other.address(587).to_string(), ALICE, PASSWORD);
    let receipt = house.submit(&["you@far.test"], &message("Proved", "proved"));
    let story = house.await_trace(receipt_id(&receipt), "relayed");
    assert!(story.contains(", AUTH "), "{story}");
    let there = other.await_trace("<proved@outside.test>", "submitted by");
    assert!(there.contains(ALICE), "{there}");
    // With the last route to it, it is forgotten who we are there.
    house.restante(&["route", "remove", "*"]);
    house.restante(&["route", "add", "*", &other.address(587).to_string()]);
    let routes = house.restante_json(&["route", "list"]);
    assert!(routes[0]["user"].is_null(), "{routes}");
}
