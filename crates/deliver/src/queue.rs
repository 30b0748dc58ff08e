use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use mail_types::{
    Address, CustodyId, Deadline, EnhancedStatus, Host, MailId, Peer, Priority, ReceiptId, Reply,
    ReversePath, Timestamp,
};
use route::Relay;

use crate::tries::Try;

/// The queue did not do what it was asked, in its words. Always our own trouble.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue: {0}")]
pub struct QueueError(pub String);

/// What `deliver` needs of the durable queue. The store implements it; here is the contract.
///
/// A custody (one recipient of one message) is at any moment *waiting* until its due time, or
/// *taken* by the one runner of this process. Taking is not durable: after a restart every open
/// custody waits again, and one with a begun attempt but no result is `uncertain` and due at once.
///
/// | A crash between | leaves | and then |
/// |---|---|---|
/// | `take_due` and `begin_attempts` | waiting | sent, once |
/// | `begin_attempts` and the dot | begun, not sent | sent, marked as a possible duplicate |
/// | the dot and the reply, or the reply and `record` | begun, maybe sent | sent again, marked |
/// | `record` and anything later | its result | nothing to do |
pub trait Queue: Send + Sync + 'static {
    /// Takes custodies that are waiting and due, oldest due time first, those of one message next
    /// to each other where their due times are equal. A custody that was taken is not taken again
    /// before `record` or `give_back` has named it.
    ///
    /// # Errors
    /// Nothing was taken.
    fn take_due(&self, want: Due) -> impl Future<Output = Result<Taken, QueueError>> + Send;

    /// Takes custodies that are due and wait where `want.which` says, and that are old enough to go
    /// back or for a warning: all of them, page after page, whatever lies in front of them.
    ///
    /// # Errors
    /// Nothing was taken.
    fn take_late(&self, want: Late) -> impl Future<Output = Result<LateTaken, QueueError>> + Send;

    /// Takes custodies, due or not, whose [`Mail::deliver_by`] is over, at most so many; each time
    /// others.
    ///
    /// # Errors
    /// Nothing was taken; they are taken by the next call.
    fn take_by_deadline(
        &self,
        now: Timestamp,
        count_max: usize,
    ) -> impl Future<Output = Result<Vec<Item>, QueueError>> + Send;

    /// When the next [`Mail::deliver_by`] is over that [`Queue::take_by_deadline`] has not been
    /// asked for.
    fn next_deadline(&self) -> Option<Timestamp>;

    /// Returns once something may be due earlier than the last `take_due` has said: new mail, a
    /// retry command. A change between `take_due` and this call counts, so that none is missed.
    fn changed(&self) -> impl Future<Output = ()> + Send;

    /// Bytes of a message from `offset` on, at most `bytes_max`; fewer only at its end.
    ///
    /// # Errors
    /// The message cannot be read now.
    fn read_body(
        &self,
        mail: MailId,
        offset: u64,
        bytes_max: usize,
    ) -> impl Future<Output = Result<Vec<u8>, QueueError>> + Send;

    /// Makes durable that these recipients' messages are about to be offered to this peer. Returns
    /// after the sync, with those that may be offered: somebody may have held, changed or settled
    /// the others since they were taken. Those are still taken.
    ///
    /// # Errors
    /// It is not durable: nothing is sent.
    fn begin_attempts(
        &self,
        custodies: &[CustodyId],
        peer: &Peer,
    ) -> impl Future<Output = Result<Vec<CustodyId>, QueueError>> + Send;

    /// Makes results durable, each [`Attempt`] as a whole: with its report (a message from `<>`,
    /// which is accepted in the same commit) or not at all. Afterwards the custodies of those that
    /// are durable are no longer taken. Returns after the sync, with an answer for each in their
    /// order; an attempt whose answer is an error or missing is not durable, and comes again later
    /// while others are recorded.
    fn record(
        &self,
        attempts: &[Attempt],
    ) -> impl Future<Output = Vec<Result<(), QueueError>>> + Send;

    /// Ends the taking of custodies that came to nothing: they are due as before. Where an attempt
    /// was begun, nothing was sent, so they are not uncertain on its account.
    ///
    /// # Errors
    /// Some of them are still taken; it is asked for again.
    fn give_back(
        &self,
        custodies: &[CustodyId],
    ) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// What a taken message is as it leaves, known before anything of it is sent.
    ///
    /// # Errors
    /// The message cannot be read now.
    fn leaving(&self, mail: &Mail) -> impl Future<Output = Result<Leaving, QueueError>> + Send {
        std::future::ready(Ok(Leaving::as_kept(mail)))
    }

    /// Hosts of recipients that mail was relayed to, the latest last, at most so many: asked once,
    /// before the first mail is taken. Where they cannot be read there are none.
    fn reached_lately(&self, hosts_max: usize) -> impl Future<Output = Vec<Host>> + Send;

    /// How many messages were sent lately: asked once, before the first mail is taken.
    fn sent_lately(&self) -> impl Future<Output = Sent> + Send {
        async { Sent::default() }
    }

    /// Who is told of a failure that nobody else may be told of, because the message came from
    /// `<>`: the postmaster, where there is one here.
    fn postmaster(&self) -> Option<Address>;
}

