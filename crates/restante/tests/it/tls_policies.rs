//! TLS towards other domains: what their policies demand, or no mail; and the trace says why.

use std::net::SocketAddr;

use peers::{Authority, Certified, Dns, Script, Sink, Web};

use crate::harness::{House, LIMIT, message, receipt_id, until};
use crate::unbound::{Unbound, Zones};

const POLICY: &str = "version: STSv1\nmode: enforce\nmx: *.far.test\nmax_age: 604800\n";

/// At an address that is not the server's own, to which mail would come back.
async fn far_sink(certified: &Certified) -> Sink {
    let script = Script::accept().starttls_with(certified);
    Sink::start_at(([127, 0, 77, 1], 0).into(), script).await
}

/// A world in which far.test's mail host is the sink.
async fn world(sink: &Sink) -> (House, Dns, Authority) {
    let (dns, authority) = (Dns::start().await, Authority::new());
    dns.mx("far.test", 10, "mx.far.test").address("mx.far.test", sink.addr().ip());
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
    let sink = far_sink(&wrong).await;
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
    let sink = far_sink(&certified).await;
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

/// All names of these tests in one signed zone, the root, and one zone that is not signed.
const SIGNED: &str = "\
$TTL 60
. IN SOA ns. admin. 1 3600 600 86400 60
. IN NS ns.
ns. IN A 127.0.0.1
far.test. IN MX 10 mx.far.test.
mx.far.test. IN A 127.0.77.1
_25._tcp.mx.far.test. IN TLSA 3 1 0 0102
none.test. IN MX 10 mx.none.test.
mx.none.test. IN A 127.0.77.2
forged.test. IN MX 10 mx.forged.test.
mx.forged.test. IN A 127.0.77.3
plain. IN NS ns.plain.
ns.plain. IN A 127.0.0.1
";
const UNSIGNED: &str = "\
$TTL 60
plain. IN SOA ns.plain. admin. 1 3600 600 86400 60
plain. IN NS ns.plain.
ns.plain. IN A 127.0.0.1
far.plain. IN MX 10 mx.far.plain.
mx.far.plain. IN A 127.0.77.4
_25._tcp.mx.far.plain. IN TLSA 3 1 0 0102
";

/// RFC 4035 §5: whether the server checks signatures and we trust its word, or it does not and we
/// check them: signed records bind, unsigned ones do not, and forged ones stop the mail.
#[test]
fn signatures_are_checked_here_or_by_the_server() {
    for (mode, modules) in [("trust", "validator iterator"), ("validate", "iterator")] {
        let mut house = House::made("127.0.0.1:1");
        let port = house.address(0).port() + 4;
        let directory = house.path().join("unbound");
        let zones = Zones {
            root: SIGNED,
            unsigned: Some(("plain.", UNSIGNED)),
            // Somebody has changed an address, and could not sign it anew.
            forged: Some(("127.0.77.3", "127.0.77.9")),
        };
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        let unbound = Unbound::start(&directory, at, modules, &zones);
        let resolver = at.to_string();
        let settings = house.installation.data.join("restante.toml");
        let text = std::fs::read_to_string(&settings).unwrap();
        std::fs::write(&settings, text.replace("127.0.0.1:1\"", &format!("{resolver}\""))).unwrap();
        house.set("dns", &format!("dnssec = \"{mode}\""));
        let anchor = directory.join("anchor").display().to_string();
        house.set("dns", &format!("trust_anchors = [\"{anchor}\"]"));
        house.set("queue", "inward_networks = [\"127.0.0.0/8\"]");
        house.start();
        until("unbound answers", || {
            let told = house.installation.checked(&["tls", "policy", "far.test"]).ok()?;
            told.contains("DANE (must)").then_some(())
        });
        for unproven in ["none.test", "far.plain"] {
            let told = house.restante(&["tls", "policy", unproven]);
            assert!(told.contains("opportunistic (may)"), "{mode}: {told}");
        }
        let forged = house.installation.checked(&["tls", "policy", "forged.test"]).unwrap_err();
        let forged = forged.to_string();
        assert!(forged.contains("SERVFAIL") || forged.contains("DNSSEC check"), "{mode}: {forged}");
        drop(house);
        drop(unbound);
    }
}
