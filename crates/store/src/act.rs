//! Acts: what people did, one by one, and whether it was taken back.

use std::net::IpAddr;

use journal::Disk;
use mail_types::{AccountId, MailboxId, RecordSeq, Timestamp};

use crate::record::{Place, Record, SessionId, Via};
use crate::sql::{Executor, OnRow, Param, Row, SqlError};
use crate::{Store, StoreError};

/// What kind of thing somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActKind {
    /// A mailbox was made.
    Created,
    /// It has another name.
    Renamed,
    /// It is gone, with its messages.
    Deleted,
    /// It is back, with its messages.
    MailboxRestored,
    /// A name is on the list of subscriptions, or off it.
    Subscribed,
    /// Somebody else may do more with a mailbox, or less.
    Shared,
    /// An annotation was set.
    Annotated,
    /// Messages have other flags.
    Flags,
    /// A message was put into a mailbox.
    Appended,
    /// Messages are in another mailbox too.
    Copied,
    /// Messages are in another mailbox instead.
    Moved,
    /// Messages are gone from a mailbox.
    Expunged,
    /// Messages are back in a mailbox.
    Restored,
    /// A domain was added or removed.
    Domain,
    /// An account was added, removed or brought back.
    Account,
    /// An alias was set or removed.
    Alias,
    /// A route was set or removed.
    Route,
    /// A quota was set.
    Quota,
}

impl ActKind {
    const ALL: [Self; 18] = [
        Self::Created,
        Self::Renamed,
        Self::Deleted,
        Self::MailboxRestored,
        Self::Subscribed,
        Self::Shared,
        Self::Annotated,
        Self::Flags,
        Self::Appended,
        Self::Copied,
        Self::Moved,
        Self::Expunged,
        Self::Restored,
        Self::Domain,
        Self::Account,
        Self::Alias,
        Self::Route,
        Self::Quota,
    ];

    /// As the index keeps it.
    pub(crate) const fn code(self) -> i64 {
        self as i64
    }

    fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// What was done, in a word or two.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "mailbox made",
            Self::Renamed => "mailbox renamed",
            Self::Deleted => "mailbox deleted",
            Self::MailboxRestored => "mailbox restored",
            Self::Subscribed => "subscription",
            Self::Shared => "sharing",
            Self::Annotated => "annotation",
            Self::Flags => "flags",
            Self::Appended => "put in",
            Self::Copied => "copied",
            Self::Moved => "moved",
            Self::Expunged => "deleted",
            Self::Restored => "restored",
            Self::Domain => "domain",
            Self::Account => "account",
            Self::Alias => "alias",
            Self::Route => "route",
            Self::Quota => "quota",
        }
    }
}

/// Something somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Its record's number, by which it is named.
    pub seq: RecordSeq,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: ActKind,
    /// Whose mail it is about.
    pub owner: Option<AccountId>,
    /// In which mailbox.
    pub mailbox: Option<MailboxId>,
    /// The mailbox that messages went to, or were copied from.
    pub other: Option<MailboxId>,
    /// The name of what it is about, as it was then: mailbox, annotation, account, alias, domain;
    /// of sharing the id of the account that is meant, 0 for anyone, `-` before it where rights are
    /// taken.
    pub subject: String,
    /// Which account did it; none: an operator.
    pub actor: Option<AccountId>,
    /// In which session.
    pub session: Option<SessionId>,
    /// From where.
    pub ip: Option<IpAddr>,
    /// By which protocol; none: by a command on this machine.
    pub via: Option<Via>,
    /// How many messages it is about.
    pub messages: u64,
    /// The record that took it back.
    pub undone: Option<RecordSeq>,
    /// The act that it took back itself.
    pub undoes: Option<RecordSeq>,
    pub(crate) place: Place,
    /// What makes it as it was, where that does not follow from the messages. Read only with an act
    /// that is named by its number: it may be megabytes.
    pub(crate) before: Vec<Record>,
    /// Bytes of that.
    pub(crate) before_bytes: usize,
}