/// How many messages were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Host name in lower case, when (to the minute), messages; of the last hour.
    pub by_host: Vec<(String, Timestamp, u64)>,
    /// An address of ours, the day's number since 1970-01-01 (UTC), messages; all days.
    pub by_source: Vec<(IpAddr, i64, u64)>,
}

/// What to take.
#[derive(Clone)]
pub struct Due {
    /// The time now.
    pub now: Timestamp,
    /// Custodies to take at most.
    pub count_max: usize,
    /// Recipients at the hosts that this names, or that go to this relay instead, of mail of the
    /// priority, stay where they are: enough mail that goes the same way is taken already.
    pub skip: Skip,
}

/// Whether mail for a host, by this relay if any and of this priority, is left where it is.
pub type Skip = Arc<dyn Fn(&Host, Option<&Relay>, Priority) -> bool + Send + Sync>;

/// What to take of what waits for long.
#[derive(Clone)]
pub struct Late {
    /// The time now.
    pub now: Timestamp,
    /// Whose time in the queue began then or before is wanted.
    pub over_since: Timestamp,
    /// The same of mail whose sender was not told of the delay; `None`: nobody is.
    pub warn_since: Option<Timestamp>,
    /// Only what comes behind this one.
    pub after: CustodyId,
    /// Custodies to take at most.
    pub count_max: usize,
    /// Of which destinations.
    pub which: Skip,
}

/// What was taken of it, in order of its ids.
#[derive(Clone, Debug, Default)]
pub struct LateTaken {
    /// At most `count_max`.
    pub items: Vec<Item>,
    /// There may be more behind this one; `None`: that was all.
    pub after: Option<CustodyId>,
}

/// What was taken.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// At most `count_max`.
    pub items: Vec<Item>,
    /// When the next waiting custody is due that is not skipped; `None` without one. Not
    /// later than now where `items` is full and more are due.
    pub next_due: Option<Timestamp>,
}

/// What all recipients of a message share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its id.
    pub id: MailId,
    /// What its sender knows it by.
    pub receipt: Option<ReceiptId>,
    /// Who is told of failures.
    pub reverse_path: ReversePath,
    /// RFC 3461 §4.4 ENVID, decoded.
    pub envelope_id: Option<String>,
    /// RFC 3461 §4.3 RET=HDRS; `None` where nothing was said.
    pub return_headers_only: Option<bool>,
    /// BODY=8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtp_utf8: bool,
    /// REQUIRETLS (RFC 8689).
    pub requires_tls: bool,
    /// TLS-Required: No (RFC 8689 §5): it goes whatever TLS policies say.
    pub tls_optional: bool,
    /// Octets of the message as kept; what is signed or sealed as it leaves has more
    /// ([`Queue::leaving`]).
    pub body_bytes: u64,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// RFC 6710.
    pub priority: Priority,
    /// RFC 2852: until when it is to be delivered.
    pub deliver_by: Option<Deadline>,
    /// RFC 4865 §6: how its sender asked for it to leave later, for reports.
    pub future_release: Option<String>,
    /// It is for the postmaster in the first place, who is told of no failure of it: a report of
    /// it would fail as it does.
    pub for_postmaster: bool,
}

