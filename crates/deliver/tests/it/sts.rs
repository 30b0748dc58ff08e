//! MTA-STS decides (RFC 8461): what it names, verified, or nothing.

use net::Trust;
use peers::{Authority, Certified, Script, Sink, Web};

use crate::world::{HOUR, NewMail, World, short};

const DOMAIN: &str = "a.test";
const PLACE: &str = "/.well-known/mta-sts.txt";

fn policy(mode: &str, mx: &str) -> String {
    format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 604800\n")
}

struct Published {
    world: World,
    web: Web,
    authority: Authority,
}

/// A domain whose policy is this, at a host with these certificates.
async fn published(sink: &Sink, authority: Authority, text: &str) -> Published {
    let web = Web::start(Some(&authority.issue(&["mta-sts.a.test"]))).await;
    web.page(PLACE, 200, "text/plain", text);
    let trust = Trust::only([&*authority.certificate]).unwrap();
    let world = World::with_sts(sink.addr().port(), trust, web.addr().port()).await;
    world.domain(DOMAIN, sink);
    world.dns.address("mta-sts.a.test", [127, 0, 0, 1]);
    world.dns.txt("_mta-sts.a.test", "v=STSv1; id=1;");
    Published { world, web, authority }
}

#[tokio::test]
async fn a_policy_to_enforce_wants_the_verified_host_it_names() {
    let authority = Authority::new();
    let good = authority.issue(&["mx10.a.test"]);
    let sink = Sink::start(Script::accept().starttls_with(&good)).await;
    let here = published(&sink, authority, &policy("enforce", "*.a.test")).await;
    let custody = here.world.add_to("one@a.test");
    assert_eq!(short(&here.world.outcome(custody).await), "relayed");
    let peer = here.world.last_peer(custody).unwrap();
    assert!(peer.tls.is_some() && peer.tls_verified);
    let second = here.world.add_to("two@a.test");
    assert_eq!(short(&here.world.outcome(second).await), "relayed");
    // The id is the same, so it was fetched once.
    assert_eq!(here.web.asked().len(), 1);
    assert_eq!(here.web.asked()[0].path, PLACE);
}

#[tokio::test]
async fn a_downgrade_gets_no_mail() {
    let authority = Authority::new();
    let stranger = Certified::from(peers::self_signed(&["mx10.a.test"]));
    let other_name = authority.issue(&["mx99.a.test"]);
    let expired = authority.issue_until(&["mx10.a.test"], 2018);
    for script in [
        Script::accept(),
        Script::accept().starttls_with(&stranger),
        Script::accept().starttls_with(&other_name),
        Script::accept().starttls_with(&expired),
    ] {
        let sink = Sink::start(script).await;
        let published = published(&sink, Authority::new(), &policy("enforce", "mx10.a.test")).await;
        let custody = published.world.add_to("one@a.test");
        let outcome = published.world.outcome(custody).await;
        assert_eq!(short(&outcome), "deferred 4.7.5", "{outcome:?}");
        assert_eq!(sink.state().commands_of("MAIL"), 0);
    }
}

#[tokio::test]
async fn a_host_that_the_policy_does_not_name_is_not_even_asked() {
    let authority = Authority::new();
    let good = authority.issue(&["mx10.a.test"]);
    let sink = Sink::start(Script::accept().starttls_with(&good)).await;
    let here = published(&sink, authority, &policy("enforce", "mail.elsewhere.test")).await;
    let custody = here.world.add_to("one@a.test");
    assert_eq!(short(&here.world.outcome(custody).await), "deferred 4.7.0");
    assert_eq!(sink.state().connections, 0);
    // The owner mends it: another id, another policy.
    here.web.page(PLACE, 200, "text/plain", &policy("enforce", "mx10.a.test"));
    here.world.dns.clear("_mta-sts.a.test").txt("_mta-sts.a.test", "v=STSv1; id=2;");
    here.world.advance(HOUR);
    assert_eq!(short(&here.world.nth_outcome(custody, 2).await), "relayed");
}

