//! What is said in a session: each question a line of JSON, with the bytes of a message behind it
//! where it says so, and each answer a line of JSON.

use mail_types::{Flags, Keyword, SystemFlag};
use serde::{Deserialize, Serialize};

/// Bytes of one line.
pub const LINE_BYTES_MAX: u64 = 16 << 20;
/// Messages that one question names.
pub const KEYS_MAX: usize = 1000;

/// A question.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// The account's own mailboxes.
    Folders,
    /// Make this mailbox if it is missing; subscribe to it.
    Folder { name: String, subscribed: bool },
    /// Which of these are here.
    Known { keys: Vec<String> },
    /// One more message of the batch; its bytes follow, and no answer but that to `Commit`.
    Message(Message),
    /// Keep the batch: all of it in this mailbox, or nothing.
    Commit { folder: String, from: String },
    /// The hashes of these as they are read from the disk now.
    Check { keys: Vec<String> },
    /// The messages of a mailbox behind this UID.
    List { folder: String, behind: u32 },
    /// The bytes of a message: they follow the answer.
    Body { mail: u64 },
}

/// A message on its way in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// What it is known by where it comes from: a hash.
    pub key: String,
    pub flags: FlagWords,
    /// INTERNALDATE in milliseconds since 1970; none: now.
    pub date: Option<i64>,
    /// How many follow.
    pub bytes: u64,
}

/// Flags as IMAP writes them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FlagWords(Vec<String>);

impl From<&Flags> for FlagWords {
    fn from(flags: &Flags) -> Self {
        Self(flags.to_string().split_whitespace().map(str::to_owned).collect())
    }
}

impl FlagWords {
    pub fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        for word in &self.0 {
            match (SystemFlag::from_name(word), Keyword::new(word)) {
                (Some(flag), _) => flags.insert(flag),
                (None, Ok(keyword)) => flags.insert_keyword(keyword),
                (None, Err(_)) => {}
            }
        }
        flags
    }
}

/// A mailbox of the account's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FolderHere {
    pub name: String,
    /// RFC 6154, with its backslash.
    pub special_use: Option<String>,
    pub subscribed: bool,
    pub messages: u64,
}

/// What is here of a message of another system.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checked {
    pub key: String,
    /// BLAKE3 of its bytes as just read; none where they cannot be read.
    pub hash: Option<String>,
    pub bytes: u64,
}

/// A message of a mailbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    pub uid: u32,
    pub mail: u64,
    pub flags: FlagWords,
    pub date: i64,
    pub bytes: u64,
    /// MAIL FROM, without brackets.
    pub sender: String,
    /// BLAKE3 of its bytes.
    pub hash: String,
}
