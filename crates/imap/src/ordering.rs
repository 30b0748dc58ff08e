use std::sync::Arc;

use imap_machine::{Answer, Wanted};
use mail_types::MailId;
use message::{Limits, SortFacts, header_range};
use store::StoreError;

use crate::Shared;
use crate::refusals::not_now;
use crate::session::{Answered, Session};

/// Octets of messages read for one answer; then the machine may send, or stop.
const ANSWER_OCTETS_MAX: u64 = 8 << 20;

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
    let found = shared.store.mail_facts(mails)?;
    let mut known = found.iter().peekable();
    let mut facts = Vec::with_capacity(mails.len());
    let mut octets = 0;
    for &mail in mails {
        let body = known.next_if(|facts| facts.receipt.mail == mail).map(|facts| {
            octets += facts.body_bytes;
            shared.store.body(facts)
        });
        facts.push(match body {
            Some(Ok(body)) => {
                let header = &body[header_range(&body)];
                SortFacts::read(header, &Limits::default()).encode().into()
            }
            Some(Err(error)) => {
                tracing::error!(%error, %mail, "a message cannot be read");
                Box::default()
            }
            None => Box::default(),
        });
        if octets >= ANSWER_OCTETS_MAX {
            break;
        }
    }
    Ok(facts)
}

/// The thread that a message belongs to (RFC 8474 §5.2): that of the first message of its
/// References, which never changes; a message that names none, nor itself, is alone.
pub fn thread_number<T: AsRef<str>>(mail: MailId, facts: &SortFacts<T>) -> u64 {
    let id = facts.message_id.as_ref().map(AsRef::as_ref);
    let hash = match facts.references().next().or(id) {
        Some(root) => blake3::hash(root.as_bytes()),
        None => blake3::hash(&mail.0.to_be_bytes()),
    };
    hash.as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}
