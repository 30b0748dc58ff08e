//! Compressed connections, spoken to with another implementation (zlib-rs).

use std::io::Write;
use std::sync::Arc;

use flate2::write::{DeflateDecoder, DeflateEncoder};
use flate2::{Compression, FlushCompress};
use net::{Ended, LinkLimits, Security, Stop};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::toy::{PATIENCE, Running, Toy, line, serve_one};

/// A client whose compression has begun.
struct Packed {
    stream: TcpStream,
    encoder: DeflateEncoder<Vec<u8>>,
    decoder: DeflateDecoder<Vec<u8>>,
    running: Running,
}

impl Packed {
    async fn begin(level: u32) -> Self {
        let security = Security::Plain;
        let running =
            serve_one(security, LinkLimits::default(), Toy::new(None), Stop::never()).await;
        let mut client = BufReader::new(TcpStream::connect(running.address).await.unwrap());
        client.get_mut().write_all(b"DEFLATE\r\n").await.unwrap();
        assert_eq!(line(&mut client).await, "packed from here");
        Self {
            stream: client.into_inner(),
            encoder: DeflateEncoder::new(Vec::new(), Compression::new(level)),
            decoder: DeflateDecoder::new(Vec::new()),
            running,
        }
    }

    /// Compresses and flushes; what is to be sent.
    fn pack(&mut self, text: &[u8]) -> Vec<u8> {
        self.encoder.write_all(text).unwrap();
        self.encoder.flush().unwrap();
        std::mem::take(self.encoder.get_mut())
    }

    async fn say(&mut self, text: &[u8]) {
        let packed = self.pack(text);
        self.stream.write_all(&packed).await.unwrap();
    }

    /// Reads until so many octets came out of it; also how many were on the wire.
    async fn read(&mut self, octets: usize) -> (Vec<u8>, usize) {
        let mut wire = 0;
        let mut buffer = vec![0; 16 * 1024];
        while self.decoder.get_ref().len() < octets {
            let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await.unwrap().unwrap();
            assert!(read > 0, "closed early");
            wire += read;
            self.decoder.write_all(&buffer[..read]).unwrap();
            self.decoder.flush().unwrap();
        }
        (std::mem::take(self.decoder.get_mut()), wire)
    }

    async fn wants(&mut self, text: &str) {
        let (got, _) = self.read(text.len()).await;
        assert_eq!(String::from_utf8(got).unwrap(), text);
    }
}

#[tokio::test]
async fn both_directions_are_one_stream_each() {
    let mut client = Packed::begin(6).await;
    for number in 0..2_000 {
        let text = format!("ECHO line {number} looks like the one before it\r\n");
        client.say(text.as_bytes()).await;
        client.wants(&text["ECHO ".len()..]).await;
    }
    client.running.events.send("pushed".to_owned()).unwrap();
    client.wants("* pushed\r\n").await;
    client.say(b"QUIT\r\n").await;
    client.wants("bye\r\n").await;
    drop(client.stream);
    assert!(matches!(client.running.ended.await.unwrap().0, Ended::Closed));
}

#[tokio::test]
async fn octets_may_come_one_by_one_and_mid_block() {
    let mut client = Packed::begin(9).await;
    // The second line is mostly a reference to the first.
    for text in ["ECHO over and over and over\r\n", "ECHO over and over and over\r\n"] {
        for octet in client.pack(text.as_bytes()) {
            client.stream.write_all(&[octet]).await.unwrap();
            tokio::task::yield_now().await;
        }
        client.wants("over and over and over\r\n").await;
    }
    // Z_PARTIAL_FLUSH, as some clients do: blocks that do not end at an octet.
    let mut raw = flate2::Compress::new(Compression::new(6), false);
    let mut packed = Vec::with_capacity(1024);
    raw.compress_vec(b"ECHO partial\r\n", &mut packed, FlushCompress::Partial).unwrap();
    let mut other = Packed::begin(6).await;
    other.stream.write_all(&packed).await.unwrap();
    other.wants("partial\r\n").await;
    packed.clear();
    raw.compress_vec(b"ECHO partial\r\nECHO again\r\n", &mut packed, FlushCompress::Partial)
        .unwrap();
    other.stream.write_all(&packed).await.unwrap();
    other.wants("partial\r\nagain\r\n").await;
}

#[tokio::test]
async fn long_answers_get_short() {
    let mut client = Packed::begin(6).await;
    let octets = 8 * 1024 * 1024;
    client.say(format!("BIG {octets}\r\n").as_bytes()).await;
    let (got, wire) = client.read(octets + 2).await;
    assert_eq!(got.len(), octets + 2);
    assert!(got[..octets].iter().all(|octet| *octet == b'x'));
    assert!(wire < octets / 100, "{wire} octets on the wire");
}

/// 16 MiB in little: it comes out piece by piece, and what the machine does not take stops it.
#[tokio::test]
async fn a_bomb_comes_out_piece_by_piece() {
    let mut client = Packed::begin(9).await;
    let line = format!("ECHO {}\r\n", "x".repeat(1000));
    let bomb = line.repeat(16 * 1024);
    let packed = client.pack(bomb.as_bytes());
    assert!(packed.len() < bomb.len() / 100);
    let (mut reading, mut writing) = client.stream.into_split();
    let sender = tokio::spawn(async move { writing.write_all(&packed).await.map(|()| writing) });
    let mut got = 0;
    let mut buffer = vec![0; 64 * 1024];
    while got < 16 * 1024 * 1002 {
        let read = timeout(PATIENCE, reading.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0);
        client.decoder.write_all(&buffer[..read]).unwrap();
        client.decoder.flush().unwrap();
        got += std::mem::take(client.decoder.get_mut()).len();
    }
    drop((sender.await.unwrap().unwrap(), reading));
    let (_, toy) = client.running.ended.await.unwrap();
    assert!(toy.output_most <= 128 * 1024, "{} octets were held", toy.output_most);
}

#[tokio::test]
async fn what_is_no_deflate_ends_the_connection() {
    let mut client = Packed::begin(6).await;
    client.say(b"ECHO good\r\n").await;
    client.wants("good\r\n").await;
    // Block type 3 is reserved (RFC 1951 §3.2.3).
    client.stream.write_all(&[0x07; 64]).await.unwrap();
    let (ended, toy) = timeout(PATIENCE, client.running.ended).await.unwrap().unwrap();
    assert!(matches!(ended, Ended::Lost(error) if error.kind() == std::io::ErrorKind::InvalidData));
    assert_eq!(toy.received, ["<closed>"]);
    assert_eq!(Arc::strong_count(&client.running.gate), 1);
}

#[tokio::test]
async fn a_stream_that_ends_is_a_close() {
    let mut client = Packed::begin(6).await;
    client.encoder.write_all(b"ECHO last words\r\n").unwrap();
    client.encoder.try_finish().unwrap();
    let packed = std::mem::take(client.encoder.get_mut());
    client.stream.write_all(&packed).await.unwrap();
    client.wants("last words\r\n").await;
    drop(client.stream);
    let (ended, _) = timeout(PATIENCE, client.running.ended).await.unwrap().unwrap();
    assert!(matches!(ended, Ended::PeerClosed));
}

/// One compressor serves all connections of a thread: nothing of one may come into another's.
#[tokio::test]
async fn connections_share_no_history() {
    let (mut one, mut two) = (Packed::begin(6).await, Packed::begin(6).await);
    for number in 0..20 {
        for client in [&mut one, &mut two] {
            let text = format!("the same for both, number {number}\r\n");
            client.say(format!("ECHO {text}").as_bytes()).await;
            client.wants(&text).await;
        }
    }
}
