//! What a person or a verdict does with a recipient that is not settled: held, released, tried now,
//! sent another way, purged. Every change names what was so before, so that it can be undone from
//! the records alone.

use mail_types::{Address, CustodyId, Flags, MailId, MailboxId, ModSeq, Timestamp, Uid};
use serde::{Deserialize, Serialize};

/// Why a recipient's mail is kept back.
///
/// Held mail is safe and goes nowhere: it is in no queue and in no mailbox, its custody is in the
/// state `held`, and [`crate::Store::change_custodies`] with [`Wish::Release`](crate::Wish) lets it
/// go on as if it had just been accepted: into the inbox of a local recipient, or into the queue.
/// A verdict on incoming mail makes it with [`crate::Store::accept_held`]; an operator's command or a
/// guard with [`Wish::Hold`](crate::Wish). Who did it is the actor of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What kind of decision it was.
    pub by: HeldBy,
    /// In plain words, at most [`REASON_BYTES_MAX`] bytes.
    pub reason: String,
    /// It becomes `purged` then, unless it is released before; none: kept until somebody decides.
    pub purge_at: Option<Timestamp>,
}

/// Bytes of a reason in a record.
pub const REASON_BYTES_MAX: usize = 500;

/// What kind of decision holds mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HeldBy {
    /// A person at the command line.
    Operator,
    /// A person who wants it purged; until then it is held.
    Purge,
    /// The verdict on incoming mail (DMARC, a block list, content).
    Verdict,
    /// The recipient's own rules.
    Filter,
    /// What an account sends looks like somebody else's doing.
    Guard,
    /// Its sender, until a time that [`crate::Record::FutureRelease`] says.
    Future,
}

impl HeldBy {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Operator, Self::Purge, Self::Verdict, Self::Filter, Self::Guard, Self::Future];

    /// The word for it, also in the index.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Purge => "purge",
            Self::Verdict => "verdict",
            Self::Filter => "filter",
            Self::Guard => "guard",
            Self::Future => "future",
        }
    }

    /// The kind of a word in the index.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// How a custody waits to be sent, or would once it is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// When it is next tried.
    pub due: Timestamp,
    /// To whom, where that is no longer the recipient that was accepted.
    pub recipient: Option<Address>,
    /// The host (`HOST:PORT`) it goes to, whatever routes and MX records say.
    pub relay: Option<String>,
    /// It goes back to its sender at the next try, for this reason.
    pub give_back: Option<String>,
}

/// What a custody is, as far as it can be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// In the queue.
    Queued(Waiting),
    /// Kept back.
    Held {
        /// Why.
        hold: Hold,
        /// How it goes on when released; none for mail that was never in the queue: that is
        /// decided when it is released.
        then: Option<Waiting>,
    },
    /// Released into a mailbox.
    Delivered {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its UID there.
        uid: Uid,
        /// Of the mailbox with it.
        mod_seq: ModSeq,
        /// Its flags at first.
        flags: Flags,
        /// INTERNALDATE.
        internal_date: Timestamp,
        /// Bytes of the message.
        bytes: u64,
        /// The message.
        mail: MailId,
    },
    /// Gone for good, after its hold.
    Purged,
}

/// What was done to a custody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Which.
    pub custody: CustodyId,
    /// What it was.
    pub was: Condition,
    /// What it is from now on.
    pub is: Condition,
}

/// The kinds of change, by the command's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChangeKind {
    /// `hold`
    Hold,
    /// `release`
    Release,
    /// `retry`
    Retry,
    /// `reroute`
    Reroute,
    /// `edit-recipient`
    EditRecipient,
    /// `purge`
    Purge,
    /// `return`
    Return,
    /// `undo` of another change.
    Undo,
    /// The end of a hold with a time.
    PurgeDue,
    /// The time that the sender has named has come.
    ReleaseDue,
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Hold,
        Self::Release,
        Self::Retry,
        Self::Reroute,
        Self::EditRecipient,
        Self::Purge,
        Self::Return,
        Self::Undo,
        Self::PurgeDue,
        Self::ReleaseDue,
    ];

    /// The command's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Retry => "retry",
            Self::Reroute => "reroute",
            Self::EditRecipient => "edit-recipient",
            Self::Purge => "purge",
            Self::Return => "return",
            Self::Undo => "undo",
            Self::PurgeDue => "purge-due",
            Self::ReleaseDue => "release-due",
        }
    }
}

/// A change of custodies by a person, a verdict or the clock. A command that concerns many is many
/// of these, with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodiesChanged {
    /// The number of the change.
    pub change: u64,
    /// What kind.
    pub kind: ChangeKind,
    /// The change that this one undoes.
    pub undoes: Option<u64>,
    /// Why, in the words of whoever did it.
    pub reason: Option<String>,
    /// Each custody once.
    pub items: Vec<Changed>,
}