/// Which acts: everything given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActFilter {
    /// This one, if all else holds.
    pub seq: Option<RecordSeq>,
    /// About the mail of this account.
    pub owner: Option<AccountId>,
    /// In this mailbox, or out of it.
    pub mailbox: Option<MailboxId>,
    /// Done by this account.
    pub actor: Option<AccountId>,
    /// Done in this session.
    pub session: Option<SessionId>,
    /// Done from this address.
    pub ip: Option<IpAddr>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// Only what was not taken back. What took something back counts where that is none of these: what
    /// one of them did and another took back comes to nothing.
    pub standing: bool,
    /// Only what took something back and holds, of these records, first and last of each run: see
    /// [`crate::UndoOutcome`]. Empty: whatever it did.
    pub undoing: Vec<(RecordSeq, RecordSeq)>,
}

impl ActFilter {
    fn takes(&self, act: &Act) -> bool {
        self.owner.is_none_or(|owner| act.owner == Some(owner))
            && self
                .mailbox
                .is_none_or(|mailbox| act.mailbox == Some(mailbox) || act.other == Some(mailbox))
            && self.actor.is_none_or(|actor| act.actor == Some(actor))
            && self.session.is_none_or(|session| act.session == Some(session))
            && self.ip.is_none_or(|ip| act.ip == Some(ip))
            && self.until.is_none_or(|until| act.at < until)
            && (!self.standing || act.undone.is_none())
            && (self.undoing.is_empty() || (act.undone.is_none() && act.undoes.is_some()))
    }
}

macro_rules! columns {
    ($before:literal) => {
        concat!(
            "SELECT seq, at, kind, owner, mailbox, other, subject, actor, session, ip, via, \
             messages, segment, place, undone, undoes, ",
            $before,
            " "
        )
    };
}

