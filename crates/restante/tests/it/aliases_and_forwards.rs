//! An address may stand for others, here or elsewhere; loops end.

use peers::{Script, Sink};

use crate::harness::{ALICE, BOB, House, LIMIT, message};

#[test]
fn an_alias_delivers_to_each_of_its_targets_once() {
    let house = House::new();
    house.restante(&["alias", "add", "sales@example.test", ALICE, BOB]);
    house.deliver(&["sales@example.test"], &message("To the alias", "alias-1"));
    for account in [ALICE, BOB] {
        assert_eq!(house.mailbox(account, "INBOX").len(), 1, "{account}");
    }
    // Named twice, through the alias and by itself: still one copy.
    house.deliver(&["sales@example.test", ALICE], &message("Twice named", "alias-2"));
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_goes_out_and_a_copy_stays_where_it_is_kept() {
    let sink = Sink::start(Script::accept()).await;
    let house = House::new();
    house.restante(&["route", "add", "far.test", &sink.addr().to_string()]);
    house.restante(&["alias", "add", "both@example.test", BOB, "bob@far.test"]);
    house.deliver(&["both@example.test"], &message("Forwarded", "forward-1"));
    assert_eq!(house.mailbox(BOB, "INBOX").len(), 1);
    let state = sink.wait_for_count(LIMIT, 1).await;
    assert_eq!(state.stored[0].recipients, ["bob@far.test"]);
    assert_eq!(state.violations, Vec::<String>::new());
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forwarded_leaves_from_us_and_its_bounces_come_back() {
    let sink = Sink::start(Script::accept()).await;
    let house = House::new();
    for domain in ["far.test", "outside.test"] {
        house.restante(&["route", "add", domain, &sink.addr().to_string()]);
    }
    house.restante(&["alias", "add", "out@example.test", "bob@far.test"]);
    house.deliver(&["out@example.test"], &message("Forwarded", "srs-1"));
    let state = sink.wait_for_count(LIMIT, 1).await;
    let path = state.stored[0].reverse_path.clone();
    assert!(
        path.starts_with("SRS0=") && path.ends_with("=outside.test=stranger@example.test"),
        "{path}"
    );
    // The host there cannot deliver it, and says so.
    let mut smtp = crate::harness::Smtp::connect(house.address(25));
    smtp.say("EHLO far.test");
    smtp.expect("MAIL FROM:<>", "250");
    let forged = path.replace("=stranger@", "=somebody@");
    smtp.expect(&format!("RCPT TO:<{forged}>"), "550 5.1.1");
    let receipt = smtp.send(&[&path.to_lowercase()], &message("Undeliverable", "srs-2"));
    let state = sink.wait_for_count(LIMIT, 2).await;
    assert_eq!(state.stored[1].recipients, ["stranger@outside.test"]);
    assert_eq!(state.stored[1].reverse_path, "");
    let story = house.await_trace(crate::harness::receipt_id(&receipt), "relayed");
    assert!(story.contains("stranger@outside.test"), "{story}");
    // The key before the newest is still taken, the one before that no longer.
    house.restante(&["dkim", "rotate-srs"]);
    smtp.expect("MAIL FROM:<>", "250");
    smtp.expect(&format!("RCPT TO:<{path}>"), "250");
    house.restante(&["dkim", "rotate-srs"]);
    smtp.expect(&format!("RCPT TO:<{path}>"), "550");
    tokio::task::block_in_place(|| drop(house));
}

#[test]
fn a_circle_of_aliases_is_refused_or_ends() {
    let house = House::new();
    house.restante(&["alias", "add", "one@example.test", ALICE]);
    house.restante(&["alias", "add", "two@example.test", "one@example.test"]);
    let second = ["alias", "add", "one@example.test", "two@example.test"];
    let made = house.installation.command(&second).unwrap();
    if made.status.success() {
        let mut smtp = crate::harness::Smtp::connect(house.address(25));
        smtp.say("EHLO outside.test");
        smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
        let reply = smtp.say("RCPT TO:<one@example.test>");
        assert!(reply.starts_with("5"), "a circle has no mailbox: {reply}");
    }
}
