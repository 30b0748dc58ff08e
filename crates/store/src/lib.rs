//! What Restante keeps, and how it stays true: accounts, mailboxes, the queue and the story of
//! every message, all of them views of the journal's records.
//!
//! - One writer ([`commit`](self)) makes changes: check, record, sync, answer. A [`Receipt`] exists
//!   only behind the sync.
//! - The index (SQLite) is what the records come to; it may lag behind a crash and is replayed, and
//!   can be rebuilt from the journal alone ([`rebuild`]).
//! - Readers see everything acknowledged before they began.
//! - [`verify()`] proves the invariants of custody on the files alone.
//!
//! It opens no socket and runs no async runtime: answers are futures that any runtime can await and
//! any thread can wait for. It never decides about mail; it is told.
//!
//! RFCs: 3501 §2.3 (UIDs, flags), 7162 (modification sequences), 3461 (what DSN needs kept).

mod accept;
mod accept_many;
mod acl;
mod act;
mod archive;
mod audit;
mod balance;
mod boxes;
mod bring_back;
mod changes;
mod commit;
mod counts;
mod custody;
mod directory;
mod dkim_keys;
mod effects;
mod events;
mod extracted;
mod extracting;
mod flags;
mod flow;
mod follower;
mod found;
mod healing;
mod hooks;
mod imported;
mod index;
mod lanes;
mod late;
mod later;
mod live;
mod mailbox_at;
mod mailboxes;
mod metadata;
mod naming;
mod open;
mod operator;
mod operators;
mod own_pairs;
mod pending;
mod places;
mod proved;
mod published;
mod queue;
mod queue_rows;
mod quota;
mod reached;
mod read;
mod receipt;
mod record;
mod record_accepted;
mod record_account;
mod record_archive;
mod record_doors;
mod record_healed;
mod record_held;
mod record_judged;
mod record_operator;
mod record_promoted;
mod record_report;
mod record_session;
mod record_tried;
mod released;
mod reports;
mod schema;
mod send_key;
mod sent;
mod shared;
mod sql;
mod sqlite;
mod srs;
mod taken;
mod tokens;
mod trace;
mod undo;
mod url_key;
mod verify;
mod verify_extract;
mod verify_heads;
mod verify_mailboxes;
mod verify_purged;
mod verify_rows;
mod waiting;
mod watch;
mod witness;

use mail_types::Address;
use rustix::io::Errno;

pub use extract::{Head, Key, Keys, Part, Visit, thread_number};

pub use accept::{Arrived, Beside, Recipient};
pub use accept_many::{APPEND_BYTES_MAX, APPEND_MESSAGES_MAX, Append, Appended, NewMessage};
pub use acl::{AclChange, AclEntry, OTHER_USERS, permit};
pub use act::{Act, ActFilter, ActKind};
pub use archive::{Due, HoldKnown, Kept, PurgeOutcome, Retention, Rules};
pub use audit::{Audit, Auditor, TooOld};
pub use boxes::{DeletedCounts, MailboxListed};
pub use bring_back::{BroughtBack, CameBack, ComeBack};
pub use changes::{ChangeOutcome, Pause, Wish};
pub use counts::{Counted, SYNC_BOUNDS_MICROS, WAYS_IN};
pub use custody::CustodyState;
pub use directory::{Account, Alias, Directory, Resolution, Route, Token};
pub use dkim_keys::{DkimAlgorithm, DkimKey, DkimState, KeyChange, NewDkimKey, PrivateKey};
pub use events::{Happened, Happening};
pub use flags::{FlagsChange, FlagsOutcome, KEYWORD_BYTES_MAX};
pub use flow::{FlowKind, FlowMinute};
pub use follower::Follower;
pub use found::KnownBy;
pub use healing::{Copied, HealError};
pub use hooks::Hook;
pub use imported::{Import, ImportedMail};
pub use index::Mailbox;
pub use lanes::Lane;
pub use late::Late;
pub use later::FutureRelease;
pub use live::{MessageRow, OpenMailbox, Vanished};
pub use mailbox_at::{MailboxThen, MessageThen};
pub use mailboxes::{INBOX, SessionActor, Transferred, UidRanges};
pub use metadata::{METADATA_BYTES_MAX, MetadataChange, may_annotate};
pub use naming::MAILBOXES_MAX;
pub use open::{Options, Started, Store, rebuild};
pub use operators::{Operator, OperatorToken, audited};
pub use pending::Pending;
pub use places::{Gone, Left, Lies};
pub use proved::ProvedRecord;
pub use queue::{NewReport, QueueFilter, QueueItem, QueuedMail, Settled};
pub use quota::Usage;
pub use read::MailFacts;
pub use receipt::Receipt;
pub use record::{
    Accepted, Actor, Credentials, Entry, Fate, Grantee, HookSecret, HookTry, ImportKey, NewCustody,
    Notice, Notify, Outcome, Place, Quota, Record, RelayLogin, RelayPassword, SessionId, Source,
    Via,
};
pub use record_archive::{
    HoldsEnded, Keep, LegalHold, PurgeRule, Purged, RetentionOf, RetentionRule,
};
pub use record_healed::Healed;
pub use record_held::{
    ChangeKind, Changed, Condition, CustodiesChanged, HeldBy, Hold, REASON_BYTES_MAX, Waiting,
};
pub use record_judged::{DmarcFacts, Fact, Judged, JudgedAct, PublishedPolicy};
pub use record_operator::{
    Looked, LookedAt, OperatorAct, OperatorChange, OperatorPassword, OperatorRole, TotpSecret,
};
pub use record_promoted::{Promoted, Promotion};
pub use record_report::{ReportKind, ReportOutcome, ReportSpan, Reported, TlsPolicySeen};
pub use record_tried::{Tried, Try};
pub use released::DeliveryReport;
pub use reports::{Observation, Observed, ReportMail, SentReport};
pub use send_key::{SendKey, SentBefore};
pub use sent::Sent;
pub use shared::{AcceptedWake, Alarm, DirectoryWake, EventWake, QueueWake};
pub use sql::SqlError;
pub use trace::{CustodyStory, Event, Query, Story, Traced, Untold};
pub use undo::UndoOutcome;
pub use url_key::{UrlKey, UrlTarget};
pub use verify::{Invariant, Report, Violation, verify, verify_against, verify_on};
pub use waiting::{LastTry, Pattern, WaitingFilter, WaitingItem};
pub use watch::{MailboxNews, News, Seen, Watch};
pub use witness::{Then, Witness};