#[tokio::test]
async fn testing_is_told_and_mail_goes() {
    for script in [Script::accept(), Script::accept().starttls()] {
        let sink = Sink::start(script).await;
        let published = published(&sink, Authority::new(), &policy("testing", "mx10.a.test")).await;
        let custody = published.world.add_to("one@a.test");
        assert_eq!(short(&published.world.outcome(custody).await), "relayed");
        assert!(!published.world.last_peer(custody).unwrap().tls_verified);
    }
}

/// RFC 8461 §3.3 and §10.2: who can forge DNS answers or block the policy's host must not be able to
/// switch off a policy that is remembered, restarts included.
#[tokio::test]
async fn a_remembered_policy_outlives_its_source() {
    let sink = Sink::start(Script::accept().starttls()).await;
    let mut here = published(&sink, Authority::new(), &policy("enforce", "mx10.a.test")).await;
    let custody = here.world.add_to("one@a.test");
    assert_eq!(short(&here.world.outcome(custody).await), "deferred 4.7.5");
    // The record is gone, or new while nothing can be fetched; the server starts anew.
    here.web.remove(PLACE);
    here.world.stop().await;
    here.world.start_again().await;
    for record in [None, Some("v=STSv1; id=2;")] {
        here.world.dns.clear("_mta-sts.a.test");
        if let Some(record) = record {
            here.world.dns.txt("_mta-sts.a.test", record);
        }
        here.world.advance(HOUR);
        let next = here.world.add_to("two@a.test");
        assert_eq!(short(&here.world.outcome(next).await), "deferred 4.7.5", "{record:?}");
    }
    assert!(sink.stored().is_empty());
    // It runs out after a week; then there is none.
    here.world.dns.clear("_mta-sts.a.test");
    here.world.advance(HOUR * 24 * 8);
    let last = here.world.add_to("three@a.test");
    assert_eq!(short(&here.world.outcome(last).await), "relayed");
}

#[tokio::test]
async fn what_cannot_be_fetched_at_first_is_no_policy() {
    let sink = Sink::start(Script::accept()).await;
    let here = published(&sink, Authority::new(), &policy("enforce", "mx10.a.test")).await;
    here.web.page(PLACE, 200, "text/html", &policy("enforce", "mx10.a.test"));
    let custody = here.world.add_to("one@a.test");
    assert_eq!(short(&here.world.outcome(custody).await), "relayed");
    // It is not asked for again at once.
    let custody = here.world.add_to("two@a.test");
    assert_eq!(short(&here.world.outcome(custody).await), "relayed");
    assert_eq!(here.web.asked().len(), 1);
    // A host with the wrong certificate is no source of policies.
    let forged = Web::start(Some(&Authority::new().issue(&["mta-sts.a.test"]))).await;
    forged.page(PLACE, 200, "text/plain", &policy("enforce", "mx10.a.test"));
    let trust = Trust::only([&*here.authority.certificate]).unwrap();
    let world = World::with_sts(sink.addr().port(), trust, forged.addr().port()).await;
    world.domain(DOMAIN, &sink);
    world.dns.address("mta-sts.a.test", [127, 0, 0, 1]).txt("_mta-sts.a.test", "v=STSv1; id=1;");
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    assert!(forged.asked().is_empty());
}

/// RFC 8689 §5: TLS-Required: No.
#[tokio::test]
async fn mail_that_would_rather_arrive_goes_past_a_policy() {
    let stranger = Certified::from(peers::self_signed(&["mx10.a.test"]));
    let sink = Sink::start(Script::accept().starttls_with(&stranger)).await;
    let here = published(&sink, Authority::new(), &policy("enforce", "mx10.a.test")).await;
    let optional = NewMail { tls_optional: true, ..NewMail::to(&["one@a.test"]) };
    let optional = here.world.add(&optional)[0];
    let other = here.world.add_to("two@a.test");
    assert_eq!(short(&here.world.outcome(optional).await), "relayed");
    assert_eq!(short(&here.world.outcome(other).await), "deferred 4.7.5");
    let stored = sink.stored();
    assert!(stored.len() == 1 && stored[0].tls && stored[0].recipients == ["one@a.test"]);
}
