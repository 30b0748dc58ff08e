//! Rates of providers, warm-up, and one connection for domains with the same hosts.

use std::time::Duration;

use deliver::{HostLimit, WarmUp};
use peers::{Act, Script, Sink, Stage};

use crate::concurrency::limit;
use crate::world::{LIMIT, NewMail, World, short, sinks};

/// Domains whose mail this sink takes as `mx.shared.test`.
fn domains(world: &World, sink: &Sink, count: usize) -> Vec<String> {
    world.dns.address("mx.shared.test", sink.addr().ip());
    let domains: Vec<String> = (0..count).map(|number| format!("d{number}.test")).collect();
    for domain in &domains {
        world.dns.mx(domain, 10, "mx.shared.test");
    }
    domains
}

async fn until_none_is_taken(world: &World) {
    world
        .queue
        .wait_for("nothing to be taken", |state| {
            state.custodies.values().all(|custody| !custody.taken)
        })
        .await;
}

#[tokio::test]
async fn a_provider_gets_no_more_than_its_rate_and_the_rest_waits_in_the_queue() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| {
        s.host_limits = vec![HostLimit { per_minute: Some(3), ..limit("*.shared.test") }];
    })
    .await;
    let domains = domains(&world, &sink, 2);
    let custodies: Vec<_> =
        (0..8).map(|number| world.add_to(&format!("u{number}@{}", domains[number % 2]))).collect();
    sink.wait_for(LIMIT, |state| state.count == 3).await;
    until_none_is_taken(&world).await;
    let waits: Vec<String> = domains
        .iter()
        .filter_map(|domain| {
            let host = mail_types::Address::parse(&format!("x@{domain}")).unwrap().host;
            world.runner.wait_of(&host, None).map(|wait| wait.to_string())
        })
        .collect();
    assert!(!waits.is_empty());
    for wait in waits {
        assert!(
            wait.starts_with("waits for the rate to *.shared.test (3 a minute) until "),
            "{wait}"
        );
    }
    for wanted in [6, 8] {
        world.advance(Duration::from_secs(62));
        sink.wait_for(LIMIT, |state| state.count == wanted).await;
        until_none_is_taken(&world).await;
    }
    world.wait_all_closed().await;
    // To wait is no failure, and no attempt.
    world.queue.read(|state| {
        for custody in &custodies {
            let outcomes = &state.custodies[custody].outcomes;
            assert_eq!(outcomes.iter().map(short).collect::<Vec<_>>(), ["relayed"]);
        }
    });
}

#[tokio::test]
async fn a_new_address_of_ours_sends_little_on_its_first_day() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| {
        s.warm_up = Some(WarmUp { first_day: 2, growth_percent: 200, done_at: 8 });
    })
    .await;
    let domains = domains(&world, &sink, 3);
    for number in 0..9 {
        world.add_to(&format!("u{number}@{}", domains[number % 3]));
    }
    for wanted in [2, 6, 9] {
        sink.wait_for(LIMIT, |state| state.count == wanted).await;
        until_none_is_taken(&world).await;
        assert_eq!(sink.count(), wanted);
        world.advance(Duration::from_secs(86_400));
    }
    world.wait_all_closed().await;
}

#[tokio::test]
async fn one_connection_carries_the_mail_of_domains_with_the_same_hosts() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| s.idle = LIMIT).await;
    for domain in domains(&world, &sink, 5) {
        let custody = world.add_to(&format!("one@{domain}"));
        assert_eq!(short(&world.outcome(custody).await), "relayed");
    }
    assert_eq!((sink.state().connections, sink.count()), (1, 5));
    // With another preference the hosts are not the same ones.
    world.dns.mx("other.test", 20, "mx.shared.test");
    let custody = world.add_to("one@other.test");
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    assert_eq!(sink.state().connections, 2);
}

