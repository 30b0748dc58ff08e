//! What came from outside and leaves again takes along what was found out about it (ARC), in a form
//! that others believe; and its size is announced as it is.

use std::path::Path;
use std::process::Command;

use peers::{Dns, Fault, Script, Sink, Stored};
use serde_json::Value;

use crate::harness::{House, LIMIT, Smtp, message, tool};

/// Debian's own Python, which its packages belong to.
const PYTHON: &str = "/usr/bin/python3";

fn second_opinion(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/dkim_second_opinion.py");
    tool(Command::new(PYTHON).arg(script).args(arguments))
}

/// Domains that send to each other, with their keys in one DNS.
struct World {
    dns: Dns,
    sink: Sink,
    directory: tempfile::TempDir,
    records: serde_json::Map<String, Value>,
}

impl World {
    /// far.test is another system, whose key python3-dkim signs with.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let record = second_opinion(&["sign", &directory.path().display().to_string()]);
        let (dns, sink) = (Dns::start().await, Sink::start(Script::accept()).await);
        let mut world = Self { dns, sink, directory, records: serde_json::Map::new() };
        world.publish("s._domainkey.far.test", record.trim());
        world
    }

    fn publish(&mut self, name: &str, record: &str) {
        self.dns.txt(name, record);
        self.records.insert(name.to_owned(), record.into());
    }

    /// A server that judges what comes from loopback, and forwards what comes to out@ its domain.
    fn house(&mut self, domain: &str, to: &str) -> House {
        let mut house = House::made(&self.dns.addr().to_string());
        house.set("judge", "trusted_networks = []");
        house.start();
        if domain != "example.test" {
            house.restante(&["domain", "add", domain]);
        }
        house.restante(&["alias", "add", &format!("out@{domain}"), to]);
        for key in house.restante_json(&["dkim", "list", domain])[0]["keys"].as_array().unwrap() {
            self.publish(key["name"].as_str().unwrap(), key["record"].as_str().unwrap());
        }
        house
    }

    fn written(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    /// The nth message that came to the end, its size as announced.
    async fn arrived(&self, count: u64) -> Stored {
        let state = self.sink.wait_for_count(LIMIT, count).await;
        let stored = state.stored[count as usize - 1].clone();
        let size = format!("SIZE={}", stored.body.len());
        assert!(stored.mail_parameters.contains(&size), "{size}: {}", stored.mail_parameters);
        stored
    }

    /// What python3-dkim and we say of its chain.
    fn opinions(&self, stored: &Stored) -> (String, String) {
        let at = |name: &str| self.directory.path().join(name).display().to_string();
        std::fs::write(at("arrived.eml"), &stored.body).unwrap();
        std::fs::write(at("records.json"), Value::from(self.records.clone()).to_string()).unwrap();
        let theirs = second_opinion(&["arc", &at("arrived.eml"), &at("records.json")]);
        let (file, resolver, data) = (at("arrived.eml"), self.dns.addr().to_string(), at("none"));
        let arguments = ["check", "arc", &file, "--resolver", &resolver, "--data", &data];
        let ours = tool(Command::new(crate::harness::RESTANTE).args(arguments));
        (theirs, ours)
    }
}

fn offer(house: &House, recipient: &str, text: &str) {
    let mut smtp = Smtp::connect(house.address(25));
    smtp.say("EHLO mx.outside.test");
    smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
    smtp.send(&[recipient], text);
}

fn route(house: &House, domain: &str, to: std::net::SocketAddr) {
    house.restante(&["route", "add", domain, &to.to_string()]);
}

