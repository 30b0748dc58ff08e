use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, ResponseCode};
use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::rdata::{CNAME, MX, PTR, SOA, TLSA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Links of a CNAME chain that are followed.
const CNAMES_MAX: usize = 8;
/// Tries to find a port that is free for UDP and TCP.
const PORT_TRIES_MAX: usize = 20;

/// How the server treats every question about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// RCODE 2.
    ServFail,
    /// RCODE 5.
    Refused,
    /// RCODE 3, whatever records there are.
    NxDomain,
    /// RCODE 0 and no records.
    NoData,
    /// No answer at all.
    Silent,
    /// TC over UDP; the whole answer over TCP.
    Truncated,
    /// TC over UDP and no answer over TCP.
    TruncatedSilent,
    /// Bytes that are no DNS message.
    Garbage,
}

/// A DNS server on loopback, UDP and TCP on one port, that answers from records and faults which
/// may change while it runs. A name it knows nothing about does not exist (NXDOMAIN); a name with
/// records of another type has no data. TTLs are 0 unless set.
#[derive(Debug)]
pub struct Dns {
    addr: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    queries: watch::Receiver<u64>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Zone {
    records: BTreeMap<Name, Vec<RData>>,
    faults: HashMap<Name, Fault>,
    type_faults: HashMap<(Name, RecordType), Fault>,
    counts: HashMap<(Name, RecordType), u64>,
    /// Names below which answers are authentic.
    signed: Vec<Name>,
    ttl_secs: u32,
}

impl Dns {
    /// Starts one on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let (udp, tcp) = bind_both().await;
        let addr = tcp.local_addr().unwrap();
        let zone = Arc::new(Mutex::new(Zone::default()));
        let (counter, queries) = watch::channel(0);
        let counter = Arc::new(counter);
        let tasks = vec![
            tokio::spawn(serve_udp(udp, Arc::clone(&zone), Arc::clone(&counter))),
            tokio::spawn(serve_tcp(tcp, Arc::clone(&zone), counter)),
        ];
        Self { addr, zone, queries, tasks }
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Adds an MX record.
    pub fn mx(&self, domain: &str, preference: u16, exchange: &str) -> &Self {
        self.add(domain, RData::MX(MX::new(preference, name(exchange))))
    }

    /// Adds `MX 0 .` (RFC 7505).
    pub fn null_mx(&self, domain: &str) -> &Self {
        self.add(domain, RData::MX(MX::new(0, Name::root())))
    }

    /// Adds an A or AAAA record, whichever the address is.
    pub fn address(&self, host: &str, ip: impl Into<IpAddr>) -> &Self {
        match ip.into() {
            IpAddr::V4(ip) => self.add(host, RData::A(ip.into())),
            IpAddr::V6(ip) => self.add(host, RData::AAAA(ip.into())),
        }
    }

    /// Adds a TXT record, cut into strings of 255 octets.
    pub fn txt(&self, host: &str, text: &str) -> &Self {
        let strings = text.as_bytes().chunks(255).collect();
        self.add(host, RData::TXT(TXT::from_bytes(strings)))
    }

    /// Adds the PTR record of an address.
    pub fn ptr(&self, ip: impl Into<IpAddr>, host: &str) -> &Self {
        let reverse: Name = ip.into().into();
        self.add(&reverse.to_ascii(), RData::PTR(PTR(name(host))))
    }

    /// Adds a CNAME record.
    pub fn cname(&self, alias: &str, canonical: &str) -> &Self {
        self.add(alias, RData::CNAME(CNAME(name(canonical))))
    }

    /// Adds the TLSA record of a TCP port of a host (RFC 6698 §3).
    pub fn tlsa(&self, host: &str, port: u16, numbers: [u8; 3], association: &[u8]) -> &Self {
        let [usage, selector, matching] = numbers;
        let (usage, selector) = (CertUsage::from(usage), Selector::from(selector));
        let tlsa = TLSA::new(usage, selector, Matching::from(matching), association.to_vec());
        self.add(&format!("_{port}._tcp.{host}"), RData::TLSA(tlsa))
    }

    /// From now on this server says of answers about this name, and names below it, that they are
    /// authentic (the AD bit), as a validating server does for a signed zone; to those who ask so
    /// (RFC 6840 §5.7). An answer with aliases is authentic only where all its names are.
    pub fn sign(&self, apex: &str) -> &Self {
        self.zone.lock().unwrap().signed.push(name(apex));
        self
    }

    /// Adds any record.
    pub fn add(&self, owner: &str, rdata: RData) -> &Self {
        self.zone.lock().unwrap().records.entry(name(owner)).or_default().push(rdata);
        self
    }

