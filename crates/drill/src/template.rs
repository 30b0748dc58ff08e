//! A prebuilt message: one message costs the generator three copies of nineteen bytes.

use crate::random::Random;
use crate::token::Token;

/// RFC 5322 §2.1.1: lines of at most 78 characters besides the CRLF.
const LINE_BYTES: usize = 76;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes of a message as they go over the wire after `354`, with the final dot.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Template {
    /// A message of about `message_bytes` (at least its header), of which `compressible_percent`
    /// of the lines are all the same and the others base64 text of random bytes.
    #[must_use]
    pub fn new(
        from: &str,
        message_bytes: usize,
        compressible_percent: u8,
        random: &mut Random,
    ) -> Self {
        let blank = "#".repeat(Token::TEXT_BYTES);
        let mut bytes = format!(
            "From: Load <{from}>\r\nTo: undisclosed-recipients:;\r\nSubject: load {blank}\r\n\
             Date: Sun, 22 Nov 2026 00:00:00 +0000\r\nMessage-ID: <{blank}@load.invalid>\r\n\
             X-Load-Token: {blank}\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=us-ascii\r\n\r\ntoken {blank}\r\n"
        )
        .into_bytes();
        let places = places_of(&bytes, blank.as_bytes());
        while bytes.len() < message_bytes {
            let room = (message_bytes - bytes.len()).saturating_sub(2).clamp(1, LINE_BYTES);
            if random.below(100) < u64::from(compressible_percent) {
                bytes.extend(std::iter::repeat_n(b'x', room));
            } else {
                bytes.extend((0..room).map(|_| BASE64[random.below(64) as usize]));
            }
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b".\r\n");
        Self { bytes, places }
    }

    /// The bytes of the message with this token, final dot included.
    pub fn with_token(&mut self, token: Token) -> &[u8] {
        let text = token.to_string();
        for &place in &self.places {
            self.bytes[place..place + Token::TEXT_BYTES].copy_from_slice(text.as_bytes());
        }
        &self.bytes
    }
}

fn places_of(text: &[u8], what: &[u8]) -> Vec<usize> {
    text.windows(what.len())
        .enumerate()
        .filter(|(_, part)| *part == what)
        .map(|(place, _)| place)
        .collect()
}
