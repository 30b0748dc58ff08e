//! TLS towards other domains: what their policies demand, or no mail; and the trace says why.

use peers::{Authority, Certified, Dns, Script, Sink, Web};

use crate::harness::{House, LIMIT, message, receipt_id};

const POLICY: &str = "version: STSv1\nmode: enforce\nmx: *.far.test\nmax_age: 604800\n";

/// A world in which far.test's mail host is the sink.
async fn world(sink: &Sink) -> (House, Dns, Authority) {
    let (dns, authority) = (Dns::start().await, Authority::new());
    dns.mx("far.test", 10, "mx.far.test").address("mx.far.test", [127, 0, 0, 1]);
    let house = House::made(&dns.addr().to_string());
    let pem = house.path().join("authority.pem");
    std::fs::write(&pem, authority.pem()).unwrap();
    house.set("tls", &format!("authorities = [\"{}\"]", pem.display()));
    house.set("queue", &format!("remote_port = {}", sink.addr().port()));
    house.set("queue", "inward_networks = [\"127.0.0.0/8\"]");
    (house, dns, authority)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_to_enforce_holds_over_restarts_and_the_trace_says_why() {
    let wrong = Certified::from(peers::self_signed(&["mx.far.test"]));
    let sink = Sink::start(Script::accept().starttls_with(&wrong)).await;
    let (mut house, dns, authority) = world(&sink).await;
    let web = Web::start(Some(&authority.issue(&["mta-sts.far.test"]))).await;
    web.page("/.well-known/mta-sts.txt", 200, "text/plain", POLICY);
    dns.address("mta-sts.far.test", [127, 0, 0, 1]).txt("_mta-sts.far.test", "v=STSv1; id=1;");
    house.set("outgoing_tls", &format!("mta_sts_port = {}", web.addr().port()));
    house.start();
    let receipt = house.submit(&["you@far.test"], &message("Guarded", "sts-1"));
    let story = house.await_trace(receipt_id(&receipt), "leads to no authority we trust");
    assert!(story.contains("MTA-STS enforce"), "{story}");
    let told = house.restante(&["tls", "policy", "far.test"]);
    assert!(told.contains("mx.far.test") && told.contains("MTA-STS enforce (must)"), "{told}");
    // The server is killed, and nobody shows the policy any more: it is remembered.
    house.kill();
    web.remove("/.well-known/mta-sts.txt");
    dns.clear("_mta-sts.far.test");
    house.start();
    house.restante(&["queue", "retry", receipt_id(&receipt)]);
    let told = house.restante(&["tls", "policy", "far.test"]);
    assert!(told.contains("MTA-STS enforce (must)"), "{told}");
    assert_eq!(sink.state().commands_of("MAIL"), 0);
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn dane_wants_the_certificate_that_dns_names() {
    let certified = Certified::from(peers::self_signed(&["anything.test"]));
    let sink = Sink::start(Script::accept().starttls_with(&certified)).await;
    let (mut house, dns, _authority) = world(&sink).await;
    dns.sign("far.test").tlsa("mx.far.test", sink.addr().port(), [3, 1, 0], b"another key");
    house.start();
    let receipt = house.submit(&["you@far.test"], &message("Named", "dane-1"));
    let story = house.await_trace(receipt_id(&receipt), "matches none of the 1 TLSA records");
    assert!(story.contains("DANE"), "{story}");
    // The new key is published beside the old one.
    dns.tlsa("mx.far.test", sink.addr().port(), [3, 1, 0], &certified.public_key);
    house.restante(&["queue", "retry", receipt_id(&receipt)]);
    assert!(sink.wait_for_count(LIMIT, 1).await.stored[0].tls);
    house.await_trace(receipt_id(&receipt), "relayed");
    tokio::task::block_in_place(|| drop(house));
}
