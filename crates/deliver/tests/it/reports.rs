use deliver::{Notice, Notify, Outcome};
use peers::{Act, Script, Sink, Stage};

use crate::world::{HOUR, NewMail, World, short};

fn on(success: bool, failure: bool, delay: bool) -> Option<Notify> {
    Some(Notify::On { success, failure, delay })
}

async fn refusing() -> (Sink, World) {
    let reply = "550-5.1.1 We have no <bob>.\n550 5.1.1 See https://a.test/help";
    let sink = Sink::start(Script::accept().reply(Stage::Rcpt, reply).when("bob@")).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    (sink, world)
}

fn reports(world: &World) -> Vec<String> {
    world.queue.read(|state| {
        let texts = state.reports.iter().map(|r| String::from_utf8(r.body.clone()).unwrap());
        texts.collect()
    })
}

#[tokio::test]
async fn a_failure_is_reported_with_the_words_of_the_host() {
    let (_sink, world) = refusing().await;
    let ids = world.add(&NewMail::to(&["bob@a.test", "carol@a.test"]));
    assert_eq!(short(&world.outcome(ids[0]).await), "returned 5.1.1");
    assert_eq!(short(&world.outcome(ids[1]).await), "relayed");
    let report = reports(&world).pop().unwrap();
    for wanted in [
        "To: <sender@ours.test>",
        "From: Mail Delivery System <postmaster@ours.test>",
        "Final-Recipient: rfc822; bob@a.test",
        "Action: failed",
        "Status: 5.1.1",
        "Remote-MTA: dns; mx10.a.test",
        "We have no <bob>.",
        "See https://a.test/help",
        "Reporting-MTA: dns; mx.ours.test",
        "The text.",
    ] {
        assert!(report.contains(wanted), "{wanted} in:\n{report}");
    }
    assert!(!report.contains("carol@"), "only what failed is reported:\n{report}");
    world.queue.read(|state| assert_eq!(state.reports[0].to.to_string(), "sender@ours.test"));
}

#[tokio::test]
async fn who_is_told_of_a_failure() {
    let (_sink, world) = refusing().await;
    for (from, notify, wanted) in [
        ("sender@ours.test", None, Notice::Reported),
        ("sender@ours.test", on(false, true, false), Notice::Reported),
        ("sender@ours.test", on(true, false, true), Notice::NotWanted),
        ("sender@ours.test", Some(Notify::Never), Notice::NotWanted),
    ] {
        let before = reports(&world).len();
        let custody = world.add(&NewMail { from, notify, ..NewMail::to(&["bob@a.test"]) })[0];
        let Outcome::Returned { notice, .. } = world.outcome(custody).await else {
            panic!("not returned");
        };
        assert_eq!(notice, wanted, "{from} {notify:?}");
        let sent = reports(&world).len() - before;
        assert_eq!(sent, usize::from(wanted == Notice::Reported));
    }
}

#[tokio::test]
async fn the_postmaster_is_told_of_what_came_from_nobody_and_of_no_report_of_it() {
    let (_sink, world) = refusing().await;
    world.add(&NewMail { from: "", ..NewMail::to(&["bob@a.test"]) });
    world.wait_all_closed().await;
    let report = reports(&world).pop().unwrap();
    for wanted in ["To: <postmaster@ours.test>", "You read this as the postmaster.", "no <bob>."] {
        assert!(report.contains(wanted), "{wanted} in:\n{report}");
    }
    let new = NewMail { from: "", ..NewMail::to(&["postmaster@a.test", "bob@a.test"]) };
    let custody = world.add(&new)[1];
    assert_eq!(short(&world.outcome(custody).await), "returned 5.1.1 NullReversePath");
    assert_eq!(reports(&world).len(), 1);
}

#[tokio::test]
async fn a_mistyped_domain_is_answered_with_the_one_that_was_meant() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::at(&sink).await;
    for (written, meant) in [
        ("one@gmial.com", Some("one@gmail.com")),
        ("one@familar.test", Some("one@familiar.test")),
        ("one@nowhere.test", None),
    ] {
        world.add_to(written);
        world.wait_all_closed().await;
        let report = reports(&world).pop().unwrap();
        let told = meant.map(|meant| format!("Did you mean <{meant}>?"));
        match told {
            Some(told) => assert!(report.contains(&told), "{told} in:\n{report}"),
            None => assert!(!report.contains("Did you mean"), "{report}"),
        }
    }
    // What was reached is familiar from then on.
    world.domain("partner.test", &sink);
    world.add_to("two@partner.test");
    world.add_to("two@patrner.test");
    world.wait_all_closed().await;
    let report = reports(&world).pop().unwrap();
    assert!(report.contains("two@patrner.test"), "{report}");
    world.add_to("three@partnr.test");
    world.wait_all_closed().await;
    let report = reports(&world).pop().unwrap();
    assert!(report.contains("Did you mean <three@partner.test>?"), "{report}");
}

