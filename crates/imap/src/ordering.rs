use std::sync::Arc;

use imap_machine::{Answer, Wanted};
use mail_types::MailId;
use store::{Part, StoreError, Visit};

use crate::Shared;
use crate::refusals::not_now;
use crate::session::{Answered, Session};

/// Octets of facts in one answer; then the machine may send, or stop.
const ANSWER_OCTETS_MAX: usize = 8 << 20;

/// SORT and THREAD (RFC 5256): what messages are put in order by.
impl Session {
    pub async fn sort_facts(&self, messages: &[Wanted]) -> Answered {
        let mails: Vec<MailId> = messages.iter().map(|wanted| MailId(wanted.mail)).collect();
        let _turn = self.shared.caches.read_turn().await;
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || sort_facts(&shared, &mails));
        match read.await {
            Ok(Ok(facts)) => Ok(Answer::SortFacts(facts)),
            Ok(Err(error)) => Err(not_now("look for messages", error)),
            Err(error) => Err(not_now("read headers", error)),
        }
    }
}

fn sort_facts(shared: &Shared, mails: &[MailId]) -> Result<Vec<Box<[u8]>>, StoreError> {
    let mut facts = Vec::with_capacity(mails.len());
    let mut octets = 0;
    shared.store.heads(mails, |_, head| {
        let encoded = head.map(|head| head.part(Part::Sort)).unwrap_or_default();
        octets += encoded.len();
        facts.push(encoded.into());
        if octets < ANSWER_OCTETS_MAX { Visit::GoOn } else { Visit::Stop }
    })?;
    Ok(facts)
}
