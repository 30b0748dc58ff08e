use std::ops::Range;
use std::sync::Arc;

use mail_types::{
    AccountId, Flags, MailboxId, ModSeq, Rights, SpecialUse, Timestamp, Uid, UidValidity,
};
use message::{BodyForm, Summary};

use crate::grammar::{ContentKey, ImapUrl, MailboxName, StoreMode, UidSet, UrlWanted};
pub use crate::manage::{
    AclAnswer, AclQuestion, Metadata, MetadataQuestion, QuotaQuestion, QuotaRoot,
};
pub use crate::news::{MailboxNews, News};
pub use crate::refusal::{Code, METADATA_OCTETS_MAX, Refusal};
use crate::view::{Newest, Rows};

/// What the session asks of its service. One question is open at a time; each names what its answer
/// is. Any of them may be answered [`Answer::No`], and those about the selected mailbox
/// [`Answer::Gone`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Send what is in the output buffer, then go on: [`Answer::Done`]. This is how long responses
    /// stay bounded in memory, and what takes long leaves others their turn.
    Flush,
    /// Sign in (LOGIN asks for `Password`): [`Answer::SignIn`]. The service answers failures late
    /// if it slows them down.
    SignIn(sasl::Question),
    /// All mailboxes of the account, and names subscribed to that are none:
    /// [`Answer::Mailboxes`], in any order.
    List {
        /// Whose.
        account: AccountId,
        /// With the status of each.
        counts: Option<Counts>,
    },
    /// [`Answer::Status`].
    Status {
        /// Whose.
        account: AccountId,
        /// Which.
        mailbox: MailboxName,
        /// How much of it.
        counts: Counts,
    },
    /// Open a mailbox: [`Answer::Selected`]. From now on the session wants [`Event::Changed`] for
    /// it, and no longer for the one before.
    Select {
        /// Whose.
        account: AccountId,
        /// Which.
        mailbox: MailboxName,
        /// EXAMINE: messages stay recent for the next session.
        read_only: bool,
    },
    /// What is in a mailbox now, without selecting it: [`Answer::Selected`], its `\Recent` left to
    /// others.
    Glance {
        /// Whose.
        account: AccountId,
        /// Which.
        mailbox: MailboxName,
    },
    /// Nobody is signed in any more (RFC 8437), nothing selected, nothing watched:
    /// [`Answer::Done`].
    Forget,
    /// No mailbox is selected any more: [`Answer::Done`].
    Deselect {
        /// The one that was.
        mailbox: MailboxId,
    },
    /// What it is like now: [`Answer::Newest`].
    Poll {
        /// The selected mailbox.
        mailbox: MailboxId,
    },
    /// What was taken out of the selected mailbox (RFC 7162 §3.2): [`Answer::Vanished`].
    Vanished {
        /// The selected mailbox.
        mailbox: MailboxId,
        /// After this.
        since: ModSeq,
    },
    /// Data of messages: [`Answer::Contents`]. Messages expunged meanwhile can still be fetched
    /// (RFC 2180 §4.1) as long as their bodies are kept.
    Fetch {
        /// Whose.
        account: AccountId,
        /// Which, at most [`crate::Limits::fetch_messages_max`].
        messages: Vec<Wanted>,
        /// What of each.
        need: Need,
    },
    /// Change flags: [`Answer::Stored`].
    Store {
        /// The selected mailbox.
        mailbox: MailboxId,
        /// Which messages; those that are gone are passed over.
        uids: UidSet,
        /// How.
        mode: StoreMode,
        /// Which flags.
        flags: Flags,
        /// Leave messages alone that changed after this (RFC 7162 §3.1.3).
        unchanged_since: Option<ModSeq>,
    },
    /// Copy, all or nothing: [`Answer::Copied`]; refused with `TRYCREATE` where there is no such
    /// mailbox.
    Copy {
        /// Whose.
        account: AccountId,
        /// The selected mailbox.
        mailbox: MailboxId,
        /// Which messages.
        uids: UidSet,
        /// Where to.
        to: MailboxName,
    },
    /// Copy and expunge in one commit: [`Answer::Moved`].
    Move {
        /// Whose.
        account: AccountId,
        /// The selected mailbox.
        mailbox: MailboxId,
        /// Which messages.
        uids: UidSet,
        /// Where to.
        to: MailboxName,
    },
    /// Remove messages that have `\Deleted` set: [`Answer::Newest`].
    Expunge {
        /// The selected mailbox.
        mailbox: MailboxId,
        /// Only among these.
        uids: Option<UidSet>,
    },
    /// A message is about to come: [`Answer::Done`], or a refusal before a byte of it is read.
    /// Dropping the session drops what came of it. After a refusal of this or of what follows, none
    /// of the command is kept.
    AppendBegin {
        /// Whose.
        account: AccountId,
        /// Where to.
        mailbox: MailboxName,
        /// REPLACE (RFC 8508): take this one out of its mailbox in the same commit.
        replaces: Option<(MailboxId, Uid)>,
        /// What is known of it.
        message: NewMessage,
    },
    /// The message is whole; a further one of the same command comes (RFC 3502): [`Answer::Done`].
    AppendNext(NewMessage),
    /// The next octets of it: [`Answer::Done`].
    AppendBytes(Vec<u8>),
    /// The octets that a URL names come next (RFC 4469): [`Answer::Done`], or [`Answer::Gone`] where
    /// it leads to nothing.
    AppendUrl {
        /// Whose.
        account: AccountId,
        /// The selected mailbox, which a URL without one means.
        selected: Option<MailboxId>,
        /// The URL, of this server and account.
        url: Box<ImapUrl>,
    },
    /// The token that proves this URL (RFC 4467): [`Answer::Token`].
    UrlToken {
        /// Whose URL.
        account: AccountId,
        /// The URL.
        url: Box<ImapUrl>,
        /// What is proved: its octets as they are.
        rump: Vec<u8>,
    },
    /// Take back the URLs of this mailbox, or of all: [`Answer::Done`].
    ResetUrlKeys {
        /// Whose.
        account: AccountId,
        /// Which.
        mailbox: Option<MailboxName>,
    },
    /// What an authorized URL names, if its token and everything else is right:
    /// [`Answer::UrlOctets`].
    UrlFetch {
        /// Who wants it.
        account: AccountId,
        /// The URL, with its verifier.
        url: Box<ImapUrl>,
        /// What the token proves.
        rump: Vec<u8>,
        /// What is wanted of it.
        wanted: UrlWanted,
        /// From this octet on.
        from: u32,
    },
    /// That was all of it: commit all messages of the command, or none. [`Answer::Done`] as soon as
    /// the next command may come; what became of it is told by [`Question::AppendSettle`].
    AppendEnd,
    /// What has become of the oldest commit not told of yet, waiting for it, and of those behind it
    /// that are decided too: [`Answer::Appended`].
    AppendSettle,
    /// It will not be completed; drop it: [`Answer::Done`].
    AppendAbort,
    /// About an access control list: [`Answer::Acl`], or [`Answer::Done`] where it is changed.
    Acl {
        /// Who asks.
        account: AccountId,
        /// Of which mailbox.
        mailbox: MailboxName,
        /// What.
        what: AclQuestion,
    },
    /// What is used of a quota: [`Answer::Quota`].
    Quota {
        /// Who asks.
        account: AccountId,
        /// Of which.
        what: QuotaQuestion,
    },
    /// Annotations: [`Answer::Metadata`], or [`Answer::Done`] where they are set: all or none.
    Metadata {
        /// Whose private ones, besides those that are shared.
        account: AccountId,
        /// Of which mailbox; none: of the server.
        mailbox: Option<MailboxName>,
        /// Which.
        what: MetadataQuestion,
    },
    /// [`Answer::Created`]
    Create {
        /// Whose.
        account: AccountId,
        /// Which; names above it that do not exist are created too (RFC 3501 §6.3.3).
        mailbox: MailboxName,
        /// What it is for (RFC 6154 §3).
        special_use: Option<SpecialUse>,
    },
    /// [`Answer::Done`]
    Delete {
        /// Whose.
        account: AccountId,
        /// Which.
        mailbox: MailboxName,
    },
    /// [`Answer::Done`]. RENAME of INBOX moves its messages (RFC 3501 §6.3.5).
    Rename {
        /// Whose.
        account: AccountId,
        /// The old name.
        from: MailboxName,
        /// The new one.
        to: MailboxName,
    },
    /// [`Answer::Done`]
    Subscribe {
        /// Whose.
        account: AccountId,
        /// Which.
        mailbox: MailboxName,
        /// False for UNSUBSCRIBE.
        subscribed: bool,
    },
    /// Which of the keys match which of the messages: [`Answer::Matches`].
    Match {
        /// Whose.
        account: AccountId,
        /// Which messages, at most [`crate::Limits::match_messages_max`].
        messages: Vec<Wanted>,
        /// At least one; the same ones for all questions of one search.
        keys: Arc<[ContentKey]>,
    },
    /// NOTIFY (RFC 5465): watch all mailboxes that the account can see, or no longer:
    /// [`Answer::Done`]. From now on the session wants [`Event::News`].
    Watch {
        /// Whose.
        account: AccountId,
        /// False: no longer.
        on: bool,
    },
    /// What is new of the mailboxes watched: [`Answer::News`].
    News {
        /// Whose.
        account: AccountId,
    },
    /// What messages are sorted and threaded by: [`Answer::SortFacts`].
    SortFacts {
        /// Whose.
        account: AccountId,
        /// Which messages, at most [`crate::Limits::match_messages_max`].
        messages: Vec<Wanted>,
    },
}

