//! What an operator does with waiting mail, and takes back again.

use peers::{Script, Sink, Stage};

use crate::broken::Broken;
use crate::harness::{House, LIMIT, message, receipt_id};

/// A server with three messages that wait for a host that says "not now".
async fn house() -> (Sink, House) {
    let sink = Sink::start(Script::accept().reply(Stage::Mail, "450 4.3.2 not now")).await;
    let house = House::new();
    house.restante(&["route", "add", "*", &sink.addr().to_string()]);
    for (to, subject) in [("a@far.test", "One"), ("b@far.test", "Two"), ("c@other.test", "Three")] {
        let receipt = house.submit(&[to], &message(subject, subject));
        house.await_trace(receipt_id(&receipt), "not now");
    }
    (sink, house)
}

fn listed(house: &House, more: &[&str]) -> Vec<(String, String, String)> {
    let json = house.restante_json(&[&["queue", "list"], more].concat());
    let mut rows: Vec<_> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let of = |name: &str| row[name].to_string().trim_matches('"').to_owned();
            (of("to"), of("state"), of("next_try"))
        })
        .collect();
    rows.sort();
    rows
}

fn recipients(house: &House, more: &[&str]) -> Vec<String> {
    listed(house, more).into_iter().map(|row| row.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_finds_what_it_says() {
    let (_sink, house) = house().await;
    let all = ["a@far.test", "b@far.test", "c@other.test"];
    assert_eq!(recipients(&house, &[]), all);
    assert_eq!(recipients(&house, &["far.test"]), all[..2]);
    assert_eq!(recipients(&house, &["--to", "b@far.test"]), [all[1]]);
    assert_eq!(recipients(&house, &["--subject", "thr"]), [all[2]]);
    assert_eq!(recipients(&house, &["--last-reply", "NOT NOW"]), all);
    assert_eq!(recipients(&house, &["--last-reply", "greylisted"]), [""; 0]);
    assert_eq!(recipients(&house, &["--host", "[127.0.0.1]"]), all);
    assert_eq!(recipients(&house, &["--account", crate::harness::ALICE]), all);
    assert_eq!(recipients(&house, &["--from", "nobody@elsewhere.test"]), [""; 0]);
    assert_eq!(recipients(&house, &["--older-than", "1h"]), [""; 0]);
    assert_eq!(recipients(&house, &["--newer-than", "1h", "--smaller-than", "1MiB"]), all);
    assert_eq!(recipients(&house, &["--held"]), [""; 0]);
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_is_undone_and_nothing_has_changed() {
    let (_sink, mut house) = house().await;
    let before = listed(&house, &[]);
    let trial = house.restante_json(&["queue", "purge", "far.test", "--dry-run"]);
    assert_eq!(trial["would_change"], 2, "{trial}");
    assert_eq!(listed(&house, &[]), before);
    let done = house.restante_json(&["queue", "purge", "far.test", "--reason", "a slip"]);
    assert_eq!(done["changed"], 2, "{done}");
    let held = listed(&house, &["--held"]);
    assert!(held.iter().all(|row| row.1.starts_with("held until")), "{held:?}");
    // The change and its undoing are in the journal, whatever becomes of the server.
    house.kill();
    house.start();
    house.restante(&["queue", "undo"]);
    assert_eq!(listed(&house, &[]), before);
    let story = house.restante(&["trace", "a@far.test"]);
    for part in ["purge a@far.test", "reason: a slip", "undid change"] {
        assert!(story.contains(part), "{story}");
    }
    house.stop();
    house.restante(&["verify"]);
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn rerouted_and_readdressed_mail_goes_there() {
    let (_sink, house) = house().await;
    let other = Sink::start(Script::accept()).await;
    let via = other.addr().to_string();
    house.restante(&["queue", "reroute", "--via", &via, "c@other.test"]);
    assert_eq!(other.wait_for_count(LIMIT, 1).await.stored[0].recipients, ["c@other.test"]);
    house.restante(&["route", "add", "right.test", &via]);
    house.restante(&["queue", "edit-recipient", "--into", "a@right.test", "a@far.test"]);
    assert_eq!(other.wait_for_count(LIMIT, 2).await.stored[1].recipients, ["a@right.test"]);
    house.await_trace("a@far.test", "relayed");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn returned_mail_tells_its_sender_why() {
    let (_sink, house) = house().await;
    house.restante(&["queue", "return", "a@far.test", "--reason", "the line is dead"]);
    house.await_trace("a@far.test", "returned");
    let story = house.restante(&["trace", "a@far.test"]);
    assert!(story.contains("the line is dead"), "{story}");
    house.await_message(crate::harness::ALICE, "the line is dead");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_domain_gets_nothing_until_it_is_resumed() {
    let (sink, house) = house().await;
    sink.set(Script::accept());
    house.restante(&["queue", "pause", "far.test", "--reason", "they asked for it"]);
    house.restante(&["queue", "retry", "all"]);
    assert_eq!(sink.wait_for_count(LIMIT, 1).await.stored[0].recipients, ["c@other.test"]);
    let status = house.restante_json(&["status"]);
    assert_eq!(status["paused"][0]["destination"], "far.test", "{status}");
    assert_eq!(recipients(&house, &[]), ["a@far.test", "b@far.test"]);
    house.restante(&["queue", "resume", "far.test"]);
    assert_eq!(sink.wait_for_count(LIMIT, 3).await.stored.len(), 3);
    tokio::task::block_in_place(|| drop(house));
}

/// The server is killed at the write or the sync of a change to all that waits: after the next start
/// all of it is there or nothing, what was told as done is, and no mail is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_inside_a_change_leaves_all_of_it_or_nothing() {
    let (_sink, mut house) = house().await;
    let held = |house: &House| {
        let rows = listed(house, &[]);
        assert_eq!(rows.len(), 3, "{rows:?}");
        rows.iter().filter(|row| row.1.starts_with("held")).count()
    };
    let changes: [(&[&str], usize); 4] = [
        (&["queue", "hold", "all"], 3),
        (&["queue", "release", "all"], 0),
        (&["queue", "purge", "all"], 3),
        (&["queue", "undo"], 0),
    ];
    for call in ["pwrite64", "fdatasync"] {
        for (change, wanted) in changes {
            let broken = Broken::killed_at(&house, call);
            let told = house.installation.command(change).unwrap();
            drop(broken);
            house.kill();
            house.start();
            let found = held(&house);
            assert!(found == wanted || found == 3 - wanted, "{change:?}: {found} of 3 are held");
            if told.status.success() {
                assert_eq!(found, wanted, "{change:?} was told as done");
            }
            if found != wanted {
                house.restante(change);
            }
            assert_eq!(held(&house), wanted, "{change:?}");
        }
    }
    tokio::task::block_in_place(|| drop(house));
}
