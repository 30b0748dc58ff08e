use std::sync::atomic::Ordering;
use std::time::Duration;

use net::{Ended, LinkLimits, Security, Stop, stopper};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::toy::{PATIENCE, Running, Toy, line, serve_one, until};

async fn plain(stop: Stop) -> (Running, BufReader<TcpStream>) {
    let running = serve_one(Security::Plain, LinkLimits::default(), Toy::new(None), stop).await;
    let client = TcpStream::connect(running.address).await.unwrap();
    (running, BufReader::new(client))
}

#[tokio::test]
async fn pipelined_lines_are_answered_in_order() {
    let (running, mut client) = plain(Stop::never()).await;
    let mut all = String::new();
    for number in 0..5_000 {
        all.push_str(&format!("ECHO {number}\r\n"));
    }
    all.push_str("QUIT\r\n");
    let (mut reading, mut writing) = client.get_mut().split();
    let reader = async {
        let mut got = String::new();
        reading.read_to_string(&mut got).await.unwrap();
        got
    };
    let both = async { tokio::join!(writing.write_all(all.as_bytes()), reader) };
    let (wrote, got) = timeout(PATIENCE, both).await.unwrap();
    wrote.unwrap();
    let lines: Vec<&str> = got.lines().collect();
    assert_eq!(lines.len(), 5_001);
    assert!(lines[..5_000].iter().enumerate().all(|(at, line)| **line == at.to_string()));
    assert_eq!(lines[5_000], "bye");
    drop(client);
    assert!(matches!(running.ended.await.unwrap().0, Ended::Closed));
}

