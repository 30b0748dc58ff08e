use std::sync::Arc;

use imap_machine::{Answer, Content, Contents, Fact, Need, Octets, Wanted};
use mail_types::MailId;
use message::{SortFacts, decoded_size, part_at, write_string};
use store::{Head, Part, StoreError, Visit, thread_number};

use crate::Shared;
use crate::decoded::{decoded, read_ahead};
use crate::refusals::not_now;
use crate::session::{Answered, Session};

/// Octets in one answer, if it is of more than one message.
const ANSWER_OCTETS_MAX: usize = 1 << 20;
/// What a summary takes in memory, for each octet of its compact form; hostile mail has ten thousand
/// parts.
const SUMMARY_GROWTH: usize = 8;
/// Octets of bodies that are decoded to learn their size for one answer.
const SIZED_OCTETS_MAX: usize = 8 << 20;

/// FETCH (RFC 3501 §6.4.5).
impl Session {
    /// Reads a batch of messages in one go, on a thread that may block.
    pub async fn fetch(&mut self, messages: &[Wanted], need: &Need) -> Answered {
        let mails: Vec<MailId> = messages.iter().map(|wanted| MailId(wanted.mail)).collect();
        let _turn = self.shared.caches.read_turn().await;
        let (shared, need) = (Arc::clone(&self.shared), need.clone());
        let held = self.decoded.take();
        let wanted = messages.first().copied();
        let reading = tokio::task::spawn_blocking(move || {
            let Some(wanted) = wanted.filter(|_| is_piece(&need)) else {
                return read(&shared, &mails, &need).map(|contents| (contents, None));
            };
            let found = held.and_then(|held| Some((held.piece(&wanted, &need.octets)?, held)));
            if let Some((contents, held)) = found {
                return Ok((contents, Some(held)));
            }
            // The room of what was held before is free again.
            let ahead = read_ahead(&shared, &wanted, &need.octets)?;
            match ahead.and_then(|held| Some((held.piece(&wanted, &need.octets)?, held))) {
                Some((contents, held)) => Ok((contents, Some(Box::new(held)))),
                None => read(&shared, &mails, &need).map(|contents| (contents, None)),
            }
        });
        match reading.await {
            Ok(Ok((contents, held))) => {
                self.decoded = held;
                Ok(Answer::Contents(contents))
            }
            Ok(Err(error)) => Err(not_now("look for messages", error)),
            Err(error) => Err(not_now("read messages", error)),
        }
    }
}

/// Whether it is a piece of a part that is sent without its transfer encoding.
const fn is_piece(need: &Need) -> bool {
    matches!(need.octets, Octets::Decoded(..)) && need.facts.is_empty() && !need.summary
}

/// What is needed of the first of the messages, and at least one.
fn read(shared: &Shared, mails: &[MailId], need: &Need) -> Result<Contents, StoreError> {
    let mut contents = Contents::default();
    contents.messages.reserve(mails.len());
    contents.facts.reserve(mails.len() * need.facts.len());
    if need.summary || !need.facts.is_empty() {
        let holds_summaries = need.summary || has_sizes(need);
        let mut summaries = 0;
        shared.store.heads(mails, |at, head| {
            match head {
                Some(head) => {
                    summaries += head.part(Part::Summary).len() * SUMMARY_GROWTH;
                    add_head(&mut contents, mails[at], head, need);
                }
                None => contents.push_lost(need.facts.len()),
            }
            go_on(contents.bytes.len() + if holds_summaries { summaries } else { 0 })
        })?;
    } else {
        contents.messages.resize(mails.len(), Some(Content::default()));
    }
    if has_sizes(need) {
        add_sizes(shared, &mut contents, mails, need)?;
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
        go_on(contents.bytes.len())
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
        Octets::Decoded(part, range) => {
            let decoded = decoded(shared, mails, part, range)?;
            let decoded = decoded.filter(|octets| octets.len() == range.len());
            add(&mut contents, 0, decoded.as_deref());
        }
    }
    contents.messages.truncate(read);
    contents.facts.truncate(read * need.facts.len());
    Ok(contents)
}

const fn go_on(octets: usize) -> Visit {
    if octets < ANSWER_OCTETS_MAX { Visit::GoOn } else { Visit::Stop }
}

fn add_head(contents: &mut Contents, mail: MailId, head: Head<'_>, need: &Need) {
    for fact in &need.facts {
        let range = contents.write(|out| match fact {
            Fact::Envelope => out.extend_from_slice(head.part(Part::Envelope)),
            Fact::Body(form) => head.write_body(*form, out),
            Fact::Preview => write_string(out, head.part(Part::Preview)),
            Fact::Thread => {
                let facts = SortFacts::decode(head.part(Part::Sort)).unwrap_or_default();
                let thread = thread_number(mail, &facts);
                out.extend_from_slice(format!("(T{thread})").as_bytes());
            }
            // Only the body tells: see `add_sizes`.
            Fact::BinarySize(_) => {}
        });
        contents.facts.push(range);
    }
    let summary = if need.summary || has_sizes(need) { head.summary().map(Box::new) } else { None };
    contents.messages.push(Some(Content { summary, octets: 0..0 }));
}

fn has_sizes(need: &Need) -> bool {
    need.facts.iter().any(|fact| matches!(fact, Fact::BinarySize(_)))
}

/// BINARY.SIZE (RFC 3516 §4.2) of the first of the messages; the others are left out.
fn add_sizes(
    shared: &Shared,
    contents: &mut Contents,
    mails: &[MailId],
    need: &Need,
) -> Result<(), StoreError> {
    let (mut done, mut octets) = (0, 0);
    let mails = &mails[..contents.messages.len()];
    shared.store.bodies(mails, |at, body| {
        done = at + 1;
        let content = contents.messages[at].take();
        let (Some(content), Some(body)) = (content, body) else { return Visit::GoOn };
        let structure = content.summary.as_ref().map(|summary| &summary.structure);
        for (fact, place) in need.facts.iter().zip(at * need.facts.len()..) {
            let Fact::BinarySize(part) = fact else { continue };
            let part = structure.and_then(|all| Some(&all.parts()[part_at(all, part)?]));
            let size = part.map(|part| decoded_size(body, part));
            contents.facts[place] = contents.write(|out| match size {
                Some(Ok(size)) => out.extend_from_slice(size.to_string().as_bytes()),
                Some(Err(_)) => out.push(b'?'),
                None => {}
            });
        }
        contents.messages[at] = Some(content);
        octets += body.len();
        if octets < SIZED_OCTETS_MAX { Visit::GoOn } else { Visit::Stop }
    })?;
    contents.messages.truncate(done);
    contents.facts.truncate(done * need.facts.len());
    Ok(())
}
