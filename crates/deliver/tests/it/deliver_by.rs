//! Mail with a time to be delivered by (DELIVERBY, RFC 2852).

use std::time::Duration;

use deliver::{Clock, HostLimit, Notify, Outcome};
use mail_types::{CustodyId, Deadline};
use peers::{Act, Script, Sink, Stage};

use crate::concurrency::limit;
use crate::world::{HOUR, LIMIT, MINUTE, NewMail, World, short};

const SECOND: Duration = Duration::from_secs(1);

fn by(world: &World, text: &str) -> Option<Deadline> {
    let by: mail_types::DeliverBy = text.parse().unwrap();
    Some(by.deadline(world.clock.now()))
}

fn add(world: &World, to: &str, text: &str) -> CustodyId {
    let deliver_by = by(world, text);
    world.add(&NewMail { deliver_by, ..NewMail::to(&[to]) })[0]
}

fn reports(world: &World) -> Vec<String> {
    world.queue.read(|state| {
        let texts = state.reports.iter().map(|r| String::from_utf8(r.body.clone()).unwrap());
        texts.collect()
    })
}

async fn outcomes(world: &World, custody: CustodyId, count: usize) -> Vec<String> {
    world.nth_outcome(custody, count).await;
    world.queue.read(|state| state.custodies[&custody].outcomes.iter().map(short).collect())
}

#[tokio::test]
async fn what_is_not_delivered_in_time_goes_back_and_is_not_tried_again() {
    let script = Script::accept().with("DELIVERBY").reply(Stage::Rcpt, "451 4.3.0 not today");
    let sink = Sink::start(script).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let custody = add(&world, "one@a.test", "90;R");
    assert_eq!(outcomes(&world, custody, 1).await, ["deferred 4.3.0"]);
    world.advance(MINUTE);
    // The next wait of the schedule is longer than what is left.
    assert!(matches!(
        world.nth_outcome(custody, 2).await,
        Outcome::Deferred { due, .. } if due == world.clock.now().after(30 * SECOND)
    ));
    world.advance(29 * SECOND);
    world.advance(SECOND);
    let Outcome::Returned { reason, status, .. } = world.nth_outcome(custody, 3).await else {
        panic!("it was kept");
    };
    assert_eq!(status.to_string(), "5.4.7");
    assert!(reason.contains("within 90 seconds") && reason.contains("2 times"), "{reason}");
    assert_eq!(sink.state().commands_of("MAIL"), 2);
    let report = reports(&world).pop().unwrap();
    for part in [
        "Action: failed",
        "Status: 5.4.7",
        "Deliver-By-Date: Fri, 15 Jan 2027 08:01:30 +0000",
        "You named a time to deliver it by.",
    ] {
        assert!(report.contains(part), "{part} in {report}");
    }
}

#[tokio::test]
async fn who_wants_to_hear_of_it_is_told_once_and_it_is_tried_on() {
    let script = Script::accept().with("DELIVERBY").reply(Stage::Rcpt, "451 4.3.0 not today");
    let sink = Sink::start(script).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let custody = add(&world, "one@a.test", "90;N");
    assert_eq!(outcomes(&world, custody, 1).await, ["deferred 4.3.0"]);
    world.advance(MINUTE);
    outcomes(&world, custody, 2).await;
    assert!(reports(&world).is_empty());
    world.advance(30 * SECOND);
    outcomes(&world, custody, 3).await;
    world.advance(5 * HOUR);
    outcomes(&world, custody, 4).await;
    let told = reports(&world);
    assert_eq!(told.len(), 1, "not at our own time for that, too: {told:?}");
    for part in ["Action: delayed", "Status: 4.3.0", "Deliver-By-Date:", "It is tried again until"]
    {
        assert!(told[0].contains(part), "{part} in {}", told[0]);
    }
    sink.set(Script::accept().with("DELIVERBY"));
    world.advance(HOUR);
    assert_eq!(short(&world.nth_outcome(custody, 5).await), "relayed");
    // RFC 2852 §4: to the next one it is late already.
    assert!(sink.stored()[0].mail_parameters.contains("BY=-2"), "{:?}", sink.stored()[0]);
}

