//! DANE decides (RFC 7672): no mail without it, and none in clear.

use deliver::Outcome;
use mail_types::Domain;
use peers::{Act, Authority, Certified, Fault, Script, Sink, Stage};

use crate::world::{World, short, sinks};

/// A name of its zone that is signed.
const DOMAIN: &str = "signed.test";
const HOST: &str = "mx10.signed.test";

async fn world(sink: &Sink) -> World {
    let world = World::at(sink).await;
    world.dns.sign(DOMAIN);
    world.domain(DOMAIN, sink);
    world
}

fn port(sink: &Sink) -> u16 {
    sink.addr().port()
}

fn reason(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Deferred { reason, .. } | Outcome::Returned { reason, .. } => reason.clone(),
        Outcome::Relayed { .. } | Outcome::Uncertain { .. } | Outcome::Waits { .. } => {
            panic!("{outcome:?}")
        }
    }
}

#[tokio::test]
async fn mail_goes_to_the_certificate_that_dns_names() {
    // Signed by itself, for another name: DANE-EE wants neither more.
    let certified = Certified::from(peers::self_signed(&["whatever.test"]));
    let sink = Sink::start(Script::accept().starttls_with(&certified)).await;
    let world = world(&sink).await;
    // The old key and the new one, as while they roll over.
    world.dns.tlsa(HOST, port(&sink), [3, 1, 0], b"the key of last year");
    world.dns.tlsa(HOST, port(&sink), [3, 1, 0], &certified.public_key);
    let custody = world.add_to("one@signed.test");
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    assert!(sink.stored()[0].tls);
    assert!(world.last_peer(custody).unwrap().tls_verified);
    let policy = world.runner.tls_policy(&Domain::new(DOMAIN).unwrap()).await;
    let hosts = policy.hosts.unwrap();
    assert_eq!((hosts[0].policy.as_str(), hosts[0].is_mandatory), ("DANE", true));
}

#[tokio::test]
async fn another_certificate_gets_no_mail_and_neither_does_clear_text() {
    let wrong = Certified::from(peers::self_signed(&[HOST]));
    for script in [
        Script::accept().starttls_with(&wrong),
        // STARTTLS stripped on the way, refused, and broken.
        Script::accept(),
        Script::accept().starttls().reply(Stage::StartTls, "454 4.7.0 not now"),
        Script::accept().starttls().on(Stage::StartTls, Act::BreakTls),
    ] {
        let sink = Sink::start(script).await;
        let world = world(&sink).await;
        world.dns.tlsa(HOST, port(&sink), [3, 1, 0], b"the key of somebody else");
        let custody = world.add_to("one@signed.test");
        let outcome = world.outcome(custody).await;
        assert!(short(&outcome).starts_with("deferred 4."), "{outcome:?}");
        assert_eq!(sink.state().commands_of("MAIL"), 0, "{outcome:?}");
        assert!(sink.stored().is_empty());
    }
}

#[tokio::test]
async fn a_policy_that_fails_at_one_host_leaves_the_others() {
    let good = Certified::from(peers::self_signed(&[HOST]));
    let bad = Certified::from(peers::self_signed(&[HOST]));
    let [first, second] =
        sinks([Script::accept().starttls_with(&bad), Script::accept().starttls_with(&good)]).await;
    let world = World::at(&first).await;
    world.dns.sign(DOMAIN);
    world.domain_at(DOMAIN, &[&first, &second]);
    for host in [HOST, "mx20.signed.test"] {
        world.dns.tlsa(host, port(&first), [3, 1, 0], &good.public_key);
    }
    let custody = world.add_to("one@signed.test");
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    assert_eq!((first.count(), second.count()), (0, 1));
}

/// RFC 7672 §2.1.1: who could make TLSA answers fail could switch DANE off, if trouble meant "none".
#[tokio::test]
async fn trouble_with_tlsa_defers_and_is_never_none() {
    let certified = Certified::from(peers::self_signed(&[HOST]));
    for fault in [Fault::ServFail, Fault::Silent, Fault::Refused, Fault::Garbage] {
        let sink = Sink::start(Script::accept().starttls_with(&certified)).await;
        let world = world(&sink).await;
        world.dns.fault(&format!("_{}._tcp.{HOST}", port(&sink)), fault);
        let custody = world.add_to("one@signed.test");
        let outcome = world.outcome(custody).await;
        assert_eq!(short(&outcome), "deferred 4.7.0", "{fault:?}: {outcome:?}");
        assert!(reason(&outcome).contains("TLSA"), "{outcome:?}");
        assert_eq!(sink.state().connections, 0);
        // It is known now that there are none, and the mail goes.
        world.dns.heal(&format!("_{}._tcp.{HOST}", port(&sink)));
        world.advance(crate::world::HOUR);
        assert_eq!(short(&world.nth_outcome(custody, 2).await), "relayed");
    }
}

#[tokio::test]
async fn unusable_records_make_tls_mandatory_with_any_certificate() {
    let certified = Certified::from(peers::self_signed(&["whatever.test"]));
    let sink = Sink::start(Script::accept().starttls_with(&certified)).await;
    let world = world(&sink).await;
    // RFC 7672 §3.1.3: PKIX-EE, which nobody can use for SMTP.
    world.dns.tlsa(HOST, port(&sink), [1, 1, 1], &[7; 32]);
    let custody = world.add_to("one@signed.test");
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    assert!(sink.stored()[0].tls);
    let plain = Sink::start(Script::accept()).await;
    let world = self::world(&plain).await;
    world.dns.tlsa(HOST, port(&plain), [1, 1, 1], &[7; 32]);
    let custody = world.add_to("one@signed.test");
    assert!(short(&world.outcome(custody).await).starts_with("deferred 4.7."));
    assert!(plain.stored().is_empty());
}

#[tokio::test]
async fn what_is_not_signed_is_no_dane() {
    let certified = Certified::from(peers::self_signed(&["whatever.test"]));
    let sink = Sink::start(Script::accept().starttls_with(&certified)).await;
    let world = World::at(&sink).await;
    // The host's zone is signed, the domain's is not: who forges its MX would choose the host.
    world.dns.sign("mx10.plain.test");
    world.domain("plain.test", &sink);
    world.dns.tlsa("mx10.plain.test", port(&sink), [3, 1, 0], b"another key");
    let custody = world.add_to("one@plain.test");
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    assert!(!world.last_peer(custody).unwrap().tls_verified);
}

#[tokio::test]
async fn an_alias_of_a_mail_host_has_its_records_at_either_end() {
    let authority = Authority::new();
    let certified = authority.issue(&["real.signed.test"]);
    for base in ["real.signed.test", HOST] {
        let sink = Sink::start(Script::accept().starttls_with(&certified)).await;
        let world = World::at(&sink).await;
        world.dns.sign(DOMAIN).mx(DOMAIN, 10, HOST).cname(HOST, "real.signed.test");
        world.dns.address("real.signed.test", sink.addr().ip());
        world.dns.tlsa(base, port(&sink), [3, 0, 0], &certified.chain[0]);
        let custody = world.add_to("one@signed.test");
        assert_eq!(short(&world.outcome(custody).await), "relayed", "{base}");
        assert!(world.last_peer(custody).unwrap().tls_verified, "{base}");
    }
}
