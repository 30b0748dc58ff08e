use std::sync::atomic::Ordering;

use peers::{Act, Script, Sink, Stage};

use crate::world::{HOUR, LIMIT, MINUTE, NewMail, World, short};

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

#[tokio::test]
async fn no_words_of_a_host_stop_the_runner() {
    let words = "450 4.2.0 greylisted, retry in 18446744073709551615 seconds";
    for stage in [Stage::Connect, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Dot] {
        let sink = Sink::start(Script::accept().reply(stage, words)).await;
        let world = World::at(&sink).await;
        world.domain("a.test", &sink);
        // The second comes within the pause, where there is one.
        for _ in 0..2 {
            let custody = world.add_to("one@a.test");
            let outcome = short(&world.outcome(custody).await);
            assert!(outcome.starts_with("deferred"), "{stage:?}: {outcome}");
        }
    }
}

#[tokio::test]
async fn mail_that_meets_a_bug_at_its_end_is_put_off_and_holds_up_no_other() {
    let sink = Sink::start(Script::accept().reply(Stage::Rcpt, "550 5.1.1 who").when("one")).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    // The message is read for the report of its failure.
    world.queue.panic_body.store(1, Ordering::SeqCst);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "deferred 4.3.0");
    let other = world.add_to("two@a.test");
    assert_eq!(short(&world.outcome(other).await), "relayed");
    world.advance(HOUR);
    assert_eq!(short(&world.nth_outcome(custody, 2).await), "returned 5.1.1");
}

#[tokio::test]
async fn what_a_host_says_at_length_is_kept_in_part() {
    let line = format!("550-5.7.1 {}\n", "x".repeat(4000));
    let words = format!("{}550 5.7.1 no", line.repeat(127));
    let sink = Sink::start(Script::accept().reply(Stage::Mail, &words)).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let to: Vec<String> = (0..50).map(|number| format!("u{number}@a.test")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let custodies = world.add(&NewMail::to(&to));
    let deliver::Outcome::Returned { reason, reply: Some(reply), .. } =
        world.outcome(custodies[0]).await
    else {
        panic!("it was refused");
    };
    let octets: usize = reply.lines.iter().map(String::len).sum();
    assert!(octets > 3000 && octets + reason.len() < 16 << 10, "{octets}, {}", reason.len());
    let report = world.queue.read(|state| state.reports[0].body.len());
    assert!(report < 4 << 20, "{report}");
}

#[tokio::test]
async fn mail_that_the_queue_does_not_take_back_goes_back_later() {
    let sink = Sink::start(Script::accept().on(Stage::Connect, Act::Hold)).await;
    let world = World::with(sink.addr().port(), |s| s.connections_per_destination_max = 1).await;
    world.domain("a.test", &sink);
    let custodies = [world.add_to("one@a.test"), world.add_to("two@a.test")];
    sink.wait_for(LIMIT, |state| state.held == 1).await;
    let taken = |state: &crate::memory_queue::State| {
        custodies.iter().filter(|custody| state.custodies[*custody].taken).count()
    };
    world.queue.wait_for("both are taken", |state| taken(state) == 2).await;
    world.queue.fail_give_back.store(1, Ordering::SeqCst);
    world.runner.take_anew().await;
    assert_eq!(world.queue.fail_give_back.load(Ordering::SeqCst), 0);
    sink.release();
    world.wait_all_closed().await;
    assert_eq!(sink.count(), 2);
}
