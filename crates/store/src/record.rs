//! The records: facts about mail, in the order they became true. They are written once and read
//! for ever, so a variant or a field is never changed or taken away; what is new comes as a new
//! variant at the end (postcard numbers variants by their place).

use std::net::IpAddr;

use journal::Position;
use mail_types::{
    AccountId, Address, CustodyId, Deadline, Domain, Flags, MailId, MailboxId, ModSeq, Peer,
    Priority, RecordSeq, Rights, SpecialUse, Timestamp, Uid,
};
use serde::{Deserialize, Serialize};

use crate::dkim_keys::KeyChange;
use crate::record_archive::{HoldsEnded, LegalHold, Purged, RetentionRule};
use crate::record_healed::Healed;
use crate::record_held::CustodiesChanged;
use crate::record_judged::Judged;
use crate::record_operator::{Looked, OperatorChange};
use crate::record_promoted::Promoted;
use crate::record_report::{ReportSpan, Reported, TlsPolicySeen};
use crate::record_tried::Tried;
use crate::url_key::UrlKey;

pub use crate::record_accepted::{Accepted, Fate, NewCustody, Notice, Notify, Outcome, Source};
pub use crate::record_account::{Credentials, Grantee, Quota};
pub use crate::record_doors::{HookSecret, HookTry, ImportKey, RelayLogin, RelayPassword};
pub use crate::record_session::SessionId;

/// One fact with its time and who made it so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, by this server's clock.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub record: Record,
}

/// Who made something so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// Somebody at this address who did not sign in.
    Peer {
        /// Where the connection came from.
        ip: IpAddr,
    },
    /// A signed-in account.
    Account {
        /// The account.
        account: AccountId,
        /// Where the connection came from.
        ip: Option<IpAddr>,
        /// The protocol it used.
        via: Via,
    },
    /// Somebody at the command line of this machine.
    Operator {
        /// The system user's name.
        name: String,
    },
    /// This server itself: delivery, schedules, repair.
    Server,
    /// A signed-in account, in one session.
    Session {
        /// The account.
        account: AccountId,
        /// Where the connection came from.
        ip: Option<IpAddr>,
        /// The protocol it used.
        via: Via,
        /// Which of all sessions.
        session: SessionId,
    },
    /// An operator over the console or the HTTP API.
    Console {
        /// Its name.
        operator: String,
        /// Where the connection came from.
        ip: IpAddr,
    },
}

/// The protocol something came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Via {
    /// Message submission (RFC 6409).
    Submission,
    /// IMAP (RFC 3501).
    Imap,
    /// POP3 (RFC 1939).
    Pop3,
    /// The control socket.
    Control,
    /// The HTTP API.
    Http,
}

/// Where a frame lies in the journal, as a record names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Segment number.
    pub segment: u32,
    /// Bytes from the segment's start.
    pub offset: u64,
}

impl From<Position> for Place {
    fn from(at: Position) -> Self {
        Self { segment: at.segment, offset: at.offset }
    }
}

