use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, PTR, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use mail_types::Domain;
use net::{Lookup, MxHost, NameServer, Resolver, ResolverSettings, Temporary};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

fn domain(text: &str) -> Domain {
    Domain::new(text).unwrap()
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// How often the server was asked, over UDP and TCP.
#[derive(Default)]
pub struct Asked {
    pub udp: AtomicUsize,
    pub tcp: AtomicUsize,
}

/// UDP and TCP on one port. A port that the system gives for one may be taken for the other.
async fn one_port() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

/// A DNS server whose answers are in the names asked for.
async fn server() -> (SocketAddr, Arc<Asked>) {
    let (udp, tcp) = one_port().await;
    let address = udp.local_addr().unwrap();
    let asked = Arc::new(Asked::default());
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let (octets, from) = udp.recv_from(&mut buffer).await.unwrap();
            count.udp.fetch_add(1, Ordering::SeqCst);
            if let Some(answer) = answer(&buffer[..octets], false) {
                udp.send_to(&answer, from).await.unwrap();
            }
        }
    });
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                while let Ok(octets) = stream.read_u16().await {
                    let mut query = vec![0; usize::from(octets)];
                    stream.read_exact(&mut query).await.unwrap();
                    count.tcp.fetch_add(1, Ordering::SeqCst);
                    if let Some(answer) = answer(&query, true) {
                        stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                        stream.write_all(&answer).await.unwrap();
                    }
                }
            });
        }
    });
    (address, asked)
}

fn answer(query: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).unwrap();
    let question = query.queries[0].clone();
    let host = question.name().to_ascii();
    let kind = question.query_type();
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.recursion_desired = true;
    reply.metadata.recursion_available = true;
    let owner = question.name().clone();
    reply.add_query(question);
    let found = |data| Record::from_rdata(owner.clone(), 60, data);
    let soa = || {
        let data = SOA::new(name("ns.example."), name("root.example."), 1, 60, 60, 60, 60);
        Record::from_rdata(name("example."), 60, RData::SOA(data))
    };
    match (host.as_str(), kind) {
        ("mx.example.", RecordType::MX) => {
            for (preference, exchange) in [(20, "b.example."), (10, "a.example.")] {
                reply.add_answer(found(RData::MX(MX::new(preference, name(exchange)))));
            }
        }
        ("nullmx.example.", RecordType::MX) => {
            reply.add_answer(found(RData::MX(MX::new(0, Name::root()))));
        }
        ("badmx.example.", RecordType::MX) => {
            let mut bad = Name::from_labels([&b"-bad-"[..], b"example"]).unwrap();
            bad.set_fqdn(true);
            reply.add_answer(found(RData::MX(MX::new(5, bad))));
        }
        ("both.example." | "only4.example." | "half.example.", RecordType::A) => {
            reply.add_answer(found(RData::A(A::new(192, 0, 2, 1))));
        }
        ("both.example.", RecordType::AAAA) => {
            let data = AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
            reply.add_answer(found(RData::AAAA(data)));
        }
        ("alias.example.", RecordType::A) => {
            reply.add_answer(found(RData::CNAME(CNAME(name("both.example.")))));
            let target = RData::A(A::new(192, 0, 2, 1));
            reply.add_answer(Record::from_rdata(name("both.example."), 60, target));
        }
        ("txt.example.", RecordType::TXT) => {
            let parts = vec!["v=spf1 ".to_owned(), "-all".to_owned()];
            reply.add_answer(found(RData::TXT(TXT::new(parts))));
        }
        ("1.2.0.192.in-addr.arpa.", RecordType::PTR) => {
            reply.add_answer(found(RData::PTR(PTR(name("both.example.")))));
        }
        ("big.example.", RecordType::TXT) if !over_tcp => {
            reply.metadata.truncation = true;
        }
        ("big.example.", RecordType::TXT) => {
            for _ in 0..20 {
                reply.add_answer(found(RData::TXT(TXT::new(vec!["x".repeat(250)]))));
            }
        }
        ("nodata.example." | "only4.example.", _) => {
            reply.add_authority(soa());
        }
        ("bare-nodata.example.", _) => {}
        ("referral.example.", _) => {
            let data = RData::NS(NS(name("ns.example.")));
            reply.add_authority(Record::from_rdata(name("example."), 60, data));
        }
        ("servfail.example.", _) | ("half.example.", RecordType::AAAA) => {
            reply.metadata.response_code = ResponseCode::ServFail;
        }
        ("refused.example.", _) => reply.metadata.response_code = ResponseCode::Refused,
        ("formerr.example.", _) => reply.metadata.response_code = ResponseCode::FormErr,
        (name, _) if name.ends_with("silent.example.") => return None,
        ("garbage.example.", _) => return Some(b"no DNS at all".to_vec()),
        ("wrong-id.example.", _) => {
            reply.metadata.id = reply.metadata.id.wrapping_add(1);
            reply.add_answer(found(RData::A(A::new(203, 0, 113, 66))));
        }
        ("bare-nxdomain.example.", _) => reply.metadata.response_code = ResponseCode::NXDomain,
        _ => {
            reply.metadata.response_code = ResponseCode::NXDomain;
            reply.add_authority(soa());
        }
    }
    Some(reply.to_vec().unwrap())
}

pub async fn resolver() -> (Resolver, Arc<Asked>) {
    resolver_that_waits(Duration::from_secs(5)).await
}

pub async fn resolver_that_waits(attempt: Duration) -> (Resolver, Arc<Asked>) {
    let (address, asked) = server().await;
    let settings = ResolverSettings {
        servers: vec![NameServer(address)],
        attempt,
        retries: 0,
        ..ResolverSettings::default()
    };
    (Resolver::new(&settings).unwrap(), asked)
}

