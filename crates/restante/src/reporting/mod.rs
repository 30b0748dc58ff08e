//! Reports of this server to other domains, once a day: what came in their name (DMARC aggregate
//! reports, RFC 9990), and how TLS went on the way to them (RFC 8460).
//!
//! What they count is read from the journal behind the last span of time that was reported, so that
//! nothing is counted twice or left out, whenever the server stops; each report is settled by a
//! record, in the commit that accepts its message, so that none is sent twice.

pub mod command;
mod counts;
mod dmarc;
mod letter;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use config::Config;
use journal::Head;
use mail_types::{Address, Domain, Timestamp};
use net::{HttpClient, Resolver, Stop};
use serde_json::{Value, json};
use store::{
    Directory, DkimState, Refused, ReportKind, ReportMail, ReportOutcome, ReportSpan, Reported,
    Store,
};
use tokio::sync::Mutex as Turn;

use crate::outside::Outside;
use crate::request::Failure;
use counts::Counts;

const DAY_MS: i64 = 86_400_000;
/// What lies longer back is not reported any more: nobody waits for it.
const TOO_OLD: Duration = Duration::from_secs(3 * 86_400);
/// RFC 8460 §5.5: for so long a report that cannot be delivered is tried again.
const TRIED_FOR: Duration = Duration::from_secs(86_400);
/// Between two such tries.
const AGAIN_AFTER: Duration = Duration::from_secs(1800);
/// The clock is looked at so often, since it may be set.
const LOOK_EACH: Duration = Duration::from_secs(3600);
/// After trouble of our own.
const AFTER_TROUBLE: Duration = Duration::from_secs(600);
/// All look-ups for one report.
const LOOK_UP_MAX: Duration = Duration::from_secs(30);

/// Sends them.
pub struct Reporter {
    store: Store,
    config: Config,
    resolver: Arc<Resolver>,
    http: HttpClient,
    /// One span at a time.
    turn: Turn<()>,
}

/// As whom reports are sent.
struct Reporting {
    from: Address,
    /// Of `from`: whose policy the reports conform to.
    domain: Domain,
    organization: String,
    contact: String,
}

/// A report that is made.
struct Made {
    /// What is recorded of it; its outcome is still open.
    report: Reported,
    /// What a message with it has besides.
    subject: String,
    file_name: String,
    media_type: &'static str,
    file: Vec<u8>,
}

/// What came of one report at one destination.
enum Settling {
    /// It is settled, now or before.
    Done,
    /// It may work later; why it did not now.
    Later(Box<Reported>, String),
}

/// What came of a span.
#[derive(Default)]
struct Outcomes {
    /// Reports that may be delivered later.
    later: Vec<(Reported, String)>,
    /// Domains of which it is not known whether they want reports.
    unknown: Vec<String>,
}

impl Reporter {
    pub fn new(config: &Config, store: &Store, outside: &Outside) -> Arc<Self> {
        Arc::new(Self {
            store: store.clone(),
            config: config.clone(),
            resolver: Arc::clone(&outside.resolver),
            http: outside.http.clone(),
            turn: Turn::default(),
        })
    }

    fn sends(&self, kind: ReportKind) -> bool {
        let wish = match kind {
            ReportKind::Dmarc => self.config.reports.dmarc,
            ReportKind::Tls => self.config.reports.tls,
        };
        wish.applies_to(&self.config.hostname)
    }

    fn sends_any(&self) -> bool {
        ReportKind::ALL.into_iter().any(|kind| self.sends(kind))
    }

