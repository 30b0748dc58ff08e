use std::sync::Arc;

use imap_machine::grammar::ContentKey;
use imap_machine::{Answer, Wanted};
use mail_types::MailId;
use store::{Key, Keys};

use crate::refusals::not_now;
use crate::session::{Answered, Session};

/// SEARCH inside messages (RFC 3501 §6.4.4).
impl Session {
    pub async fn matches(&self, messages: &[Wanted], keys: &[ContentKey]) -> Answered {
        let mails: Vec<MailId> = messages.iter().map(|wanted| MailId(wanted.mail)).collect();
        let keys = Keys::new(keys.iter().map(key));
        let _turn = self.shared.caches.read_turn().await;
        let shared = Arc::clone(&self.shared);
        // What is lost matches nothing; it is logged, and FETCH says so.
        let searched = tokio::task::spawn_blocking(move || shared.store.search(&mails, &keys));
        match searched.await {
            Ok(Ok(matches)) => Ok(Answer::Matches(matches)),
            Ok(Err(error)) => Err(not_now("look for messages", error)),
            Err(error) => Err(not_now("look into messages", error)),
        }
    }
}

fn key(key: &ContentKey) -> Key {
    match key {
        ContentKey::Header { name, text } => Key::Header { name: name.clone(), text: text.clone() },
        ContentKey::Body(text) => Key::Body(text.clone()),
        ContentKey::Text(text) => Key::Text(text.clone()),
        ContentKey::SentBefore(day) => Key::Sent { first: i64::MIN, last: i64::from(day.0) - 1 },
        ContentKey::SentOn(day) => Key::Sent { first: i64::from(day.0), last: i64::from(day.0) },
        ContentKey::SentSince(day) => Key::Sent { first: i64::from(day.0), last: i64::MAX },
        ContentKey::Thread(thread) => Key::Thread(*thread),
    }
}
