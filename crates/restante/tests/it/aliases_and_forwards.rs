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

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_fit_into_no_reverse_path_get_their_bounces_once() {
    let sink = Sink::start(Script::accept()).await;
    let house = House::new();
    for domain in ["far.test", "outside.test"] {
        house.restante(&["route", "add", domain, &sink.addr().to_string()]);
    }
    house.restante(&["alias", "add", "out@example.test", "bob@far.test"]);
    let senders = [
        // RFC 5321 §4.5.3.1.1: 64 octets are the most; SRS needs more than none of them.
        format!("{}@outside.test", "0100018f-".repeat(7) + "x"),
        "\"two words\"@outside.test".to_owned(),
    ];
    for (at, sender) in senders.iter().enumerate() {
        let mut smtp = crate::harness::Smtp::connect(house.address(25));
        smtp.say("EHLO outside.test");
        smtp.expect(&format!("MAIL FROM:<{sender}>"), "250");
        smtp.send(&["out@example.test"], &message("Forwarded", &format!("long-{at}")));
        let state = sink.wait_for_count(LIMIT, at as u64 * 2 + 1).await;
        let path = state.stored[at * 2].reverse_path.clone();
        assert!(path.starts_with("SRS0=") && path.ends_with("@example.test"), "{path}");
        assert!(path.len() < 50, "{path}");
        // A restart in between: it is in the journal whose it is.
        let mut smtp = crate::harness::Smtp::connect(house.address(25));
        smtp.say("EHLO far.test");
        smtp.expect("MAIL FROM:<>", "250");
        let (front, number) = path.trim_end_matches("@example.test").rsplit_once('=').unwrap();
        let other = if number == "C" { "D" } else { "C" };
        smtp.expect(&format!("RCPT TO:<{front}={other}@example.test>"), "550 5.1.1");
        // Named twice, in two spellings: one bounce.
        let both = [path.as_str(), &path.to_lowercase()];
        let receipt = smtp.send(&both, &message("Undeliverable", &format!("long-b{at}")));
        let state = sink.wait_for_count(LIMIT, at as u64 * 2 + 2).await;
        let bounce = &state.stored[at * 2 + 1];
        assert_eq!((&bounce.recipients[..], &*bounce.reverse_path), (&[sender.clone()][..], ""));
        house.await_trace(crate::harness::receipt_id(&receipt), "relayed");
        assert_eq!(sink.count(), at as u64 * 2 + 2);
    }
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_elsewhere_gets_one_copy_however_many_ways_lead_there() {
    let sink = Sink::start(Script::accept()).await;
    let house = House::new();
    house.restante(&["route", "add", "far.test", &sink.addr().to_string()]);
    house.restante(&["alias", "add", "one@example.test", "bob@far.test", ALICE]);
    house.restante(&["alias", "add", "two@example.test", "BOB@far.test", "carol@far.test"]);
    let receipt =
        house.deliver(&["one@example.test", "two@example.test"], &message("Once", "once-1"));
    let id = crate::harness::receipt_id(&receipt).to_owned();
    house.await_trace(&id, "carol@far.test: relayed");
    let told = house.await_trace(&id, "bob@far.test: relayed");
    assert_eq!(told.matches(": relayed").count(), 2, "{told}");
    let copies: Vec<String> =
        sink.stored().into_iter().flat_map(|stored| stored.recipients).collect();
    assert_eq!(copies.iter().filter(|to| to.eq_ignore_ascii_case("bob@far.test")).count(), 1);
    assert_eq!(copies.len(), 2, "{copies:?}");
    // Submitted, by itself and through an alias.
    let receipt = house.submit(&["bob@far.test", "one@example.test"], &message("Own", "once-2"));
    let told = house.await_trace(crate::harness::receipt_id(&receipt), "bob@far.test: relayed");
    assert_eq!(told.matches(": relayed").count(), 1, "{told}");
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
