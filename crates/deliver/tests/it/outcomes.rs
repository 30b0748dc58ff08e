use std::time::Duration;

use peers::{Act, Script, Sink, Stage};

use crate::world::{NewMail, World, short};

fn reply(text: &str) -> Act {
    Act::Reply(text.to_owned())
}

/// What becomes of mail to a domain with one host that behaves so.
async fn outcome(script: Script, new: &NewMail<'_>) -> String {
    let sink = Sink::start(script).await;
    let world = World::with(sink.addr().port(), |s| {
        s.command_timeout = Duration::from_millis(300);
        s.data_end_timeout = Duration::from_millis(300);
    })
    .await;
    world.domain("a.test", &sink);
    let custody = world.add(new)[0];
    let outcome = world.outcome(custody).await;
    assert_eq!(sink.state().violations, Vec::<String>::new());
    short(&outcome)
}

#[tokio::test]
async fn every_behaviour_has_its_result() {
    use Stage::{Connect, Data, Dot, Ehlo, Mail, Rcpt};
    for (stage, act, wanted) in [
        (Connect, reply("421 4.3.2 not now"), "deferred 4.3.2"),
        (Connect, reply("554 5.7.1 your address is listed"), "returned 5.7.1"),
        (Connect, Act::Close, "deferred 4.4.2"),
        (Connect, Act::Silent, "deferred 4.4.2"),
        (Connect, Act::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".into()), "deferred 4.5.0"),
        (Connect, Act::Raw(vec![b'x'; 100_000]), "deferred 4.5.0"),
        (Ehlo, reply("421 4.3.2 shutting down"), "deferred 4.3.2"),
        (Ehlo, reply("554 5.7.1 go away"), "returned 5.7.1"),
        (Mail, reply("451 4.3.0 later"), "deferred 4.3.0"),
        (Mail, reply("550 5.7.1 not from you"), "returned 5.7.1"),
        (Mail, Act::Close, "deferred 4.4.2"),
        (Rcpt, reply("450 4.7.1 greylisted"), "deferred 4.7.1"),
        (Rcpt, reply("550-5.1.1 no such\n550 5.1.1 user"), "returned 5.1.1"),
        (Rcpt, reply("550 no status"), "returned 5.0.0"),
        (Rcpt, Act::Silent, "deferred 4.4.2"),
        (Data, reply("451 4.3.0 later"), "deferred 4.3.0"),
        (Data, reply("554 5.7.1 no"), "returned 5.7.1"),
        (Data, Act::Close, "deferred 4.4.2"),
        (Dot, reply("452 4.3.1 disk full"), "deferred 4.3.1"),
        (Dot, reply("554 5.6.0 spam"), "returned 5.6.0"),
        (Dot, reply("250 fine, without a status"), "relayed"),
        (Dot, Act::Close, "uncertain"),
        (Dot, Act::StoreThenClose, "uncertain"),
        (Dot, Act::StoreThenSilent, "uncertain"),
        (Dot, Act::StoreThenReply("451 4.3.0 stored, and yet later".into()), "deferred 4.3.0"),
        (Dot, Act::Raw(b"what?\r\n".into()), "uncertain"),
        (Dot, Act::Delay(Duration::from_millis(50)), "relayed"),
    ] {
        let new = NewMail::to(&["one@a.test"]);
        let found = outcome(Script::accept().on(stage, act.clone()), &new).await;
        assert_eq!(found, wanted, "{stage:?} {act:?}");
    }
}

#[tokio::test]
async fn a_connection_cut_inside_the_message_is_no_uncertainty() {
    // More than the sockets' buffers hold, so that the dot cannot have been sent.
    let body = "Subject: x\r\n\r\ntext\r\n".repeat(2_000_000);
    let new = NewMail { body: &body, ..NewMail::to(&["one@a.test"]) };
    let script = Script::accept().on(Stage::Body, Act::CloseAfter(10));
    assert_eq!(outcome(script, &new).await, "deferred 4.4.2");
}

#[tokio::test]
async fn what_a_server_cannot_take_is_returned_before_it_is_sent() {
    let long = "x\r\n".repeat(1000);
    let too_big = NewMail { body: &long, ..NewMail::to(&["one@a.test"]) };
    assert_eq!(outcome(Script::accept().size(100), &too_big).await, "returned 5.3.4");
    let script = Script::accept().without("SMTPUTF8");
    let utf8 = NewMail { smtp_utf8: true, ..NewMail::to(&["ünï@a.test"]) };
    assert_eq!(outcome(script, &utf8).await, "returned 5.6.7");
    assert_eq!(outcome(Script::accept(), &utf8).await, "relayed");
}

#[tokio::test]
async fn greylisting_costs_one_retry() {
    let sink = Sink::start(Script::accept().greylist(1)).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "deferred 4.7.1");
    // Most hosts want five minutes; to come earlier is to be refused again.
    world.advance(6 * crate::world::MINUTE);
    assert_eq!(short(&world.nth_outcome(custody, 2).await), "relayed");
}

#[tokio::test]
async fn a_lost_reply_is_retried_and_marked_as_a_possible_duplicate() {
    let sink = Sink::start(Script::accept().on(Stage::Dot, Act::StoreThenClose).times(1)).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "uncertain");
    assert_eq!(sink.state().connections, 1, "no other try at once");
    world.advance(crate::world::MINUTE);
    assert_eq!(short(&world.nth_outcome(custody, 2).await), "relayed again");
    assert_eq!(sink.count(), 2);
}
