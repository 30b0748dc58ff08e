use std::sync::Arc;

use imap_machine::{Answer, Content, Contents, Fact, Need, Octets, Wanted};
use mail_types::MailId;
use message::{Limits, Summary, header_range, write_body, write_envelope};
use store::{MailFacts, StoreError};
use tokio::sync::OwnedSemaphorePermit;

use crate::Shared;
use crate::refusals::not_now;
use crate::session::{Answered, Session};

/// Octets in one answer, if it is of more than one message.
const ANSWER_OCTETS_MAX: usize = 1 << 20;

/// A large message that is sent in pieces.
pub struct Held {
    mail: MailId,
    body: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// FETCH (RFC 3501 §6.4.5).
impl Session {
    /// Reads a batch of messages in one go, on a thread that may block.
    pub async fn fetch(&mut self, messages: &[Wanted], need: &Need) -> Answered {
        let mails = messages.iter().map(|wanted| MailId(wanted.mail)).collect();
        let _turn = self.shared.caches.read_turn().await;
        let batch = Batch {
            shared: Arc::clone(&self.shared),
            need: need.clone(),
            held: self.held.take(),
            contents: Contents::default(),
        };
        match tokio::task::spawn_blocking(move || batch.read(mails)).await {
            Ok(Ok(Batch { contents, held, .. })) => {
                self.held = held;
                Ok(Answer::Contents(contents))
            }
            Ok(Err(error)) => Err(not_now("look for messages", error)),
            Err(error) => Err(not_now("read messages", error)),
        }
    }
}

/// An answer that is being put together.
struct Batch {
    shared: Arc<Shared>,
    need: Need,
    held: Option<Held>,
    contents: Contents,
}

impl Batch {
    fn read(mut self, mails: Vec<MailId>) -> Result<Self, StoreError> {
        let facts = self.shared.store.mail_facts(&mails)?;
        let mut known = facts.iter().peekable();
        for mail in mails {
            // In the order asked for; those that do not exist are left out.
            match known.next_if(|facts| facts.receipt.mail == mail) {
                Some(facts) => self.message(facts),
                None => {
                    tracing::error!(%mail, "a message of a mailbox is not known");
                    self.contents.push_lost(self.need.facts.len());
                }
            }
            if self.contents.bytes.len() >= ANSWER_OCTETS_MAX {
                break;
            }
        }
        Ok(self)
    }

    fn message(&mut self, facts: &MailFacts) {
        let mail = facts.receipt.mail;
        if let Some(held) = self.held.take_if(|held| held.mail == mail) {
            self.add(mail, &held.body);
            self.held = Some(held);
            return;
        }
        self.held = None;
        let body = match self.shared.store.body(facts) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, %mail, "a message cannot be read");
                self.contents.push_lost(self.need.facts.len());
                return;
            }
        };
        self.add(mail, &body);
        if body.len() > self.shared.limits.fetch_octets_max as usize {
            let room = self.shared.caches.room(body.len());
            self.held = room.map(|room| Held { mail, body, _room: room });
        }
    }

    fn add(&mut self, mail: MailId, body: &[u8]) {
        let Self { shared, need, contents, .. } = self;
        let summary = (need.summary || !need.facts.is_empty()).then(|| {
            let known = shared.caches.summary(mail);
            known.unwrap_or_else(|| {
                let summary = Summary::read(body, &Limits::default());
                shared.caches.keep_summary(mail, &summary);
                summary
            })
        });
        for fact in &need.facts {
            let range = contents.write(|out| match (fact, &summary) {
                (Fact::Envelope, Some(summary)) => write_envelope(out, &summary.envelope),
                (Fact::Body(form), Some(summary)) => write_body(out, &summary.structure, *form),
                (Fact::Envelope | Fact::Body(_), None) => {}
            });
            contents.facts.push(range);
        }
        let octets = match &need.octets {
            Octets::None => &[],
            Octets::Header => &body[header_range(body)],
            Octets::All => body,
            Octets::Range(range) => {
                body.get(range.start as usize..range.end as usize).unwrap_or_default()
            }
        };
        let octets = contents.write(|out| out.extend_from_slice(octets));
        let summary = summary.filter(|_| need.summary).map(Box::new);
        contents.messages.push(Some(Content { summary, octets }));
    }
}
