//! haproxy's PROXY protocol: the header, and listeners that want one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::{
    Link, ListenLimits, Listener, ProxyError, ProxyHeader, ProxyRead, Security, Stopper,
    read_proxy, stopper,
};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::fuzz_proxy::proxy_header;
use crate::toy::{PATIENCE, Toy, ToyService, line};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn client(source: &str, destination: &str) -> ProxyHeader {
    let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
    ProxyHeader::Client { source, destination }
}

fn v2(version: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[version, family], &length, block].concat()
}

#[test]
fn version_1_is_a_line() {
    let whole = |text: &str| match read_proxy(text.as_bytes()).unwrap() {
        ProxyRead::Whole { octets, header } => (octets, header),
        ProxyRead::Partial => panic!("{text:?} is whole"),
    };
    let line = "PROXY TCP4 192.0.2.1 192.0.2.25 4711 25\r\n";
    let is = client("192.0.2.1:4711", "192.0.2.25:25");
    assert_eq!(whole(line), (line.len(), is));
    assert_eq!(whole(&format!("{line}EHLO client\r\n")), (line.len(), is));
    let line = "PROXY TCP6 2001:db8::1 2001:db8::25 65535 25\r\n";
    assert_eq!(whole(line).1, client("[2001:db8::1]:65535", "[2001:db8::25]:25"));
    assert_eq!(whole("PROXY UNKNOWN\r\n").1, ProxyHeader::Own);
    assert_eq!(whole("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n").1, ProxyHeader::Own);
}

#[test]
fn version_1_is_strict() {
    for line in [
        "PROXY TCP4 192.0.2.1 192.0.2.25 4711 25\n",
        "PROXY TCP4 2001:db8::1 2001:db8::25 4711 25\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.25 4711 25\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.25 +4711 25\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.25 04711 25\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.25 65536 25\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.25 4711\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.25 4711 25\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.25 4711 25\r\n",
        "PROXY \r\n",
    ] {
        assert_eq!(read_proxy(line.as_bytes()), Err(ProxyError::Line), "{line:?}");
    }
    // §2.1: 107 octets are the most.
    let long = format!("PROXY UNKNOWN {}", "x".repeat(93));
    assert_eq!(read_proxy(long.as_bytes()), Err(ProxyError::Line));
    for line in ["EHLO client\r\n", "proxy TCP4 192.0.2.1 192.0.2.25 1 25\r\n", "PROXYTCP4"] {
        assert_eq!(read_proxy(line.as_bytes()), Err(ProxyError::None), "{line:?}");
    }
}

#[test]
fn version_2_is_binary() {
    let v4 = [192, 0, 2, 1, 192, 0, 2, 25, 0x12, 0x67, 0, 25];
    let whole = |octets: Vec<u8>| match read_proxy(&octets).unwrap() {
        ProxyRead::Whole { octets: taken, header } => {
            assert_eq!(taken, octets.len());
            header
        }
        ProxyRead::Partial => panic!("{octets:?} is whole"),
    };
    let is = client("192.0.2.1:4711", "192.0.2.25:25");
    assert_eq!(whole(v2(0x21, 0x11, &v4)), is);
    // TLVs behind the addresses say nothing that counts.
    assert_eq!(whole(v2(0x21, 0x11, &[&v4[..], &[4, 0, 1, 0]].concat())), is);
    let v6 = [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]; 2].concat();
    let header = whole(v2(0x21, 0x21, &[&v6[..], &[0, 80, 0, 25]].concat()));
    assert_eq!(header, client("[2001:db8::1]:80", "[2001:db8::1]:25"));
    // LOCAL, a family that is not told, and the proxy's own Unix socket.
    assert_eq!(whole(v2(0x20, 0x00, b"")), ProxyHeader::Own);
    assert_eq!(whole(v2(0x20, 0x11, &v4)), ProxyHeader::Own);
    assert_eq!(whole(v2(0x21, 0x00, b"any")), ProxyHeader::Own);
    assert_eq!(whole(v2(0x21, 0x31, &[0; 216])), ProxyHeader::Own);

    assert_eq!(read_proxy(&v2(0x21, 0x11, &v4[..11])), Err(ProxyError::Binary));
    assert_eq!(read_proxy(&v2(0x21, 0x21, &v4)), Err(ProxyError::Binary));
    assert_eq!(read_proxy(&v2(0x21, 0x12, &v4)), Err(ProxyError::Binary), "UDP");
    assert_eq!(read_proxy(&v2(0x11, 0x11, &v4)), Err(ProxyError::Version(0x11)));
    assert_eq!(read_proxy(&v2(0x22, 0x11, &v4)), Err(ProxyError::Version(0x22)));
    assert_eq!(read_proxy(&v2(0x21, 0x11, &[0; 4081])), Err(ProxyError::TooLong(4097)));
}

