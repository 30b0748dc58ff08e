use peers::{Act, Script, Sink, Stage, closed_port};
use route::Routes;

use crate::world::{MINUTE, NOBODY, NewMail, World, short, sinks};

#[tokio::test]
async fn the_best_host_gets_the_mail() {
    let [first, second] = sinks([Script::accept(), Script::accept()]).await;
    let world = World::at(&first).await;
    // Named in the wrong order.
    world.dns.mx("a.test", 20, "b.a.test").address("b.a.test", second.addr().ip());
    world.dns.mx("a.test", 10, "a.a.test").address("a.a.test", first.addr().ip());
    for _ in 0..5 {
        world.add_to("one@a.test");
    }
    world.wait_all_closed().await;
    assert_eq!((first.count(), second.count()), (5, 0));
}

#[tokio::test]
async fn every_temporary_no_leads_to_the_next_host() {
    for (stage, act) in [
        (Stage::Connect, Act::Reply("554 5.7.1 listed".into())),
        (Stage::Connect, Act::Reply("421 4.3.2 full".into())),
        (Stage::Connect, Act::Close),
        (Stage::Ehlo, Act::Reply("554 no".into())),
        (Stage::Mail, Act::Reply("451 4.3.0 later".into())),
        (Stage::Rcpt, Act::Reply("451 4.3.0 later".into())),
        (Stage::Data, Act::Close),
        (Stage::Dot, Act::Reply("452 4.3.1 disk full".into())),
    ] {
        let script = Script::accept().on(stage, act.clone());
        let [first, second] = sinks([script, Script::accept()]).await;
        let world = World::at(&first).await;
        world.domain_at("a.test", &[&first, &second]);
        let custody = world.add_to("one@a.test");
        assert_eq!(short(&world.outcome(custody).await), "relayed", "{stage:?} {act:?}");
        assert_eq!((first.count(), second.count()), (0, 1));
    }
}

/// They come in another order at each look-up.
#[tokio::test]
async fn each_host_of_equal_preference_is_asked_once() {
    let script = Script::accept().reply(Stage::Rcpt, "451 4.3.0 later");
    let [first, second] = sinks([script, Script::accept()]).await;
    let world = World::with(first.addr().port(), |s| s.messages_per_connection = 1).await;
    world.dns.mx("a.test", 10, "b.a.test").address("b.a.test", second.addr().ip());
    world.dns.mx("a.test", 10, "a.a.test").address("a.a.test", first.addr().ip());
    for _ in 0..20 {
        let custody = world.add_to("one@a.test");
        assert_eq!(short(&world.outcome(custody).await), "relayed");
    }
    assert!(first.state().connections > 0, "the other one was always the first");
}

#[tokio::test]
async fn a_final_no_and_an_uncertain_end_ask_no_other_host() {
    for (stage, act, wanted) in [
        (Stage::Rcpt, Act::Reply("550 5.1.1 who".into()), "returned 5.1.1"),
        (Stage::Mail, Act::Reply("550 5.7.1 no".into()), "returned 5.7.1"),
        (Stage::Dot, Act::Close, "uncertain"),
    ] {
        let script = Script::accept().on(stage, act);
        let [first, second] = sinks([script, Script::accept()]).await;
        let world = World::at(&first).await;
        world.domain_at("a.test", &[&first, &second]);
        let custody = world.add_to("one@a.test");
        assert_eq!(short(&world.outcome(custody).await), wanted);
        assert_eq!(second.state().connections, 0);
    }
}

#[tokio::test]
async fn hosts_that_are_down_are_passed_over_and_left_alone_for_a_while() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::with(sink.addr().port(), |s| s.messages_per_connection = 1).await;
    world.dns.mx("a.test", 10, "dead.test").address("dead.test", NOBODY);
    world.dns.mx("a.test", 20, "live.test").address("live.test", sink.addr().ip());
    for _ in 0..3 {
        let custody = world.add_to("one@a.test");
        assert_eq!(short(&world.outcome(custody).await), "relayed");
    }
}

