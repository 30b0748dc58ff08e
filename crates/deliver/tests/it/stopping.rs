use peers::{Act, Script, Sink, Stage};

use crate::world::{LIMIT, World, short};

#[tokio::test]
async fn a_stop_ends_what_is_past_the_dot_and_gives_the_rest_back() {
    let sink = Sink::start(Script::accept().on(Stage::Dot, Act::Hold)).await;
    let mut world =
        World::with(sink.addr().port(), |s| s.connections_per_destination_max = 2).await;
    world.domain("a.test", &sink);
    for _ in 0..20 {
        world.add_to("one@a.test");
    }
    sink.wait_for(LIMIT, |state| state.held == 2).await;
    world.request_stop();
    sink.release();
    world.stop().await;
    world.queue.read(|state| {
        let closed = state.custodies.values().filter(|c| c.due.is_none()).count();
        assert_eq!(closed as u64, sink.count(), "what was sent is recorded");
        assert!((2..20).contains(&closed), "{closed}");
        assert!(state.custodies.values().all(|c| !c.taken && !c.begun), "the rest is back");
    });
    assert_eq!(sink.state().aborted, 0);
    world.start_again().await;
    world.wait_all_closed().await;
    assert_eq!(sink.count(), 20, "nothing twice");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_idle_connections_or_look_ups() {
    let sink = Sink::start(Script::accept()).await;
    let mut world = World::with(sink.addr().port(), |s| s.idle = 10 * LIMIT).await;
    world.domain("a.test", &sink);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    world.stop().await;
    sink.wait_for(LIMIT, |state| state.open == 0).await;
    assert_eq!(sink.state().commands_of("QUIT"), 1);
}

#[tokio::test]
async fn a_silent_host_holds_a_stop_up_no_longer_than_the_grace_time() {
    let sink = Sink::start(Script::accept().on(Stage::Dot, Act::Silent)).await;
    let mut world = World::with(sink.addr().port(), |s| {
        s.grace = std::time::Duration::from_millis(100);
    })
    .await;
    world.domain("a.test", &sink);
    let custody = world.add_to("one@a.test");
    sink.wait_for(LIMIT, |state| state.commands_of("DATA") == 1).await;
    world.stop().await;
    let outcome = world.outcome(custody).await;
    assert!(["uncertain", "deferred 4.4.2"].contains(&short(&outcome).as_str()), "{outcome:?}");
}

#[tokio::test]
async fn after_a_crash_nothing_is_lost_and_only_the_uncertain_comes_twice() {
    let sink = Sink::start(Script::accept().on(Stage::Dot, Act::StoreThenSilent).skip(30)).await;
    let mut world = World::with(sink.addr().port(), |s| {
        s.connections_per_destination_max = 4;
        s.grace = std::time::Duration::ZERO;
    })
    .await;
    world.domain("a.test", &sink);
    for _ in 0..60 {
        world.add_to("one@a.test");
    }
    sink.wait_for(LIMIT, |state| state.count == 34).await;
    // The power goes: no result comes any more, and the runner is gone.
    world
        .queue
        .wait_for("30 results", |state| {
            state.custodies.values().filter(|c| c.due.is_none()).count() == 30
        })
        .await;
    world.crash().await;
    sink.set(Script::accept());
    world.start_again().await;
    world.wait_all_closed().await;
    let again = world.queue.read(|state| {
        let last = state.custodies.values().map(|c| short(c.outcomes.last().unwrap()));
        last.filter(|outcome| outcome == "relayed again").count()
    });
    assert_eq!(sink.count(), 60 + 4, "only the four of unknown end were sent twice");
    assert!((4..=4 * 8).contains(&again), "marked: {again}");
}
