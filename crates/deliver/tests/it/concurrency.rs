use std::time::Duration;

use deliver::HostLimit;
use peers::{Act, Script, Sink, Stage};

use crate::world::{LIMIT, NewMail, START, World, short, sinks};

pub fn limit(hosts: &str) -> HostLimit {
    let hosts = hosts.to_owned();
    HostLimit { hosts, connections: None, messages: None, per_minute: None, per_hour: None }
}

#[tokio::test]
async fn connections_to_one_destination_are_limited() {
    let sink = Sink::start(Script::accept().on(Stage::Dot, Act::Hold)).await;
    let world = World::with(sink.addr().port(), |s| s.connections_per_destination_max = 3).await;
    world.domain("a.test", &sink);
    for _ in 0..20 {
        world.add_to("one@a.test");
    }
    sink.wait_for(LIMIT, |state| state.held == 3).await;
    assert_eq!(world.runner.connections(), 3);
    sink.release();
    world.wait_all_closed().await;
    let state = sink.state();
    assert_eq!((state.open_max, state.count), (3, 20));
}

#[tokio::test]
async fn connections_together_are_limited_and_go_round() {
    let hold = || Script::accept().on(Stage::Dot, Act::Hold);
    let [a, b, c] = sinks([hold(), hold(), hold()]).await;
    let world = World::with(a.addr().port(), |s| {
        s.connections_max = 2;
        s.messages_per_connection = 5;
    })
    .await;
    for (domain, sink) in [("a.test", &a), ("b.test", &b), ("c.test", &c)] {
        world.domain(domain, sink);
    }
    for _ in 0..30 {
        world.add_to("one@a.test");
    }
    a.wait_for(LIMIT, |state| state.held == 2).await;
    world.add_to("one@b.test");
    world.add_to("one@c.test");
    assert_eq!(world.runner.connections(), 2);
    a.release();
    b.wait_for(LIMIT, |state| state.held == 1).await;
    b.release();
    c.release();
    world.wait_all_closed().await;
    assert_eq!([&a, &b, &c].map(|sink| sink.count()), [30, 1, 1]);
    assert!(a.state().open_max <= 2);
    let last_b = b.state();
    assert_eq!(last_b.connections, 1);
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_another_destination() {
    let [a, b] = sinks([Script::accept(), Script::accept()]).await;
    let world = World::with(a.addr().port(), |s| {
        s.connections_max = 1;
        s.idle = LIMIT;
    })
    .await;
    world.domain("a.test", &a);
    world.domain("b.test", &b);
    let first = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(first).await), "relayed");
    let second = world.add_to("one@b.test");
    assert_eq!(short(&world.outcome(second).await), "relayed");
}

#[tokio::test]
async fn a_stuck_destination_holds_its_share_of_memory_and_no_more() {
    let [stuck, good] =
        sinks([Script::accept().on(Stage::Mail, Act::Silent), Script::accept()]).await;
    let world = World::with(stuck.addr().port(), |s| {
        s.items_per_destination_max = 20;
        s.items_max = 100;
        s.connections_per_destination_max = 2;
    })
    .await;
    world.domain("stuck.test", &stuck);
    world.domain("good.test", &good);
    for _ in 0..2000 {
        world.add_to("one@stuck.test");
    }
    let mut ids = Vec::new();
    for _ in 0..200 {
        ids.push(world.add_to("one@good.test"));
    }
    for id in ids {
        assert_eq!(short(&world.outcome(id).await), "relayed");
    }
    world.queue.read(|state| {
        let host = "stuck.test";
        let stuck = state.custodies.values().filter(|c| c.item.recipient.host.to_string() == host);
        let taken = stuck.filter(|c| c.taken).count();
        // One page may go beyond the limit of a destination, never beyond that of all.
        assert!(taken <= 100, "{taken}");
        assert!(state.taken_max <= 100, "{}", state.taken_max);
    });
}

#[tokio::test]
async fn a_long_queue_goes_through_a_small_window() {
    let sink = Sink::start(Script::accept().count_only()).await;
    let world = World::with(sink.addr().port(), |s| {
        s.items_max = 50;
        s.items_per_destination_max = 30;
    })
    .await;
    world.domain("a.test", &sink);
    for _ in 0..3000 {
        world.add_to("one@a.test");
    }
    world.wait_all_closed().await;
    assert_eq!(sink.count(), 3000);
    world.queue.read(|state| {
        assert!(state.taken_max <= 50, "{}", state.taken_max);
        assert!(state.record_calls < 3000, "results are written in groups");
    });
}