#[tokio::test]
async fn the_next_host_gets_what_is_left_of_the_time() {
    let script = Script::accept().with("DELIVERBY 20");
    let sink = Sink::start(script.reply(Stage::Mail, "451 4.3.0 later").times(1)).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let custody = add(&world, "one@a.test", "3600;RT");
    outcomes(&world, custody, 1).await;
    world.advance(MINUTE);
    assert_eq!(short(&world.nth_outcome(custody, 2).await), "relayed");
    let parameters = &sink.stored()[0].mail_parameters;
    assert!(parameters.contains("BY=3540;RT"), "{parameters}");
    // Who asks for a trace hears of the host, whatever that promises.
    let told = reports(&world);
    assert_eq!(told.len(), 1);
    for part in ["Action: relayed", "handed on to the next mail system", "Deliver-By-Date:"] {
        assert!(told[0].contains(part), "{part} in {}", told[0]);
    }
    // It asks for 20 seconds.
    let custody = add(&world, "one@a.test", "19;R");
    assert_eq!(outcomes(&world, custody, 1).await, ["returned 5.4.7"]);
    let custody = add(&world, "one@a.test", "19;N");
    assert_eq!(outcomes(&world, custody, 1).await, ["relayed"]);
    assert_eq!(reports(&world).len(), 2);
}

#[tokio::test]
async fn a_host_that_promises_nothing_gets_nothing_that_is_to_go_back() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let custody = add(&world, "one@a.test", "3600;R");
    assert_eq!(outcomes(&world, custody, 1).await, ["returned 5.3.3"]);
    assert_eq!(sink.state().commands_of("MAIL"), 0);
    assert!(reports(&world)[0].contains("Status: 5.3.3"), "{:?}", reports(&world));
    // What is only to be told of goes there, and its sender hears that nobody tells any more.
    let custody = add(&world, "one@a.test", "3600;N");
    assert_eq!(outcomes(&world, custody, 1).await, ["relayed"]);
    assert!(!sink.stored()[0].mail_parameters.contains("BY="));
    assert_eq!(reports(&world).len(), 2);
    assert!(reports(&world)[1].contains("Action: relayed"), "{:?}", reports(&world));
    // Who wants no report gets none.
    let deliver_by = by(&world, "3600;NT");
    let notify = Some(Notify::Never);
    let custody = world.add(&NewMail { deliver_by, notify, ..NewMail::to(&["one@a.test"]) })[0];
    assert_eq!(outcomes(&world, custody, 1).await, ["relayed"]);
    assert_eq!(reports(&world).len(), 2);
}

/// The time is over while it waits for something of ours: a rate, or a connection.
#[tokio::test]
async fn it_goes_back_wherever_it_waits() {
    let sink = Sink::start(Script::accept().with("DELIVERBY")).await;
    let world = World::with(sink.addr().port(), |s| {
        s.host_limits = vec![HostLimit { per_hour: Some(1), ..limit("*.a.test") }];
    })
    .await;
    world.domain("a.test", &sink);
    let first = world.add_to("first@a.test");
    assert_eq!(short(&world.outcome(first).await), "relayed");
    let waits = add(&world, "one@a.test", "60;R");
    let told = add(&world, "two@a.test", "60;N");
    let unseen = add(&world, "three@a.test", "60;R");
    let waiting = "what waits for the rate to be in the queue";
    world.queue.wait_for(waiting, |state| state.custodies.values().all(|one| !one.taken)).await;
    world.advance(MINUTE);
    assert_eq!(outcomes(&world, waits, 1).await, ["returned 5.4.7"]);
    assert_eq!(outcomes(&world, unseen, 1).await, ["returned 5.4.7"]);
    assert_eq!(outcomes(&world, told, 1).await, ["waits"]);
    assert_eq!(reports(&world).len(), 3);
}

/// Behind a message that the host does not answer.
#[tokio::test]
async fn it_goes_back_from_before_a_connection_that_is_stuck() {
    let script = Script::accept().with("DELIVERBY").on(Stage::Dot, Act::Hold);
    let stuck = Sink::start(script).await;
    let world = World::with(stuck.addr().port(), |s| s.connections_per_destination_max = 1).await;
    world.domain("b.test", &stuck);
    let before = world.add_to("before@b.test");
    stuck.wait_for(LIMIT, |state| state.commands_of("DATA") == 1).await;
    let behind = add(&world, "behind@b.test", "60;R");
    let taken = "it to lie before the connection";
    world.queue.wait_for(taken, |state| state.custodies[&behind].taken).await;
    world.advance(MINUTE);
    assert_eq!(outcomes(&world, behind, 1).await, ["returned 5.4.7"]);
    stuck.release();
    assert_eq!(short(&world.outcome(before).await), "relayed");
    assert_eq!(stuck.count(), 1);
}