impl<D: Disk> Store<D> {
    /// What was done, the newest first; `on_act` says whether it wants more.
    ///
    /// # Errors
    /// The index's.
    pub fn acts(
        &self,
        filter: &ActFilter,
        on_act: &mut dyn FnMut(Act) -> bool,
    ) -> Result<(), StoreError> {
        if let Some(seq) = filter.seq {
            if let Some(act) = self.act(seq)?.filter(|act| filter.takes(act)) {
                on_act(act);
            }
            return Ok(());
        }
        let mut runs: Vec<(u64, u64)> =
            filter.undoing.iter().map(|(first, last)| (first.0, last.0)).collect();
        runs.sort_unstable_by(|a, b| b.cmp(a));
        if runs.is_empty() {
            runs.push((0, SEQ_MAX));
        }
        for run in runs {
            if !self.acts_of_run(filter, run, on_act)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether an act took back another one that is asked for as well.
    fn cancels(&self, filter: &ActFilter, act: &Act) -> Result<bool, StoreError> {
        let (true, Some(undone)) = (filter.standing, act.undoes) else { return Ok(false) };
        let covered = ActFilter { standing: false, ..filter.clone() };
        let in_time = |act: &Act| filter.since.is_none_or(|since| act.at >= since);
        Ok(self.act(undone)?.is_some_and(|act| in_time(&act) && covered.takes(&act)))
    }

    /// The act of this number, with what was before it.
    pub(crate) fn act(&self, seq: RecordSeq) -> Result<Option<Act>, StoreError> {
        self.read(|sql| {
            let mut found = None;
            sql.query(
                concat!(columns!("before"), "FROM act WHERE seq = $1"),
                &[seq.0.into()],
                &mut |row| {
                    found = Some(act_from(row)?);
                    Ok(())
                },
            )?;
            Ok(found)
        })
    }

    /// Those of a run of records; whether more are wanted.
    fn acts_of_run(
        &self,
        filter: &ActFilter,
        (first, last): (u64, u64),
        on_act: &mut dyn FnMut(Act) -> bool,
    ) -> Result<bool, StoreError> {
        let mut pages = Pages::new(By::of(filter), first, last);
        while let Some(page) = self.read(|sql| pages.next(sql))? {
            for act in page {
                if let Some(since) = filter.since.filter(|since| act.at < *since) {
                    // A clock that was set back once is not the end of it.
                    if act.at.0 < since.0.saturating_sub(CLOCK_BACK_MILLIS) {
                        return Ok(false);
                    }
                    continue;
                }
                if filter.takes(&act) && !self.cancels(filter, &act)? && !on_act(act) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// So far a clock may go back from one act to the next, and acts behind that are still found.
const CLOCK_BACK_MILLIS: i64 = 3_600_000;
/// Records of which it is noted together which sessions and addresses did something in them: an index
/// of the acts themselves would cost each change of a flag ten times as much.
pub(crate) const RUN: u64 = 16_384;
/// Numbers of records are below this.
const SEQ_MAX: u64 = u64::MAX >> 1;

/// What acts are looked for by; the rest is asked of each.
enum By {
    All,
    Owner(AccountId),
    Session(SessionId),
    Ip(String),
}

impl By {
    /// A session has done the least. What came from an address may be all that a webmail does, but
    /// without an account there is nothing nearer.
    fn of(filter: &ActFilter) -> Self {
        match (filter.session, filter.owner, filter.ip) {
            (Some(session), ..) => Self::Session(session),
            (None, Some(owner), _) => Self::Owner(owner),
            (None, None, Some(ip)) => Self::Ip(ip.to_string()),
            (None, None, None) => Self::All,
        }
    }
}

/// The acts of a run of records, the newest first, a page at a time.
struct Pages {
    by: By,
    first: u64,
    /// What comes next is below this.
    below: u64,
    /// Records that the next page of an account's acts is looked for in. It grows where few are
    /// found, so that an account that did little is read in few steps; and no more than a page is
    /// ever held of one that did much.
    window: u64,
}

impl Pages {
    /// Acts read at a time.
    const PAGE: usize = 1000;
    const WINDOW_MIN: u64 = 4096;

    fn new(by: By, first: u64, last: u64) -> Self {
        let below = last.min(SEQ_MAX).saturating_add(1);
        Self { by, first, below, window: Self::WINDOW_MIN }
    }

    /// Reads the last run of records below that has something of this key; the first record that was
    /// looked at.
    fn look_up(
        &self,
        sql: &mut impl Executor,
        [runs, acts]: [&'static str; 2],
        key: Param<'_>,
        on_row: OnRow<'_>,
    ) -> Result<u64, SqlError> {
        let run = sql.number(runs, &[key, (self.below.saturating_sub(1) / RUN).into()])?;
        let Some(run) = run.map(i64::cast_unsigned) else { return Ok(self.first) };
        let from = (run * RUN).max(self.first);
        let below = self.below.min((run + 1) * RUN);
        let limit = (Self::PAGE as u64).into();
        sql.query(acts, &[key, from.into(), below.into(), limit], on_row)?;
        Ok(from)
    }

    /// None: that was all.
    fn next(&mut self, sql: &mut impl Executor) -> Result<Option<Vec<Act>>, SqlError> {
        if self.below <= self.first {
            return Ok(None);
        }
        if self.below > SEQ_MAX {
            // The windows of an account begin at the last act there is.
            let last = sql.number("SELECT max(seq) FROM act", &[])?;
            self.below = last.map_or(0, |last| last.cast_unsigned() + 1);
        }
        let mut page = Vec::new();
        let on_row = &mut |row: &dyn Row| {
            page.push(act_from(row)?);
            Ok(())
        };
        let (below, limit) = (self.below.into(), (Self::PAGE as u64).into());
        let from = match &self.by {
            By::All => {
                sql.query(
                    concat!(
                        columns!("NULL"),
                        "FROM act WHERE seq >= $1 AND seq < $2 ORDER BY seq DESC LIMIT $3"
                    ),
                    &[self.first.into(), below, limit],
                    on_row,
                )?;
                self.first
            }
            By::Session(session) => {
                let runs = "SELECT max(run) FROM act_run WHERE session = $1 AND run <= $2";
                let acts = concat!(
                    columns!("NULL"),
                    "FROM act WHERE session = $1 AND seq >= $2 AND seq < $3 \
                     ORDER BY seq DESC LIMIT $4"
                );
                self.look_up(sql, [runs, acts], session.0.into(), on_row)?
            }
            By::Ip(ip) => {
                let runs = "SELECT max(run) FROM act_run WHERE ip = $1 AND run <= $2";
                let acts = concat!(
                    columns!("NULL"),
                    "FROM act WHERE ip = $1 AND seq >= $2 AND seq < $3 \
                     ORDER BY seq DESC LIMIT $4"
                );
                self.look_up(sql, [runs, acts], ip.as_str().into(), on_row)?
            }
            By::Owner(owner) => {
                let from = self.below.saturating_sub(self.window).max(self.first);
                // By the mailboxes that are the account's or shared with it: an index of owners
                // would cost every change of a flag.
                sql.query(
                    concat!(
                        columns!("NULL"),
                        "FROM act INDEXED BY act_mailbox \
                         WHERE mailbox IN (SELECT id FROM mailbox WHERE account = $1 \
                         UNION ALL SELECT mailbox FROM acl WHERE account IN (0, $1) \
                         UNION ALL SELECT 0) AND seq >= $2 AND seq < $3 AND owner = $1 \
                         ORDER BY seq DESC LIMIT $4"
                    ),
                    &[owner.0.into(), from.into(), below, limit],
                    on_row,
                )?;
                from
            }
        };
        match page.last() {
            Some(last) if page.len() == Self::PAGE => {
                self.below = last.seq.0;
                self.window = (self.window / 2).max(Self::WINDOW_MIN);
            }
            _ => {
                self.below = from;
                self.window = self.window.saturating_mul(2);
            }
        }
        Ok(Some(page))
    }
}

/// The acts on a mailbox of one kind before another act, the newest first.
pub(crate) fn before_on_mailbox(
    sql: &mut impl Executor,
    mailbox: MailboxId,
    kind: ActKind,
    below: RecordSeq,
    on_place: &mut dyn FnMut(RecordSeq, Place),
    rows_max: u64,
) -> Result<(), SqlError> {
    sql.query(
        "SELECT seq, segment, place FROM act WHERE mailbox = $1 AND seq < $2 AND kind = $3 \
         ORDER BY seq DESC LIMIT $4",
        &[mailbox.0.into(), below.0.into(), kind.code().into(), rows_max.into()],
        &mut |row| {
            let segment = u32::try_from(row.int(1)?).unwrap_or(u32::MAX);
            on_place(RecordSeq(row.id(0)?), Place { segment, offset: row.id(2)? });
            Ok(())
        },
    )
}

/// As the index keeps it.
pub(crate) const fn via_code(via: Via) -> i64 {
    match via {
        Via::Submission => 0,
        Via::Imap => 1,
        Via::Pop3 => 2,
        Via::Control => 3,
        Via::Http => 4,
    }
}

fn via_from(code: i64) -> Option<Via> {
    let all = [Via::Submission, Via::Imap, Via::Pop3, Via::Control, Via::Http];
    all.into_iter().find(|via| via_code(*via) == code)
}

fn act_from(row: &dyn Row) -> Result<Act, SqlError> {
    let wrong = |what: &str| SqlError { doing: "read an act".to_owned(), cause: what.into() };
    let some = |id: u64| (id != 0).then_some(id);
    let number = |column| -> Result<Option<RecordSeq>, SqlError> {
        Ok(row.int_or_null(column)?.map(|seq| RecordSeq(seq.cast_unsigned())))
    };
    let (before, before_bytes) = match row.blob_or_null(16)? {
        Some(bytes) => {
            (postcard::from_bytes(bytes).map_err(|_| wrong("what was before"))?, bytes.len())
        }
        None => (Vec::new(), 0),
    };
    Ok(Act {
        seq: RecordSeq(row.id(0)?),
        at: Timestamp(row.int(1)?),
        kind: ActKind::from_code(row.int(2)?).ok_or_else(|| wrong("its kind"))?,
        owner: some(row.id(3)?).map(AccountId),
        mailbox: some(row.id(4)?).map(MailboxId),
        other: some(row.id(5)?).map(MailboxId),
        subject: row.text(6)?.to_owned(),
        actor: some(row.id(7)?).map(AccountId),
        session: some(row.id(8)?).map(SessionId),
        ip: row.text_or_null(9)?.and_then(|ip| ip.parse().ok()),
        via: row.int_or_null(10)?.and_then(via_from),
        messages: row.id(11)?,
        place: Place {
            segment: u32::try_from(row.int(12)?).unwrap_or(u32::MAX),
            offset: row.id(13)?,
        },
        before,
        before_bytes,
        undone: number(14)?,
        undoes: number(15)?,
    })
}