/// RFC 3461 §4.1: it waits as any other mail, and its sender hears of it once.
#[tokio::test]
async fn who_wants_to_hear_of_delays_hears_of_those_by_rates() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| {
        s.warm_up = Some(WarmUp { first_day: 2, growth_percent: 1000, done_at: 20 });
        // A page is smaller than what waits.
        s.items_per_destination_max = 8;
    })
    .await;
    let domain = domains(&world, &sink, 1).remove(0);
    for number in 0..12 {
        world.add_to(&format!("u{number}@{domain}"));
    }
    sink.wait_for(LIMIT, |state| state.count == 2).await;
    until_none_is_taken(&world).await;
    assert!(world.queue.read(|state| state.reports.is_empty()));
    // START is 8 in the morning; the warning is due after four hours.
    world.advance(Duration::from_secs(5 * 3600));
    let told = "the ten that wait to be told of";
    world.queue.wait_for(told, |state| state.reports.len() == 10).await;
    until_none_is_taken(&world).await;
    world.queue.read(|state| {
        let text = String::from_utf8_lossy(&state.reports[0].body);
        for part in ["Action: delayed", "Status: 4.4.5", "waits for the warm-up of 127.0.0.1"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    });
    world.advance(Duration::from_secs(3600));
    until_none_is_taken(&world).await;
    assert_eq!(sink.count(), 2);
    world.advance(Duration::from_secs(86_400));
    world.wait_all_closed().await;
    assert_eq!((sink.count(), world.queue.read(|state| state.reports.len())), (12, 10));
}

/// However much waits in front of it of which nobody wants to hear.
#[tokio::test]
async fn who_wants_to_hear_of_delays_hears_of_those_behind_many_who_do_not() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| {
        s.host_limits = vec![HostLimit { per_hour: Some(1), ..limit("*.shared.test") }];
        s.items_per_destination_max = 8;
        s.items_max = 8;
    })
    .await;
    let domain = domains(&world, &sink, 1).remove(0);
    let quiet = Some(deliver::Notify::Never);
    for number in 0..30 {
        let to = format!("u{number}@{domain}");
        world.add(&NewMail { notify: quiet, ..NewMail::to(&[&to]) });
    }
    let last = world.add_to(&format!("last@{domain}"));
    sink.wait_for(LIMIT, |state| state.count == 1).await;
    until_none_is_taken(&world).await;
    for hour in 1..=5 {
        world.advance(Duration::from_secs(3700));
        sink.wait_for(LIMIT, |state| state.count > hour).await;
        until_none_is_taken(&world).await;
    }
    assert!(matches!(world.outcome(last).await, deliver::Outcome::Waits { reported: true, .. }));
    assert_eq!(world.queue.read(|state| state.reports.len()), 1);
}

/// A limit of ours keeps no mail for longer than anything else does.
#[tokio::test]
async fn what_waits_for_a_rate_for_too_long_goes_back() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| {
        s.warm_up = Some(WarmUp { first_day: 1, growth_percent: 101, done_at: 1000 });
        s.schedule.warn_after = None;
        s.items_per_destination_max = 8;
        s.schedule.lifetime = Duration::from_secs(2 * 86_400);
    })
    .await;
    let domain = domains(&world, &sink, 1).remove(0);
    let custodies: Vec<_> =
        (0..20).map(|number| world.add_to(&format!("u{number}@{domain}"))).collect();
    sink.wait_for(LIMIT, |state| state.count == 1).await;
    until_none_is_taken(&world).await;
    // One on the first day, two on the second, the first of the third before the lifetime ends.
    world.advance(Duration::from_secs(86_400));
    sink.wait_for(LIMIT, |state| state.count == 3).await;
    until_none_is_taken(&world).await;
    world.advance(Duration::from_secs(86_399));
    sink.wait_for(LIMIT, |state| state.count == 6).await;
    until_none_is_taken(&world).await;
    assert!(world.queue.read(|state| state.reports.is_empty()));
    world.advance(Duration::from_secs(3600));
    world.wait_all_closed().await;
    let outcomes: Vec<_> = world.queue.read(|state| {
        custodies.iter().map(|one| state.custodies[one].outcomes.last().unwrap().clone()).collect()
    });
    let words: Vec<_> = outcomes.iter().map(short).collect();
    assert_eq!(words.iter().filter(|word| *word == "returned 5.4.7").count(), 14, "{words:?}");
    world.queue.read(|state| {
        assert_eq!(state.reports.len(), 14);
        let text = String::from_utf8_lossy(&state.reports[0].body).replace("\r\n", " ");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in ["Action: failed", "Status: 5.4.7", "a limit of this server", "the warm-up of"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    });
}

