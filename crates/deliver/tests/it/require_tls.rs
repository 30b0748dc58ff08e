//! REQUIRETLS (RFC 8689): TLS with the proven host that promises to keep it up, or back to the sender.

use net::Trust;
use peers::{Authority, Certified, Script, Sink};

use crate::world::{NewMail, World, short};

fn required() -> NewMail<'static> {
    NewMail { requires_tls: true, ..NewMail::to(&["one@signed.test"]) }
}

/// What becomes of such mail where the host is this.
async fn outcome(script: Script, certified: &Certified, is_signed: bool) -> (Sink, World, String) {
    let sink = Sink::start(script).await;
    let trust = Trust::only([&*certified.chain[certified.chain.len() - 1]]).unwrap();
    let world = World::with_sts(sink.addr().port(), trust, 1).await;
    world.domain("signed.test", &sink);
    if is_signed {
        world.dns.sign("signed.test");
        let key = &certified.public_key;
        world.dns.tlsa("mx10.signed.test", sink.addr().port(), [3, 1, 0], key);
    }
    let custody = world.add(&required())[0];
    let short = short(&world.outcome(custody).await);
    (sink, world, short)
}

#[tokio::test]
async fn it_goes_to_the_proven_host_that_keeps_it_up() {
    let certified = Authority::new().issue(&["mx10.signed.test"]);
    let script = Script::accept().starttls_with(&certified).with("REQUIRETLS");
    let (sink, _world, short) = outcome(script, &certified, true).await;
    assert_eq!(short, "relayed");
    let stored = &sink.stored()[0];
    assert!(stored.tls && stored.mail_parameters.contains("REQUIRETLS"), "{stored:?}");
}

#[tokio::test]
async fn it_goes_back_where_any_of_it_is_missing() {
    let certified = Authority::new().issue(&["mx10.signed.test"]);
    for (script, is_signed) in [
        // No promise.
        (Script::accept().starttls_with(&certified), true),
        // The certificate is good, but nobody has proven that this is the host.
        (Script::accept().starttls_with(&certified).with("REQUIRETLS"), false),
        // No TLS at all.
        (Script::accept().with("REQUIRETLS"), false),
    ] {
        let (sink, world, short) = outcome(script, &certified, is_signed).await;
        assert_eq!(short, "returned 5.7.30");
        assert_eq!(sink.state().commands_of("MAIL"), 0);
        // RFC 8689 §5: the text does not travel back in clear.
        let text =
            world.queue.read(|state| String::from_utf8_lossy(&state.reports[0].body).into_owned());
        assert!(text.contains("Subject: hello") && !text.contains("The text."), "{text}");
    }
}

/// RFC 8689 §5: a report is not thrown away because the next host offers too little.
#[tokio::test]
async fn a_report_goes_on_without_what_the_host_does_not_offer() {
    let sink = Sink::start(Script::accept()).await;
    let world = World::at(&sink).await;
    world.domain("signed.test", &sink);
    let custody = world.add(&NewMail { from: "", ..required() })[0];
    assert_eq!(short(&world.outcome(custody).await), "relayed");
    assert!(!sink.stored()[0].mail_parameters.contains("REQUIRETLS"));
}
