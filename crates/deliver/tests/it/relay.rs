use deliver::Outcome;
use mail_types::Reply;
use peers::{Act, Script, Sink, Stage};

use crate::world::{LIMIT, NewMail, World, short};

#[tokio::test]
async fn mail_arrives_as_it_is_and_the_reply_is_kept_word_for_word() {
    let script = Script::accept().reply(Stage::Dot, "250-2.0.0 two\n250 2.0.0 lines <id=7>");
    let sink = Sink::start(script).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let body = "Subject: x\r\n\r\n.dot\r\n..two\r\nümlaut\r\n.\r\nlast\r\n";
    let new = NewMail { body, ..NewMail::to(&["one@a.test"]) };
    let custody = world.add(&new)[0];
    let Outcome::Relayed { reply, may_be_duplicate: false, reported: false } =
        world.outcome(custody).await
    else {
        panic!("not relayed");
    };
    let status = mail_types::EnhancedStatus::new(2, 0, 0);
    let lines = vec!["two".to_owned(), "lines <id=7>".to_owned()];
    assert_eq!(reply, Reply { code: 250, status: Some(status), lines });
    let peer = world.last_peer(custody).unwrap();
    assert_eq!((peer.host.as_str(), peer.ip), ("mx10.a.test", sink.addr().ip()));
    let stored = sink.stored();
    assert_eq!((stored[0].text().as_str(), stored[0].helo.as_str()), (body, "mx.ours.test"));
    assert_eq!(stored[0].reverse_path, "sender@ours.test");
    assert_eq!(sink.state().violations, Vec::<String>::new());
}

#[tokio::test]
async fn a_large_message_is_sent_in_pieces() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let body = ".line of text\r\n".repeat(200_000);
    let custody = world.add(&NewMail { body: &body, ..NewMail::to(&["one@a.test"]) })[0];
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    assert!(sink.stored()[0].text() == body, "the message changed");
}

#[tokio::test]
async fn recipients_at_one_destination_share_a_transaction() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| s.recipients_per_transaction = 3).await;
    world.domain("a.test", &sink);
    world.domain("b.test", &sink);
    let to = ["1@a.test", "1@b.test", "2@a.test", "3@a.test", "4@a.test", "2@b.test"];
    world.add(&NewMail::to(&to));
    world.wait_all_closed().await;
    let mut sizes: Vec<usize> = sink.stored().iter().map(|mail| mail.recipients.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 3], "three and one at a.test, two at b.test");
}

#[tokio::test]
async fn each_recipient_has_its_own_result() {
    let script = Script::accept()
        .reply(Stage::Rcpt, "550 5.1.1 nobody of that name")
        .when("bad@")
        .reply(Stage::Rcpt, "450 4.2.1 busy")
        .when("busy@");
    let sink = Sink::start(script).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let ids = world.add(&NewMail::to(&["good@a.test", "bad@a.test", "busy@a.test"]));
    let mut results = Vec::new();
    for id in ids {
        results.push(short(&world.outcome(id).await));
    }
    assert_eq!(results, ["relayed", "returned 5.1.1", "deferred 4.2.1"]);
    assert_eq!(sink.stored()[0].recipients, ["good@a.test"]);
}

#[tokio::test]
async fn too_many_recipients_follow_in_the_next_transaction() {
    // After two recipients it says 452, in each transaction.
    let script = Script::accept().reply(Stage::Rcpt, "452 4.5.3 too many").skip(2).times(2);
    let sink = Sink::start(script).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    world.add(&NewMail::to(&["1@a.test", "2@a.test", "3@a.test", "4@a.test"]));
    world.wait_all_closed().await;
    let recipients: Vec<Vec<String>> =
        sink.stored().into_iter().map(|mail| mail.recipients).collect();
    assert_eq!(recipients, [["1@a.test", "2@a.test"], ["3@a.test", "4@a.test"]]);
}

#[tokio::test]
async fn a_connection_is_used_again_and_not_for_ever() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| {
        s.connections_per_destination_max = 1;
        s.messages_per_connection = 4;
    })
    .await;
    world.domain("a.test", &sink);
    for _ in 0..10 {
        world.add_to("one@a.test");
    }
    world.wait_all_closed().await;
    let state = sink.state();
    let mut of_connection = [0; 3];
    state.stored.iter().for_each(|mail| of_connection[mail.connection as usize - 1] += 1);
    assert_eq!(of_connection, [4, 4, 2]);
    assert_eq!(state.violations, Vec::<String>::new());
    world.queue.read(|state| assert!(state.begin_calls <= 8, "attempts are announced in groups"));
}

#[tokio::test]
async fn an_idle_connection_ends_with_quit() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| {
        s.idle = std::time::Duration::from_millis(20);
    })
    .await;
    world.domain("a.test", &sink);
    world.add_to("one@a.test");
    let state = sink.wait_for(LIMIT, |state| state.count == 1 && state.open == 0).await;
    assert_eq!((state.commands_of("QUIT"), state.aborted), (1, 0));
}

#[tokio::test]
async fn a_connection_gone_stale_costs_no_attempt() {
    for act in [Act::Close, Act::ReplyThenClose("421 4.4.2 idle too long".into())] {
        // The second MAIL of the first connection finds it closed.
        let sink = Sink::start(Script::accept().on(Stage::Mail, act).skip(1).times(1)).await;
        let world = World::at(&sink).await;
        world.domain("a.test", &sink);
        let first = world.add_to("one@a.test");
        assert_eq!(short(&world.outcome(first).await), "relayed");
        let second = world.add_to("two@a.test");
        assert_eq!(short(&world.outcome(second).await), "relayed");
        assert_eq!(sink.state().connections, 2);
    }
}

#[tokio::test]
async fn a_server_of_the_old_kind_gets_its_mail() {
    let sink = Sink::start(Script::accept().helo_only()).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    let sink2 = Sink::start(Script::accept().without("PIPELINING").without("8BITMIME")).await;
    let world = World::at(&sink2).await;
    world.domain("a.test", &sink2);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    assert_eq!(sink2.state().violations, Vec::<String>::new());
}
