use std::sync::Arc;

use imap_machine::grammar::{ContentKey, Day};
use imap_machine::{Answer, Wanted};
use mail_types::MailId;
use message::{
    Fields, Limits, SearchText, SortFacts, Structure, find_field, fold, header_range, parse_date,
    search_body, search_field, search_header,
};
use store::StoreError;

use crate::Shared;
use crate::ordering::thread_number;
use crate::refusals::not_now;
use crate::session::{Answered, Session};

/// Octets of messages looked into for one answer; then the machine may send, or stop.
const ANSWER_OCTETS_MAX: u64 = 8 << 20;

/// SEARCH inside messages (RFC 3501 §6.4.4).
impl Session {
    pub async fn matches(&self, messages: &[Wanted], keys: &[ContentKey]) -> Answered {
        let mails: Vec<MailId> = messages.iter().map(|wanted| MailId(wanted.mail)).collect();
        let keys: Vec<Key> = keys.iter().map(Key::new).collect();
        let _turn = self.shared.caches.read_turn().await;
        let shared = Arc::clone(&self.shared);
        let looked = tokio::task::spawn_blocking(move || looked_into(&shared, &mails, &keys));
        match looked.await {
            Ok(Ok(matches)) => Ok(Answer::Matches(matches)),
            Ok(Err(error)) => Err(not_now("look for messages", error)),
            Err(error) => Err(not_now("look into messages", error)),
        }
    }
}

fn looked_into(shared: &Shared, mails: &[MailId], keys: &[Key]) -> Result<Vec<u64>, StoreError> {
    let facts = shared.store.mail_facts(mails)?;
    let mut known = facts.iter().peekable();
    let mut matches = Vec::with_capacity(mails.len());
    let mut octets = 0;
    for &mail in mails {
        let body = known.next_if(|facts| facts.receipt.mail == mail).map(|facts| {
            octets += facts.body_bytes;
            shared.store.body(facts)
        });
        // What is lost matches nothing; it is logged, and FETCH says so.
        let words = keys.len().div_ceil(64);
        match body {
            Some(Ok(body)) => matches.extend(matching(mail, &body, keys)),
            Some(Err(error)) => {
                tracing::error!(%error, %mail, "a message cannot be read");
                matches.extend(std::iter::repeat_n(0, words));
            }
            None => matches.extend(std::iter::repeat_n(0, words)),
        }
        if octets >= ANSWER_OCTETS_MAX {
            break;
        }
    }
    Ok(matches)
}

/// A key, its text folded once.
enum Key {
    Header { name: String, text: String },
    Body(String),
    Text(String),
    Sent(Day, fn(i64, i64) -> bool),
    Thread(u64),
}

impl Key {
    fn new(key: &ContentKey) -> Self {
        match key {
            ContentKey::Header { name, text } => {
                Self::Header { name: name.clone(), text: fold(text) }
            }
            ContentKey::Body(text) => Self::Body(fold(text)),
            ContentKey::Text(text) => Self::Text(fold(text)),
            ContentKey::SentBefore(day) => Self::Sent(*day, |sent, day| sent < day),
            ContentKey::SentOn(day) => Self::Sent(*day, |sent, day| sent == day),
            ContentKey::SentSince(day) => Self::Sent(*day, |sent, day| sent >= day),
            ContentKey::Thread(thread) => Self::Thread(*thread),
        }
    }
}

/// A bit for each key that matches, the first key the lowest; a word for every 64 of them.
fn matching(mail: MailId, bytes: &[u8], keys: &[Key]) -> Vec<u64> {
    let header = &bytes[header_range(bytes)];
    // Made when first needed, once for all keys.
    let (mut header_text, mut body_text) = (None, None);
    let mut bits = vec![0; keys.len().div_ceil(64)];
    for (at, key) in keys.iter().enumerate() {
        let matches = match key {
            Key::Header { name, text } => {
                let has_field = Fields::new(header).any(|field| field.is(name));
                has_field
                    && (text.is_empty()
                        || search_field(header, name, &exhaustive(bytes)).text.contains(text))
            }
            Key::Body(text) => body_text.get_or_insert_with(|| body(bytes)).contains(text),
            Key::Text(text) => {
                let in_header = || whole(bytes, |limits| search_header(header, limits));
                header_text.get_or_insert_with(in_header).contains(text)
                    || body_text.get_or_insert_with(|| body(bytes)).contains(text)
            }
            Key::Sent(day, compare) => {
                let field = find_field(header, "Date", &exhaustive(bytes));
                let sent = field.and_then(|field| parse_date(field.value));
                sent.is_some_and(|sent| compare(sent.local_day(), i64::from(day.0)))
            }
            Key::Thread(thread) => {
                thread_number(mail, &SortFacts::read(header, &Limits::default())) == *thread
            }
        };
        bits[at / 64] |= u64::from(matches) << (at % 64);
    }
    bits
}

fn body(bytes: &[u8]) -> String {
    whole(bytes, |limits| search_body(bytes, &Structure::parse(bytes, limits), limits))
}

/// Reads with the limits that nearly every message is within, and where one is not, with others: a
/// search finds what is there.
fn whole(bytes: &[u8], read: impl Fn(&Limits) -> SearchText) -> String {
    let found = read(&Limits::default());
    if found.complete { found.text } else { read(&exhaustive(bytes)).text }
}

/// Limits that a message of this size cannot reach, but for depth and parts.
fn exhaustive(bytes: &[u8]) -> Limits {
    // One octet of a foreign character set becomes three of UTF-8 at most.
    let text_bytes_max = bytes.len().saturating_mul(4).saturating_add(1 << 20);
    Limits {
        header_fields_max: bytes.len(),
        header_bytes_max: bytes.len(),
        value_bytes_max: bytes.len(),
        text_bytes_max,
        ..Limits::default()
    }
}
