//! Mail for other domains goes out whole, and its story holds the other server's words.

use peers::{Act, Script, Sink, Stage};

use crate::harness::{House, LIMIT, message, receipt_id};

#[tokio::test(flavor = "multi_thread")]
async fn a_routed_domain_gets_the_message_byte_for_byte() {
    let sink = Sink::start(Script::accept()).await;
    let house = House::new();
    house.restante(&["route", "add", "far.test", &sink.addr().to_string()]);
    let receipt = house.submit(&["you@far.test"], &message("Outward", "out-1"));
    let state = sink.wait_for_count(LIMIT, 1).await;
    let stored = &state.stored[0];
    assert_eq!(stored.reverse_path, crate::harness::ALICE);
    assert_eq!(stored.recipients, ["you@far.test"]);
    assert!(stored.text().contains("Subject: Outward\r\n"), "{}", stored.text());
    assert!(stored.text().ends_with("\r\n.a line that begins with a dot\r\n\r\n"));
    assert_eq!(state.violations, Vec::<String>::new());
    house.await_trace(receipt_id(&receipt), "relayed");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn starttls_is_used_where_it_is_offered() {
    let sink = Sink::start(Script::accept().starttls()).await;
    let house = House::new();
    house.restante(&["route", "add", "far.test", &sink.addr().to_string()]);
    house.submit(&["you@far.test"], &message("Over TLS", "out-2"));
    assert!(sink.wait_for_count(LIMIT, 1).await.stored[0].tls);
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_refusal_is_tried_again_when_asked() {
    let script = Script::accept().reply(Stage::Rcpt, "451 4.7.1 come back later").times(1);
    let sink = Sink::start(script).await;
    let house = House::new();
    house.restante(&["route", "add", "far.test", &sink.addr().to_string()]);
    let receipt = house.submit(&["you@far.test"], &message("Greylisted", "out-3"));
    house.await_trace(receipt_id(&receipt), "come back later");
    assert_eq!(sink.count(), 0);
    house.restante(&["queue", "retry", receipt_id(&receipt)]);
    sink.wait_for_count(LIMIT, 1).await;
    house.await_trace(receipt_id(&receipt), "relayed");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_try_keeps_every_reply_and_how_long_it_took() {
    let script = Script::accept().reply(Stage::Rcpt, "451 4.7.1 come back later").times(1);
    let sink = Sink::start(script).await;
    let house = House::new();
    let at = sink.addr().to_string();
    house.restante(&["route", "add", "far.test", &at]);
    let receipt = house.submit(&["you@far.test"], &message("Told at length", "out-6"));
    house.await_trace(receipt_id(&receipt), "come back later");
    house.restante(&["queue", "retry", receipt_id(&receipt)]);
    house.await_trace(receipt_id(&receipt), "relayed");
    let story = house.restante(&["trace", receipt_id(&receipt)]);
    for part in [
        "by its route to [127.0.0.1]:",
        "from 127.0.0.1, in clear, policy opportunistic: “451 4.7.1 come back later” (took ",
        ", MAIL ",
        ", content ",
        "next try 20",
        ", from 127.0.0.1 again",
    ] {
        assert!(story.contains(part), "the story does not tell {part:?}:\n{story}");
    }
    let json = house.restante_json(&["trace", receipt_id(&receipt)]);
    let tries = json[0]["tries"].as_array().unwrap();
    assert_eq!(tries.len(), 2, "{json}");
    let phases = |one: usize| {
        let phases = tries[one]["phases"].as_array().unwrap();
        phases.iter().map(|phase| phase["phase"].as_str().unwrap()).collect::<Vec<_>>()
    };
    let refused = ["DNS", "connecting", "greeting", "EHLO", "MAIL", "RCPT"];
    assert!(phases(0).starts_with(&refused), "{json}");
    assert!(phases(1).ends_with(&["MAIL", "RCPT", "DATA", "content", "final dot"]), "{json}");
    let hello = tries[0]["phases"][3]["reply"].as_str().unwrap();
    assert!(hello.starts_with("250-") && hello.contains("\n250 "), "{hello}");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_uncertain_and_the_retry_is_told_as_such() {
    let sink = Sink::start(Script::accept().on(Stage::Dot, Act::StoreThenClose).times(1)).await;
    let house = House::new();
    house.restante(&["route", "add", "far.test", &sink.addr().to_string()]);
    let receipt = house.submit(&["you@far.test"], &message("Reply lost", "out-4"));
    house.await_trace(receipt_id(&receipt), "uncertain");
    house.restante(&["queue", "retry", receipt_id(&receipt)]);
    sink.wait_for_count(LIMIT, 2).await;
    house.await_trace(receipt_id(&receipt), "relayed");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_message_survives_a_kill_and_goes_out() {
    let sink = Sink::start(Script::accept().reply(Stage::Mail, "421 4.3.2 not now")).await;
    let mut house = House::new();
    house.restante(&["route", "add", "far.test", &sink.addr().to_string()]);
    let receipt = house.submit(&["you@far.test"], &message("Patience", "out-5"));
    house.await_trace(receipt_id(&receipt), "not now");
    house.kill();
    sink.set(Script::accept());
    house.start();
    house.restante(&["queue", "retry", receipt_id(&receipt)]);
    assert_eq!(sink.wait_for_count(LIMIT, 1).await.stored[0].recipients, ["you@far.test"]);
    tokio::task::block_in_place(|| drop(house));
}
