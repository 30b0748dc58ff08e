//! What several tests use.

use journal::sim::SimDisk;
use journal::{Body, Damage, Disk, Entry, Head, Journal, Opened, Options, Position, Reader};
use mail_types::{BodyHash, RecordSeq};

/// Small segments and small files, so that a short script crosses all borders.
pub fn small() -> Options {
    Options { segment_bytes: 4096, inline_body_bytes_max: 1000, ..Options::default() }
}

pub fn open(disk: &SimDisk) -> (Journal<SimDisk>, Opened) {
    Journal::open(disk.clone(), small(), None).unwrap()
}

/// Bytes that do not compress, different for each seed.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

pub fn arrive<D: Disk>(journal: &Journal<D>, bytes: &[u8]) -> std::io::Result<Body> {
    // Every other one gets its begin last, as a message whose trace fields are known at its end.
    let front = if bytes.len().is_multiple_of(2) { bytes.len().min(10) } else { 0 };
    let mut arrival = journal.arrivals().begin();
    for part in bytes[front..].chunks(700) {
        arrival.write(part)?;
    }
    if front > 0 {
        arrival = arrival.behind(&bytes[..front])?;
    }
    arrival.finish()
}

/// What a scan of everything hands out.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub struct Seen {
    pub records: Vec<(RecordSeq, Vec<u8>)>,
    pub bodies: Vec<(BodyHash, Position)>,
    pub heads: Vec<Head>,
    pub damage: Vec<Damage>,
    pub tails: usize,
}

pub fn seen<D: Disk>(reader: &Reader<D>, from: Option<Head>) -> Seen {
    let mut seen = Seen::default();
    for entry in reader.scan(from) {
        match entry {
            Entry::Record { seq, payload, at } => {
                if let Ok(read) = reader.read_record(at) {
                    assert_eq!(read, (seq, payload.clone()));
                }
                seen.records.push((seq, payload));
            }
            Entry::Body { hash, at, .. } => seen.bodies.push((hash, at)),
            Entry::Commit { head } => seen.heads.push(head),
            Entry::Damage(damage) => seen.damage.push(damage),
            Entry::TornTail(_) => seen.tails += 1,
        }
    }
    seen
}