    /// Forgets all records and faults of a name; it then does not exist.
    pub fn clear(&self, owner: &str) -> &Self {
        let mut zone = self.zone.lock().unwrap();
        let owner = name(owner);
        zone.records.remove(&owner);
        zone.faults.remove(&owner);
        zone.type_faults.retain(|(of, _), _| *of != owner);
        drop(zone);
        self
    }

    /// From now on every question about this name ends so.
    pub fn fault(&self, owner: &str, fault: Fault) -> &Self {
        self.zone.lock().unwrap().faults.insert(name(owner), fault);
        self
    }

    /// From now on every question for this type of this name ends so.
    pub fn fault_of_type(&self, owner: &str, kind: RecordType, fault: Fault) -> &Self {
        self.zone.lock().unwrap().type_faults.insert((name(owner), kind), fault);
        self
    }

    /// Answers normally again.
    pub fn heal(&self, owner: &str) -> &Self {
        let mut zone = self.zone.lock().unwrap();
        let owner = name(owner);
        zone.faults.remove(&owner);
        zone.type_faults.retain(|(of, _), _| *of != owner);
        drop(zone);
        self
    }

    /// TTL of every answer, negative ones too, in seconds.
    pub fn ttl(&self, secs: u32) -> &Self {
        self.zone.lock().unwrap().ttl_secs = secs;
        self
    }

    /// How often this was asked, unanswered questions and repetitions counted.
    #[must_use]
    pub fn queries(&self, owner: &str, kind: RecordType) -> u64 {
        self.zone.lock().unwrap().counts.get(&(name(owner), kind)).copied().unwrap_or(0)
    }

    /// How often anything was asked.
    #[must_use]
    pub fn queries_total(&self) -> u64 {
        *self.queries.borrow()
    }