/// A message about to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// Its flags.
    pub flags: Flags,
    /// Its internal date, if the client gave one.
    pub internal_date: Option<Timestamp>,
    /// Its size; `None` where it is put together from parts.
    pub octets: Option<u32>,
}

/// How much of a status is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// What is known without reading messages; what is deleted may be told as 0.
    Known,
    /// Also what has `\Deleted`, which may take longer.
    Deleted,
}

/// A message of the selected mailbox, as a question names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its UID.
    pub uid: Uid,
    /// The service's own key, from its [`crate::view::Row`].
    pub mail: u64,
    /// Its size in octets.
    pub size: u32,
}

/// What is needed of each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// As they go over the wire, in this order; each at most once.
    pub facts: Vec<Fact>,
    /// The summary, to look up parts in.
    pub summary: bool,
    /// Octets of the message.
    pub octets: Octets,
}

/// What is told of a message without its octets, in the form of the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// ENVELOPE: [`message::write_envelope`].
    Envelope,
    /// BODYSTRUCTURE or BODY: [`message::write_body`].
    Body(BodyForm),
    /// PREVIEW: [`message::preview`] as a string.
    Preview,
    /// THREADID (RFC 8474 §5.2): the number of the thread.
    Thread,
    /// BINARY.SIZE of the part with these numbers: [`message::decoded_size`]; `?` where its
    /// transfer encoding is unknown, nothing where there is no such part.
    BinarySize(Box<[u32]>),
}

