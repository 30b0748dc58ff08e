//! Those who watch over servers read its numbers and its log with their own tools.

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::harness::{ALICE, House, message, tool};

#[test]
fn prometheus_and_a_collector_read_the_numbers() {
    let mut house = House::made("127.0.0.1:1");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    std::fs::write(house.path().join("collector"), port.to_string()).unwrap();
    let collector =
        format!("otlp_url = \"http://127.0.0.1:{port}/v1/metrics\"\notlp_every = \"1s\"");
    house.set("metrics", &collector);
    house.start();
    house.python_with_clients("watched_over.py");
    let printed = house.restante(&["metrics"]);
    assert!(printed.contains("restante_accepted_messages_total{from=\"smtp\"} 2"), "{printed}");
}

#[test]
fn strangers_read_no_numbers() {
    let mut house = House::made("127.0.0.1:1");
    house.set("metrics", "networks = [\"192.0.2.0/24\"]");
    house.start();
    let code = |path: &str| {
        let url = format!("https://{}{path}", house.address(443));
        let mut curl = Command::new("curl");
        tool(curl.args(["-sSk", "-o", "/dev/null", "-w", "%{http_code}", &url]))
    };
    assert_eq!(code("/metrics"), "404");
    assert_eq!(code("/readyz"), "200");
    assert_eq!(code("/healthz"), "200");
}

#[test]
fn a_log_for_programs_has_an_object_on_each_line() {
    let mut house = House::made("127.0.0.1:1");
    house.set("log", "format = \"json\"\nlevel = \"debug\"");
    house.start();
    house.deliver(&[ALICE], &message("a \"quoted\" subject", "quoted"));
    house.stop();
    let log = house.log();
    let ready = log.lines().filter_map(|line| {
        let object: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in: {line}"));
        assert!(object["level"].is_string() && object["timestamp"].is_string(), "{line}");
        (object["message"] == "Restante is ready").then(|| object["hostname"].clone())
    });
    assert_eq!(ready.collect::<Vec<_>>().len(), 1, "{log}");
}