impl From<Place> for Position {
    fn from(at: Place) -> Self {
        Self { segment: at.segment, offset: at.offset }
    }
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Mail for this domain is local from now on.
    DomainAdded {
        /// The domain.
        domain: Domain,
    },
    /// Mail for this domain is no longer local.
    DomainRemoved {
        /// The domain.
        domain: Domain,
    },
    /// A new account.
    AccountAdded {
        /// Its id.
        account: AccountId,
        /// Its address, which is also its name at sign-in.
        address: Address,
        /// How it signs in.
        credentials: Credentials,
    },
    /// The account may no longer sign in or receive; its mail stays.
    AccountRemoved {
        /// The account.
        account: AccountId,
    },
    /// A new password.
    CredentialsSet {
        /// The account.
        account: AccountId,
        /// How it signs in from now on.
        credentials: Credentials,
    },
    /// Mail for `alias` goes to `targets`.
    AliasSet {
        /// The address that is an alias.
        alias: Address,
        /// Where its mail goes: local or anywhere.
        targets: Vec<Address>,
    },
    /// The alias is gone.
    AliasRemoved {
        /// The address that was one.
        alias: Address,
    },
    /// Mail for a domain goes to a smart host.
    RouteSet {
        /// The domain; none for every domain without a route of its own.
        domain: Option<Domain>,
        /// Host name or IP address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// The route is gone.
    RouteRemoved {
        /// The domain; none for the default route.
        domain: Option<Domain>,
    },
    /// A new mailbox.
    MailboxCreated {
        /// Its id.
        mailbox: MailboxId,
        /// Whose.
        account: AccountId,
        /// Its whole name, levels separated by `/`.
        name: String,
        /// UIDVALIDITY.
        uid_validity: u32,
        /// RFC 6154.
        special_use: Option<SpecialUse>,
    },
    /// A mailbox has a new name.
    MailboxRenamed {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its new whole name.
        name: String,
    },
    /// A mailbox is gone; its messages count as expunged by the same act.
    MailboxDeleted {
        /// The mailbox.
        mailbox: MailboxId,
    },
    /// A name is on (or off) the list of LSUB.
    Subscription {
        /// Whose list.
        account: AccountId,
        /// The name, of a mailbox or not (RFC 3501 §6.3.6).
        name: String,
        /// On or off.
        subscribed: bool,
    },
    /// A message is ours.
    Accepted(Box<Accepted>),
    /// Flags are as said here.
    FlagsSet {
        /// The mailbox.
        mailbox: MailboxId,
        /// Of all these changes.
        mod_seq: ModSeq,
        /// Each set of flags with the messages that have it now.
        sets: Vec<(Flags, Vec<Uid>)>,
    },
    /// Messages are in another mailbox too.
    Copied {
        /// Where they were.
        from: MailboxId,
        /// Where they are too.
        to: MailboxId,
        /// In `to`.
        mod_seq: ModSeq,
        /// UID there, UID here.
        messages: Vec<(Uid, Uid)>,
    },
    /// Messages are in another mailbox instead.
    Moved {
        /// Where they were.
        from: MailboxId,
        /// Where they are.
        to: MailboxId,
        /// In `from`.
        from_mod_seq: ModSeq,
        /// In `to`.
        to_mod_seq: ModSeq,
        /// UID there, UID here.
        messages: Vec<(Uid, Uid)>,
    },
    /// Messages are no longer in the mailbox. They stay in the archive.
    Expunged {
        /// The mailbox.
        mailbox: MailboxId,
        /// Of the change.
        mod_seq: ModSeq,
        /// The messages.
        uids: Vec<Uid>,
    },
    /// A host is about to get the final dot for these recipients. Until the next record about
    /// them, nobody can know whether it took the message.
    AttemptBegun {
        /// The recipients.
        custodies: Vec<CustodyId>,
        /// Who is about to get it.
        peer: Peer,
    },
    /// An attempt that was begun came to nothing before the final dot.
    AttemptDropped {
        /// The recipients.
        custodies: Vec<CustodyId>,
    },
    /// An attempt is over.
    Attempted {
        /// The recipient.
        custody: CustodyId,
        /// Who was asked; none where it did not come so far.
        peer: Option<Peer>,
        /// What came of it.
        outcome: Outcome,
    },
    /// The operator wants these tried now.
    Rescheduled {
        /// The recipients.
        custodies: Vec<CustodyId>,
        /// When they are due.
        due: Timestamp,
    },
    /// What somebody may do with a mailbox (RFC 4314).
    AclSet {
        /// The mailbox.
        mailbox: MailboxId,
        /// Who.
        grantee: Grantee,
        /// Its rights; none where the entry is gone.
        rights: Option<Rights>,
    },
    /// URLs of an account's mailbox are authorized with this key (RFC 4467).
    UrlKeySet {
        /// Whose URLs.
        account: AccountId,
        /// Of which mailbox.
        mailbox: MailboxId,
        /// The key.
        key: UrlKey,
    },
    /// URLs authorized so far are worth nothing any more.
    UrlKeysReset {
        /// Whose.
        account: AccountId,
        /// Of this mailbox; of all where none is named.
        mailbox: Option<MailboxId>,
    },
    /// How much an account may keep from now on.
    QuotaSet {
        /// The account.
        account: AccountId,
        /// Its limits.
        quota: Quota,
    },
    /// An annotation has this value (RFC 5464).
    MetadataSet {
        /// Of which mailbox; none: of the server.
        mailbox: Option<MailboxId>,
        /// Whose own; none: everybody's.
        account: Option<AccountId>,
        /// Its name, in lower case.
        entry: String,
        /// Its value; none where it is gone.
        value: Option<Vec<u8>>,
    },
    /// An attempt is over, with everything that is known of it. Stands in place of
    /// [`Record::Attempted`] wherever hosts were asked.
    Tried(Box<Tried>),
    /// Somebody held, released, rerouted or purged recipients that are not settled.
    CustodiesChanged(Box<CustodiesChanged>),
    /// Mail to a destination (none: to all) waits from now on, or does so no longer.
    QueuePaused {
        /// A domain or an address literal.
        destination: Option<String>,
        /// Whether it waits.
        paused: bool,
        /// Why, in the operator's words.
        reason: Option<String>,
    },
    /// The HTTP API takes this token for the account's.
    TokenAdded {
        /// Its id.
        token: u64,
        /// The account.
        account: AccountId,
        /// What the operator calls it.
        label: String,
        /// BLAKE3 of the token.
        hash: [u8; 32],
    },
    /// The token is worth nothing any more.
    TokenRemoved {
        /// Its id.
        token: u64,
    },
    /// The request that brought this message had an Idempotency-Key; in the group of its acceptance.
    SendKeyUsed {
        /// Whose request.
        account: AccountId,
        /// BLAKE3 of the key.
        key: [u8; 32],
        /// BLAKE3 of all that the request asked for.
        request: [u8; 32],
        /// What it brought.
        mail: MailId,
    },
    /// Messages came from another system; in the group of their acceptance.
    Imported {
        /// Into whose mailboxes.
        account: AccountId,
        /// Where from, in words.
        from: String,
        /// What they are known by there, and here.
        messages: Vec<(ImportKey, MailId)>,
    },
    /// What happens to mail is told to this URL.
    HookSet {
        /// Its id.
        hook: u64,
        /// Where.
        url: String,
        /// What signs it.
        secret: HookSecret,
        /// Which kinds, by their names; none: all.
        kinds: Vec<String>,
        /// The journal's head behind which it begins ([`journal::Head::to_bytes`]).
        from: Vec<u8>,
    },
    /// Nothing is told there any more.
    HookRemoved {
        /// Its id.
        hook: u64,
    },
    /// Everything up to this head was told.
    HookReached {
        /// Its id.
        hook: u64,
        /// The journal's head ([`journal::Head::to_bytes`]).
        head: Vec<u8>,
    },
    /// A key that mail leaves with is made, or something else is done with it.
    KeyChanged(Box<KeyChange>),
    /// What was found out about the sender of a message, and what was made of it.
    Judged(Box<Judged>),
    /// The message of the [`Record::Accepted`] before it must not travel without verified TLS
    /// (REQUIRETLS, RFC 8689).
    TlsRequired {
        /// The message.
        mail: MailId,
    },
    /// The message of the [`Record::Accepted`] before it goes out whatever TLS policies say
    /// (TLS-Required: No, RFC 8689).
    TlsOptional {
        /// The message.
        mail: MailId,
    },
    /// A report of this server to others is settled; in the commit that accepts its message.
    Reported(Box<Reported>),
    /// What is reported next.
    ReportSpanSet(Box<ReportSpan>),
    /// What a domain wants of TLS, where that is not what was recorded before.
    TlsPolicySeen(Box<TlsPolicySeen>),
    /// The message of the [`Record::Accepted`] before it is held for all its recipients until then,
    /// as its sender asked (FUTURERELEASE, RFC 4865).
    FutureRelease {
        /// The message.
        mail: MailId,
        /// Not before.
        until: Timestamp,
        /// HOLDFOR, in seconds; else it was HOLDUNTIL.
        asked_secs: Option<u32>,
    },
    /// The message of the [`Record::Accepted`] before it is more or less urgent than others
    /// (MT-PRIORITY, RFC 6710).
    PrioritySet {
        /// The message.
        mail: MailId,
        /// Not 0.
        priority: Priority,
    },
    /// What was taken out of a mailbox is in one again, with flags (but `\Deleted`) and dates.
    Restored {
        /// What they were taken out of.
        from: MailboxId,
        /// Where they are.
        to: MailboxId,
        /// In `to`.
        mod_seq: ModSeq,
        /// UID there, UID here.
        messages: Vec<(Uid, Uid)>,
    },
    /// A deleted mailbox is there again, with its messages under their UIDs.
    MailboxRestored {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its whole name.
        name: String,
        /// Of the messages.
        mod_seq: ModSeq,
        /// The record of its deletion.
        deleted: RecordSeq,
    },
    /// A removed account may sign in and receive again.
    AccountRestored {
        /// The account.
        account: AccountId,
    },
    /// What a record did was taken back, by these of the same group.
    Undone {
        /// The record.
        act: RecordSeq,
        /// What took it back.
        by: Vec<RecordSeq>,
    },
    /// Who we are to a smart host (`HOST:PORT`) from now on; none: nobody.
    RelayLoginSet {
        /// The smart host.
        relay: String,
        /// Name and password there.
        login: Option<RelayLogin>,
    },
    /// A hook was told of events, or could not be.
    HookTried {
        /// Its id.
        hook: u64,
        /// In their order.
        tries: Vec<HookTry>,
    },
    /// All of a change of the queue is undone that could be.
    ChangeUndone {
        /// Its number.
        change: u64,
    },
    /// Something was done about an operator.
    OperatorChanged(Box<OperatorChange>),
    /// An operator looked at mail.
    Looked(Box<Looked>),
    /// How long mail of somebody is kept from now on.
    RetentionSet(Box<RetentionRule>),
    /// Mail of an account is kept whatever else says that it may go.
    LegalHoldSet(Box<LegalHold>),
    /// Legal holds are over.
    HoldsEnded(Box<HoldsEnded>),
    /// Bodies are gone for good.
    Purged(Box<Purged>),
    /// Everything that the records up to this one purged is off the disk.
    BodiesGone {
        /// The last of them.
        through: RecordSeq,
    },
    /// The message of the [`Record::Accepted`] before it is to be delivered by a time that its sender
    /// has named (DELIVERBY, RFC 2852).
    DeliverBy {
        /// The message.
        mail: MailId,
        /// Until when, and what then.
        by: Deadline,
    },
    /// Damage was mended from a copy.
    Healed(Box<Healed>),
    /// A standby became the server.
    Promoted(Box<Promoted>),
}

/// A record whose bytes cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("record is not readable by this version: {0}")]
pub struct RecordError(#[from] postcard::Error);

impl Entry {
    /// The bytes of the record's frame.
    ///
    /// # Errors
    /// Only where memory runs out.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        Ok(postcard::to_stdvec(self)?)
    }

    /// Reads what [`Entry::encode`] wrote, in this version or any older one.
    ///
    /// # Errors
    /// Where the bytes are none of ours, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        Ok(postcard::from_bytes(bytes)?)
    }
}
