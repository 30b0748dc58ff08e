use std::time::Duration;

use peers::{Act, Script, Sink, Stage, closed_port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(10);

/// A client of one line at a time.
struct Client(TcpStream);

impl Client {
    async fn connect(sink: &Sink) -> Self {
        Self(TcpStream::connect(sink.addr()).await.unwrap())
    }

    /// One reply; an empty text where the peer closed.
    async fn hear(&mut self) -> String {
        let mut text = Vec::new();
        loop {
            let mut byte = [0];
            match tokio::time::timeout(LIMIT, self.0.read(&mut byte)).await.unwrap() {
                Ok(1) => text.push(byte[0]),
                _ => return String::from_utf8(text).unwrap(),
            }
            let last = text.trim_ascii_end().rsplit(|&b| b == b'\n').next().unwrap();
            if text.ends_with(b"\n") && last.get(3) != Some(&b'-') {
                return String::from_utf8(text).unwrap();
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.hear().await
    }

    /// Up to and with the `354`, or the first reply that is no success.
    async fn begin(sink: &Sink) -> (Self, String) {
        let mut client = Self::connect(sink).await;
        let mut reply = client.hear().await;
        for line in ["EHLO client.test", "MAIL FROM:<a@test>", "RCPT TO:<b@test>", "DATA"] {
            if !reply.starts_with('2') {
                break;
            }
            reply = client.say(line).await;
        }
        (client, reply)
    }
}

#[tokio::test]
async fn a_message_is_kept_with_its_envelope() {
    let sink = Sink::start(Script::accept()).await;
    let (mut client, reply) = Client::begin(&sink).await;
    assert!(reply.starts_with("354"), "{reply}");
    let reply = client.say("Subject: x\r\n\r\n..dot\r\n.").await;
    assert!(reply.starts_with("250"), "{reply}");
    let stored = sink.stored();
    assert_eq!(stored[0].text(), "Subject: x\r\n\r\n.dot\r\n");
    assert_eq!(
        (stored[0].reverse_path.as_str(), &stored[0].recipients[..]),
        ("a@test", &["b@test".to_owned()][..])
    );
    assert!(client.say("QUIT").await.starts_with("221"));
    let state = sink.wait_for(LIMIT, |state| state.open == 0).await;
    assert_eq!((state.connections, state.open_max, state.aborted), (1, 1, 0));
    assert_eq!(state.violations, Vec::<String>::new());
}

#[tokio::test]
async fn rules_match_by_stage_text_and_count() {
    let script = Script::accept()
        .reply(Stage::Rcpt, "550 5.1.1 who")
        .when("bob@")
        .reply(Stage::Rcpt, "451-4.3.0 later\n451 4.3.0 really")
        .skip(1)
        .times(1);
    let sink = Sink::start(script).await;
    let mut client = Client::connect(&sink).await;
    client.hear().await;
    client.say("EHLO c").await;
    client.say("MAIL FROM:<>").await;
    assert!(client.say("RCPT TO:<a@x>").await.starts_with("250"));
    assert!(client.say("RCPT TO:<bob@x>").await.starts_with("550"));
    assert!(client.say("RCPT TO:<c@x>").await.starts_with("451-4.3.0 later\r\n451"));
    assert!(client.say("RCPT TO:<c@x>").await.starts_with("250"));
}

#[tokio::test]
async fn cuts_store_or_do_not() {
    for (act, kept) in [(Act::Close, 0), (Act::StoreThenClose, 1), (Act::Reply("554 no".into()), 0)]
    {
        let sink = Sink::start(Script::accept().on(Stage::Dot, act)).await;
        let (mut client, _) = Client::begin(&sink).await;
        client.say("x\r\n.").await;
        assert_eq!(sink.count(), kept);
    }
    let sink = Sink::start(Script::accept().on(Stage::Body, Act::CloseAfter(2))).await;
    let (mut client, _) = Client::begin(&sink).await;
    assert_eq!(client.say("abc").await, "");
    assert_eq!(sink.count(), 0);
}

#[tokio::test]
async fn a_held_reply_waits_for_its_release() {
    let sink = Sink::start(Script::accept().on(Stage::Dot, Act::Hold)).await;
    let (mut client, _) = Client::begin(&sink).await;
    client.0.write_all(b"x\r\n.\r\n").await.unwrap();
    sink.wait_for(LIMIT, |state| state.held == 1).await;
    assert_eq!(sink.count(), 0);
    sink.release();
    assert!(client.hear().await.starts_with("250"));
    sink.wait_for_count(LIMIT, 1).await;
}

#[tokio::test]
async fn violations_are_noted() {
    let sink = Sink::start(Script::accept().without("PIPELINING").without("8BITMIME")).await;
    let mut client = Client::connect(&sink).await;
    client.hear().await;
    client.say("EHLO c").await;
    client.say("MAIL FROM:<a@x> BODY=8BITMIME\r\nRCPT TO:<b@x>").await;
    client.hear().await;
    client.say("DATA").await;
    client.say("bare\nline\r\n.").await;
    let violations = sink.state().violations.join("; ");
    for wanted in ["8BITMIME", "without PIPELINING", "bare CR or LF"] {
        assert!(violations.contains(wanted), "{wanted} in {violations}");
    }
}

#[tokio::test]
async fn size_helo_only_and_greylist() {
    let sink = Sink::start(Script::accept().size(10).greylist(1)).await;
    let mut client = Client::connect(&sink).await;
    client.hear().await;
    assert!(client.say("EHLO c").await.contains("SIZE 10\r\n"));
    assert!(client.say("MAIL FROM:<a@x> SIZE=11").await.starts_with("552"));
    client.say("MAIL FROM:<a@x> SIZE=3").await;
    assert!(client.say("RCPT TO:<b@x>").await.starts_with("451"));
    assert!(client.say("RCPT TO:<b@x>").await.starts_with("250"));
    let sink = Sink::start(Script::accept().helo_only()).await;
    let mut client = Client::connect(&sink).await;
    client.hear().await;
    assert!(client.say("EHLO c").await.starts_with("502"));
    assert!(client.say("HELO c").await.starts_with("250"));
}

#[tokio::test]
async fn several_share_a_port_and_stopped_ones_refuse() {
    let mut sinks = Sink::start_several(vec![Script::accept(), Script::accept()]).await;
    assert_eq!(sinks[0].addr().port(), sinks[1].addr().port());
    assert_ne!(sinks[0].addr().ip(), sinks[1].addr().ip());
    sinks[0].stop().await;
    assert!(TcpStream::connect(sinks[0].addr()).await.is_err());
    assert!(TcpStream::connect(sinks[1].addr()).await.is_ok());
    assert!(TcpStream::connect(closed_port().await).await.is_err());
}

#[tokio::test]
async fn broken_tls_is_offered() {
    let sink = Sink::start(Script::accept().starttls().on(Stage::StartTls, Act::BreakTls)).await;
    let mut client = Client::connect(&sink).await;
    client.hear().await;
    assert!(client.say("EHLO c").await.contains("STARTTLS"));
    assert!(client.say("STARTTLS").await.starts_with("220"));
    assert!(client.hear().await.contains("no TLS record"));
}

#[tokio::test]
async fn greylisting_knows_triplets_and_its_own_clock() {
    let sink = Sink::start(Script::accept().greylist_for(Duration::from_secs(60))).await;
    let mut client = Client::connect(&sink).await;
    client.hear().await;
    client.say("EHLO c").await;
    client.say("MAIL FROM:<a@x>").await;
    assert!(client.say("RCPT TO:<b@x>").await.starts_with("451"));
    sink.pass(Duration::from_secs(59));
    assert!(client.say("RCPT TO:<b@x>").await.starts_with("451"));
    assert!(client.say("RCPT TO:<c@x>").await.starts_with("451"));
    sink.pass(Duration::from_secs(1));
    assert!(client.say("RCPT TO:<b@x>").await.starts_with("250"));
    assert!(client.say("RCPT TO:<c@x>").await.starts_with("451"), "each has its own time");
    client.say("RSET").await;
    client.say("MAIL FROM:<other@x>").await;
    assert!(client.say("RCPT TO:<b@x>").await.starts_with("451"));
    // Another client is another stranger.
    let sink = Sink::start(Script::accept().greylist(2)).await;
    for (from, wanted) in [(1, "451"), (1, "451"), (1, "250"), (2, "451"), (1, "250")] {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, from], 0).into()).unwrap();
        let mut client = Client(socket.connect(sink.addr()).await.unwrap());
        client.hear().await;
        client.say("EHLO c").await;
        client.say("MAIL FROM:<a@x>").await;
        assert!(client.say("RCPT TO:<b@x>").await.starts_with(wanted), "{from} {wanted}");
    }
}

#[tokio::test]
async fn a_tarpit_says_everything_late_or_a_little_at_a_time() {
    let drop_wise = Act::Drip(Duration::from_millis(1), "250-2.1.0 well\n250 2.1.0 yes".to_owned());
    let script = Script::accept().on(Stage::Mail, drop_wise).tarpit(Duration::from_millis(1));
    let sink = Sink::start(script).await;
    let (mut client, reply) = Client::begin(&sink).await;
    assert!(reply.starts_with("354"), "{reply}");
    assert!(client.say("x\r\n.").await.starts_with("250"));
    assert_eq!(sink.count(), 1);
}