/// Why a change was not made. Nothing of it is in the journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A local domain without this user.
    #[error("no such user: {0}")]
    UnknownUser(Address),
    /// Not our domain, and nobody signed in.
    #[error("not a local domain: {0}")]
    RelayDenied(Address),
    /// What was named does not exist.
    #[error("{0} does not exist")]
    Missing(String),
    /// What was to be made exists.
    #[error("{0} exists already")]
    Exists(String),
    /// It cannot go while others are below it.
    #[error("{0} is no mailbox itself, but others are below it; delete those")]
    HasChildren(String),
    /// It may be seen, but this may not be done with it.
    #[error("not allowed")]
    NotAllowed,
    /// An annotation's value is above [`METADATA_BYTES_MAX`].
    #[error("the value is too large")]
    MetadataTooLarge,
    /// There are as many annotations as there may be.
    #[error("there are too many annotations")]
    MetadataTooMany,
    /// A message would have keywords of more than [`KEYWORD_BYTES_MAX`] bytes.
    #[error("a message has at most {KEYWORD_BYTES_MAX} bytes of keywords")]
    TooManyKeywords,
    /// The account may keep no more.
    #[error("the quota is used up")]
    OverQuota,
    /// It is not possible, for the reason given.
    #[error("{0}")]
    Invalid(String),
    /// UIDs of the mailbox are used up; it must be emptied into a new one.
    #[error("no UIDs are left in this mailbox")]
    UidsUsedUp,
    /// Our own trouble: try again later.
    #[error("not now: {0}")]
    Unavailable(String),
}

/// What goes wrong inside.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The journal could not be opened.
    #[error("journal: {}", chain(.0))]
    Open(#[from] journal::OpenError),
    /// The journal did not take a frame.
    #[error("journal: {}", chain(.0))]
    Append(#[from] journal::AppendError),
    /// The journal did not sync.
    #[error("journal: {}", chain(.0))]
    Sync(#[source] journal::SyncError),
    /// The journal could not be read.
    #[error("journal: {}", chain(.0))]
    Read(#[from] journal::ReadError),
    /// The index failed.
    #[error(transparent)]
    Index(SqlError),
    /// The index has no tables, or those of another version.
    #[error("the index is missing or of another version; `restante rebuild` makes it anew")]
    IndexMissing,
    /// The index knows more than the journal: the journal lost its end, or the two do not belong
    /// together.
    #[error("the index knows records that the journal does not have ({0}); see `restante verify`")]
    IndexAhead(String),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] record::RecordError),
    /// The journal is damaged.
    #[error("journal damaged: {0}; see `restante verify`")]
    Damaged(String),
    /// A file operation failed.
    #[error("cannot {doing}: {cause}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        cause: std::io::Error,
    },
    /// The standby, which is to have it before anybody is told, does not.
    #[error("{0}")]
    Unwitnessed(String),
    /// Nothing is accepted any more, since this happened.
    #[error("the store has stopped: {0}")]
    Stopped(String),
    /// A change was refused after it had recorded something, which is a bug.
    #[error("a change was refused half-way (a bug); nothing of it was kept: {0}")]
    HalfDone(Refused),
    /// The index is behind what was acknowledged and cannot be brought up to it now.
    #[error("the index cannot be brought up to date now")]
    IndexBehind,
    /// A change ended in a panic, which is a bug.
    #[error("a change failed in a way that it should not have (a bug); nothing of it was kept")]
    Panicked,
}

impl StoreError {
    /// Only what was asked for is damaged or gone, as far as can be told: asking again does not
    /// help, and other messages can be read. Otherwise the system may be out of something for a
    /// while, or nothing can be read.
    #[must_use]
    pub fn is_of_one_message(&self) -> bool {
        use journal::ReadError;
        match self {
            Self::Read(ReadError::Io { source, .. }) => {
                let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR, Errno::AGAIN];
                Errno::from_io_error(source).is_none_or(|errno| !passing.contains(&errno))
            }
            Self::Read(
                ReadError::Damaged { .. } | ReadError::Purged { .. } | ReadError::BodyFile { .. },
            )
            | Self::Record(_)
            | Self::Damaged(_) => true,
            Self::Open(_)
            | Self::Append(_)
            | Self::Sync(_)
            | Self::Index(_)
            | Self::IndexMissing
            | Self::IndexAhead(_)
            | Self::Io { .. }
            | Self::Unwitnessed(_)
            | Self::Stopped(_)
            | Self::HalfDone(_)
            | Self::IndexBehind
            | Self::Panicked => false,
        }
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