    /// Sends the reports of each day, until the stop.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        if !self.sends_any() {
            return;
        }
        loop {
            let wait = tokio::select! {
                () = stop.requested() => return,
                wait = self.work(net::now()) => wait.unwrap_or_else(|failure| {
                    tracing::error!(what = failure.what, "reports to other domains have to wait");
                    AFTER_TROUBLE
                }),
            };
            tokio::select! {
                () = stop.requested() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Does what is due, and says when to look again.
    async fn work(&self, now: Timestamp) -> Result<Duration, Failure> {
        let _turn = self.turn.lock().await;
        let span = match self.store.report_span()? {
            None => self.store.begin_report_span().await?,
            Some(span) if now.since(span.begin) > TOO_OLD => {
                tracing::warn!(since = %span.begin, "what is so old is not reported any more");
                self.store.begin_report_span().await?
            }
            Some(span) => span,
        };
        let span = match span.end {
            Some(_) => span,
            None => {
                // RFC 8460 §4.1: a day in UTC.
                let end = Timestamp((span.begin.0.div_euclid(DAY_MS) + 1) * DAY_MS);
                let due = end.after(self.delay());
                if now < due {
                    return Ok(due.since(now).min(LOOK_EACH));
                }
                self.store.end_report_span(end).await?
            }
        };
        let outcomes = self.send(&span).await?;
        // Straight on to what has been gathered since.
        Ok(if outcomes.is_over() { Duration::ZERO } else { AGAIN_AFTER })
    }

    /// RFC 8460 §4.1: not everybody at midnight. By chance, but the same after a restart.
    fn delay(&self) -> Duration {
        let hash = blake3::hash(self.config.hostname.as_str().as_bytes());
        let first: [u8; 8] = std::array::from_fn(|at| hash.as_bytes()[at]);
        let spread = self.config.reports.spread.as_millis().min(u128::from(u64::MAX)) as u64;
        Duration::from_millis(u64::from_be_bytes(first).checked_rem(spread).unwrap_or(0))
    }

    /// Ends the span now and sends what is in it.
    pub async fn send_now(&self) -> Result<Value, Failure> {
        if !self.sends_any() {
            return Err(Failure {
                what: "this server sends no reports".to_owned(),
                mend: Some(
                    "set dmarc = \"yes\" or tls = \"yes\" under [reports] in restante.toml, and \
                     restart"
                        .to_owned(),
                ),
            });
        }
        let _turn = self.turn.lock().await;
        let now = net::now();
        if self.store.report_span()?.is_none() {
            self.store.begin_report_span().await?;
        }
        let span = self.store.end_report_span(now).await?;
        let outcomes = self.send(&span).await?;
        let sent = self.store.reports(now, command::REPORTS_MAX)?;
        let later: Vec<Value> = outcomes
            .later
            .iter()
            .map(|(report, why)| {
                json!({ "kind": report.kind.word(), "about": report.about, "to": report.to,
                        "why": why })
            })
            .collect();
        Ok(json!({
            "begin": span.begin.to_string(),
            "end": span.end.map(|end| end.to_string()),
            "reports": sent.iter().map(command::told).collect::<Vec<_>>(),
            "later": later,
            "not_known": outcomes.unknown,
        }))
    }

    /// Sends all reports of a span that has ended; what cannot be delivered stays to be tried again,
    /// for a day.
    async fn send(&self, span: &ReportSpan) -> Result<Outcomes, Failure> {
        let (store, of) = (self.store.clone(), span.clone());
        let counted = tokio::task::spawn_blocking(move || Counts::read(&store, &of, true)).await;
        let bug = |_| Failure { what: "counting failed (a bug)".to_owned(), mend: None };
        let (counts, head) = counted.map_err(bug)??;
        let mut outcomes = Outcomes::default();
        if self.sends(ReportKind::Dmarc) && !counts.dmarc.domains.is_empty() {
            let reporting = self.reporting(&self.store.directory())?;
            self.send_dmarc(&counts.dmarc, span, &reporting, &mut outcomes).await?;
        }
        if self.sends(ReportKind::Tls) && !counts.tls.domains.is_empty() {
            let reporting = self.reporting(&self.store.directory())?;
            self.send_tls(&counts.tls, span, &reporting, &mut outcomes).await?;
        }
        let is_last = span.end.is_none_or(|end| net::now().since(end) > TRIED_FOR);
        if is_last {
            for (mut report, why) in outcomes.later.drain(..) {
                tracing::warn!(about = report.about, to = report.to, why, "a report is given up");
                report.outcome = ReportOutcome::Dropped { why };
                self.settle(report, None).await?;
            }
            outcomes.unknown.clear();
        }
        if outcomes.is_over() {
            self.next(&head).await?;
        }
        Ok(outcomes)
    }

    async fn next(&self, head: &Head) -> Result<(), Failure> {
        self.store.next_report_span(head).await?;
        Ok(())
    }

    /// As whom reports are sent, by the settings and the domains of now.
    fn reporting(&self, directory: &Directory) -> Result<Reporting, Failure> {
        let settings = &self.config.reports;
        let failure = |what: String, mend: &str| Failure { what, mend: Some(mend.to_owned()) };
        let own = || {
            let signs = |domain: &&Domain| {
                directory.dkim_keys(domain).iter().any(|key| key.state == DkimState::Active)
            };
            let above = |domain: &&Domain| self.config.hostname.is_within(domain);
            let all = || directory.domains();
            all().filter(above).find(signs).or_else(|| all().find(signs)).or_else(|| all().next())
        };
        let from = match &settings.from {
            Some(from) => Address::parse(from)
                .map_err(|error| failure(error.to_string(), "mend reports.from"))?,
            None => {
                let mend = "add one: restante domain add, and restante domain dns for its DNS";
                let domain = own().ok_or_else(|| failure("no domain is kept here".into(), mend))?;
                Address::parse(&format!("noreply@{domain}"))
                    .map_err(|error| failure(error.to_string(), "set reports.from"))?
            }
        };
        let domain = from.domain().filter(|domain| directory.is_local(domain)).cloned();
        // RFC 9990 §3.5.2: what we send must pass DMARC itself.
        let mend = "name an address of a domain that is kept here in reports.from";
        let domain = domain.ok_or_else(|| failure(format!("{from} is not of ours"), mend))?;
        let contact = settings.contact.clone();
        Ok(Reporting {
            organization: settings.organization.clone().unwrap_or_else(|| domain.to_string()),
            contact: contact.unwrap_or_else(|| format!("postmaster@{domain}")),
            from,
            domain,
        })
    }

    /// Mails a report, or says why it is not.
    async fn mail(
        &self,
        made: &Made,
        to: &Address,
        reporting: &Reporting,
    ) -> Result<Settling, Failure> {
        let mail = letter::write(made, to, reporting, net::now())?;
        let bytes = mail.body.size;
        let most = self.config.limits.message_bytes_max;
        if bytes > most {
            let why = format!("it has {bytes} bytes, of which this server sends {most}");
            return self.drop(made, why).await;
        }
        self.settle(made.report.clone(), Some(mail)).await?;
        Ok(Settling::Done)
    }

    async fn drop(&self, made: &Made, why: String) -> Result<Settling, Failure> {
        let outcome = ReportOutcome::Dropped { why };
        self.settle(Reported { outcome, ..made.report.clone() }, None).await?;
        Ok(Settling::Done)
    }

    async fn settle(&self, report: Reported, mail: Option<ReportMail>) -> Result<(), Failure> {
        match self.store.settle_report(report, mail).await {
            Ok(()) | Err(Refused::Exists(_)) => Ok(()),
            Err(refused) => Err(refused.into()),
        }
    }

    fn is_settled(&self, report: &Reported) -> Result<bool, Failure> {
        Ok(self.store.is_report_settled(report)?)
    }
}

impl Outcomes {
    fn is_over(&self) -> bool {
        self.later.is_empty() && self.unknown.is_empty()
    }

    fn add(&mut self, settling: Settling) {
        match settling {
            Settling::Done => {}
            Settling::Later(report, why) => self.later.push((*report, why)),
        }
    }
}

/// What a report is called: the same whenever it is made again, so that others can tell (RFC 9990
/// §3.5.1, RFC 8460 §5.5). Letters and digits alone.
fn report_id(kind: ReportKind, about: &str, begin: Timestamp, hostname: &Domain) -> String {
    let text = format!("{} {about} {} {hostname}", kind.word(), begin.0);
    blake3::hash(text.as_bytes()).to_hex().chars().take(24).collect()
}

/// Whole seconds of a span: its first and its last.
fn seconds(span: &ReportSpan) -> (i64, i64) {
    let begin = span.begin.secs();
    let end = span.end.map_or(begin, |end| Timestamp(end.0 - 1).secs());
    (begin, end.max(begin))
}
