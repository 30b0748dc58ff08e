use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The place of a record in the journal: 1 for the first, without gaps.
    RecordSeq(u64)
}
number! {
    /// An accepted message: one envelope with one body. 1 for the first.
    MailId(u64)
}
number! {
    /// One recipient of one accepted message. 1 for the first.
    CustodyId(u64)
}
number! {
    /// An account that owns mailboxes and signs in.
    AccountId(u64)
}
number! {
    /// A mailbox; stays the same when it is renamed.
    MailboxId(u64)
}
number! {
    /// IMAP modification sequence (RFC 7162): strictly grows within a mailbox.
    ModSeq(u64)
}

/// IMAP unique identifier of a message in a mailbox (RFC 3501 §2.3.1.1): never 0, strictly grows,
/// never used twice under one [`UidValidity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Uid(pub NonZeroU32);

impl Uid {
    /// The first UID of a new mailbox.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// `None` for 0, which no message has.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The UID after this one; `None` past 4,294,967,295.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// UIDVALIDITY of a mailbox (RFC 3501 §2.3.1.1): never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UidValidity(pub NonZeroU32);

impl UidValidity {
    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for UidValidity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// BLAKE3 of the exact bytes of a message body, which is also its name in the archive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BodyHash(pub [u8; 32]);

impl fmt::Display for BodyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BodyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyHash({self})")
    }
}

/// What the final `250` carries: names one accepted message, with enough of its body's hash that a
/// mistyped one is noticed. Text form: `r` + number in base 32 + `-` + eight hex digits, for
/// example `r2k-9f86d081`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptId {
    /// The message.
    pub mail: MailId,
    /// The first four bytes of its body's hash.
    pub check: u32,
}

impl ReceiptId {
    /// The id of a message with this body.
    #[must_use]
    pub fn new(mail: MailId, body: &BodyHash) -> Self {
        let [a, b, c, d, ..] = body.0;
        Self { mail, check: u32::from_be_bytes([a, b, c, d]) }
    }
}

/// Crockford's base 32 in lower case: no i, l, o, u, so that an id survives being read aloud.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl fmt::Display for ReceiptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0_u8; 13];
        let mut rest = self.mail.0;
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = BASE32[(rest % 32) as usize];
            rest /= 32;
            if rest == 0 {
                break;
            }
        }
        let number = std::str::from_utf8(&digits[start..]).map_err(|_| fmt::Error)?;
        write!(f, "r{number}-{:08x}", self.check)
    }
}

/// A text that is no receipt id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a receipt id (they look like r2k-9f86d081)")]
pub struct ReceiptIdError;

impl FromStr for ReceiptId {
    type Err = ReceiptIdError;

    fn from_str(text: &str) -> Result<Self, ReceiptIdError> {
        let (number, check) = text
            .strip_prefix(['r', 'R'])
            .and_then(|rest| rest.split_once('-'))
            .ok_or(ReceiptIdError)?;
        if number.is_empty() || number.len() > 13 || check.len() != 8 {
            return Err(ReceiptIdError);
        }
        let mut mail = 0_u64;
        for byte in number.bytes() {
            let digit = BASE32
                .iter()
                .position(|&known| known == byte.to_ascii_lowercase())
                .ok_or(ReceiptIdError)?;
            mail = mail
                .checked_mul(32)
                .and_then(|shifted| shifted.checked_add(digit as u64))
                .ok_or(ReceiptIdError)?;
        }
        if !check.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ReceiptIdError);
        }
        let check = u32::from_str_radix(check, 16).map_err(|_| ReceiptIdError)?;
        Ok(Self { mail: MailId(mail), check })
    }
}
