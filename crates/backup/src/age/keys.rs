//! Recipients and identities, in Bech32 (BIP 173).

use std::fmt;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use zeroize::Zeroizing;

const RECIPIENT: &str = "age";
const IDENTITY: &str = "age-secret-key-";
/// BIP 173: the characters of five bits each.
const CHARACTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const CHECK_CHARACTERS: usize = 6;
/// Characters of a key at most: the longest of ours has 74.
const KEY_CHARACTERS_MAX: usize = 90;

/// Who can open what is sealed: a public key, `age1…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient(pub(super) [u8; 32]);

/// What opens it: a private key, `AGE-SECRET-KEY-1…`.
pub struct Identity {
    pub(super) secret: Zeroizing<[u8; 32]>,
    pub(super) public: [u8; 32],
}

/// Why a key is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither a recipient nor an identity of age.
    #[error("{0:?} is no recipient of age: it begins with age1")]
    Recipient(String),
    /// A text without an identity.
    #[error("there is no identity of age: a line that begins with AGE-SECRET-KEY-1")]
    Identity,
    /// The operating system or the library failed.
    #[error("no key could be made")]
    Random,
}

impl Recipient {
    /// Reads `age1…`.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError::Recipient(text.chars().take(80).collect());
        decode(RECIPIENT, text.trim()).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(RECIPIENT, &self.0))
    }
}

impl Identity {
    /// A new one.
    ///
    /// # Errors
    /// Where the operating system has no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let mut secret = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *secret).map_err(|_| KeyError::Random)?;
        Self::of(secret)
    }

    fn of(secret: Zeroizing<[u8; 32]>) -> Result<Self, KeyError> {
        let private = PrivateKey::from_private_key(&X25519, &*secret);
        let private = private.map_err(|_| KeyError::Random)?;
        let public = private.compute_public_key().map_err(|_| KeyError::Random)?;
        let public = public.as_ref().try_into().map_err(|_| KeyError::Random)?;
        Ok(Self { secret, public })
    }

    /// The first identity in a text such as `age-keygen` writes: lines, `#` before comments.
    ///
    /// # Errors
    /// Where there is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let mut found = lines.filter_map(|line| decode(IDENTITY, &line.to_lowercase()));
        let secret = Zeroizing::new(found.next().ok_or(KeyError::Identity)?);
        Self::of(secret)
    }

    /// Who it belongs to.
    #[must_use]
    pub const fn recipient(&self) -> Recipient {
        Recipient(self.public)
    }

    /// As it is written into a file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(encode(IDENTITY, &self.secret).to_uppercase())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity of {}", self.recipient())
    }
}

/// BIP 173: the checksum over the expanded prefix and the values.
fn polymod(prefix: &str, values: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let high = prefix.bytes().map(|byte| byte >> 5);
    let low = prefix.bytes().map(|byte| byte & 31);
    let all = high.chain([0]).chain(low).chain(values.iter().copied());
    all.fold(1, |check, value| {
        let top = check >> 25;
        let next = (check & 0x01ff_ffff) << 5 ^ u32::from(value);
        GENERATOR
            .iter()
            .enumerate()
            .filter(|(bit, _)| top >> bit & 1 == 1)
            .fold(next, |next, (_, word)| next ^ word)
    })
}

fn encode(prefix: &str, bytes: &[u8; 32]) -> String {
    let mut values = Vec::with_capacity(52 + CHECK_CHARACTERS);
    let (mut held, mut bits) = (0_u32, 0);
    for &byte in bytes {
        held = held << 8 | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            values.push((held >> bits & 31) as u8);
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        values.push((held << (5 - bits) & 31) as u8);
    }
    let padded = [&values[..], &[0; CHECK_CHARACTERS]].concat();
    let check = polymod(prefix, &padded) ^ 1;
    values.extend((0..CHECK_CHARACTERS).map(|at| (check >> (5 * (5 - at)) & 31) as u8));
    let text: String =
        values.iter().map(|&value| char::from(CHARACTERS[usize::from(value)])).collect();
    format!("{prefix}1{text}")
}

/// 32 bytes of lower-case Bech32; `None` where it is anything else.
fn decode(prefix: &str, text: &str) -> Option<[u8; 32]> {
    if text.len() > KEY_CHARACTERS_MAX {
        return None;
    }
    let rest = text.strip_prefix(prefix)?.strip_prefix('1')?;
    let value = |byte: u8| CHARACTERS.iter().position(|&known| known == byte);
    let values: Option<Vec<u8>> =
        rest.bytes().map(|byte| value(byte).and_then(|at| u8::try_from(at).ok())).collect();
    let values = values?;
    if values.len() <= CHECK_CHARACTERS || polymod(prefix, &values) != 1 {
        return None;
    }
    let (mut out, mut held, mut bits) = (Vec::with_capacity(32), 0_u32, 0);
    for &value in &values[..values.len() - CHECK_CHARACTERS] {
        held = held << 5 | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits & 0xff) as u8);
        }
        held &= (1 << bits) - 1;
    }
    if bits >= 5 || held != 0 {
        return None;
    }
    out.try_into().ok()
}