    /// Waits until this was asked at least `count` times.
    ///
    /// # Panics
    /// Where it has not happened after `limit`.
    pub async fn wait_for(&self, owner: &str, kind: RecordType, count: u64, limit: Duration) {
        let mut queries = self.queries.clone();
        let reached = queries.wait_for(|_| self.queries(owner, kind) >= count);
        let in_time = tokio::time::timeout(limit, reached).await;
        assert!(
            in_time.is_ok(),
            "{owner} {kind} was asked {} times, not {count}",
            self.queries(owner, kind)
        );
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The name with a dot at its end, in lower case.
fn name(text: &str) -> Name {
    // As octets where it is ASCII: names that no host may have are asked for too.
    let parsed = if text.is_ascii() {
        Name::from_labels(text.split('.').filter(|label| !label.is_empty()).map(str::as_bytes))
    } else {
        Name::from_utf8(text)
    };
    let mut name = parsed.unwrap().to_lowercase();
    name.set_fqdn(true);
    name
}

/// UDP and TCP on one port: takes a TCP port and hopes that UDP has it free too.
async fn bind_both() -> (UdpSocket, TcpListener) {
    for _ in 0..PORT_TRIES_MAX {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

async fn serve_udp(socket: UdpSocket, zone: Arc<Mutex<Zone>>, counter: Arc<watch::Sender<u64>>) {
    let mut buffer = vec![0_u8; 65_535];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        let answer = answer(&buffer[..length], &zone, Transport::Udp);
        counter.send_modify(|count| *count += 1);
        if let Some(bytes) = answer {
            // A querier that is gone is its own affair.
            socket.send_to(&bytes, peer).await.ok();
        }
    }
}

async fn serve_tcp(
    listener: TcpListener,
    zone: Arc<Mutex<Zone>>,
    counter: Arc<watch::Sender<u64>>,
) {
    let mut sessions = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (zone, counter) = (Arc::clone(&zone), Arc::clone(&counter));
        sessions.spawn(async move { answer_tcp(stream, &zone, &counter).await });
        while sessions.try_join_next().is_some() {}
    }
}

/// Answers length-prefixed questions (RFC 1035 §4.2.2) until the querier closes.
async fn answer_tcp(
    mut stream: TcpStream,
    zone: &Mutex<Zone>,
    counter: &watch::Sender<u64>,
) -> std::io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut question = vec![0_u8; usize::from(length)];
        stream.read_exact(&mut question).await?;
        let answer = answer(&question, zone, Transport::Tcp);
        counter.send_modify(|count| *count += 1);
        if let Some(bytes) = answer {
            stream.write_u16(u16::try_from(bytes.len()).unwrap()).await?;
            stream.write_all(&bytes).await?;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

/// The bytes to answer with; `None` for silence.
fn answer(question: &[u8], zone: &Mutex<Zone>, transport: Transport) -> Option<Vec<u8>> {
    let request = Message::from_vec(question).ok()?;
    let query = request.queries.first()?.clone();
    let asked = query.name().to_lowercase();
    let kind = query.query_type();

    let mut zone = zone.lock().unwrap();
    *zone.counts.entry((asked.clone(), kind)).or_default() += 1;
    let fault = zone.type_faults.get(&(asked.clone(), kind)).or_else(|| zone.faults.get(&asked));
    let fault = fault.copied();

    let mut reply = Message::new(request.metadata.id, MessageType::Response, query_op(&request));
    reply.metadata = Metadata::response_from_request(&request.metadata);
    reply.metadata.recursion_available = true;
    reply.add_query(query);
    if request.edns.is_some() {
        reply.set_edns(Edns::new());
    }
    match (fault, transport) {
        (Some(Fault::Silent), _) | (Some(Fault::TruncatedSilent), Transport::Tcp) => return None,
        (Some(Fault::Garbage), _) => return Some(b"this is no DNS message".to_vec()),
        (Some(Fault::Truncated | Fault::TruncatedSilent), Transport::Udp) => {
            reply.metadata.truncation = true;
        }
        (Some(Fault::ServFail), _) => reply.metadata.response_code = ResponseCode::ServFail,
        (Some(Fault::Refused), _) => reply.metadata.response_code = ResponseCode::Refused,
        (Some(Fault::NxDomain), _) => {
            reply.metadata.response_code = ResponseCode::NXDomain;
            reply.add_authority(zone.soa(&asked));
        }
        (Some(Fault::NoData), _) => {
            reply.add_authority(zone.soa(&asked));
        }
        (None, _) | (Some(Fault::Truncated), Transport::Tcp) => {
            zone.fill(&mut reply, asked.clone(), kind);
        }
    }
    let is_told = request.metadata.authentic_data
        || request.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
    reply.metadata.authentic_data = is_told && zone.is_signed(&reply, &asked);
    drop(zone);
    reply.to_vec().ok()
}

fn query_op(request: &Message) -> hickory_proto::op::OpCode {
    request.metadata.op_code
}

impl Zone {
    /// Answers from the records, following CNAMEs as a recursive server does.
    fn fill(&self, reply: &mut Message, mut owner: Name, kind: RecordType) {
        for _ in 0..=CNAMES_MAX {
            let Some(records) = self.records.get(&owner) else {
                if !self.is_empty_non_terminal(&owner) {
                    reply.metadata.response_code = ResponseCode::NXDomain;
                }
                reply.add_authority(self.soa(&owner));
                return;
            };
            let mut found = false;
            for rdata in records.iter().filter(|rdata| rdata.record_type() == kind) {
                reply.add_answer(self.record(&owner, rdata.clone()));
                found = true;
            }
            let alias = records.iter().find_map(|rdata| match rdata {
                RData::CNAME(CNAME(target)) => Some(target.clone()),
                _ => None,
            });
            match alias {
                Some(target) if !found => {
                    reply.add_answer(self.record(&owner, RData::CNAME(CNAME(target.clone()))));
                    owner = target;
                }
                _ => {
                    if !found {
                        reply.add_authority(self.soa(&owner));
                    }
                    return;
                }
            }
        }
        reply.metadata.response_code = ResponseCode::ServFail;
    }

    /// Whether all of the answer is below signed names.
    fn is_signed(&self, reply: &Message, asked: &Name) -> bool {
        let below = |owner: &Name| self.signed.iter().any(|apex| apex.zone_of(owner));
        below(asked) && reply.answers.iter().all(|record| below(&record.name.to_lowercase()))
    }

    /// RFC 8020: a name with names below it exists, though it holds nothing.
    fn is_empty_non_terminal(&self, owner: &Name) -> bool {
        self.records.keys().any(|known| owner.zone_of(known))
    }

    fn record(&self, owner: &Name, rdata: RData) -> Record {
        Record::from_rdata(owner.clone(), self.ttl_secs, rdata)
    }

    /// RFC 2308 §3: a negative answer carries the SOA whose TTL says how long it holds.
    fn soa(&self, owner: &Name) -> Record {
        let ttl = i32::try_from(self.ttl_secs).unwrap();
        let apex = owner.base_name();
        let soa = SOA::new(apex.clone(), apex.clone(), 1, ttl, ttl, ttl, self.ttl_secs);
        Record::from_rdata(apex, self.ttl_secs, RData::SOA(soa))
    }
}