fn found<T>(lookup: Lookup<T>) -> Vec<T>
where
    T: std::fmt::Debug,
{
    match lookup {
        Lookup::Found { records, ttl } => {
            assert!(ttl <= Duration::from_secs(60), "{ttl:?}");
            records
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn records_of_every_kind() {
    let (resolver, _) = resolver().await;
    let mut mx = found(resolver.mx(&domain("mx.example")).await);
    mx.sort_by_key(|mx| mx.preference);
    assert_eq!(mx[0].exchange, MxHost::Host(domain("a.example")));
    assert_eq!((mx[1].preference, mx.len()), (20, 2));
    let null = found(resolver.mx(&domain("nullmx.example")).await);
    assert_eq!(null[0].exchange, MxHost::Null);
    let bad = found(resolver.mx(&domain("badmx.example")).await);
    assert!(matches!(&bad[0].exchange, MxHost::Invalid(name) if name.contains("bad")));
    assert_eq!(found(resolver.txt(&domain("txt.example")).await), [b"v=spf1 -all".to_vec()]);
    let ip = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!(found(resolver.ptr(ip).await), [domain("both.example")]);
    let mapped = "::ffff:192.0.2.1".parse().unwrap();
    assert_eq!(found(resolver.ptr(mapped).await), [domain("both.example")]);
    assert_eq!(found(resolver.a(&domain("alias.example")).await).len(), 1);
}

#[tokio::test]
async fn addresses_of_both_families_in_one_answer() {
    let (resolver, _) = resolver().await;
    let v4: IpAddr = "192.0.2.1".parse().unwrap();
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    assert_eq!(found(resolver.addresses(&domain("both.example")).await), [v6, v4]);
    assert_eq!(found(resolver.addresses(&domain("only4.example")).await), [v4]);
    // One half failed: what was found is good.
    assert_eq!(found(resolver.addresses(&domain("half.example")).await), [v4]);
    assert_eq!(resolver.addresses(&domain("nodata.example")).await, Lookup::NoData);
    assert_eq!(resolver.addresses(&domain("nothing.example")).await, Lookup::NxDomain);
    let failed = resolver.addresses(&domain("servfail.example")).await;
    assert_eq!(failed, Lookup::Temporary(Temporary::ServFail));
}

#[tokio::test]
async fn nothing_and_trouble_are_told_apart() {
    let (resolver, _) = resolver().await;
    assert_eq!(resolver.mx(&domain("nothing.example")).await, Lookup::NxDomain);
    assert_eq!(resolver.mx(&domain("bare-nxdomain.example")).await, Lookup::NxDomain);
    assert_eq!(resolver.mx(&domain("nodata.example")).await, Lookup::NoData);
    assert_eq!(resolver.mx(&domain("bare-nodata.example")).await, Lookup::NoData);
    let temporary = async |text: &str| why(resolver.mx(&domain(text)).await);
    assert_eq!(temporary("servfail.example").await, Temporary::ServFail);
    assert_eq!(temporary("refused.example").await, Temporary::Refused);
    assert!(matches!(temporary("formerr.example").await, Temporary::Other(_)));
    assert!(matches!(temporary("referral.example").await, Temporary::Other(_)));
}

#[tokio::test]
async fn no_usable_answer_is_temporary() {
    let (resolver, _) = resolver_that_waits(Duration::from_millis(100)).await;
    assert_eq!(why(resolver.mx(&domain("silent.example")).await), Temporary::TimedOut);
    why(resolver.mx(&domain("garbage.example")).await);
    // An answer to another question, as a forger sends it.
    why(resolver.a(&domain("wrong-id.example")).await);
}

fn why<T: std::fmt::Debug>(lookup: Lookup<T>) -> Temporary {
    match lookup {
        Lookup::Temporary(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let (resolver, asked) = resolver().await;
    assert_eq!(found(resolver.txt(&domain("big.example")).await).len(), 20);
    assert_eq!(asked.udp.load(Ordering::SeqCst), 1);
    assert_eq!(asked.tcp.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn answers_are_remembered_and_trouble_is_not() {
    let (resolver, asked) = resolver().await;
    let times = || asked.udp.load(Ordering::SeqCst);
    for _ in 0..5 {
        found(resolver.mx(&domain("mx.example")).await);
    }
    assert_eq!(times(), 1);
    for _ in 0..5 {
        assert_eq!(resolver.mx(&domain("nothing.example")).await, Lookup::NxDomain);
    }
    assert_eq!(times(), 2);
    let before = times();
    for _ in 0..3 {
        let failed = resolver.mx(&domain("servfail.example")).await;
        assert_eq!(failed, Lookup::Temporary(Temporary::ServFail));
    }
    assert!(times() >= before + 3);
}

#[tokio::test]
async fn the_deadline_ends_a_look_up() {
    let (address, _) = server().await;
    let settings = ResolverSettings {
        servers: vec![NameServer(address)],
        deadline: Duration::from_millis(50),
        ..ResolverSettings::default()
    };
    let resolver = Resolver::new(&settings).unwrap();
    let begun = tokio::time::Instant::now();
    let silent = resolver.a(&domain("silent.example")).await;
    assert_eq!(silent, Lookup::Temporary(Temporary::TimedOut));
    assert!(begun.elapsed() < settings.attempt);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_temporary() {
    let port = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let settings = ResolverSettings {
        servers: vec![NameServer(port)],
        attempt: Duration::from_millis(100),
        ..ResolverSettings::default()
    };
    let resolver = Resolver::new(&settings).unwrap();
    let lookup = resolver.mx(&domain("mx.example")).await;
    assert!(matches!(lookup, Lookup::Temporary(_)), "{lookup:?}");
}
