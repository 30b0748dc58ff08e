use deliver::Outcome;
use peers::{Fault, Script, Sink};
use route::Inward;

use crate::world::{MINUTE, NOBODY, World, short};

#[tokio::test]
async fn what_dns_says_decides() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::at(&sink).await;
    let dns = &world.dns;
    dns.null_mx("null.test");
    dns.txt("empty.test", "no mail host and no address");
    dns.mx("bare.test", 10, "gone.bare.test");
    dns.mx("own.test", 10, "mx.ours.test").address("mx.ours.test", sink.addr().ip());
    dns.address("implicit.test", sink.addr().ip());
    dns.cname("alias.test", "implicit.test");
    for (domain, fault) in [
        ("servfail.test", Fault::ServFail),
        ("refused.test", Fault::Refused),
        ("silent.test", Fault::Silent),
        ("garbage.test", Fault::Garbage),
        ("cut.test", Fault::TruncatedSilent),
    ] {
        dns.address(domain, sink.addr().ip()).fault(domain, fault);
    }
    dns.mx("host-servfail.test", 10, "h.test").address("h.test", sink.addr().ip());
    dns.fault("h.test", Fault::ServFail);
    for (domain, wanted) in [
        ("nowhere.test", "returned 5.1.2"),
        ("null.test", "returned 5.1.10"),
        ("empty.test", "returned 5.1.2"),
        ("bare.test", "returned 5.4.4"),
        ("own.test", "returned 5.4.6"),
        ("implicit.test", "relayed"),
        ("alias.test", "relayed"),
        ("servfail.test", "deferred 4.4.3"),
        ("refused.test", "deferred 4.4.3"),
        ("silent.test", "deferred 4.4.3"),
        ("garbage.test", "deferred 4.4.3"),
        ("cut.test", "deferred 4.4.3"),
        ("host-servfail.test", "deferred 4.4.3"),
    ] {
        let custody = world.add_to(&format!("one@{domain}"));
        assert_eq!(short(&world.outcome(custody).await), wanted, "{domain}");
    }
    assert_eq!(sink.count(), 2);
}

#[tokio::test]
async fn dns_that_recovers_lets_mail_go() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    world.dns.fault("a.test", Fault::ServFail);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "deferred 4.4.3");
    world.dns.heal("a.test");
    world.advance(MINUTE);
    assert_eq!(short(&world.nth_outcome(custody, 2).await), "relayed");
}

#[tokio::test]
async fn an_mx_that_points_inward_is_refused() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| s.inward = Inward::default()).await;
    world.domain("a.test", &sink);
    for to in ["one@a.test", "one@[127.0.0.1]"] {
        let custody = world.add_to(to);
        let Outcome::Returned { reason, .. } = world.outcome(custody).await else {
            panic!("not returned: {to}");
        };
        assert!(reason.contains("inward"), "{reason}");
    }
    assert_eq!(sink.state().connections, 0);
}

#[tokio::test]
async fn an_address_literal_needs_no_dns() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::at(&sink).await;
    let custody = world.add_to("one@[127.0.0.1]");
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    let nobody = world.add_to(&format!("one@[{NOBODY}]"));
    assert_eq!(short(&world.outcome(nobody).await), "deferred 4.4.1");
    assert_eq!(world.dns.queries_total(), 0);
}