#[tokio::test]
async fn an_answer_for_good_needs_every_host() {
    let blocked = || Script::accept().reply(Stage::Connect, "554 5.7.1 your address is listed");
    let [first, second] = sinks([blocked(), blocked()]).await;
    let world = World::at(&first).await;
    world.domain_at("both.test", &[&first, &second]);
    world.dns.mx("one.test", 10, "h1.test").address("h1.test", first.addr().ip());
    world.dns.mx("one.test", 20, "h2.test").address("h2.test", NOBODY);
    let both = world.add_to("x@both.test");
    assert_eq!(short(&world.outcome(both).await), "returned 5.7.1");
    let one = world.add_to("x@one.test");
    assert_eq!(short(&world.outcome(one).await), "deferred 4.4.1");
}

#[tokio::test]
async fn temporary_no_of_all_hosts_is_put_off_with_the_last_words() {
    let [first, second, third] = sinks([
        Script::accept().reply(Stage::Rcpt, "451 4.2.0 first"),
        Script::accept().reply(Stage::Mail, "451 4.3.0 second"),
        Script::accept().reply(Stage::Dot, "451 4.7.0 third"),
    ])
    .await;
    let world = World::at(&first).await;
    world.domain_at("a.test", &[&first, &second, &third]);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "deferred 4.7.0");
    assert_eq!(world.last_peer(custody).unwrap().host, "mx30.a.test");
    let asked = [&first, &second, &third].map(|sink| sink.state().connections);
    assert_eq!(asked, [1, 1, 1]);
}

#[tokio::test]
async fn only_so_many_hosts_are_asked_in_one_attempt() {
    let busy = || Script::accept().reply(Stage::Mail, "451 4.3.0 busy");
    let [first, second, third] = sinks([busy(), busy(), Script::accept()]).await;
    let world = World::with(first.addr().port(), |s| s.hosts_per_attempt = 2).await;
    world.domain_at("a.test", &[&first, &second, &third]);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "deferred 4.3.0");
    assert_eq!(third.state().connections, 0);
}

#[tokio::test]
async fn routes_lead_to_smart_hosts_even_on_loopback() {
    let smart = Sink::start(Script::accept()).await;
    let direct = Sink::start(Script::accept()).await;
    let world = World::with(direct.addr().port(), |s| s.inward = route::Inward::default()).await;
    let relay = smart.addr().to_string();
    let route = |pattern: &str| (pattern.parse().unwrap(), relay.parse().unwrap());
    world.runner.set_routes([route("a.test"), route(".b.test")].into_iter().collect::<Routes>());
    // One connection serves both domains, in one transaction where it is one message.
    world.add(&NewMail::to(&["one@a.test", "two@deep.b.test"]));
    world.wait_all_closed().await;
    assert_eq!(smart.stored()[0].recipients, ["one@a.test", "two@deep.b.test"]);
    assert_eq!(world.dns.queries_total(), 0);
    let other = world.add_to("x@b.test");
    assert_eq!(short(&world.outcome(other).await), "returned 5.1.2");
}

#[tokio::test]
async fn a_destination_that_is_down_puts_new_mail_off_at_once_until_it_is_tried_again() {
    let port = closed_port().await.port();
    let world = World::with(port, |_| {}).await;
    world.dns.address("a.test", [127, 0, 0, 1]);
    let first = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(first).await), "deferred 4.4.1");
    let asked = world.dns.queries_total();
    let second = world.add_to("two@a.test");
    assert_eq!(short(&world.outcome(second).await), "deferred 4.4.1");
    assert_eq!(world.dns.queries_total(), asked, "nobody was asked");
    let sink = Sink::start_at(([127, 0, 0, 1], port).into(), Script::accept()).await;
    world.advance(MINUTE);
    world.wait_all_closed().await;
    assert_eq!(sink.count(), 2);
}

#[tokio::test]
async fn a_retry_command_does_not_wait_for_the_pause() {
    let port = closed_port().await.port();
    let world = World::with(port, |_| {}).await;
    world.dns.address("a.test", [127, 0, 0, 1]);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "deferred 4.4.1");
    let sink = Sink::start_at(([127, 0, 0, 1], port).into(), Script::accept()).await;
    world.runner.forget_pauses();
    world.queue.make_due(crate::world::START);
    world.wait_all_closed().await;
    assert_eq!(sink.count(), 1);
}
