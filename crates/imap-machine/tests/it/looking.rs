//! How the small service looks into messages.

use imap_machine::grammar::ContentKey;
use imap_machine::{Content, Contents, Fact, Octets, Wanted};
use message::{Limits, SortFacts, Summary};

use crate::service::Service;

impl Service {
    pub fn content(&self, wanted: &Wanted, need: &imap_machine::Need, contents: &mut Contents) {
        let mail = &self.mails[usize::try_from(wanted.mail).unwrap()];
        if mail.starts_with(b"LOST") {
            contents.push_lost(need.facts.len());
            return;
        }
        let summary = Summary::read(mail, &Limits::default());
        for fact in &need.facts {
            let range = contents.write(|out| match fact {
                Fact::Envelope => message::write_envelope(out, &summary.envelope),
                Fact::Body(form) => message::write_body(out, &summary.structure, *form),
                Fact::Preview => {
                    let preview = message::preview(mail, &summary.structure, &Limits::default());
                    message::write_string(out, preview.as_bytes());
                }
                Fact::Thread => {
                    let number = thread_number(&mail[message::header_range(mail)]);
                    out.extend_from_slice(format!("(T{number})").as_bytes());
                }
                Fact::BinarySize(part) => out.extend_from_slice(&binary_size(mail, &summary, part)),
            });
            contents.facts.push(range);
        }
        let decoded;
        let octets = match &need.octets {
            Octets::None => &[],
            Octets::Header => &mail[message::header_range(mail)],
            Octets::All => &**mail,
            Octets::Decoded(part, range) => {
                let structure = &summary.structure;
                let part = &structure.parts()[message::part_at(structure, part).unwrap()];
                let count = range.len();
                decoded = message::decoded_part_range(mail, part, range.start as usize, count);
                decoded.as_deref().unwrap()
            }
            Octets::Range(range) => &mail[range.start as usize..range.end as usize],
        };
        let octets = contents.write(|out| out.extend_from_slice(octets));
        let summary = need.summary.then(|| Box::new(summary));
        contents.messages.push(Some(Content { summary, octets }));
    }

    /// Plain matching in undecoded text.
    pub fn matches(&self, wanted: &Wanted, keys: &[ContentKey]) -> Vec<u64> {
        let mail = &self.mails[usize::try_from(wanted.mail).unwrap()];
        let header = message::header_range(mail);
        let holds = |bytes: &[u8], text: &str| {
            String::from_utf8_lossy(bytes).to_lowercase().contains(&text.to_lowercase())
        };
        let sent = message::envelope(&mail[header.clone()]).sent().map(|date| date.local_day());
        let day = |day: &imap_machine::grammar::Day| i64::from(day.0);
        let matches = |key: &ContentKey| match key {
            ContentKey::Header { name, text } => {
                let fields = message::Fields::new(&mail[header.clone()]);
                fields.filter(|field| field.is(name)).any(|field| holds(field.value, text))
            }
            ContentKey::Body(text) => holds(&mail[header.end..], text),
            ContentKey::Text(text) => holds(mail, text),
            ContentKey::SentBefore(limit) => sent.is_some_and(|sent| sent < day(limit)),
            ContentKey::SentOn(limit) => sent.is_some_and(|sent| sent == day(limit)),
            ContentKey::SentSince(limit) => sent.is_some_and(|sent| sent >= day(limit)),
            ContentKey::Thread(thread) => thread_number(&mail[header.clone()]) == *thread,
        };
        let mut bits = vec![0; keys.len().div_ceil(64)];
        for (at, key) in keys.iter().enumerate() {
            bits[at / 64] |= u64::from(matches(key)) << (at % 64);
        }
        bits
    }

    pub fn sort_facts(&self, wanted: &Wanted) -> Box<[u8]> {
        let mail = &self.mails[usize::try_from(wanted.mail).unwrap()];
        SortFacts::read(mail, &Limits::default()).encode().into()
    }
}

fn binary_size(mail: &[u8], summary: &Summary, part: &[u32]) -> Vec<u8> {
    let structure = &summary.structure;
    if part.is_empty() {
        return mail.len().to_string().into_bytes();
    }
    let Some(part) = message::part_at(structure, part) else { return Vec::new() };
    match message::decoded_size(mail, &structure.parts()[part]) {
        Ok(size) => size.to_string().into_bytes(),
        Err(_) => b"?".to_vec(),
    }
}

/// The number of a thread: octets of the first reference.
fn thread_number(header: &[u8]) -> u64 {
    let facts = SortFacts::read(header, &Limits::default());
    let root = facts.references().next().map(str::len);
    root.or(facts.message_id.as_ref().map(|id| id.len())).unwrap_or_default() as u64
}