#[tokio::test]
async fn octets_may_come_one_by_one() {
    let (_running, mut client) = plain(Stop::never()).await;
    for octet in b"ECHO one by one\r\n" {
        client.get_mut().write_all(&[*octet]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(line(&mut client).await, "one by one");
}

#[tokio::test]
async fn replies_before_a_long_question_are_sent_before_its_answer() {
    let (running, mut client) = plain(Stop::never()).await;
    client.get_mut().write_all(b"ECHO first\r\nSLOW second\r\n").await.unwrap();
    assert_eq!(line(&mut client).await, "first");
    assert_eq!(running.gate.answered.load(Ordering::SeqCst), 0);
    running.gate.open.notify_one();
    assert_eq!(line(&mut client).await, "second");
}

#[tokio::test]
async fn a_peer_that_does_not_read_stops_the_machine() {
    let (running, mut client) = plain(Stop::never()).await;
    let octets = 64 * 1024 * 1024;
    client.get_mut().write_all(format!("BIG {octets}\r\nQUIT\r\n").as_bytes()).await.unwrap();
    let mut got = 0;
    let mut buffer = vec![0; 64 * 1024];
    while let read @ 1.. = timeout(PATIENCE, client.read(&mut buffer)).await.unwrap().unwrap() {
        got += read;
    }
    assert_eq!(got, octets + "\r\nbye\r\n".len());
    drop(client);
    let (ended, toy) = running.ended.await.unwrap();
    assert!(matches!(ended, Ended::Closed));
    // What is held is bounded by the driver's limit and one step, not by the reply.
    assert!(toy.output_most <= 96 * 1024, "{} octets were held", toy.output_most);
}

#[tokio::test]
async fn a_peer_that_never_reads_is_given_up() {
    let limits = LinkLimits { write_stall: Duration::from_millis(50), ..LinkLimits::default() };
    let running = serve_one(Security::Plain, limits, Toy::new(None), Stop::never()).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = socket.connect(running.address).await.unwrap();
    client.write_all(b"BIG 1000000000\r\n").await.unwrap();
    let (ended, toy) = timeout(PATIENCE, running.ended).await.unwrap().unwrap();
    assert!(matches!(ended, Ended::Lost(error) if error.kind() == std::io::ErrorKind::TimedOut));
    assert_eq!(toy.received, ["<closed>"]);
}

#[tokio::test]
async fn the_deadline_passes_while_nothing_comes() {
    let toy = Toy::new(Some(Duration::from_millis(40)));
    let running = serve_one(Security::Plain, LinkLimits::default(), toy, Stop::never()).await;
    let mut client = BufReader::new(TcpStream::connect(running.address).await.unwrap());
    assert_eq!(line(&mut client).await, "too slow");
    assert_eq!(line(&mut client).await, "<end>");
    drop(client);
    assert!(matches!(running.ended.await.unwrap().0, Ended::Closed));
}

#[tokio::test]
async fn events_reach_a_waiting_peer() {
    let (running, mut client) = plain(Stop::never()).await;
    for event in ["one", "two"] {
        running.events.send(event.to_owned()).unwrap();
        assert_eq!(line(&mut client).await, format!("* {event}"));
    }
    client.get_mut().write_all(b"ECHO three\r\n").await.unwrap();
    assert_eq!(line(&mut client).await, "three");
}

#[tokio::test]
async fn a_closed_peer_ends_the_machine_after_its_last_words() {
    let (running, mut client) = plain(Stop::never()).await;
    client.get_mut().write_all(b"ECHO still there\r\nECHO cut").await.unwrap();
    client.get_mut().shutdown().await.unwrap();
    assert_eq!(line(&mut client).await, "still there");
    assert_eq!(line(&mut client).await, "<end>");
    let (ended, toy) = running.ended.await.unwrap();
    assert!(matches!(ended, Ended::PeerClosed));
    assert_eq!(toy.received, ["<closed>"]);
}

#[tokio::test]
async fn an_answer_under_way_survives_the_connection() {
    let (running, mut client) = plain(Stop::never()).await;
    client.get_mut().write_all(b"ECHO before\r\nSLOW commit\r\n").await.unwrap();
    until("the question is open", || running.gate.asked.load(Ordering::SeqCst) == 1).await;
    drop(client);
    running.gate.open.notify_one();
    let (ended, toy) = timeout(PATIENCE, running.ended).await.unwrap().unwrap();
    assert!(matches!(ended, Ended::PeerClosed | Ended::Lost(_)), "{ended:?}");
    assert_eq!(running.gate.answered.load(Ordering::SeqCst), 1);
    assert_eq!(toy.received, ["<closed>"]);
}

#[tokio::test]
async fn a_stop_says_goodbye_to_the_idle() {
    let (stopper, stop) = stopper();
    let (running, mut client) = plain(stop).await;
    client.get_mut().write_all(b"ECHO up\r\n").await.unwrap();
    assert_eq!(line(&mut client).await, "up");
    stopper.stop();
    assert_eq!(line(&mut client).await, "stopping");
    assert_eq!(line(&mut client).await, "<end>");
    drop(client);
    assert!(matches!(running.ended.await.unwrap().0, Ended::Closed));
}

#[tokio::test]
async fn a_stop_lets_the_answer_under_way_finish() {
    let (stopper, stop) = stopper();
    let (running, mut client) = plain(stop).await;
    client.get_mut().write_all(b"SLOW kept\r\n").await.unwrap();
    until("the question is open", || running.gate.asked.load(Ordering::SeqCst) == 1).await;
    stopper.stop();
    running.gate.open.notify_one();
    assert_eq!(line(&mut client).await, "kept");
    assert_eq!(line(&mut client).await, "stopping");
}

#[tokio::test]
async fn a_machine_that_does_not_stop_is_ended_after_the_grace_time() {
    let (stopper, stop) = stopper();
    let limits = LinkLimits { grace: Duration::from_millis(40), ..LinkLimits::default() };
    let running = serve_one(Security::Plain, limits, Toy::new(None), stop).await;
    let mut client = BufReader::new(TcpStream::connect(running.address).await.unwrap());
    client.get_mut().write_all(b"HOLD\r\n").await.unwrap();
    assert_eq!(line(&mut client).await, "holding");
    stopper.stop();
    assert_eq!(line(&mut client).await, "<end>");
    assert!(matches!(running.ended.await.unwrap().0, Ended::GraceOver));
}

#[tokio::test]
async fn a_machine_that_takes_nothing_does_not_spin() {
    let (running, mut client) = plain(Stop::never()).await;
    client.get_mut().write_all(b"STUCK\r\n").await.unwrap();
    assert_eq!(line(&mut client).await, "stuck");
    client.get_mut().write_all(b"ECHO never\r\n").await.unwrap();
    client.get_mut().shutdown().await.unwrap();
    let (ended, _) = timeout(PATIENCE, running.ended).await.unwrap().unwrap();
    assert!(matches!(ended, Ended::Stuck));
}

/// What an idle connection costs, besides its socket and machine: the future of its task.
#[tokio::test]
async fn an_idle_connection_is_small() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let mut link = net::Link::new(stream, Security::Plain).unwrap();
    let (_, events) = tokio::sync::mpsc::unbounded_channel();
    let mut service = crate::toy::ToyService { gate: std::sync::Arc::default(), events };
    let (mut toy, stop) = (Toy::new(None), Stop::never());
    let octets = size_of_val(&net::drive(&mut link, &mut toy, &mut service, &stop));
    assert!(octets + size_of::<net::Link>() <= 6 * 1024, "{octets} octets");
}
