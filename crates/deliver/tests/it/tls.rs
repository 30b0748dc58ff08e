use peers::{Act, Script, Sink, Stage};

use crate::world::{World, short};

#[tokio::test]
async fn tls_is_used_where_it_is_offered_and_said_to_be_unverified() {
    let sink = Sink::start(Script::accept().starttls()).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    assert!(sink.stored()[0].tls);
    let peer = world.last_peer(custody).unwrap();
    assert!(peer.tls.unwrap().starts_with("TLSv1.3 TLS_"));
    assert!(!peer.tls_verified && peer.tls_failure.is_none());
    assert_eq!(sink.state().violations, Vec::<String>::new());
}

#[tokio::test]
async fn broken_tls_falls_back_to_clear_and_says_so() {
    for act in [Act::BreakTls, Act::ReplyThenClose("220 go on".into())] {
        let sink = Sink::start(Script::accept().starttls().on(Stage::StartTls, act)).await;
        let world = World::at(&sink).await;
        world.domain("a.test", &sink);
        let custody = world.add_to("one@a.test");
        assert_eq!(short(&world.outcome(custody).await), "relayed");
        assert!(!sink.stored()[0].tls);
        let peer = world.last_peer(custody).unwrap();
        assert!(peer.tls.is_none());
        assert!(peer.tls_failure.unwrap().contains("TLS handshake failed"));
    }
}

#[tokio::test]
async fn refused_starttls_goes_on_in_clear() {
    let script = Script::accept().starttls().reply(Stage::StartTls, "454 4.7.0 not now");
    let sink = Sink::start(script).await;
    let world = World::at(&sink).await;
    world.domain("a.test", &sink);
    let custody = world.add_to("one@a.test");
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    assert!(!sink.stored()[0].tls);
}
