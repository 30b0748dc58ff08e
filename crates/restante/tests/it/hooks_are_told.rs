//! A receiver in Python hears of everything, in order and signed; also where it is broken meanwhile
//! and the server is killed.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use serde_json::Value;

use crate::harness::{BOB, House, message, until};

struct Receiver {
    child: Child,
    url: String,
    log: PathBuf,
    secret: PathBuf,
    broken: PathBuf,
}

impl Receiver {
    fn start(house: &House) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| house.path().join(name);
        let (log, secret, broken) = (at("told"), at("secret"), at("broken"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/hook_receiver.py");
        let mut python = Command::new("python3");
        python.arg(script).arg(port.to_string()).args([&log, &secret, &broken]);
        let child = python.spawn().unwrap();
        Self { child, url: format!("http://127.0.0.1:{port}/"), log, secret, broken }
    }

    fn told(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn await_type(&self, kind: &str, count: usize) -> Vec<Value> {
        until(&format!("{count} of {kind}"), || {
            let told: Vec<Value> =
                self.told().into_iter().filter(|event| event["type"] == kind).collect();
            let ids: BTreeSet<String> = told.iter().map(|event| event["id"].to_string()).collect();
            (ids.len() >= count).then_some(told)
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn everything_is_told_signed_also_after_a_kill() {
    let mut house = House::new();
    let receiver = Receiver::start(&house);
    let added = house.restante_json(&["hook", "add", &receiver.url]);
    std::fs::write(&receiver.secret, added["secret"].as_str().unwrap()).unwrap();
    until("the receiver", || {
        let tested = house.installation.command(&["hook", "test", "1"]).unwrap();
        tested.status.success().then_some(())
    });
    house.deliver(&[BOB], &message("told", "told-1"));
    let delivered = receiver.await_type("mail.delivered", 1);
    assert_eq!(delivered[0]["data"]["recipient"], BOB);
    assert!(receiver.told().iter().all(|event| event["right"] == true), "{:?}", receiver.told());
    // A receiver that is broken holds up nothing, and hears of all of it later.
    std::fs::write(&receiver.broken, "").unwrap();
    for number in 0..5 {
        house.deliver(&[BOB], &message("later", &format!("later-{number}")));
    }
    until("a failing hook", || house.restante(&["hook", "list"]).contains("failing").then_some(()));
    house.kill();
    std::fs::remove_file(&receiver.broken).unwrap();
    house.start();
    house.restante(&["hook", "retry"]);
    let accepted = receiver.await_type("mail.accepted", 6);
    let ids: Vec<String> = accepted
        .iter()
        .map(|event| event["data"]["message_id"].as_str().unwrap_or_default().to_owned())
        .collect();
    for number in 0..5 {
        assert!(ids.contains(&format!("later-{number}@outside.test")), "{ids:?}");
    }
    // What it said outlasts the server: what was told and what could not be, before the kill too.
    house.kill();
    house.start();
    let shown = house.restante_json(&["hook", "show", "1"]);
    let tries = shown["log"].as_array().unwrap();
    let count = |told: bool| tries.iter().filter(|one| one["told"] == told).count();
    assert!(count(true) >= 2 && count(false) >= 1, "{shown}");
    assert!(house.restante(&["hook", "show", "1"]).contains(tries[0]["event"].as_str().unwrap()));
    house.restante(&["hook", "remove", "1"]);
    assert!(house.restante(&["hook", "list"]).contains("no hooks"));
}
