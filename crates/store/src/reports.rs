//! Reports of this server to others: what they count, read from the journal; and which were sent, so
//! that none is sent twice, whenever the server stops.

use journal::{Body, Disk, Entry as JournalEntry, Head};
use mail_types::{Address, CustodyId, MailId, ReversePath, Timestamp};

use crate::accept::{Arrived, Recipient};
use crate::commit::Work;
use crate::index::Index;
use crate::record::{Actor, Entry, Record, Source};
use crate::record_judged::Judged;
use crate::record_report::{ReportOutcome, ReportSpan, Reported, TlsPolicySeen};
use crate::record_tried::Tried;
use crate::sql::{Executor, Param, Row, SqlError};
use crate::{Pending, Refused, Store, StoreError};

/// For so long it is known which reports were sent.
const KEPT_MS: i64 = 400 * 24 * 3600 * 1000;

/// What happened to be counted.
#[derive(Clone, Debug)]
pub enum Observation {
    /// A message came and was judged.
    Judged {
        /// How.
        judged: Box<Judged>,
        /// Its Subject; none where it was turned away.
        subject: Option<String>,
    },
    /// Hosts were asked to take mail; that of reports is left out.
    Tried {
        /// The hosts.
        tried: Box<Tried>,
        /// The recipients' domain, or an address literal.
        destination: String,
    },
}

/// What happened in a span of time.
#[derive(Clone, Debug)]
pub struct Observed {
    /// In order.
    pub seen: Vec<Observation>,
    /// Where to go on: behind the last group that was read whole.
    pub head: Head,
    /// Whether more of it is there.
    pub more: bool,
}

/// A message that carries a report.
#[derive(Debug)]
pub struct ReportMail {
    /// MAIL FROM.
    pub from: Address,
    /// RCPT TO.
    pub to: Address,
    /// The whole message.
    pub body: Body,
    /// Its Subject.
    pub subject: String,
    /// Its Message-ID, without angle brackets.
    pub message_id: String,
    /// It goes out whatever becomes of TLS (RFC 8460 §3: what is wrong there is what it tells).
    pub tls_optional: bool,
}

/// What is known of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentReport {
    /// When it was settled.
    pub at: Timestamp,
    /// The report.
    pub report: Reported,
}

impl<D: Disk> Store<D> {
    /// What happened behind `from` and before `until`, from whole groups of the journal, until there
    /// are `records_max` records or more in them, of whatever kind.
    ///
    /// # Errors
    /// Where a record cannot be read by this version, and the index's.
    pub fn observed(
        &self,
        from: &Head,
        until: Timestamp,
        records_max: usize,
    ) -> Result<Observed, StoreError> {
        let mut found = Found { head: *from, group: Vec::new(), all: Vec::new() };
        let (mut read, mut more, mut later) = (0, false, false);
        for one in self.reader.scan(Some(*from)) {
            match one {
                JournalEntry::Record { payload, .. } => {
                    read += 1;
                    let entry = Entry::decode(&payload)?;
                    later |= entry.at >= until;
                    found.group.push(entry);
                }
                JournalEntry::Commit { .. } if later => break,
                JournalEntry::Commit { head } => {
                    found.end_group(head);
                    if read >= records_max {
                        more = true;
                        break;
                    }
                }
                JournalEntry::Body { .. } | JournalEntry::Damage(_) | JournalEntry::TornTail(_) => {
                }
            }
        }
        let head = found.head;
        let seen = self.read(|sql| {
            found.all.into_iter().try_fold(Vec::new(), |mut seen, one| {
                match one {
                    Unplaced::Judged(judged, subject) => {
                        seen.push(Observation::Judged { judged, subject });
                    }
                    Unplaced::Tried(tried) => {
                        if let Some(destination) = destination(sql, &tried)? {
                            seen.push(Observation::Tried { tried, destination });
                        }
                    }
                }
                Ok(seen)
            })
        })?;
        Ok(Observed { seen, head, more })
    }