/// What the fuzz target found worth keeping, and every begin of it.
#[test]
fn the_corpus_holds() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/proxy_header");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        (0..=octets.len()).for_each(|end| proxy_header(&octets[..end]));
        count += 1;
    }
    assert!(count > 2, "the corpus is gone");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_header_ends_where_it_ends(
        front in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 1.2.3.4 1.2.3.4 ", SIGNATURE]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
        line in "[A-Z0-9.: ]{0,60}\r\n",
    ) {
        proxy_header(&[front, &rest].concat());
        proxy_header(&[front, line.as_bytes(), &rest].concat());
    }
}

/// A listener behind proxies at loopback, if `trusted`; what it serves says whose it thinks it is.
fn start(
    trusted: bool,
    per_source: usize,
) -> (SocketAddr, mpsc::UnboundedReceiver<String>, Stopper) {
    let (stopper, stop) = stopper();
    let limits = ListenLimits {
        connections_per_source_max: per_source,
        proxy_header: Duration::from_millis(200),
        ..ListenLimits::default()
    };
    let any = ["127.0.0.1:0".parse().unwrap()];
    let listener = Listener::bind("toy", &any, Security::Plain, limits, b"no room\r\n")
        .unwrap()
        .behind_proxies(Arc::new(move |ip| trusted && ip.is_loopback()));
    let address = listener.addresses()[0];
    let (told, peers) = mpsc::unbounded_channel();
    let serve_stop = stop.clone();
    let serve = move |mut link: Link| {
        let stop = serve_stop.clone();
        told.send(format!("{} at {}", link.peer(), link.local())).unwrap();
        async move {
            let (_, events) = mpsc::unbounded_channel();
            let mut service = ToyService { gate: Arc::default(), events };
            net::drive(&mut link, &mut Toy::new(None), &mut service, &stop).await;
        }
    };
    tokio::spawn(listener.run(serve, stop));
    (address, peers, stopper)
}

async fn connect(address: SocketAddr, pieces: &[&[u8]]) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    BufReader::new(stream)
}

/// Closed without a word.
async fn is_closed(mut client: BufReader<TcpStream>) -> bool {
    let mut said = Vec::new();
    match timeout(PATIENCE, client.read_to_end(&mut said)).await.expect("still open") {
        Ok(_) => said.is_empty(),
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[tokio::test]
async fn the_header_names_the_client_and_takes_nothing_of_its_own() {
    let (address, mut peers, _stopper) = start(true, 2);
    let line_1 = b"PROXY TCP4 192.0.2.1 192.0.2.25 4711 25\r\n";
    let mut one = connect(address, &[line_1, b"ECHO one\r\n"]).await;
    assert_eq!(line(&mut one).await, "one");
    assert_eq!(peers.recv().await.unwrap(), "192.0.2.1:4711 at 192.0.2.25:25");
    let header = v2(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 25, 0x12, 0x67, 0, 25]);
    let octets: Vec<&[u8]> = header.chunks(1).chain([&b"ECHO two\r\n"[..]]).collect();
    let mut two = connect(address, &octets).await;
    assert_eq!(line(&mut two).await, "two");
    assert_eq!(peers.recv().await.unwrap(), "192.0.2.1:4711 at 192.0.2.25:25");
    // The limits count the client, not the proxy.
    let mut three = connect(address, &[line_1, b"ECHO three\r\n"]).await;
    assert_eq!(line(&mut three).await, "no room");
    let other = b"PROXY TCP4 192.0.2.2 192.0.2.25 4711 25\r\nECHO other\r\n";
    assert_eq!(line(&mut connect(address, &[other]).await).await, "other");
    // The proxy's own look whether we live.
    peers.recv().await.unwrap();
    let mut own = connect(address, &[b"PROXY UNKNOWN\r\nECHO own\r\n"]).await;
    assert_eq!(line(&mut own).await, "own");
    assert!(peers.recv().await.unwrap().starts_with("127.0.0.1:"));
}

#[tokio::test]
async fn without_a_header_nobody_is_served() {
    let (address, mut peers, _stopper) = start(true, 2);
    assert!(is_closed(connect(address, &[b"ECHO hello\r\n"]).await).await, "no header");
    assert!(is_closed(connect(address, &[b"PROXY TCP4 192.0.2."]).await).await, "half a header");
    assert!(is_closed(connect(address, &[]).await).await, "silence");
    assert!(peers.try_recv().is_err());
}

#[tokio::test]
async fn a_header_from_elsewhere_is_not_believed() {
    let (address, mut peers, _stopper) = start(false, 2);
    let forged = b"PROXY TCP4 192.0.2.1 192.0.2.25 4711 25\r\nECHO hello\r\n";
    // Closed before it can be written, perhaps.
    let mut stream = TcpStream::connect(address).await.unwrap();
    drop(stream.write_all(forged).await);
    assert!(is_closed(BufReader::new(stream)).await);
    assert!(peers.try_recv().is_err());
}
