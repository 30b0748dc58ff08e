//! Sends signed heads elsewhere, where whoever cuts this journal back cannot take them away: to a
//! directory (of another machine's file system, best) and by mail.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use config::Config;
use ledger::{SignedHead, heads_path};
use mail_types::{Address, ReversePath, Timestamp};
use message::{MailDate, ReportLetter};
use net::Stop;
use store::{Actor, Arrived, Recipient, Source, Store};

use super::Heads;
use crate::data_dir::DataDir;
use crate::kept_file;

/// Between two looks whether it is time.
const LOOK_EACH: Duration = Duration::from_secs(2);

/// Where heads go, and how often.
pub struct Sending {
    directory: Option<PathBuf>,
    mail_to: Vec<Address>,
    each: Duration,
    hostname: String,
    sent: Mutex<Sent>,
}

/// What was sent last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// When, in milliseconds; 0: never.
    pub at: i64,
    /// Of how many records.
    pub records: u64,
}

impl Sent {
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut numbers = text.split_whitespace();
        let at = numbers.next().and_then(|number| number.parse().ok());
        let records = numbers.next().and_then(|number| number.parse().ok());
        // Where it is lost, one more is sent.
        at.zip(records).map_or(Self::default(), |(at, records)| Self { at, records })
    }

    fn write(self, path: &Path) -> anyhow::Result<()> {
        kept_file::replace(path, format!("{} {}\n", self.at, self.records).as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Sending {
    /// `None` where heads stay here.
    pub fn new(data: &DataDir, config: &Config) -> Option<Self> {
        let settings = &config.heads;
        let directory = settings.directory.as_ref().map(|path| data.resolve(path));
        let mail_to = settings.mail_to.clone();
        (directory.is_some() || !mail_to.is_empty()).then(|| Self {
            directory,
            mail_to,
            each: settings.send_every,
            hostname: config.hostname.to_string(),
            sent: Mutex::new(Sent::read(&heads_path(data.path()).join("sent"))),
        })
    }

    /// Sends what has changed when it is time, until the stop.
    pub async fn run(self, heads: Arc<Heads>, mut stop: Stop) {
        let sending = Arc::new(self);
        loop {
            let (sending, heads) = (Arc::clone(&sending), Arc::clone(&heads));
            let work = move || sending.look(&heads, net::now());
            match tokio::task::spawn_blocking(work).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, "ALARM: a signed head could not be sent elsewhere");
                }
                Err(error) => tracing::error!(%error, "sending signed heads failed"),
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EACH) => {}
                () = stop.requested() => return,
            }
        }
    }

    fn look(&self, heads: &Heads, now: Timestamp) -> anyhow::Result<()> {
        let path = heads.dir.join("sent");
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.millis() < sent.at || now.since(Timestamp(sent.at)) >= self.each;
        let latest = heads.lock().latest().cloned();
        let Some(head) = latest.filter(|head| due && head.checkpoint.size > sent.records) else {
            return Ok(());
        };
        // Each way by itself: one that fails does not have the others told again, nor hinders them.
        // It gets the next head.
        let mut troubles = Vec::new();
        if let Some(directory) = &self.directory {
            // A name of its own for each: what is there is never written over.
            let path = place_of(directory, &head);
            let written = kept_file::replace(&path, head.note.to_string().as_bytes());
            troubles.extend(written.err().map(|error| format!("{}: {error}", path.display())));
        }
        // Mail that tells of this head is in later records: they are not told for their own sake.
        let mut records = head.checkpoint.size;
        let directory = heads.store.directory();
        for to in &self.mail_to {
            let stays = to.domain().is_some_and(|domain| directory.is_local(domain));
            match self.mail(&heads.store, to, &head, now) {
                Ok(()) if stays => records += 1,
                Ok(()) => records += RECORDS_OF_A_LETTER,
                Err(error) => troubles.push(format!("{error:#}")),
            }
        }
        *sent = Sent { at: now.millis(), records };
        sent.write(&path)?;
        anyhow::ensure!(troubles.is_empty(), "{}", troubles.join("; "));
        Ok(())
    }

    fn mail(
        &self,
        store: &Store,
        to: &Address,
        head: &SignedHead,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let from = Address::parse(&format!("postmaster@{}", self.hostname))?;
        let records = head.checkpoint.size;
        let subject = format!("Signed head of {}: {records} records", self.hostname);
        let note = head.note.to_string();
        let text = format!(
            "The attached file is the signed head of the mail journal of {}. Keep it. Whoever has \
             it can show later that nothing of the first {records} records was changed or taken \
             away:\n\n    restante head verify FILE\n",
            self.hostname
        );
        let message_id = format!("head.{records}.{}@{}", now.millis(), self.hostname);
        let letter = ReportLetter {
            from: ("Restante", &from),
            to,
            subject: &subject,
            at: MailDate { at: now, offset_minutes: 0 },
            message_id: &format!("<{message_id}>"),
            // RFC 3834 §5: nobody answers it.
            fields: &[("Auto-Submitted", "auto-generated")],
            report_type: None,
            text: &text,
            file: ("text/plain", &format!("head-{records}.txt"), note.as_bytes()),
        };
        let letter = letter.build();
        let path = ReversePath::Address(from);
        let mut bytes = message::return_path(&path).into_bytes();
        bytes.extend_from_slice(&letter);
        let smtp_utf8 = to.needs_smtputf8();
        let body = journal::Body::from_bytes(&bytes).context("the letter is too large")?;
        let (mail, from) = (store.next_mail(), (Actor::Server, Source::PeriodReport));
        let arrived = Arrived {
            reverse_path: path,
            smtp_utf8,
            message_id: Some(message_id),
            subject: Some(subject),
            ..Arrived::plain(mail, from, body, vec![Recipient::silent(to.clone())])
        };
        store.accept(arrived).wait().with_context(|| format!("the head for {to} is not taken"))?;
        Ok(())
    }
}

/// Records that a letter which leaves is certain to make: its acceptance, an attempt and its outcome.
const RECORDS_OF_A_LETTER: u64 = 3;

/// Where a head is written. Another one of its size that is there may be the only evidence that the
/// journal was changed: it stays.
fn place_of(directory: &Path, head: &SignedHead) -> PathBuf {
    let size = head.checkpoint.size;
    let path = directory.join(format!("head-{size:012}.txt"));
    match std::fs::read(&path) {
        Ok(there) if there != head.note.to_string().as_bytes() => {
            let path = path.display();
            tracing::error!(%path, "ALARM: a head of this size says otherwise; see `restante head`");
            let root: String =
                head.checkpoint.root[..4].iter().map(|byte| format!("{byte:02x}")).collect();
            directory.join(format!("head-{size:012}-{root}.txt"))
        }
        Ok(_) | Err(_) => path,
    }
}