    /// The span of time that is reported next; none before the first [`Store::begin_report_span`].
    ///
    /// # Errors
    /// The index's.
    pub fn report_span(&self) -> Result<Option<ReportSpan>, StoreError> {
        self.read(report_span)
    }

    /// Everything from now on is to be reported; nothing before it is, and where a span is there
    /// already, everything of it that is not.
    pub fn begin_report_span(&self) -> Pending<ReportSpan> {
        let head = self.reader.head().unwrap_or(Head::START).to_bytes().to_vec();
        self.change(move |work| {
            let span = ReportSpan { begin: work.now, head, end: None };
            work.record(&Actor::Server, Record::ReportSpanSet(Box::new(span.clone())))?;
            Ok(span)
        })
    }

    /// The span ends at this time, or, where it has its end, there.
    pub fn end_report_span(&self, end: Timestamp) -> Pending<ReportSpan> {
        self.change(move |work| {
            let mut span = known_span(work)?;
            if span.end.is_none() {
                // What comes behind this record is of the next span.
                span.end = Some(end.min(work.now));
                work.record(&Actor::Server, Record::ReportSpanSet(Box::new(span.clone())))?;
            }
            Ok(span)
        })
    }

    /// All reports of the span are settled, which ended at this head: the next one begins.
    pub fn next_report_span(&self, head: &Head) -> Pending<ReportSpan> {
        let head = head.to_bytes().to_vec();
        self.change(move |work| {
            let known = known_span(work)?;
            let end = known.end.ok_or_else(|| Refused::Invalid("it has not ended".to_owned()))?;
            let span = ReportSpan { begin: end, head, end: None };
            work.record(&Actor::Server, Record::ReportSpanSet(Box::new(span.clone())))?;
            Ok(span)
        })
    }

    /// Settles a report: its message is accepted in the commit that says so, or, without one, it
    /// says what became of it. Refused as [`Refused::Exists`] where it is settled already.
    pub fn settle_report(&self, report: Reported, mail: Option<ReportMail>) -> Pending<()> {
        let mail = mail.map(|mail| (self.next_mail(), mail));
        self.change(move |work| {
            let known = is_settled(&mut work.index.sql, &report);
            if known.map_err(|error| work.fail(error.into()))? {
                return Err(Refused::Exists(format!("the report {}", report.id)));
            }
            let mut report = report;
            if let Some((id, mail)) = mail {
                report.outcome = accept_mail(work, id, mail)?;
            }
            work.record(&Actor::Server, Record::Reported(Box::new(report)))
        })
    }

    /// Whether this report to this destination is settled.
    ///
    /// # Errors
    /// The index's.
    pub fn is_report_settled(&self, report: &Reported) -> Result<bool, StoreError> {
        self.read(|sql| is_settled(sql, report))
    }

    /// Reports that were settled at this time or later, the latest first, at most so many.
    ///
    /// # Errors
    /// The index's.
    pub fn reports(
        &self,
        since: Timestamp,
        count_max: usize,
    ) -> Result<Vec<SentReport>, StoreError> {
        self.read(|sql| {
            let mut reports = Vec::new();
            let query = "SELECT at, report FROM report WHERE at >= $1 \
                         ORDER BY at DESC, kind, about, dest LIMIT $2";
            let count_max = i64::try_from(count_max).unwrap_or(i64::MAX);
            sql.query(query, &[since.0.into(), count_max.into()], &mut |row| {
                reports
                    .push(SentReport { at: Timestamp(row.int(0)?), report: report_from(row, 1)? });
                Ok(())
            })?;
            Ok(reports)
        })
    }

