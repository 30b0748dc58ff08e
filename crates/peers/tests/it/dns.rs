use std::net::Ipv4Addr;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use peers::{Dns, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const LIMIT: Duration = Duration::from_secs(10);

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

async fn udp(dns: &Dns) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.connect(dns.addr()).await.unwrap();
    socket
}

async fn ask(dns: &Dns, name: &str, kind: RecordType) -> Message {
    let socket = udp(dns).await;
    socket.send(&question(name, kind)).await.unwrap();
    let mut buffer = [0; 4096];
    let length = tokio::time::timeout(LIMIT, socket.recv(&mut buffer)).await.unwrap().unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

#[tokio::test]
async fn records_are_answered_and_cnames_followed() {
    let dns = Dns::start().await;
    dns.mx("Example.org", 10, "mx1.example.org").mx("example.org", 20, "mx2.example.org");
    dns.cname("alias.example.org", "mx1.example.org");
    dns.address("mx1.example.org", [192, 0, 2, 1]);
    assert_eq!(ask(&dns, "example.org.", RecordType::MX).await.answers.len(), 2);
    let chain = ask(&dns, "alias.example.org.", RecordType::A).await.answers;
    assert_eq!(chain.len(), 2);
    assert_eq!(chain[1].data.to_string(), "192.0.2.1");
    assert_eq!(dns.queries("example.org", RecordType::MX), 1);
    assert_eq!(dns.queries_total(), 2);
}

#[tokio::test]
async fn faults_are_told_apart_and_healed() {
    let dns = Dns::start().await;
    dns.address("a.test", [192, 0, 2, 1]);
    let code = async |name: &str| ask(&dns, name, RecordType::MX).await.metadata.response_code;
    assert_eq!(code("nowhere.test.").await, ResponseCode::NXDomain);
    assert_eq!(code("a.test.").await, ResponseCode::NoError, "no data");
    dns.fault("a.test", Fault::ServFail);
    assert_eq!(code("a.test.").await, ResponseCode::ServFail);
    dns.heal("a.test").fault_of_type("a.test", RecordType::MX, Fault::NxDomain);
    assert_eq!(code("a.test.").await, ResponseCode::NXDomain);
    assert_eq!(ask(&dns, "a.test.", RecordType::A).await.answers.len(), 1);
    dns.clear("a.test");
    assert_eq!(
        ask(&dns, "a.test.", RecordType::A).await.metadata.response_code,
        ResponseCode::NXDomain
    );
}

#[tokio::test]
async fn truncation_sends_the_querier_to_tcp() {
    let dns = Dns::start().await;
    dns.txt("long.test", &"x".repeat(700)).fault("long.test", Fault::Truncated);
    let short = ask(&dns, "long.test.", RecordType::TXT).await;
    assert!(short.metadata.truncation && short.answers.is_empty());

    let mut tcp = TcpStream::connect(dns.addr()).await.unwrap();
    let asked = question("long.test.", RecordType::TXT);
    tcp.write_u16(u16::try_from(asked.len()).unwrap()).await.unwrap();
    tcp.write_all(&asked).await.unwrap();
    let mut bytes = vec![0; usize::from(tcp.read_u16().await.unwrap())];
    tcp.read_exact(&mut bytes).await.unwrap();
    assert_eq!(Message::from_vec(&bytes).unwrap().answers.len(), 1);
}

#[tokio::test]
async fn silence_is_counted() {
    let dns = Dns::start().await;
    dns.fault("slow.test", Fault::Silent);
    let socket = udp(&dns).await;
    socket.send(&question("slow.test.", RecordType::A)).await.unwrap();
    dns.wait_for("slow.test", RecordType::A, 1, LIMIT).await;
    assert_eq!(socket.try_recv(&mut [0; 16]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
