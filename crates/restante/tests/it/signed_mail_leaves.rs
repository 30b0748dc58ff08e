//! Mail of ours leaves with a signature that others believe, keys change without a gap, and
//! `domain dns` says what is published.

use std::path::Path;
use std::process::Command;

use peers::{Dns, Script, Sink};
use serde_json::Value;

use crate::harness::{BOB, House, LIMIT, message, tool};

/// Debian's own Python, which its packages belong to.
const PYTHON: &str = "/usr/bin/python3";

fn second_opinion(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/dkim_second_opinion.py");
    tool(Command::new(PYTHON).arg(script).args(arguments))
}

/// Name and record of each key in this state.
fn keys(house: &House, state: &str) -> Vec<(String, String)> {
    let answer = house.restante_json(&["dkim", "list", "example.test"]);
    let keys = answer[0]["keys"].as_array().unwrap().iter();
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    keys.filter(|key| key["state"] == state)
        .map(|key| (text(key, "name"), text(key, "record")))
        .collect()
}

fn selectors(stored: &str) -> Vec<String> {
    let header = stored.split_once("\r\n\r\n").unwrap().0.replace("\r\n\t", " ");
    let fields = header.split("\r\n").filter(|field| field.starts_with("DKIM-Signature:"));
    let selector = |field: &str| {
        let (_, rest) = field.split_once(" s=").unwrap();
        rest.split_once(';').unwrap().0.to_owned()
    };
    fields.map(selector).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_signatures_are_believed_by_others() {
    let dns = Dns::start().await;
    let sink = Sink::start(Script::accept()).await;
    let house = House::asking(dns.addr());
    let published = keys(&house, "active");
    assert_eq!(published.len(), 2);
    for (name, record) in &published {
        dns.txt(name, record);
    }
    house.restante(&["route", "add", "far.test", &sink.addr().to_string()]);
    house.submit(&["you@far.test", BOB], &message("Signed", "sig-1"));
    // Large ones are read in pieces, and signed as a whole.
    let large = message("Large", "sig-2") + &"a line of a long message\n".repeat(40_000);
    house.submit(&["you@far.test"], &large);
    let state = sink.wait_for_count(LIMIT, 2).await;
    let records: serde_json::Map<String, Value> =
        published.iter().map(|(name, record)| (name.clone(), record.clone().into())).collect();
    let known = house.path().join("records.json");
    std::fs::write(&known, Value::from(records).to_string()).unwrap();
    for stored in &state.stored {
        let text = stored.text();
        assert!(text.starts_with("DKIM-Signature: v=1; a="), "{text}");
        let path = house.path().join("signed.eml");
        std::fs::write(&path, text.as_bytes()).unwrap();
        let path = path.display().to_string();
        let resolver = dns.addr().to_string();
        let ours = house.restante(&["check", "dkim", &path, "--resolver", &resolver]);
        assert!(ours.starts_with("pass (good signature of example.test"), "{ours}");
        assert_eq!(ours.matches("\npass d=example.test").count(), 2, "{ours}");
        let theirs = second_opinion(&["verify", &path, &known.display().to_string()]);
        assert_eq!(theirs, "pass\npass\n");
        std::fs::write(&path, text.replace("The body", "A body")).unwrap();
        assert!(
            house.restante(&["check", "dkim", &path, "--resolver", &resolver]).starts_with("fail")
        );
    }
    // The kept message is what its author sent.
    assert!(!house.await_message(BOB, "sig-1").contains("DKIM-Signature"));
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_once_the_new_ones_are_published() {
    let dns = Dns::start().await;
    let sink = Sink::start(Script::accept()).await;
    let house = House::asking(dns.addr());
    house.restante(&["route", "add", "far.test", &sink.addr().to_string()]);
    let old = keys(&house, "active");
    let told = house.restante(&["dkim", "rotate", "example.test"]);
    assert!(told.contains("Publish these records"), "{told}");
    let new = keys(&house, "prepared");
    assert_eq!((old.len(), new.len()), (2, 2));
    // Not before they are there.
    let early = house.installation.command(&["dkim", "rotate", "example.test"]).unwrap();
    assert!(!early.status.success());
    assert!(String::from_utf8_lossy(&early.stderr).contains("is not published"));
    for (name, record) in &new {
        dns.txt(name, record);
    }
    let resolver = dns.addr().to_string();
    house.submit(&["you@far.test"], &message("By the old", "sig-3"));
    sink.wait_for_count(LIMIT, 1).await;
    // Another name of the same server: what is not there was remembered by nobody.
    house.restante(&["dkim", "rotate", "example.test", "--resolver", &resolver]);
    assert_eq!((keys(&house, "active"), keys(&house, "retired")), (new.clone(), old.clone()));
    house.submit(&["you@far.test"], &message("By the new", "sig-4"));
    sink.wait_for_count(LIMIT, 2).await;
    house.restante(&["dkim", "undo", "example.test"]);
    house.submit(&["you@far.test"], &message("By the old again", "sig-5"));
    let state = sink.wait_for_count(LIMIT, 3).await;
    let names = |keys: &[(String, String)]| -> Vec<String> {
        keys.iter().map(|(name, _)| name.split('.').next().unwrap().to_owned()).collect()
    };
    let signed: Vec<_> = state.stored.iter().map(|stored| selectors(&stored.text())).collect();
    assert_eq!(signed, [names(&old), names(&new), names(&old)]);
    // A key that signs is not taken away.
    let selector = &names(&old)[0];
    let remove = ["dkim", "remove", "example.test", selector];
    assert!(!house.installation.command(&remove).unwrap().status.success());
    house.restante(&["dkim", "undo", "example.test"]);
    assert_eq!(keys(&house, "prepared"), []);
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_signed_and_sealed_is_believed() {
    let dns = Dns::start().await;
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let record = second_opinion(&["sign", &directory.path().display().to_string()]);
    dns.txt("s._domainkey.far.test", record.trim());
    let resolver = dns.addr().to_string();
    let check = |what: &str, file: &str| {
        let data = at("none");
        let arguments = ["check", what, file, "--resolver", &resolver, "--data", &data];
        tool(Command::new(crate::harness::RESTANTE).args(arguments))
    };
    for canon in ["simple-simple", "simple-relaxed", "relaxed-simple", "relaxed-relaxed"] {
        let told = check("dkim", &at(&format!("{canon}.eml")));
        assert!(told.starts_with("pass ("), "{canon}: {told}");
    }
    for hop in ["arc-1.eml", "arc-2.eml"] {
        let told = check("arc", &at(hop));
        assert!(told.starts_with("pass ("), "{hop}: {told}");
        // As a mail program saves it: lines end as those of the system.
        let saved = std::fs::read_to_string(at(hop)).unwrap().replace("\r\n", "\n");
        std::fs::write(at("saved.eml"), &saved).unwrap();
        assert!(check("arc", &at("saved.eml")).starts_with("pass ("));
        std::fs::write(at("changed.eml"), saved.replace("and more", "and less")).unwrap();
        assert!(check("arc", &at("changed.eml")).starts_with("fail ("));
    }
    assert!(check("dkim", &at("arc-1.eml")).starts_with("none ("));
    assert!(check("arc", &at("relaxed-relaxed.eml")).starts_with("none ("));
}

#[test]
fn a_domain_of_before_there_were_keys_gets_them_at_the_start_once() {
    let mut house = House::made("127.0.0.1:1");
    let clock: std::sync::Arc<dyn Fn() -> mail_types::Timestamp + Send + Sync> =
        std::sync::Arc::new(net::now);
    let options = store::Options::new(clock);
    let (store, _) = store::Store::open(&house.installation.data, options).unwrap();
    let domain: mail_types::Domain = "old.test".parse().unwrap();
    store.add_domain(store::Actor::Server, domain.clone()).wait().unwrap();
    assert!(store.directory().dkim_keys(&domain).is_empty());
    store.close();
    let active = |house: &House| {
        let answer = house.restante_json(&["dkim", "list", "old.test"]);
        let keys = answer[0]["keys"].as_array().unwrap().clone();
        (keys.len() == 2 && keys.iter().all(|key| key["state"] == "active")).then_some(keys)
    };
    house.start();
    let made = crate::harness::until("keys of old.test", || active(&house));
    let name = made[0]["name"].as_str().unwrap();
    crate::harness::until("a word of what to publish", || {
        house.log().contains(&format!("{name}. 3600 IN TXT")).then_some(())
    });
    house.stop();
    house.start();
    assert_eq!(active(&house), Some(made));
}

#[tokio::test(flavor = "multi_thread")]
async fn domain_dns_marks_what_is_there() {
    let dns = Dns::start().await;
    let house = House::asking(dns.addr());
    let state = |name: &str, kind: &str| {
        let answer = house.restante_json(&["domain", "dns", "example.test"]);
        let all = answer["records"].as_array().unwrap().clone();
        let found = all.iter().find(|record| record["name"] == name && record["type"] == kind);
        found.unwrap_or_else(|| panic!("{name} {kind} in {all:#?}"))["state"].clone()
    };
    let (key, record) = keys(&house, "active").remove(0);
    assert_eq!(state("example.test", "MX"), "missing");
    assert_eq!(state(&key, "TXT"), "missing");
    let other = [192, 0, 2, 1];
    dns.mx("example.test", 10, "mx.example.test").address("mx.example.test", other);
    dns.txt("example.test", "v=spf1 ip4:198.51.100.1 -all").txt("example.test", "something else");
    dns.txt(&key, &record.replace("p=", "p=AAAA"));
    dns.txt("_dmarc.example.test", "v=DMARC1; p=reject");
    let plain = house.restante(&["domain", "dns", "example.test", "--no-check"]);
    let tlsa = plain.lines().find(|line| line.contains(" TLSA 3 1 1 ")).unwrap().to_owned();
    assert!(tlsa.starts_with("_25._tcp.mx.example.test."), "{tlsa}");
    assert!(plain.contains("_imaps._tcp.example.test. 3600 IN SRV 0 1 "), "{plain}");
    // A resolver remembers that there was nothing; each command asks anew.
    assert_eq!(state("example.test", "MX"), "right");
    assert_eq!(state("example.test", "TXT"), "wrong");
    assert_eq!(state(&key, "TXT"), "wrong");
    assert_eq!(state("_dmarc.example.test", "TXT"), "right");
    assert_eq!(state("1.2.0.192.in-addr.arpa", "PTR"), "missing");
    let told = house.restante(&["domain", "dns", "example.test"]);
    assert!(told.contains("present: v=spf1 ip4:198.51.100.1 -all"), "{told}");
    dns.clear("example.test").mx("example.test", 10, "mx.example.test");
    dns.txt("example.test", "v=spf1 mx -all").clear(&key).txt(&key, &record);
    dns.ptr(std::net::IpAddr::from(other), "mx.example.test");
    assert_eq!(state("example.test", "TXT"), "right");
    assert_eq!(state(&key, "TXT"), "right");
    assert_eq!(state("1.2.0.192.in-addr.arpa", "PTR"), "right");
    tokio::task::block_in_place(|| drop(house));
}

/// Records by which others report and heed policies: there, and of any use.
#[tokio::test(flavor = "multi_thread")]
async fn domain_dns_says_whether_reports_arrive() {
    let dns = Dns::start().await;
    let house = House::asking(dns.addr());
    let found = |name: &str| {
        let answer = house.restante_json(&["domain", "dns", "example.test"]);
        let all = answer["records"].as_array().unwrap().clone();
        let found = all.iter().find(|record| record["name"] == name).unwrap().clone();
        (found["state"].as_str().unwrap().to_owned(), found["notes"].to_string())
    };
    let (tls, dmarc, sts) =
        ("_smtp._tls.example.test", "_dmarc.example.test", "_mta-sts.example.test");
    assert_eq!(found(tls).0, "missing");
    dns.txt(tls, "v=TLSRPTv1; rua=mailto:nobody@example.test");
    let (state, notes) = found(tls);
    assert!(state == "wrong" && notes.contains("nobody@example.test, which nobody has"), "{notes}");
    house.restante(&["alias", "add", "nobody@example.test", BOB]);
    assert_eq!(found(tls).0, "right");
    dns.clear(tls).txt(tls, "v=TLSRPTv1; rua=ftp://example.test/");
    assert!(found(tls).1.contains("names no mailto: or https: URI"));
    dns.clear(tls).txt(tls, "v=TLSRPTv1;rua=https://far.test/");
    assert_eq!(found(tls).0, "right");

    dns.txt(dmarc, "v=DMARC1; p=none; rua=mailto:bob@example.test,mailto:x@far.test");
    let (state, notes) = found(dmarc);
    assert_eq!(state, "wrong");
    assert!(notes.contains("before example.test._report._dmarc.far.test."), "{notes}");
    dns.txt("example.test._report._dmarc.far.test", "v=DMARC1");
    assert_eq!(found(dmarc), ("right".to_owned(), "[]".to_owned()));
    dns.clear(dmarc).txt(dmarc, "v=DMARC1; p=none");
    let (state, notes) = found(dmarc);
    assert!(state == "right" && notes.contains("without rua"), "{notes}");

    // The id is that of the policy which the server shows.
    dns.txt(sts, "v=STSv1; id=another;");
    assert_eq!(found(sts).0, "wrong");
    let shown = house.restante_json(&["tls", "status"]).to_string();
    let id = shown.split("v=STSv1; id=").nth(1).unwrap().split(';').next().unwrap();
    dns.clear(sts).txt(sts, &format!("v=STSv1;id={id}"));
    assert_eq!(found(sts).0, "right");
    tokio::task::block_in_place(|| drop(house));
}
