//! What is known of a message when it is accepted, and what came of sending it on.

use std::net::IpAddr;

use mail_types::{
    AccountId, Address, BodyHash, CustodyId, EnhancedStatus, Flags, MailId, MailboxId, ModSeq,
    Reply, ReversePath, Timestamp, Uid,
};
use serde::{Deserialize, Serialize};

use crate::record::Place;
use crate::record_held::Hold;

/// An accepted message with the fate of each recipient at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its id.
    pub mail: MailId,
    /// Where it came from.
    pub source: Source,
    /// MAIL FROM.
    pub reverse_path: ReversePath,
    /// RFC 3461 §4.4 ENVID, decoded.
    pub envelope_id: Option<String>,
    /// RFC 3461 §4.3 RET=HDRS: a DSN is to hold the header only; `None` where nothing was said.
    pub return_headers_only: Option<bool>,
    /// BODY=8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtp_utf8: bool,
    /// BLAKE3 of the message as kept, trace header included.
    pub body_hash: BodyHash,
    /// Bytes of the message as kept.
    pub body_bytes: u64,
    /// Where the message lies.
    pub body_at: Place,
    /// INTERNALDATE (RFC 3501 §2.3.3).
    pub internal_date: Timestamp,
    /// The Message-ID field, without angle brackets, at most 255 bytes.
    pub message_id: Option<String>,
    /// The Subject field, decoded, at most 255 bytes.
    pub subject: Option<String>,
    /// Every recipient, those of aliases behind theirs.
    pub custodies: Vec<NewCustody>,
}

/// Where a message came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Another host, over SMTP.
    Smtp {
        /// Its address.
        ip: IpAddr,
        /// What it called itself.
        helo: String,
        /// TLS version and cipher suite.
        tls: Option<String>,
    },
    /// A signed-in account, over submission.
    Submission {
        /// The account.
        account: AccountId,
        /// Where it was.
        ip: IpAddr,
        /// TLS version and cipher suite.
        tls: Option<String>,
    },
    /// APPEND (RFC 3501 §6.3.11).
    Append {
        /// The account.
        account: AccountId,
    },
    /// A report of this server about another message (RFC 3464).
    Report {
        /// The message it is about.
        about: MailId,
    },
    /// A host of our own in front of us, over LMTP (RFC 2033).
    Lmtp {
        /// Its address; loopback where it came over a Unix socket.
        ip: IpAddr,
        /// What it called itself.
        lhlo: String,
        /// TLS version and cipher suite.
        tls: Option<String>,
    },
    /// `restante import`.
    Import {
        /// Into whose mailboxes.
        account: AccountId,
    },
    /// A report of this server to others about a span of time; [`Record::Reported`](crate::Record)
    /// of the same commit says which.
    PeriodReport,
}

/// A recipient at the moment of acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCustody {
    /// Its id.
    pub custody: CustodyId,
    /// The address.
    pub recipient: Address,
    /// RFC 3461 §4.1; `None` where nothing was said.
    pub notify: Option<Notify>,
    /// RFC 3461 §4.2 ORCPT, `type;address`.
    pub original_recipient: Option<String>,
    /// What became of it.
    pub fate: Fate,
}

/// When the sender wants to hear of a recipient (RFC 3461 §4.1 NOTIFY).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Notify {
    /// NEVER.
    pub never: bool,
    /// SUCCESS.
    pub success: bool,
    /// FAILURE.
    pub failure: bool,
    /// DELAY.
    pub delay: bool,
}

/// What a recipient's custody begins as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// In a mailbox, in this very commit.
    Delivered {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its UID there.
        uid: Uid,
        /// Of the mailbox with it.
        mod_seq: ModSeq,
        /// Its flags at first.
        flags: Flags,
    },
    /// To be sent on.
    Queued {
        /// When it is first due.
        due: Timestamp,
    },
    /// An alias, or an address named twice: these custodies carry it on.
    Expanded {
        /// Custodies of the same message.
        into: Vec<CustodyId>,
    },
    /// Kept back by a verdict on it: accepted, and neither delivered nor sent until somebody
    /// releases it. [`Record::CustodiesChanged`] says what becomes of it.
    Held(Hold),
}

/// What came of an attempt to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It took the message.
    Relayed {
        /// Its reply to the final dot.
        reply: Reply,
        /// The DSN that says so, where the sender asked for one (RFC 3461 §6.2.2).
        report: Option<MailId>,
        /// An earlier attempt was uncertain: the recipient may have it twice.
        may_be_duplicate: bool,
    },
    /// Not now.
    Deferred {
        /// Why, in plain words.
        reason: String,
        /// What its reply, or the failure, classifies as.
        status: EnhancedStatus,
        /// Its reply, where it gave one.
        reply: Option<Reply>,
        /// When it is tried again.
        due: Timestamp,
        /// The delay DSN, where one was sent now.
        report: Option<MailId>,
    },
    /// The connection broke between the final dot and the reply: it may have the message.
    Uncertain {
        /// What broke.
        reason: String,
        /// When it is tried again.
        due: Timestamp,
    },
    /// Never.
    Returned {
        /// Why, in plain words.
        reason: String,
        /// The class of failure.
        status: EnhancedStatus,
        /// Its reply, where it gave one.
        reply: Option<Reply>,
        /// Whom we told.
        notice: Notice,
    },
    /// It was not tried: a limit of ours keeps it. No attempt; what is told is when it is due.
    Waits {
        /// For what, in plain words.
        reason: String,
        /// When it is looked at again.
        due: Timestamp,
        /// The delay DSN, where one was sent now.
        report: Option<MailId>,
    },
}

/// Whether somebody was told of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// A DSN, itself accepted in the same commit.
    Sent {
        /// The DSN.
        report: MailId,
    },
    /// RFC 5321 §4.5.5: the message itself came from `<>`.
    NullReversePath,
    /// NOTIFY=NEVER, or without FAILURE.
    NotWanted,
}

impl Notice {
    /// The DSN that was sent.
    #[must_use]
    pub const fn report(&self) -> Option<MailId> {
        match self {
            Self::Sent { report } => Some(*report),
            Self::NullReversePath | Self::NotWanted => None,
        }
    }
}