/// A message as it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Another than its own where it is only forwarded.
    pub reverse_path: ReversePath,
    /// Octets of it, with all that is put in front as it leaves: what [`Queue::read_body`] gives.
    pub octets: u64,
}

impl Leaving {
    /// With nothing in front, and under its own reverse-path.
    #[must_use]
    pub fn as_kept(mail: &Mail) -> Self {
        Self { reverse_path: mail.reverse_path.clone(), octets: mail.body_bytes }
    }
}

/// A custody that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub custody: CustodyId,
    /// The message.
    pub mail: Arc<Mail>,
    /// To whom.
    pub recipient: Address,
    /// RFC 3461 §4.1; `None` where nothing was said.
    pub notify: Option<Notify>,
    /// RFC 3461 §4.2 ORCPT, `type;address`, decoded.
    pub original_recipient: Option<String>,
    /// Results of attempts so far that were not final.
    pub attempts: u32,
    /// Whether the sender was told of the delay.
    pub warned: bool,
    /// Whether an earlier attempt may have sent it (its reply was lost, or we crashed).
    pub uncertain: bool,
    /// From when its time in the queue counts: when it was accepted, or was to be sent first.
    pub since: Timestamp,
    /// The host that it goes to, whatever routes and MX records say.
    pub relay: Option<Relay>,
    /// It is not sent but goes back to its sender, for this reason.
    pub give_back: Option<String>,
}

/// RFC 3461 §4.1 NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// `NEVER`
    Never,
    /// At least one of these.
    On {
        /// `SUCCESS`
        success: bool,
        /// `FAILURE`
        failure: bool,
        /// `DELAY`
        delay: bool,
    },
}

/// What came of one attempt, for recipients of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// The message.
    pub mail: MailId,
    /// Who was asked last; none where it did not come so far.
    pub peer: Option<Peer>,
    /// Each recipient once.
    pub results: Vec<(CustodyId, Outcome)>,
    /// Every host that was asked in it, in order; none where it did not come so far.
    pub tries: Vec<Arc<Try>>,
    /// What to accept in the same commit: a DSN about those results that say so.
    pub report: Option<Report>,
}

/// A DSN (RFC 3464), from `<>`. It needs SMTPUTF8 where `to` does, and 8BITMIME where its body is
/// not all ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// To whom: the reverse-path of the message it is about.
    pub to: Address,
    /// The message that it is about.
    pub about: MailId,
    /// The whole report, CRLF line ends.
    pub body: Vec<u8>,
}

/// What came of an attempt for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer took the message.
    Relayed {
        /// Its reply to the final dot.
        reply: Reply,
        /// The report says so (RFC 3461 §6.2.2: asked for, and the peer sends none itself).
        reported: bool,
        /// An earlier attempt was uncertain: the recipient may have it twice.
        may_be_duplicate: bool,
    },
    /// Not now.
    Deferred {
        /// Why, in plain words; the reply where there is one.
        reason: String,
        /// 4.y.z
        status: EnhancedStatus,
        /// The reply to blame.
        reply: Option<Reply>,
        /// When it is tried again.
        due: Timestamp,
        /// The report tells the sender of the delay.
        reported: bool,
    },
    /// The reply to the final dot was lost: the peer may have the message.
    Uncertain {
        /// What happened.
        reason: String,
        /// When it is tried again.
        due: Timestamp,
    },
    /// Never.
    Returned {
        /// Why, in plain words; the reply where there is one.
        reason: String,
        /// 5.y.z
        status: EnhancedStatus,
        /// The reply to blame.
        reply: Option<Reply>,
        /// Whether the sender is told.
        notice: Notice,
    },
    /// It was not tried: a limit of ours keeps it. No attempt.
    Waits {
        /// For what, in plain words.
        reason: String,
        /// When it is looked at again.
        due: Timestamp,
        /// The report tells the sender of the delay.
        reported: bool,
    },
}

/// Whether the sender is told of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// The report does it.
    Reported,
    /// RFC 5321 §4.5.5: the message came from `<>`, so nobody may be told.
    NullReversePath,
    /// NOTIFY=NEVER, or without FAILURE (RFC 3461 §4.1).
    NotWanted,
}