/// Which octets of a message are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Octets {
    /// None.
    None,
    /// Its header, the blank line included; more does no harm.
    Header,
    /// All.
    All,
    /// These; asked of one message at a time.
    Range(Range<u32>),
    /// These of [`message::decoded_part`] of the part with these numbers; asked of one message at a
    /// time.
    Decoded(Box<[u32]>, Range<u32>),
}

/// Data of messages in one run of bytes, so that an answer of a thousand messages is one
/// allocation and not ten thousand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// What the ranges lie in.
    pub bytes: Vec<u8>,
    /// For each message, for each fact asked for, where it lies; empty for one that is lost.
    pub facts: Vec<Range<usize>>,
    /// `None` for one that is lost.
    pub messages: Vec<Option<Content>>,
}

/// Data of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// If asked for.
    pub summary: Option<Box<Summary>>,
    /// If asked for: from the message's begin, or exactly the range.
    pub octets: Range<usize>,
}

impl Contents {
    /// Adds a message that cannot be had, of which so many facts were asked for.
    pub fn push_lost(&mut self, facts: usize) {
        self.facts.extend(std::iter::repeat_n(0..0, facts));
        self.messages.push(None);
    }

    /// Appends what `write` writes and says where it lies.
    pub fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = self.bytes.len();
        write(&mut self.bytes);
        start..self.bytes.len()
    }

    /// The octets in a range; none where the range is not of these contents.
    #[must_use]
    pub fn octets(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

/// The service's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<R> {
    /// Done, nothing to tell.
    Done,
    /// Not done.
    No(Refusal),
    /// The selected mailbox has been deleted; or what a URL names is not there.
    Gone,
    /// To [`Question::SignIn`].
    SignIn(sasl::Answer),
    /// To [`Question::List`].
    Mailboxes(Vec<Listed>),
    /// To [`Question::News`].
    News(News),
    /// To [`Question::Status`].
    Status(Status),
    /// To [`Question::Metadata`].
    Metadata(Metadata),
    /// To [`Question::Quota`].
    Quota(QuotaRoot),
    /// To [`Question::Acl`].
    Acl(AclAnswer),
    /// To [`Question::Create`].
    Created(MailboxId),
    /// To [`Question::Select`] and [`Question::Glance`].
    Selected(Box<Selected>),
    /// To [`Question::Poll`] and [`Question::Expunge`].
    Newest(Newest),
    /// To [`Question::Fetch`]: in the order of the question, the first or more of them (so that the
    /// service bounds its own memory).
    Contents(Contents),
    /// To [`Question::Store`].
    Stored {
        /// The mailbox with them.
        newest: Newest,
        /// Left alone because of UNCHANGEDSINCE.
        modified: UidSet,
    },
    /// To [`Question::Vanished`]: the UIDs; `None` where that are too many to name, or too long ago.
    Vanished(Option<UidSet>),
    /// To [`Question::Copy`].
    Copied(Copied),
    /// To [`Question::Move`].
    Moved(Copied, Newest),
    /// To [`Question::AppendSettle`]: what became of each command, the oldest first, one at least.
    Appended(Vec<Result<Appended<R>, Refusal>>),
    /// To [`Question::UrlToken`]: hexadecimal digits.
    Token(String),
    /// To [`Question::UrlFetch`]; `None` where it leads to nothing, for whatever reason.
    UrlOctets(Option<UrlOctets>),
    /// To [`Question::Match`]: for each message in order (the first or more of them) a bit for each
    /// key, the first key the lowest; a word for every 64 keys or part of them.
    Matches(Vec<u64>),
    /// To [`Question::SortFacts`]: for each message in order (the first or more of them) what
    /// [`message::SortFacts::encode`] made, nothing for one that is lost.
    SortFacts(Vec<Box<[u8]>>),
}

