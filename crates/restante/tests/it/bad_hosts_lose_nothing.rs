//! Whatever another host does, the message is there once, comes back once or waits; and it is there
//! twice only where its story says that it may be.

use std::net::SocketAddr;
use std::time::Duration;

use peers::{Act, Script, Sink, Stage, closed_port};
use serde_json::Value;

use crate::harness::{ALICE, House, LIMIT, message, receipt_id, until};

/// A house whose patience with other hosts is a second, and its mail for far.test goes there.
fn house(there: SocketAddr) -> House {
    house_waiting(there, "1s")
}

/// So long for the reply to the final dot.
fn house_waiting(there: SocketAddr, at_the_dot: &str) -> House {
    let mut house = House::made("127.0.0.1:1");
    house.set("queue", "command_timeout = \"1s\"");
    house.set("queue", &format!("data_end_timeout = \"{at_the_dot}\""));
    house.set("queue", "unreachable_pause = \"0s\"");
    // Each message meets the host anew, from its greeting on.
    house.set("queue", "connection_idle = \"0s\"");
    house.start();
    house.restante(&["route", "add", "far.test", &there.to_string()]);
    house
}

/// Submits one message; its receipt.
fn submit(house: &House, id: &str) -> String {
    receipt_id(&house.submit(&["you@far.test"], &message("Into the world", id))).to_owned()
}

/// Waits for the state of the only recipient; the whole story as text and as JSON.
fn await_state(house: &House, receipt: &str, state: &str) -> (String, Value) {
    until(&format!("{receipt} is {state}"), || {
        let story = house.restante_json(&["trace", receipt]);
        (story[0]["recipients"][0]["state"] == state)
            .then(|| (house.restante(&["trace", receipt]), story[0].clone()))
    })
}

/// Has it tried now, until it is in this state; what hosts did before was temporary.
fn retry_until(house: &House, receipt: &str, state: &str) -> String {
    until(&format!("{receipt} is {state} after a retry"), || {
        house.restante(&["queue", "retry", receipt]);
        let story = house.restante_json(&["trace", receipt]);
        (story[0]["recipients"][0]["state"] == state).then_some(())
    });
    await_state(house, receipt, state).0
}

fn tell(story: &str, parts: &[&str]) {
    for part in parts {
        assert!(story.contains(part), "the story does not tell {part:?}:\n{story}");
    }
}

fn copies(sink: &Sink, id: &str) -> usize {
    sink.stored().iter().filter(|stored| stored.text().contains(&format!("<{id}@"))).count()
}

/// Nothing waits, the sender has so many reports, and the sink no complaint.
fn settled(house: &House, sink: &Sink, reports: usize) {
    let queue = house.restante_json(&["queue", "list"]);
    assert_eq!(queue.as_array().map(Vec::len), Some(0), "{queue}");
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), reports);
    assert_eq!(sink.state().violations, Vec::<String>::new());
}