/// What a pause, a stop or a rate of ours has kept for longer than its lifetime is not lost to the
/// first host that greylists.
#[tokio::test]
async fn mail_that_came_to_its_first_attempt_late_gets_as_many_as_others() {
    let script = Script::accept().reply(Stage::Rcpt, "451 4.7.1 Greylisted for 60 seconds");
    let sink = Sink::start(script.times(1)).await;
    let mut world = World::at(&sink).await;
    world.domain("a.test", &sink);
    world.stop().await;
    let custody = world.add_to("one@a.test");
    world.advance(Duration::from_secs(6 * 86_400));
    world.start_again().await;
    assert_eq!(short(&world.outcome(custody).await), "deferred 4.7.1");
    world.advance(Duration::from_secs(65));
    assert_eq!(short(&world.nth_outcome(custody, 2).await), "relayed");
}

/// Not for ever.
#[tokio::test]
async fn what_began_late_ends_too() {
    let sink = Sink::start(Script::accept().reply(Stage::Rcpt, "451 4.3.0 not today")).await;
    let mut world = World::at(&sink).await;
    world.domain("a.test", &sink);
    world.stop().await;
    let custody = world.add_to("one@a.test");
    world.advance(Duration::from_secs(6 * 86_400));
    world.start_again().await;
    for n in 1..=10 {
        match world.nth_outcome(custody, n).await {
            deliver::Outcome::Deferred { due, .. } => world.clock.set(due),
            deliver::Outcome::Returned { .. } => {
                assert_eq!(n, 7, "one for each wait of the schedule");
                return;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("never given up");
}

/// To wait is no attempt: the first one comes with the whole schedule before it.
#[tokio::test]
async fn a_wait_that_is_told_is_no_attempt() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| {
        s.warm_up = Some(WarmUp { first_day: 1, growth_percent: 101, done_at: 20 });
    })
    .await;
    let domain = domains(&world, &sink, 1).remove(0);
    let custodies = [1, 2].map(|number| world.add_to(&format!("u{number}@{domain}")));
    sink.wait_for(LIMIT, |state| state.count == 1).await;
    until_none_is_taken(&world).await;
    world.advance(Duration::from_secs(5 * 3600));
    world.queue.wait_for("the delay to be told", |state| state.reports.len() == 1).await;
    until_none_is_taken(&world).await;
    world.queue.read(|state| {
        let waits = custodies.map(|one| state.custodies[&one].clone());
        let waits = waits.iter().find(|one| one.due.is_some()).unwrap();
        assert_eq!((waits.item.attempts, waits.item.warned), (0, true), "{waits:?}");
        assert_eq!(waits.outcomes.iter().map(short).collect::<Vec<_>>(), ["waits"]);
    });
}

/// Whichever of them a domain has.
#[tokio::test]
async fn a_limit_on_connections_is_for_all_hosts_that_it_names() {
    let hold = || Script::accept().on(Stage::Dot, Act::Hold);
    let [a, b, c] = sinks([hold(), hold(), Script::accept()]).await;
    let world = World::with(a.addr().port(), |s| {
        s.host_limits = vec![HostLimit { connections: Some(1), ..limit("*.shared.test") }];
    })
    .await;
    world.dns.mx("a.test", 10, "mx1.shared.test").address("mx1.shared.test", a.addr().ip());
    world.dns.mx("b.test", 10, "mx2.shared.test").address("mx2.shared.test", b.addr().ip());
    world.add_to("one@a.test");
    a.wait_for(LIMIT, |state| state.held == 1).await;
    let second = world.add_to("one@b.test");
    world.domain("c.test", &c);
    for _ in 0..3 {
        let other = world.add_to("one@c.test");
        assert_eq!(short(&world.outcome(other).await), "relayed");
    }
    assert_eq!(b.state().connections, 0);
    a.release();
    b.release();
    assert_eq!(short(&world.outcome(second).await), "relayed");
    world.wait_all_closed().await;
}

/// One idle connection does not get all of a burst.
#[tokio::test]
async fn a_burst_gets_connections_of_its_own_besides_an_idle_one() {
    let hold = Script::accept().on(Stage::Dot, Act::Hold).skip(1);
    let sink = Sink::start(hold).await;
    let world = World::with(sink.addr().port(), |s| s.idle = LIMIT).await;
    let domains = domains(&world, &sink, 2);
    let first = world.add_to(&format!("one@{}", domains[0]));
    assert_eq!(short(&world.outcome(first).await), "relayed");
    let to: Vec<String> = (0..100).map(|number| format!("u{number}@{}", domains[1])).collect();
    for to in &to {
        world.add_to(to);
    }
    sink.wait_for(LIMIT, |state| state.held >= 2).await;
    sink.release();
    world.wait_all_closed().await;
    assert_eq!(sink.count(), 101);
}