/// Messages that are kept, and the proof of it. `OK` to APPEND is made from nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended<R> {
    /// The proof, for each message in order.
    pub receipts: Vec<R>,
    /// UIDVALIDITY of the mailbox.
    pub uid_validity: UidValidity,
    /// The messages' UIDs.
    pub uids: UidSet,
}

/// What a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlOctets {
    /// Octets in all; `None` where they are not wanted, or cannot be had without their transfer
    /// encoding.
    pub total: Option<u32>,
    /// Those asked for, or the first of them; none only at the end.
    pub octets: Vec<u8>,
    /// NUL is among all of them.
    pub has_nul: bool,
    /// BODYPARTSTRUCTURE as it goes over the wire, if it is wanted and the URL names a part.
    pub structure: Option<Vec<u8>>,
}

/// A mailbox in LIST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: MailboxName,
    /// False for a name that is only subscribed to.
    pub exists: bool,
    /// RFC 6154.
    pub special_use: Option<SpecialUse>,
    /// In LSUB.
    pub subscribed: bool,
    /// What the account may do with it.
    pub rights: Rights,
    /// If asked for and the account may read it.
    pub status: Option<Box<Status>>,
}

/// STATUS of a mailbox (RFC 3501 §6.3.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Messages in it.
    pub messages: u32,
    /// Messages that no session was told of.
    pub recent: u32,
    /// The next UID, at least.
    pub uid_next: u32,
    /// UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// RFC 7162 HIGHESTMODSEQ, at least 1.
    pub highest_modseq: ModSeq,
    /// Octets of its messages (RFC 8438).
    pub octets: u64,
    /// Messages with `\Deleted` (RFC 9051).
    pub deleted: u32,
    /// Octets of those (RFC 9208).
    pub deleted_octets: u64,
}

/// A mailbox opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// Which it is.
    pub mailbox: MailboxId,
    /// The session may not change it, though it asked to.
    pub read_only: bool,
    /// UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// The next UID, at least.
    pub uid_next: u32,
    /// All its messages.
    pub rows: Rows,
    /// UIDs that this session is the first to be told of (`\Recent`).
    pub recent: UidSet,
    /// What the account may do with it (RFC 4314).
    pub rights: Rights,
}

/// Messages copied (RFC 4315 §3 COPYUID).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// UIDVALIDITY of the mailbox copied to.
    pub uid_validity: UidValidity,
    /// Old and new UID of each, both ascending. Empty where none of the messages existed.
    pub uids: Vec<(Uid, Uid)>,
}

/// What the service tells unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something in this mailbox changed, perhaps by this session itself. The session polls when it
    /// may tell its client.
    Changed(MailboxId),
    /// There are news of the mailboxes that are watched; the session asks for them when it may.
    News,
    /// The oldest commit of messages of this session is decided: [`Question::AppendSettle`] will be
    /// answered at once.
    Appended,
    /// The account is gone, or its password is another one: the session ends.
    SignedOut,
}