/// What is full and stuck must not have the queue looked through for each message that goes
/// elsewhere: at a million items that is what they would pay for.
#[tokio::test]
async fn a_stuck_destination_does_not_call_for_more_mail() {
    let [stuck, good] = sinks([Script::accept().on(Stage::Dot, Act::Hold), Script::accept()]).await;
    let world = World::with(stuck.addr().port(), |s| {
        s.items_per_destination_max = 20;
        s.connections_per_destination_max = 2;
    })
    .await;
    world.domain("stuck.test", &stuck);
    world.domain("good.test", &good);
    for _ in 0..100 {
        world.add_to("one@stuck.test");
    }
    stuck.wait_for(LIMIT, |state| state.held == 2).await;
    let calls = || world.queue.read(|state| state.take_calls);
    let before = calls();
    for _ in 0..50 {
        let id = world.add_to("one@good.test");
        assert_eq!(short(&world.outcome(id).await), "relayed");
    }
    let calls_more = calls() - before;
    // Once for each that comes in and once for each that is recorded.
    assert!(calls_more <= 110, "{calls_more}");
    // What was left behind is taken once there is room.
    stuck.release();
    world.wait_all_closed().await;
    assert_eq!((stuck.count(), good.count()), (100, 50));
}

#[tokio::test]
async fn a_host_that_limits_connections_still_gets_all_its_mail() {
    // The first connection stands; all others are turned away.
    let script = Script::accept()
        .on(Stage::Dot, Act::Delay(Duration::from_millis(5)))
        .reply(Stage::Connect, "421 4.7.0 too many connections from you")
        .skip(1);
    let sink = Sink::start(script).await;
    let world = World::with(sink.addr().port(), |s| s.messages_per_connection = 1000).await;
    world.domain("a.test", &sink);
    for _ in 0..30 {
        world.add_to("one@a.test");
    }
    world.wait_all_closed().await;
    world.queue.read(|state| {
        assert!(state.custodies.values().all(|custody| custody.outcomes.len() == 1));
    });
}

#[tokio::test]
async fn domains_at_the_same_hosts_share_the_connections_these_bear() {
    let sink = Sink::start(Script::accept().on(Stage::Dot, Act::Hold)).await;
    let world = World::with(sink.addr().port(), |s| s.connections_per_destination_max = 3).await;
    world.dns.address("mx.shared.test", sink.addr().ip());
    for number in 0..20 {
        let domain = format!("d{}.test", number % 4);
        world.dns.mx(&domain, 10, "mx.shared.test");
        world.add_to(&format!("one@{domain}"));
    }
    sink.wait_for(LIMIT, |state| state.held == 3).await;
    sink.release();
    world.wait_all_closed().await;
    let state = sink.state();
    assert_eq!((state.open_max, state.count), (3, 20));
}

#[tokio::test]
async fn a_setting_says_what_hosts_bear() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| {
        s.host_limits =
            vec![HostLimit { connections: Some(1), messages: Some(2), ..limit("*.a.test") }];
    })
    .await;
    world.domain("a.test", &sink);
    for _ in 0..6 {
        world.add_to("one@a.test");
    }
    world.wait_all_closed().await;
    let state = sink.state();
    assert_eq!((state.open_max, state.count, state.connections), (1, 6, 3));
}

#[tokio::test]
async fn greylisted_mail_comes_again_when_the_host_said() {
    let script = Script::accept().reply(Stage::Rcpt, "450 4.2.0 Greylisted for 120 seconds");
    let sink = Sink::start(script.times(1)).await;
    let world = World::with(sink.addr().port(), |_| {}).await;
    world.domain("a.test", &sink);
    let custody = world.add_to("one@a.test");
    world.outcome(custody).await;
    let due = world.queue.read(|state| state.custodies[&custody].due);
    assert_eq!(due, Some(START.after(Duration::from_secs(125))));
}

#[tokio::test]
async fn rerouted_mail_takes_no_more_than_its_share() {
    let stuck = Sink::start(Script::accept().on(Stage::Connect, Act::Hold)).await;
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| {
        s.items_max = 40;
        s.items_per_destination_max = 10;
    })
    .await;
    world.domain("a.test", &sink);
    let relay = stuck.addr().to_string();
    for _ in 0..100 {
        world.add(&NewMail { relay: Some(&relay), ..NewMail::to(&["one@a.test"]) });
    }
    stuck.wait_for(LIMIT, |state| state.held > 0).await;
    let other = world.add_to("two@a.test");
    assert!(matches!(world.outcome(other).await, deliver::Outcome::Relayed { .. }));
    world.queue.read(|state| assert!(state.taken_max <= 16, "{}", state.taken_max));
    stuck.release();
    world.wait_all_closed().await;
    assert_eq!((stuck.count(), sink.count()), (100, 1));
}