#[tokio::test]
async fn a_message_that_is_too_large_comes_back_with_the_limit_and_the_host() {
    let sink = Sink::start(Script::accept().size(1000)).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let large = format!("Subject: large\r\n\r\n{}", "The text.\r\n".repeat(500));
    world.add(&NewMail { body: &large, ..NewMail::to(&["one@a.test"]) });
    world.wait_all_closed().await;
    let report = reports(&world).pop().unwrap().replace("\r\n    ", " ");
    for wanted in ["mx10.a.test", "at most 1000 octets (0.9 KiB)", "this one has 5518 (5.3 KiB)"] {
        assert!(report.contains(wanted), "{wanted} in:\n{report}");
    }
}

#[tokio::test]
async fn recipients_that_fail_together_share_a_report() {
    let (_sink, world) = refusing().await;
    world.add(&NewMail::to(&["bob@a.test", "xbob@a.test"]));
    world.wait_all_closed().await;
    let report = reports(&world).pop().unwrap();
    assert!(report.contains("rfc822; bob@a.test") && report.contains("rfc822; xbob@a.test"));
    assert_eq!(reports(&world).len(), 1);
}

#[tokio::test]
async fn ret_hdrs_and_large_messages_return_the_header_alone() {
    let (_sink, world) = refusing().await;
    let headers = NewMail { headers_only: Some(true), ..NewMail::to(&["bob@a.test"]) };
    world.add(&headers);
    world.wait_all_closed().await;
    let large = format!("Subject: large\r\n\r\n{}", "The text.\r\n".repeat(50_000));
    world.add(&NewMail { body: &large, ..NewMail::to(&["bob@a.test"]) });
    world.wait_all_closed().await;
    for report in reports(&world) {
        assert!(report.contains("Subject: ") && !report.contains("The text."), "{report}");
        assert!(report.len() < 10_000);
    }
}

#[tokio::test]
async fn a_delay_is_reported_once_after_four_hours() {
    let sink = Sink::start(Script::accept().reply(Stage::Mail, "451 4.3.0 not yet")).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let told = world.add_to("one@a.test");
    let quiet =
        world.add(&NewMail { notify: on(false, true, false), ..NewMail::to(&["q@a.test"]) })[0];
    let null = world.add(&NewMail { from: "", ..NewMail::to(&["n@a.test"]) })[0];
    let mut tries = 0;
    while world.clock.now_since_start() < 13 * HOUR {
        tries += 1;
        let mut next = None;
        for custody in [told, quiet, null] {
            let Outcome::Deferred { due, reported, .. } = world.nth_outcome(custody, tries).await
            else {
                panic!("not deferred");
            };
            let is_the_time = world.clock.now_since_start() == 4 * HOUR;
            assert_eq!(reported, is_the_time && custody == told, "{custody} after {tries}");
            next = Some(due);
        }
        world.clock.set(next.unwrap());
    }
    let reports = reports(&world);
    assert_eq!(reports.len(), 1);
    for wanted in
        ["Action: delayed", "451 4.3.0 not yet", "Will-Retry-Until:", "not been delivered yet"]
    {
        assert!(reports[0].contains(wanted), "{wanted} in:\n{}", reports[0]);
    }
}

#[tokio::test]
async fn success_is_reported_where_the_next_host_sends_no_reports() {
    for (script, wanted) in [(Script::accept(), 1), (Script::accept().with("DSN"), 0)] {
        let sink = Sink::start(script).await;
        let world = World::at(&sink).await;
        world.domain("a.test", &sink);
        let new = NewMail { notify: on(true, true, false), ..NewMail::to(&["one@a.test"]) };
        let custody = world.add(&new)[0];
        assert_eq!(short(&world.outcome(custody).await), "relayed");
        let reports = reports(&world);
        assert_eq!(reports.len(), wanted);
        assert!(reports.iter().all(|report| report.contains("Action: relayed")));
        let said = &sink.stored()[0].rcpt_parameters[0];
        assert_eq!(said.contains("NOTIFY=SUCCESS,FAILURE"), wanted == 0, "{said}");
        assert_eq!(sink.state().violations, Vec::<String>::new());
    }
}

#[tokio::test]
async fn without_a_host_the_report_has_our_own_words() {
    let sink = Sink::start(Script::accept().on(Stage::Connect, Act::Close)).await;
    let world = World::at(&sink).await;
    world.add_to("one@nowhere.test");
    world.wait_all_closed().await;
    let report = reports(&world).pop().unwrap();
    for wanted in ["the domain nowhere.test does not exist", "Status: 5.1.2"] {
        assert!(report.contains(wanted), "{wanted} in:\n{report}");
    }
    assert!(!report.contains("Remote-MTA") && !report.contains("Diagnostic-Code: smtp"));
}
