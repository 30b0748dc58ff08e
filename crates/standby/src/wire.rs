//! What the two sides say. A frame is: bytes of the words u32, bytes behind them u32, the words
//! (postcard), the bytes. Numbers are little-endian.

use std::io;
use std::time::Duration;

use journal::Head;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The version of everything below.
pub const VERSION: u32 = 1;
/// Bytes of the words of one frame.
const WORDS_BYTES_MAX: usize = 1 << 20;
/// Bytes behind them: a group, a part of a file.
pub const BYTES_MAX: usize = 33 << 20;
/// Who takes not one frame for so long is gone.
const WRITE_STALL: Duration = Duration::from_secs(60);

/// Who says so first of all.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`].
    pub version: u32,
    /// Shows who it is.
    pub secret: [u8; 32],
    /// What it wants.
    pub want: Want,
}

/// What a link is for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Want {
    /// Only to be told whether it would be served.
    Greet,
    /// To follow behind this head ([`Head::to_bytes`]).
    Follow(Vec<u8>),
    /// To say that it was promoted, and the other one is to serve no more.
    Fence {
        /// Its promotion.
        epoch: u64,
        /// Its host name.
        by: String,
        /// Behind this head the two differ.
        after: Vec<u8>,
        /// When it was promoted, in milliseconds since 1970.
        at: i64,
    },
}

/// What the server says.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromServer {
    /// It is served.
    Welcome {
        /// Its host name.
        hostname: String,
        /// The name that the standby has here.
        name: String,
        /// How many promotions it goes back to.
        epoch: u64,
    },
    /// It is not.
    Refused {
        /// Why.
        what: String,
        /// What to do.
        mend: String,
    },
    /// The other one goes on; this one serves no more.
    Fenced,
    /// A group, behind the words.
    Group {
        /// Segment and offset.
        start: (u32, u64),
    },
    /// A body file begins.
    Body {
        /// BLAKE3 of its bytes.
        hash: [u8; 32],
        /// Its serial number.
        serial: u64,
        /// Its bytes.
        size: u64,
    },
    /// A part of it, behind the words.
    Part,
    /// All of it was sent.
    BodyEnd,
    /// A small file, behind the words.
    File {
        /// Its path in the data directory.
        path: String,
    },
    /// All small files that there are: others that came this way are gone.
    Files(Vec<String>),
    /// A signed head.
    Head(String),
    /// The server is there, and this is its end.
    Beat {
        /// Its durable head.
        head: Vec<u8>,
        /// Its clock, in milliseconds.
        at: i64,
    },
    /// Whoever said that it was promoted has reached itself: it listens at the address of the other
    /// one now.
    Itself,
}

/// What the standby says behind its first words.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromStandby {
    /// Everything up to this head is durable there.
    Synced(Vec<u8>),
    /// It takes no more.
    Refused(String),
}

/// A head as it was sent.
pub fn head(bytes: &[u8]) -> io::Result<Head> {
    Head::from_bytes(bytes).ok_or_else(|| strange("a head that is none"))
}

/// The other side says what nobody says.
pub fn strange(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the other side sent {what}"))
}

/// Sends a frame; nothing is held back.
pub async fn write<T: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    words: &T,
    bytes: &[u8],
) -> io::Result<()> {
    let words = postcard::to_stdvec(words).map_err(io::Error::other)?;
    let too_long = || io::Error::other("a frame is too long");
    if words.len() > WORDS_BYTES_MAX || bytes.len() > BYTES_MAX {
        return Err(too_long());
    }
    let mut begin = Vec::with_capacity(8 + words.len());
    begin.extend_from_slice(&u32::try_from(words.len()).map_err(|_| too_long())?.to_le_bytes());
    begin.extend_from_slice(&u32::try_from(bytes.len()).map_err(|_| too_long())?.to_le_bytes());
    begin.extend_from_slice(&words);
    let written = async {
        to.write_all(&begin).await?;
        to.write_all(bytes).await?;
        to.flush().await
    };
    timeout(WRITE_STALL, written).await?
}

/// Reads a frame that comes within `wait`.
pub async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    wait: Duration,
) -> io::Result<(T, Vec<u8>)> {
    let read = async {
        let words = from.read_u32_le().await? as usize;
        let bytes = from.read_u32_le().await? as usize;
        if words > WORDS_BYTES_MAX || bytes > BYTES_MAX {
            return Err(strange("a frame that is too long"));
        }
        // Made as it comes: whoever only announces it takes no memory.
        let mut whole = Vec::new();
        let got = (&mut *from).take((words + bytes) as u64).read_to_end(&mut whole).await?;
        if got < words + bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let behind = whole.split_off(words);
        let words =
            postcard::from_bytes(&whole).map_err(|_| strange("words of another version"))?;
        Ok((words, behind))
    };
    timeout(wait, read).await?.map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the other side went away"),
        _ => error,
    })
}