/// Ends the server and has its files verified, where a runtime must not be blocked.
fn over(house: House) {
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn accept_is_relayed_once_in_its_own_words() {
    let sink = Sink::start(Script::accept()).await;
    let house = house(sink.addr());
    let receipt = submit(&house, "accept");
    let (story, json) = await_state(&house, &receipt, "relayed");
    tell(&story, &["relayed, the next server has it", "“250 2.0.0 kept by the sink”"]);
    assert_eq!(json["recipients"][0]["uncertain"], false, "{json}");
    assert_eq!(copies(&sink, "accept"), 1);
    settled(&house, &sink, 0);
    over(house);
}

/// The stages at which a host may say no, with what it says.
fn at_each_stage(code: u16) -> Vec<(Stage, String)> {
    let class = code / 100;
    [Stage::Connect, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot]
        .into_iter()
        .map(|stage| {
            // RFC 5321 §3.8: only 421 says that the whole service is away.
            let first = matches!(stage, Stage::Connect | Stage::Ehlo);
            let code = if class == 4 && first { 421 } else { code };
            (stage, format!("{code} {class}.3.2 no, says {stage:?}"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_4xx_at_any_stage_waits_and_is_relayed_once() {
    let sink = Sink::start(Script::accept()).await;
    let house = house(sink.addr());
    for (stage, reply) in at_each_stage(451) {
        sink.set(Script::accept().reply(stage, &reply));
        let id = format!("later-{stage:?}");
        let receipt = submit(&house, &id);
        let story = house.await_trace(&receipt, &reply);
        tell(&story, &["you@far.test: not taken", "4.3.2", "queued, tried once, next try 20"]);
        assert!(!story.contains("uncertain"), "{story}");
        assert_eq!(copies(&sink, &id), 0);
        sink.set(Script::accept());
        let story = retry_until(&house, &receipt, "relayed");
        assert!(!story.contains("there twice"), "{story}");
        assert_eq!(copies(&sink, &id), 1, "{stage:?}");
    }
    settled(&house, &sink, 0);
    over(house);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_5xx_at_any_stage_comes_back_once() {
    let sink = Sink::start(Script::accept()).await;
    let house = house(sink.addr());
    let stages = at_each_stage(554);
    for (stage, reply) in &stages {
        sink.set(Script::accept().reply(*stage, reply));
        let receipt = submit(&house, &format!("never-{stage:?}"));
        let (story, json) = await_state(&house, &receipt, "returned");
        tell(&story, &["given up", reply, "the sender was told in"]);
        assert!(json["recipients"][0]["report"].is_string(), "{json}");
        let report = house.await_message(ALICE, &format!("says {stage:?}"));
        tell(&report, &["Action: failed", "Status: 5.3.2"]);
    }
    assert_eq!(sink.count(), 0);
    settled(&house, &sink, stages.len());
    over(house);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tarpit_is_waited_for_but_not_for_ever() {
    // Slow is no fault.
    let sink = Sink::start(Script::accept().tarpit(Duration::from_millis(100))).await;
    let house = house(sink.addr());
    let slow = submit(&house, "slow");
    await_state(&house, &slow, "relayed");
    assert_eq!(copies(&sink, "slow"), 1);
    // An answer that never ends is one, though each octet comes in time.
    let endless = "250-and more\n".repeat(10_000);
    let drip = Act::Drip(Duration::from_millis(20), endless);
    sink.set(Script::accept().on(Stage::Mail, drip));
    let receipt = submit(&house, "endless");
    let story = house.await_trace(&receipt, "not taken");
    tell(&story, &["you@far.test: queued, tried once, next try 20"]);
    sink.set(Script::accept());
    retry_until(&house, &receipt, "relayed");
    assert_eq!(copies(&sink, "endless"), 1);
    settled(&house, &sink, 0);
    over(house);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_tried_again() {
    let nobody = closed_port().await;
    let house = house(nobody);
    let receipt = submit(&house, "refused");
    let story = house.await_trace(&receipt, "not taken");
    tell(&story, &["refused", "queued, tried once, next try 20"]);
    let sink = Sink::start_at(nobody, Script::accept()).await;
    retry_until(&house, &receipt, "relayed");
    assert_eq!(copies(&sink, "refused"), 1);
    settled(&house, &sink, 0);
    over(house);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_inside_the_message_leaves_no_doubt() {
    let sink = Sink::start(Script::accept().cut_in_data(10)).await;
    let house = house(sink.addr());
    // More than sockets hold, so that the final dot cannot have been sent.
    let text = format!("{}{}", message("Cut", "cut"), "one line of very many\n".repeat(600_000));
    let receipt = receipt_id(&house.submit(&["you@far.test"], &text)).to_owned();
    let story = house.await_trace(&receipt, "not taken");
    assert!(!story.contains("uncertain"), "{story}");
    assert_eq!(sink.state().count, 0);
    sink.set(Script::accept());
    let story = retry_until(&house, &receipt, "relayed");
    assert!(!story.contains("there twice"), "{story}");
    assert_eq!(copies(&sink, "cut"), 1);
    assert!(sink.stored()[0].text().ends_with("one line of very many\r\n\r\n"));
    settled(&house, &sink, 0);
    over(house);
}

/// RFC 1047: between the final dot and its reply nobody knows who has the message.
async fn doubtful(script: Script, id: &str) {
    let sink = Sink::start(script).await;
    let house = house(sink.addr());
    let receipt = submit(&house, id);
    let story = house.await_trace(&receipt, "uncertain whether taken");
    tell(&story, &["an earlier try may have got through (uncertain), so it may arrive twice"]);
    let (_, json) = await_state(&house, &receipt, "queued");
    assert_eq!(json["recipients"][0]["uncertain"], true, "{json}");
    assert_eq!(house.restante_json(&["queue", "list"])[0]["state"], "uncertain");
    sink.set(Script::accept());
    let story = retry_until(&house, &receipt, "relayed");
    tell(&story, &["an earlier try was uncertain, so it may be there twice"]);
    assert_eq!(copies(&sink, id), 2, "the one that was in doubt, and its repetition");
    settled(&house, &sink, 0);
    over(house);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_after_the_dot_is_marked_as_a_possible_duplicate() {
    doubtful(Script::accept().cut_after_dot(), "cut-after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_after_the_dot_is_marked_as_a_possible_duplicate() {
    doubtful(Script::accept().on(Stage::Dot, Act::StoreThenSilent), "silent-after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_are_no_reply_after_the_dot_are_marked_too() {
    let script = Script::accept().on(Stage::Dot, Act::StoreThenReply("yes, surely".to_owned()));
    doubtful(script, "mumbled-after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_the_dot_and_its_reply_is_marked_as_a_possible_duplicate() {
    let sink = Sink::start(Script::accept().on(Stage::Dot, Act::Hold).times(1)).await;
    let mut house = house_waiting(sink.addr(), "10m");
    let receipt = submit(&house, "killed");
    sink.wait_for(LIMIT, |state| state.held == 1).await;
    house.kill();
    sink.release();
    // The sink answers nobody, and has it.
    sink.wait_for_count(LIMIT, 1).await;
    house.start();
    let story = retry_until(&house, &receipt, "relayed");
    tell(&story, &["uncertain", "it may be there twice"]);
    assert_eq!(copies(&sink, "killed"), 2);
    settled(&house, &sink, 0);
    over(house);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_for_the_host_comes_back_unsent_with_its_limit() {
    let sink = Sink::start(Script::accept().size(100)).await;
    let house = house(sink.addr());
    let receipt = submit(&house, "too-large");
    let (story, _) = await_state(&house, &receipt, "returned");
    tell(&story, &["given up", "5.3.4"]);
    let report = house.await_message(ALICE, "Status: 5.3.4");
    assert!(report.contains("100") && report.contains("127.0.0.1"), "limit and host: {report}");
    assert_eq!(sink.state().commands_of("DATA"), 0);
    assert_eq!(sink.count(), 0);
    settled(&house, &sink, 1);
    over(house);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greylister_gets_it_once_its_time_is_over() {
    let sink = Sink::start(Script::accept().greylist_for(Duration::from_secs(300))).await;
    let house = house(sink.addr());
    let receipt = submit(&house, "grey");
    let story = house.await_trace(&receipt, "greylisted, come again");
    tell(&story, &["4.7.1", "queued, tried once, next try 20"]);
    sink.pass(Duration::from_secs(299));
    house.restante(&["queue", "retry", &receipt]);
    house.await_trace(&receipt, "queued, tried 2 times, next try 20");
    sink.pass(Duration::from_secs(1));
    // From the same address, or the host would not know us again.
    retry_until(&house, &receipt, "relayed");
    assert_eq!(copies(&sink, "grey"), 1);
    settled(&house, &sink, 0);
    over(house);
}
