use std::sync::Arc;

use imap_machine::{Answer, Content, Contents, Fact, Need, Octets, Wanted};
use mail_types::MailId;
use store::{Head, Part, StoreError, Visit};

use crate::Shared;
use crate::refusals::not_now;
use crate::session::{Answered, Session};

/// Octets in one answer, if it is of more than one message.
const ANSWER_OCTETS_MAX: usize = 1 << 20;

/// FETCH (RFC 3501 §6.4.5).
impl Session {
    /// Reads a batch of messages in one go, on a thread that may block.
    pub async fn fetch(&mut self, messages: &[Wanted], need: &Need) -> Answered {
        let mails: Vec<MailId> = messages.iter().map(|wanted| MailId(wanted.mail)).collect();
        let _turn = self.shared.caches.read_turn().await;
        let (shared, need) = (Arc::clone(&self.shared), need.clone());
        match tokio::task::spawn_blocking(move || read(&shared, &mails, &need)).await {
            Ok(Ok(contents)) => Ok(Answer::Contents(contents)),
            Ok(Err(error)) => Err(not_now("look for messages", error)),
            Err(error) => Err(not_now("read messages", error)),
        }
    }
}

/// What is needed of the first of the messages, and at least one.
fn read(shared: &Shared, mails: &[MailId], need: &Need) -> Result<Contents, StoreError> {
    let mut contents = Contents::default();
    contents.messages.reserve(mails.len());
    contents.facts.reserve(mails.len() * need.facts.len());
    if need.summary || !need.facts.is_empty() {
        shared.store.heads(mails, |_, head| {
            match head {
                Some(head) => add_head(&mut contents, head, need),
                None => contents.push_lost(need.facts.len()),
            }
            go_on(&contents)
        })?;
    } else {
        contents.messages.resize(mails.len(), Some(Content::default()));
    }
    let mails = &mails[..contents.messages.len()];
    let mut read = 0;
    let mut add = |contents: &mut Contents, at: usize, octets: Option<&[u8]>| {
        let range = octets.map(|octets| contents.write(|out| out.extend_from_slice(octets)));
        if let (Some(content), Some(range)) = (&mut contents.messages[at], &range) {
            content.octets = range.clone();
        }
        if range.is_none() {
            contents.messages[at] = None;
        }
        read = at + 1;
        go_on(contents)
    };
    match &need.octets {
        Octets::None => return Ok(contents),
        Octets::Header => {
            shared.store.headers(mails, |at, octets| add(&mut contents, at, octets))?;
        }
        Octets::All => {
            shared.store.bodies(mails, |at, octets| add(&mut contents, at, octets))?;
        }
        Octets::Range(range) => {
            for (at, &mail) in mails.iter().enumerate().take(1) {
                let octets = shared
                    .store
                    .body_range(mail, u64::from(range.start)..u64::from(range.end))?
                    .filter(|octets| octets.len() == range.len());
                add(&mut contents, at, octets.as_deref());
            }
        }
    }
    contents.messages.truncate(read);
    contents.facts.truncate(read * need.facts.len());
    Ok(contents)
}

fn go_on(contents: &Contents) -> Visit {
    if contents.bytes.len() < ANSWER_OCTETS_MAX { Visit::GoOn } else { Visit::Stop }
}

fn add_head(contents: &mut Contents, head: Head<'_>, need: &Need) {
    for fact in &need.facts {
        let range = contents.write(|out| match fact {
            Fact::Envelope => out.extend_from_slice(head.part(Part::Envelope)),
            Fact::Body(form) => head.write_body(*form, out),
        });
        contents.facts.push(range);
    }
    let summary = if need.summary { head.summary().map(Box::new) } else { None };
    contents.messages.push(Some(Content { summary, octets: 0..0 }));
}
