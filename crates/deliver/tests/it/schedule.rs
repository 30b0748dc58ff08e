use deliver::Outcome;
use peers::{Script, Sink, Stage};

use crate::world::{HOUR, MINUTE, START, World, short};

#[tokio::test]
async fn attempts_follow_the_schedule_to_the_end_of_the_lifetime() {
    let sink = Sink::start(Script::accept().reply(Stage::Rcpt, "451 4.3.0 not today")).await;
    let world = World::with(sink.addr().port(), |s| {
        s.schedule.waits = vec![MINUTE, HOUR];
        s.schedule.warn_after = None;
        s.schedule.lifetime = 3 * HOUR;
    })
    .await;
    world.domain("a.test", &sink);
    let custody = world.add_to("one@a.test");
    let mut attempts = Vec::new();
    for n in 1..10 {
        match world.nth_outcome(custody, n).await {
            Outcome::Deferred { due, .. } => {
                attempts.push(due.since(START).as_secs() / 60);
                world.clock.set(due);
            }
            Outcome::Returned { reason, status, .. } => {
                assert_eq!(status.to_string(), "5.4.7");
                assert!(reason.contains("3 hours") && reason.contains("not today"), "{reason}");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(attempts, [1, 61, 121, 180], "one at the end of the lifetime");
    let report =
        world.queue.read(|state| String::from_utf8(state.reports[0].body.clone()).unwrap());
    assert!(report.contains("451 4.3.0 not today"), "{report}");
}

#[tokio::test]
async fn an_uncertain_end_is_given_up_too() {
    let sink = Sink::start(Script::accept().on(Stage::Dot, peers::Act::Close)).await;
    let world = World::with(sink.addr().port(), |s| s.schedule.lifetime = MINUTE).await;
    world.domain("a.test", &sink);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "uncertain");
    world.advance(MINUTE);
    assert_eq!(short(&world.nth_outcome(custody, 2).await), "returned 5.4.7");
}

#[tokio::test]
async fn mail_for_later_waits_for_its_time() {
    let sink = Sink::start(Script::accept().reply(Stage::Mail, "451 later").times(1)).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "deferred 4.0.0");
    world.advance(MINUTE - std::time::Duration::from_millis(1));
    let other = world.add_to("other@a.test");
    assert_eq!(short(&world.outcome(other).await), "relayed");
    world.queue.read(|state| assert_eq!(state.custodies[&custody].outcomes.len(), 1));
    world.advance(std::time::Duration::from_millis(1));
    assert_eq!(short(&world.nth_outcome(custody, 2).await), "relayed");
}
