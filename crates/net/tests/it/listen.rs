use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::{Link, ListenError, ListenLimits, Listener, Peer, Security, Stop, Stopped, stopper};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::toy::{Gate, PATIENCE, Toy, ToyService, line};

const REFUSAL: &[u8] = b"no room\r\n";

fn any_port() -> Vec<SocketAddr> {
    vec!["127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()]
}

fn start(
    limits: ListenLimits,
    gate: Arc<Gate>,
    stop: Stop,
) -> (Vec<SocketAddr>, JoinHandle<Stopped>) {
    let listener = Listener::bind("toy", &any_port(), Security::Plain, limits, REFUSAL).unwrap();
    let addresses = listener.addresses();
    let serve_stop = stop.clone();
    let serve = move |mut link: Link| {
        let (stop, gate) = (serve_stop.clone(), Arc::clone(&gate));
        async move {
            let (_, events) = mpsc::unbounded_channel();
            let mut service = ToyService { gate, events };
            net::drive(&mut link, &mut Toy::new(None), &mut service, &stop).await;
        }
    };
    (addresses, tokio::spawn(listener.run(serve, stop)))
}

async fn client(address: SocketAddr) -> BufReader<TcpStream> {
    BufReader::new(TcpStream::connect(address).await.unwrap())
}

async fn says(client: &mut BufReader<TcpStream>, command: &str) -> String {
    // A refused connection may be reset before the command is written.
    drop(client.get_mut().write_all(format!("{command}\r\n").as_bytes()).await);
    line(client).await
}

#[tokio::test]
async fn listeners_that_share_places_share_the_limits() {
    let (_stopper, stop) = stopper();
    let limits = ListenLimits {
        connections_per_source_max: 2,
        loopback_is_counted: true,
        ..ListenLimits::default()
    };
    let places = net::Places::default();
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let listener =
            Listener::bind("toy", &any_port()[..1], Security::Plain, limits.clone(), REFUSAL)
                .unwrap()
                .sharing(&places);
        addresses.extend(listener.addresses());
        let serve_stop = stop.clone();
        let serve = move |mut link: Link| {
            let stop = serve_stop.clone();
            async move {
                let (_, events) = mpsc::unbounded_channel();
                let mut service = ToyService { gate: Arc::default(), events };
                net::drive(&mut link, &mut Toy::new(None), &mut service, &stop).await;
            }
        };
        tokio::spawn(listener.run(serve, stop.clone()));
    }
    let mut one = client(addresses[0]).await;
    assert_eq!(says(&mut one, "ECHO one").await, "one");
    let mut two = client(addresses[1]).await;
    assert_eq!(says(&mut two, "ECHO two").await, "two");
    assert_eq!(says(&mut client(addresses[0]).await, "ECHO three").await, "no room");
    assert_eq!(says(&mut client(addresses[1]).await, "ECHO three").await, "no room");
    // A place that is given back at one is free at the other.
    assert_eq!(says(&mut one, "QUIT").await, "bye");
    assert_eq!(line(&mut one).await, "<end>");
    drop(one);
    timeout(PATIENCE, async {
        while says(&mut client(addresses[1]).await, "ECHO again").await != "again" {}
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn all_addresses_are_served_and_a_stop_ends_all() {
    let (stopper, stop) = stopper();
    let (addresses, running) = start(ListenLimits::default(), Arc::default(), stop);
    assert_eq!(addresses.len(), 2);
    let mut clients = Vec::new();
    for address in addresses.iter().cycle().take(20) {
        let mut client = client(*address).await;
        assert_eq!(says(&mut client, "ECHO here").await, "here");
        clients.push(client);
    }
    stopper.stop();
    for client in &mut clients {
        assert_eq!(line(client).await, "stopping");
        assert_eq!(line(client).await, "<end>");
    }
    drop(clients);
    let stopped = timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!(stopped, Stopped { cut_off: 0 });
    assert!(TcpStream::connect(addresses[0]).await.is_err());
}

#[tokio::test]
async fn a_connection_over_the_limit_is_told_and_a_place_given_back_is_taken() {
    let limits = ListenLimits { connections_max: 2, ..ListenLimits::default() };
    let (_stopper, stop) = stopper();
    let (addresses, _running) = start(limits, Arc::default(), stop);
    let mut first = client(addresses[0]).await;
    assert_eq!(says(&mut first, "ECHO 1").await, "1");
    // A panic gives its place back, too, and takes nobody with it.
    let mut second = client(addresses[1]).await;
    assert_eq!(says(&mut second, "ECHO 2").await, "2");
    let mut third = client(addresses[0]).await;
    assert_eq!(line(&mut third).await, "no room");
    assert_eq!(line(&mut third).await, "<end>");
    assert_eq!(says(&mut second, "PANIC").await, "<end>");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut fourth = client(addresses[0]).await;
        if says(&mut fourth, "ECHO 4").await == "4" {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the place was not given back");
    }
    assert_eq!(says(&mut first, "ECHO still").await, "still");
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off_and_counted() {
    let limits = ListenLimits { stop_wait: Duration::from_millis(50), ..ListenLimits::default() };
    let (stopper, stop) = stopper();
    let gate = Arc::new(Gate::default());
    let (addresses, running) = start(limits, Arc::clone(&gate), stop);
    let mut client = client(addresses[0]).await;
    client.get_mut().write_all(b"SLOW never\r\n").await.unwrap();
    crate::toy::until("asked", || gate.asked.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
    stopper.stop();
    let stopped = timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!(stopped, Stopped { cut_off: 1 });
    assert_eq!(line(&mut client).await, "<end>");
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let bind = |addresses: &[SocketAddr]| {
        Listener::bind("pop3", addresses, Security::Plain, ListenLimits::default(), REFUSAL)
    };
    let first = bind(&any_port()[..1]).unwrap();
    let taken = first.addresses()[0];
    let error = bind(&[taken]).unwrap_err();
    assert!(error.to_string().starts_with(&format!("pop3 cannot listen on {taken}")), "{error}");
    assert!(matches!(bind(&[]), Err(ListenError::Addresses { count: 0, .. })));
}

#[tokio::test]
async fn all_addresses_of_both_families_go_together() {
    // `[::]` takes IPv4, too, on Linux: the second address is covered, not taken.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let addresses = [
        SocketAddr::new("0.0.0.0".parse().unwrap(), free),
        SocketAddr::new("::".parse().unwrap(), free),
    ];
    let listener =
        Listener::bind("toy", &addresses, Security::Plain, ListenLimits::default(), REFUSAL);
    match listener {
        Ok(listener) => assert!(!listener.addresses().is_empty()),
        // A machine without IPv6.
        Err(ListenError::Bind { address, .. }) => assert!(address.is_ipv6()),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn sources_are_one_address_or_one_ipv6_network() {
    let peer = |text: &str| Peer::new(text.parse().unwrap());
    assert_eq!(peer("[::ffff:192.0.2.7]:25"), peer("192.0.2.7:25"));
    assert!(peer("[::ffff:127.0.0.1]:25").is_loopback());
    assert!(peer("[::1]:25").is_loopback());
    assert!(!peer("192.0.2.7:25").is_loopback());
    assert_eq!(peer("[2001:db8:1:2:3:4:5:6]:1").source(), peer("[2001:db8:1:2:ffff::]:2").source());
    assert_ne!(peer("[2001:db8:1:2::1]:1").source(), peer("[2001:db8:1:3::1]:1").source());
    assert_ne!(peer("192.0.2.7:1").source(), peer("192.0.2.8:1").source());
}
