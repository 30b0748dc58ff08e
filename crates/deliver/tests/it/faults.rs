use std::sync::atomic::Ordering;

use peers::{Script, Sink};

use crate::world::{MINUTE, World, short};

#[tokio::test]
async fn nothing_is_sent_before_the_attempt_is_on_disk() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    world.queue.fail_begin.store(1, Ordering::SeqCst);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "deferred 4.3.0");
    assert_eq!((sink.count(), sink.state().commands_of("MAIL")), (0, 0));
    world.advance(MINUTE);
    assert_eq!(short(&world.nth_outcome(custody, 2).await), "relayed");
}

#[tokio::test]
async fn a_result_that_cannot_be_recorded_is_kept_and_holds_up_no_other() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    // The custody that comes first.
    world.queue.fail_record_of.store(1, Ordering::SeqCst);
    let first = world.add_to("one@a.test");
    assert_eq!(first.0, 1);
    sink.wait_for_count(crate::world::LIMIT, 1).await;
    world.queue.wait_for("a failed recording", |state| state.record_calls > 0).await;
    let second = world.add_to("two@a.test");
    assert_eq!(short(&world.outcome(second).await), "relayed");
    world.queue.read(|state| assert!(state.custodies[&first].outcomes.is_empty()));
    world.queue.fail_record_of.store(0, Ordering::SeqCst);
    assert_eq!(short(&world.outcome(first).await), "relayed");
    assert_eq!(sink.count(), 2, "it was not sent again");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_never_sent_in_part() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    world.queue.fail_body.store(1, Ordering::SeqCst);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "deferred 4.3.0");
    assert_eq!(sink.count(), 0);
    world.advance(MINUTE);
    assert_eq!(short(&world.nth_outcome(custody, 2).await), "relayed");
}

#[tokio::test]
async fn a_connection_that_panics_loses_no_mail() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| s.connections_per_destination_max = 1).await;
    world.domain("a.test", &sink);
    world.queue.panic_body.store(1, Ordering::SeqCst);
    let ids: Vec<_> = (0..10).map(|_| world.add_to("one@a.test")).collect();
    for custody in &ids {
        world.outcome(*custody).await;
    }
    assert_eq!(world.runner.connections(), 1, "its place is free again");
    world.advance(MINUTE);
    world.wait_all_closed().await;
    assert_eq!(sink.count(), 10, "and nothing twice");
}
