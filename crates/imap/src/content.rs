use std::sync::Arc;

use imap_machine::{Answer, Content, Need, Octets, Refusal, Wanted};
use mail_types::MailId;
use message::{Limits, Summary, header_range};
use store::{MailFacts, StoreError};
use tokio::sync::OwnedSemaphorePermit;

use crate::Shared;
use crate::refusals::not_now;
use crate::session::{Answered, Session};

/// Octets of messages in one answer, if there are more than one message.
const ANSWER_OCTETS_MAX: usize = 1 << 20;

/// A large message that is sent in pieces.
pub struct Held {
    mail: MailId,
    body: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// FETCH (RFC 3501 §6.4.5).
impl Session {
    pub async fn fetch(&mut self, messages: &[Wanted], need: &Need) -> Answered {
        let known = self.known(messages, need);
        let unknown = messages.iter().zip(&known).filter(|(_, known)| known.is_none());
        let mails: Vec<MailId> = unknown.map(|(wanted, _)| MailId(wanted.mail)).collect();
        let facts = self.facts(mails).await?;
        let mut contents = Vec::with_capacity(messages.len());
        let mut octets = 0;
        for (wanted, known) in messages.iter().zip(known) {
            let mail = MailId(wanted.mail);
            let content = match (known, facts.iter().find(|facts| facts.receipt.mail == mail)) {
                (Some(known), _) => Some(known),
                (None, Some(facts)) => self.content(*facts, need).await?,
                (None, None) => {
                    tracing::error!(%mail, "a message of a mailbox is not known");
                    None
                }
            };
            octets += content.as_ref().map_or(0, |content| content.octets.len());
            contents.push(content);
            if octets >= ANSWER_OCTETS_MAX {
                break;
            }
        }
        Ok(Answer::Contents(contents))
    }

    /// Where messages lie, one look-up for all.
    pub async fn facts(&self, mails: Vec<MailId>) -> Result<Vec<MailFacts>, Refusal> {
        if mails.is_empty() {
            return Ok(Vec::new());
        }
        self.read("look for messages", move |store| store.mail_facts(&mails)).await
    }

    /// What can be told without looking at the messages.
    fn known(&self, messages: &[Wanted], need: &Need) -> Vec<Option<Content>> {
        let known = messages.iter().map(|wanted| match need {
            Need { octets: Octets::None, summary: false } => Some(Content::default()),
            Need { octets: Octets::None, summary: true } => {
                let summary = self.shared.caches.summary(MailId(wanted.mail))?;
                Some(Content { summary: Some(Box::new(summary)), octets: Vec::new() })
            }
            Need { .. } => None,
        });
        known.collect()
    }

    /// The content of one message; `None` where it is lost.
    async fn content(&mut self, facts: MailFacts, need: &Need) -> Result<Option<Content>, Refusal> {
        let mail = facts.receipt.mail;
        let held = self.held.take().filter(|held| held.mail == mail);
        let (shared, need) = (Arc::clone(&self.shared), need.clone());
        let read = self.with_body(facts, held, move |body| content_of(&shared, mail, body, &need));
        let Some((content, held)) = read.await? else { return Ok(None) };
        self.held = held;
        Ok(Some(content))
    }

    /// Reads a message and does something with it, on a thread that may block. `None` where the
    /// message is lost, which is logged.
    pub async fn with_body<T: Send + 'static>(
        &self,
        facts: MailFacts,
        held: Option<Held>,
        work: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<Option<(T, Option<Held>)>, Refusal> {
        let _turn = self.shared.caches.read_turn().await;
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            if let Some(held) = held {
                return Ok((work(&held.body), Some(held)));
            }
            let body = shared.store.body(&facts)?;
            let done = work(&body);
            let is_large = body.len() > shared.limits.fetch_octets_max as usize;
            let room = is_large.then(|| shared.caches.room(body.len())).flatten();
            Ok((done, room.map(|room| Held { mail: facts.receipt.mail, body, _room: room })))
        });
        match done.await {
            Ok(Ok(done)) => Ok(Some(done)),
            Ok(Err::<_, StoreError>(error)) => {
                tracing::error!(%error, mail = %facts.receipt.mail, "a message cannot be read");
                Ok(None)
            }
            Err(error) => Err(not_now("read a message", error)),
        }
    }
}

fn content_of(shared: &Shared, mail: MailId, body: &[u8], need: &Need) -> Content {
    let summary = need.summary.then(|| {
        let known = shared.caches.summary(mail);
        Box::new(known.unwrap_or_else(|| {
            let summary = Summary::read(body, &Limits::default());
            shared.caches.keep_summary(mail, &summary);
            summary
        }))
    });
    let octets = match &need.octets {
        Octets::None => &[],
        Octets::Header => &body[header_range(body)],
        Octets::All => body,
        Octets::Range(range) => {
            body.get(range.start as usize..range.end as usize).unwrap_or_default()
        }
    };
    Content { summary, octets: octets.to_vec() }
}