    /// What a domain wanted of TLS when mail went there last.
    ///
    /// # Errors
    /// The index's.
    pub fn tls_policies_seen(&self, domain: &str) -> Result<Vec<TlsPolicySeen>, StoreError> {
        self.read(|sql| {
            let mut policies = Vec::new();
            let query = "SELECT policy FROM tls_policy WHERE domain = $1 ORDER BY host";
            sql.query(query, &[domain.into()], &mut |row| {
                policies.push(postcard::from_bytes(row.blob(0)?).map_err(crate::index::broken)?);
                Ok(())
            })?;
            Ok(policies)
        })
    }
}

/// What is read of the journal.
struct Found {
    head: Head,
    group: Vec<Entry>,
    all: Vec<Unplaced>,
}

enum Unplaced {
    Judged(Box<Judged>, Option<String>),
    Tried(Box<Tried>),
}

impl Found {
    /// A group is whole. A verdict stands behind the message that it is about.
    fn end_group(&mut self, head: Head) {
        let mut last: Option<(MailId, Option<String>)> = None;
        for entry in self.group.drain(..) {
            match entry.record {
                Record::Accepted(mail) => last = Some((mail.mail, mail.subject)),
                Record::Judged(judged) => {
                    let of_it = last.take_if(|(mail, _)| judged.mail == Some(*mail));
                    let subject = of_it.and_then(|(_, subject)| subject);
                    self.all.push(Unplaced::Judged(judged, subject));
                }
                Record::Tried(tried) => self.all.push(Unplaced::Tried(tried)),
                _ => {}
            }
        }
        self.head = head;
    }
}

/// The host of the recipients; none where the message is itself a report.
fn destination(sql: &mut impl Executor, tried: &Tried) -> Result<Option<String>, SqlError> {
    let Some(&(CustodyId(custody), _)) = tried.outcomes.first() else { return Ok(None) };
    let mut found = None;
    let query = "SELECT recipient FROM custody WHERE id = $1 \
                 AND NOT EXISTS (SELECT 1 FROM report WHERE report.mail = custody.mail)";
    sql.query(query, &[custody.into()], &mut |row| {
        found = row.text(0)?.rsplit_once('@').map(|(_, host)| host.to_ascii_lowercase());
        Ok(())
    })?;
    Ok(found)
}

fn report_span(sql: &mut impl Executor) -> Result<Option<ReportSpan>, SqlError> {
    let mut span = None;
    let query = "SELECT begins, ends, head FROM report_span";
    sql.query(query, &[], &mut |row| {
        span = Some(ReportSpan {
            begin: Timestamp(row.int(0)?),
            end: row.int_or_null(1)?.map(Timestamp),
            head: row.blob(2)?.to_vec(),
        });
        Ok(())
    })?;
    Ok(span)
}

fn known_span(work: &mut Work<'_>) -> Result<ReportSpan, Refused> {
    let known = report_span(&mut work.index.sql).map_err(|error| work.fail(error.into()))?;
    known.ok_or_else(|| Refused::Missing("a span of time to report".to_owned()))
}

fn is_settled(sql: &mut impl Executor, report: &Reported) -> Result<bool, SqlError> {
    let query = "SELECT 1 FROM report \
                 WHERE kind = $1 AND about = $2 AND begins = $3 AND dest = $4";
    Ok(sql.number(query, &key(report))?.is_some())
}

fn key(report: &Reported) -> [Param<'_>; 4] {
    [
        report.kind.code().into(),
        report.about.as_str().into(),
        report.begin.0.into(),
        report.to.as_str().into(),
    ]
}

fn report_from(row: &dyn Row, column: usize) -> Result<Reported, SqlError> {
    postcard::from_bytes(row.blob(column)?).map_err(crate::index::broken)
}

