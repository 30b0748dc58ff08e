//! The payload of an age file: chunks of 64 KiB, each sealed, the last one marked.

use std::io::{self, Read};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::header::{self, FILE_KEY_BYTES, FileKey, HEADER_BYTES_MAX};
use super::keys::{Identity, KeyError, Recipient};

/// Bytes of a chunk before it is sealed.
pub const CHUNK_BYTES: usize = 64 << 10;
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 16;

/// Why a sealed file cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is no age file, or its beginning is damaged.
    #[error("it is not encrypted as it should be (age)")]
    NotAge,
    /// It was sealed to others.
    #[error("the identity given is not one it is encrypted to")]
    WrongIdentity,
    /// Bytes of it are not what was written.
    #[error("it is damaged: what was encrypted is not what is there")]
    Damaged,
}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

fn payload_key(key: &FileKey, nonce: &[u8]) -> Option<LessSafeKey> {
    let key = header::derive(&**key, nonce, b"payload")?;
    Some(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &*key).ok()?))
}

fn chunk_nonce(number: u64, last: bool) -> Nonce {
    let mut bytes = [0; 12];
    bytes[3..11].copy_from_slice(&number.to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

/// Bytes of a sealed payload with its nonce, without the header.
#[must_use]
pub const fn sealed_bytes(bytes: u64) -> u64 {
    let chunks = if bytes == 0 { 1 } else { bytes.div_ceil(CHUNK_BYTES as u64) };
    NONCE_BYTES as u64 + bytes + chunks * TAG_BYTES as u64
}

/// Seals what is read through it.
pub struct Sealer<R> {
    from: R,
    key: LessSafeKey,
    /// Sealed and not read yet.
    ready: Vec<u8>,
    given: usize,
    /// Read and not sealed yet: one chunk ahead, since the last one is marked.
    ahead: Vec<u8>,
    number: u64,
    ended: bool,
    header_bytes: u64,
}

impl<R: Read> Sealer<R> {
    /// Seals to these recipients.
    ///
    /// # Errors
    /// Where no key can be made.
    pub fn new(from: R, recipients: &[Recipient]) -> Result<Self, KeyError> {
        let mut file_key: FileKey = Zeroizing::new([0; FILE_KEY_BYTES]);
        let mut nonce = [0; NONCE_BYTES];
        aws_lc_rs::rand::fill(&mut *file_key).map_err(|_| KeyError::Random)?;
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| KeyError::Random)?;
        let mut ready = header::write(&file_key, recipients)?;
        let header_bytes = ready.len() as u64;
        ready.extend_from_slice(&nonce);
        let key = payload_key(&file_key, &nonce).ok_or(KeyError::Random)?;
        let (ahead, given, number, ended) = (Vec::new(), 0, 0, false);
        Ok(Self { from, key, ready, given, ahead, number, ended, header_bytes })
    }

    /// Bytes that come out where so many go in.
    #[must_use]
    pub const fn bytes_of(&self, bytes: u64) -> u64 {
        self.header_bytes + sealed_bytes(bytes)
    }

    fn next_chunk(&mut self) -> io::Result<Vec<u8>> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + TAG_BYTES);
        (&mut self.from).take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        Ok(chunk)
    }

    fn seal(&mut self) -> io::Result<()> {
        if self.number == 0 && self.ahead.is_empty() {
            self.ahead = self.next_chunk()?;
        }
        let next = match self.ahead.len() < CHUNK_BYTES {
            true => Vec::new(),
            false => self.next_chunk()?,
        };
        let last = next.is_empty();
        let mut chunk = std::mem::replace(&mut self.ahead, next);
        let nonce = chunk_nonce(self.number, last);
        self.key
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut chunk)
            .map_err(|_| io::Error::other("a chunk cannot be encrypted"))?;
        (self.ready, self.given) = (chunk, 0);
        self.number += 1;
        self.ended = last;
        Ok(())
    }
}

impl<R: Read> Read for Sealer<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ready.len() && !self.ended {
            self.seal()?;
        }
        let give = buffer.len().min(self.ready.len() - self.given);
        buffer[..give].copy_from_slice(&self.ready[self.given..self.given + give]);
        self.given += give;
        Ok(give)
    }
}

/// A sealed file with its key: its chunks can be opened in any order.
pub struct Opened {
    key: LessSafeKey,
    /// Where the chunks begin.
    begin: u64,
    chunks: u64,
    /// Bytes of what was sealed.
    pub bytes: u64,
}

impl Opened {
    /// Opens a file of so many bytes, which `read_at` reads.
    ///
    /// # Errors
    /// [`OpenError`] as an [`io::Error`], or what `read_at` says.
    pub fn new(
        stored: u64,
        identity: &Identity,
        read_at: &mut dyn FnMut(u64, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Self> {
        let mut head = vec![0; HEADER_BYTES_MAX + NONCE_BYTES];
        let read = read_at(0, &mut head)?;
        head.truncate(read);
        let (file_key, header_bytes) = header::read(&head, identity)?;
        let begin = header_bytes + NONCE_BYTES;
        let nonce = head.get(header_bytes..begin).ok_or(OpenError::Damaged)?;
        let key = payload_key(&file_key, nonce).ok_or(OpenError::Damaged)?;
        let begin = begin as u64;
        let sealed = stored.checked_sub(begin).ok_or(OpenError::Damaged)?;
        let chunks = sealed.div_ceil((CHUNK_BYTES + TAG_BYTES) as u64).max(1);
        let bytes = sealed.checked_sub(chunks * TAG_BYTES as u64).ok_or(OpenError::Damaged)?;
        Ok(Self { key, begin, chunks, bytes })
    }

    /// Opens a chunk.
    ///
    /// # Errors
    /// As [`Opened::new`].
    pub fn chunk(
        &self,
        number: u64,
        read_at: &mut dyn FnMut(u64, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Vec<u8>> {
        let step = (CHUNK_BYTES + TAG_BYTES) as u64;
        let last = number + 1 == self.chunks;
        let left = self.bytes - number * CHUNK_BYTES as u64;
        let plain = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let mut chunk = vec![0; plain + TAG_BYTES];
        if read_at(self.begin + number * step, &mut chunk)? != chunk.len() {
            return Err(OpenError::Damaged.into());
        }
        self.key
            .open_in_place(chunk_nonce(number, last), Aad::empty(), &mut chunk)
            .map_err(|_| OpenError::Damaged)?;
        chunk.truncate(plain);
        Ok(chunk)
    }
}
