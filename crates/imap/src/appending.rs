use imap_machine::grammar::MailboxName;
use imap_machine::{Answer, Refusal};
use journal::{Arrival, RealDisk};
use mail_types::{AccountId, Flags, ReversePath, Timestamp};
use message::{HeaderFacts, Limits};
use store::{Append, Arrived, Source};

use crate::refusals::{Missing, lost_track, not_now, refusal};
use crate::session::{Answered, Session, uid_validity};

/// Octets of a header that are read for Message-ID and Subject.
const HEADER_OCTETS_MAX: usize = 64 * 1024;

/// A message on its way in by APPEND. It is kept as it comes: no trace field is added.
pub struct Appending {
    account: AccountId,
    mailbox: MailboxName,
    flags: Flags,
    internal_date: Option<Timestamp>,
    arrival: Arrival<RealDisk>,
    /// Its first octets.
    header: Vec<u8>,
}

/// RFC 3501 §6.3.11.
impl Session {
    pub async fn append_begin(
        &mut self,
        account: AccountId,
        mailbox: &MailboxName,
        flags: Flags,
        internal_date: Option<Timestamp>,
    ) -> Answered {
        self.appending = None;
        if let Some(reason) = self.shared.store.stopped() {
            return Err(not_now("take a message, the store has stopped", reason));
        }
        self.mailbox(account, mailbox, Missing::TryCreate)?;
        let mailbox = mailbox.clone();
        let (arrival, header) = (self.shared.store.arrival(), Vec::new());
        let appending = Appending { account, mailbox, flags, internal_date, arrival, header };
        self.appending = Some(Box::new(appending));
        Ok(Answer::Done)
    }

    pub fn append_bytes(&mut self, bytes: &[u8]) -> Answered {
        let appending = self.appending.as_mut().ok_or_else(lost_track)?;
        let room = HEADER_OCTETS_MAX - appending.header.len();
        appending.header.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if let Err(error) = appending.arrival.write(bytes) {
            self.appending = None;
            return Err(disk_trouble(&error));
        }
        Ok(Answer::Done)
    }

    pub async fn append_end(&mut self) -> Answered {
        let appending = self.appending.take().ok_or_else(lost_track)?;
        let Appending { account, mailbox, flags, internal_date, arrival, header } = *appending;
        let body = if arrival.is_file() {
            // A large one is synced here.
            match tokio::task::spawn_blocking(move || arrival.finish()).await {
                Ok(finished) => finished,
                Err(error) => return Err(not_now("keep a message", error)),
            }
        } else {
            arrival.finish()
        };
        let body = body.map_err(|error| disk_trouble(&error))?;
        let facts = HeaderFacts::read(&header, &Limits::default());
        let text = |id: &[u8]| String::from_utf8_lossy(id).trim_matches(['<', '>', ' ']).to_owned();
        let arrived = Arrived {
            mail: self.shared.store.next_mail(),
            actor: self.actor(account).into(),
            source: Source::Append { account },
            reverse_path: ReversePath::Null,
            envelope_id: None,
            return_headers_only: None,
            eight_bit: false,
            smtp_utf8: false,
            body,
            message_id: facts.message_id.as_deref().map(text),
            subject: facts.subject,
            recipients: Vec::new(),
        };
        let mailbox = mailbox.to_string();
        let append = Append { account, mailbox, flags, internal_date };
        let appended = self.shared.store.append(arrived, append).await;
        let (receipt, number, uid) =
            appended.map_err(|refused| refusal(&refused, Missing::TryCreate))?;
        // Kept: from here on there is no way to say otherwise.
        let uid_validity = uid_validity(number)?;
        Ok(Answer::Appended { receipt, uid_validity, uid })
    }
}

fn disk_trouble(error: &std::io::Error) -> Refusal {
    not_now("write a message", error)
}