/// Accepts the message; what becomes of a report to somebody here who does not exist is told, too.
fn accept_mail(
    work: &mut Work<'_>,
    id: MailId,
    mail: ReportMail,
) -> Result<ReportOutcome, Refused> {
    let smtp_utf8 = mail.to.needs_smtputf8() || mail.from.needs_smtputf8();
    let from = (Actor::Server, Source::PeriodReport);
    let arrived = Arrived {
        reverse_path: ReversePath::Address(mail.from),
        smtp_utf8,
        message_id: Some(mail.message_id),
        subject: Some(mail.subject),
        ..Arrived::plain(id, from, mail.body, vec![Recipient::silent(mail.to)])
    };
    match crate::accept::accept(work, arrived, crate::accept::Senders::new()) {
        Ok(()) => {
            if mail.tls_optional {
                work.record(&Actor::Server, Record::TlsOptional { mail: id })?;
            }
            Ok(ReportOutcome::Mailed { mail: id })
        }
        Err(refused @ (Refused::UnknownUser(_) | Refused::Invalid(_) | Refused::UidsUsedUp)) => {
            Ok(ReportOutcome::Dropped { why: refused.to_string() })
        }
        Err(refused) => Err(refused),
    }
}

/// Records what domains want of TLS, where that is not known as it is.
pub(crate) fn note_tls_policies(
    work: &mut Work<'_>,
    policies: Vec<TlsPolicySeen>,
) -> Result<(), Refused> {
    for policy in policies {
        let mut known = None;
        let query = "SELECT policy FROM tls_policy WHERE domain = $1 AND host = $2";
        let key = [policy.domain.as_str().into(), policy.host.as_str().into()];
        let found = work.index.sql.query(query, &key, &mut |row| {
            known = Some(row.blob(0)?.to_vec());
            Ok(())
        });
        found.map_err(|error| work.fail(error.into()))?;
        let bytes = postcard::to_stdvec(&policy)
            .map_err(|error| work.fail(crate::index::broken(error).into()))?;
        if known.as_ref() != Some(&bytes) {
            work.record(&Actor::Server, Record::TlsPolicySeen(Box::new(policy)))?;
        }
    }
    Ok(())
}

impl<E: Executor> Index<E> {
    pub(crate) fn apply_reported(
        &mut self,
        report: &Reported,
        at: Timestamp,
    ) -> Result<(), SqlError> {
        let old = at.0.saturating_sub(KEPT_MS);
        self.sql.execute("DELETE FROM report WHERE at < $1", &[old.into()])?;
        let mail = match report.outcome {
            ReportOutcome::Mailed { mail } => Some(mail.0),
            ReportOutcome::Posted { .. } | ReportOutcome::Dropped { .. } => None,
        };
        let bytes = postcard::to_stdvec(report).map_err(crate::index::broken)?;
        let [kind, about, begins, dest] = key(report);
        self.sql.execute(
            "INSERT INTO report (kind, about, begins, dest, at, mail, report) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[kind, about, begins, dest, at.0.into(), mail.into(), Param::Blob(&bytes)],
        )?;
        Ok(())
    }

    pub(crate) fn apply_report_span(&mut self, span: &ReportSpan) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO report_span (place, begins, ends, head) VALUES (1, $1, $2, $3) \
             ON CONFLICT (place) DO UPDATE SET begins = excluded.begins, ends = excluded.ends, \
             head = excluded.head",
            &[span.begin.0.into(), span.end.map(|end| end.0).into(), Param::Blob(&span.head)],
        )?;
        Ok(())
    }

    pub(crate) fn apply_tls_policy(
        &mut self,
        policy: &TlsPolicySeen,
        at: Timestamp,
    ) -> Result<(), SqlError> {
        let bytes = postcard::to_stdvec(policy).map_err(crate::index::broken)?;
        // Of domains that no mail goes to any more nothing needs to be known.
        let old = at.0.saturating_sub(KEPT_MS);
        self.sql.execute("DELETE FROM tls_policy WHERE at < $1", &[old.into()])?;
        self.sql.execute(
            "INSERT INTO tls_policy (domain, host, at, policy) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (domain, host) DO UPDATE SET at = excluded.at, policy = excluded.policy",
            &[
                policy.domain.as_str().into(),
                policy.host.as_str().into(),
                at.0.into(),
                Param::Blob(&bytes),
            ],
        )?;
        Ok(())
    }
}