/// ARC fields of this name, unfolded, the newest first.
fn fields(stored: &Stored, name: &str) -> Vec<String> {
    let text = stored.text().replace("\r\n\t", " ").replace("\r\n ", " ");
    let header = text.split_once("\r\n\r\n").unwrap().0.to_owned();
    header.split("\r\n").filter(|field| field.starts_with(name)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_through_three_systems_is_believed() {
    let mut world = World::new().await;
    let first = world.house("example.test", "out@second.test");
    let second = world.house("second.test", "bob@third.test");
    route(&first, "second.test", second.address(25));
    route(&second, "third.test", world.sink.addr());
    world.dns.txt("outside.test", "v=spf1 ip4:127.0.0.1 -all");
    // Without a chain: the first begins one.
    offer(&first, "out@example.test", &message("Forwarded", "arc-1"));
    let stored = world.arrived(1).await;
    let (theirs, ours) = world.opinions(&stored);
    assert_eq!(theirs, "pass i=2\n");
    assert!(ours.starts_with("pass (2 sets, the last sealed by second.test)"), "{ours}");
    let results = fields(&stored, "ARC-Authentication-Results:");
    assert!(results[0].contains("i=2; mx.example.test;"), "{results:?}");
    assert!(results[0].contains("arc=pass") && results[0].contains("remote-ip=127.0.0.1"));
    assert!(results[1].contains("i=1; mx.example.test;"), "{results:?}");
    assert!(results[1].contains("spf=pass") && results[1].contains("arc=none"), "{results:?}");
    let seals = fields(&stored, "ARC-Seal:");
    assert!(seals[0].contains("cv=pass;") && seals[0].contains("d=second.test;"), "{seals:?}");
    assert!(seals[1].contains("cv=none;") && seals[1].contains("d=example.test;"), "{seals:?}");
    // Behind a hop that is not ours; large, so that it is read in pieces.
    let large = "a line of a long message, sealed as a whole\r\n".repeat(30_000);
    for (count, sealed) in [(2, world.written("arc-1.eml")), (3, world.written("arc-1.eml"))] {
        let sealed = if count == 2 { sealed } else { sealed + &large };
        offer(&first, "out@example.test", &sealed);
        let stored = world.arrived(count).await;
        let (theirs, ours) = world.opinions(&stored);
        // The body of the last was changed behind the seal of far.test, which the first of us saw.
        let (wanted, words) = match count {
            2 => ("pass i=3\n", "pass (3 sets, the last sealed by second.test)"),
            _ => ("ended i=2\n", "fail ("),
        };
        assert_eq!(theirs, wanted, "{}", stored.text());
        assert!(ours.starts_with(words), "{ours}");
        let seals = fields(&stored, "ARC-Seal:");
        // RFC 8617 §5.1.2: nobody adds to what has failed.
        assert_eq!(seals.len(), if count == 2 { 3 } else { 2 }, "{seals:?}");
        assert!(count == 2 || seals[0].contains("cv=fail; d=example.test;"), "{seals:?}");
    }
    tokio::task::block_in_place(|| drop((first, second)));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_judged_here_is_sealed() {
    let mut world = World::new().await;
    let house = world.house("example.test", "bob@third.test");
    route(&house, "third.test", world.sink.addr());
    // What is ours is signed and not sealed.
    house.submit(&["out@example.test"], &message("Ours", "arc-2"));
    let stored = world.arrived(1).await;
    assert_eq!(fields(&stored, "ARC-Seal:").len(), 0);
    assert_eq!(fields(&stored, "DKIM-Signature:").len(), 2);
    // Whether the chain is whole is not known: it is neither passed nor failed.
    world.dns.fault("s._domainkey.far.test", Fault::ServFail);
    offer(&house, "out@example.test", &world.written("arc-1.eml"));
    assert_eq!(fields(&world.arrived(2).await, "ARC-Seal:").len(), 1);
    // From a network that is trusted: others' words are not ours.
    let mut trusting = House::made("127.0.0.1:1");
    trusting.start();
    trusting.restante(&["alias", "add", "out@example.test", "bob@third.test"]);
    route(&trusting, "third.test", world.sink.addr());
    let theirs = "Authentication-Results: mx.elsewhere.test; spf=pass; dmarc=pass\n";
    offer(&trusting, "out@example.test", &format!("{theirs}{}", message("Known", "arc-3")));
    assert_eq!(fields(&world.arrived(3).await, "ARC-Seal:").len(), 0);
    tokio::task::block_in_place(|| drop((house, trusting)));
}
