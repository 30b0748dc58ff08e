//! What of a message is put in: everybody it is from and to, its texts, what is attached.

use std::collections::BTreeSet;

use attachment_text::Kind;
use mail_types::{AccountId, MailId};
use message::{Envelope, EnvelopeAddress, Limits, Structure, Summary, decode_words, decoded_body};
use store::{Accepted, Fate, JudgedAct, MailFacts, Part, Source, Store, StoreError, Visit};

use crate::kept::{Attachment, Document};
use crate::query::{Direction, Verdict};
use crate::reading::Reader;
use crate::words::write_words;

/// Attachments of a message that are looked at; those behind them are counted for nothing.
const ATTACHMENTS_MAX: usize = 64;
/// Octets of all texts of a message's attachments.
const FILES_TEXT_MAX: usize = 4 << 20;
/// Octets of a message whose attachments are read.
const BODY_BYTES_MAX: u64 = 128 << 20;

/// Makes documents of messages, in their order; one that is lost is left out, which is logged.
///
/// # Errors
/// The index's: nothing was made.
pub fn documents(
    store: &Store,
    mails: &[MailId],
    reader: &mut dyn Reader,
) -> Result<Vec<Document>, StoreError> {
    let facts = store.mail_facts(mails)?;
    let ids: Vec<MailId> = facts.iter().map(|facts| facts.receipt.mail).collect();
    let mut summaries: Vec<Option<Summary>> = vec![None; ids.len()];
    store.heads(&ids, |at, head| {
        summaries[at] = head.and_then(|head| Summary::decode(head.part(Part::Summary)).ok());
        Visit::GoOn
    })?;
    let mut bodies = vec![String::new(); ids.len()];
    store.texts(&ids, |at, text| {
        write_words(text.unwrap_or_default(), &mut bodies[at]);
        Visit::GoOn
    })?;
    let mut documents = Vec::with_capacity(ids.len());
    for ((facts, summary), body) in facts.iter().zip(summaries).zip(bodies) {
        match document(store, facts, summary, body, reader) {
            Ok(document) => documents.push(document),
            Err(error) => {
                tracing::error!(%error, mail = %facts.receipt, "a message cannot be searched");
            }
        }
    }
    Ok(documents)
}

fn document(
    store: &Store,
    facts: &MailFacts,
    summary: Option<Summary>,
    body: String,
    reader: &mut dyn Reader,
) -> Result<Document, StoreError> {
    let mail = facts.receipt.mail;
    let (_, accepted) = store.accepted(facts)?;
    let verdict = store.judged(mail)?;
    let (envelope, structure) = match summary {
        Some(summary) => (summary.envelope, Some(summary.structure)),
        None => (Envelope::default(), None),
    };
    let attachments =
        structure.map_or_else(Vec::new, |structure| attachments(store, facts, &structure, reader));
    let mut columns: [String; 6] = Default::default();
    let [sender, recipients, subject, words, names, files] = &mut columns;
    put_people(sender, [&envelope.from, &envelope.sender]);
    if let Some(address) = accepted.reverse_path.address() {
        put(sender, &address.to_string());
    }
    put_people(recipients, [&envelope.to, &envelope.cc, &envelope.bcc]);
    for custody in &accepted.custodies {
        put(recipients, &custody.recipient.to_string());
    }
    let full = envelope.subject.as_deref().map(decode_words);
    put(subject, full.or_else(|| accepted.subject.clone()).as_deref().unwrap_or_default());
    *words = body;
    for attachment in &attachments {
        put(names, &attachment.name);
        put(files, &attachment.text);
    }
    Ok(Document {
        mail,
        check: facts.receipt.check,
        accepted: facts.accepted,
        bytes: facts.body_bytes,
        direction: direction(&accepted),
        verdict: match verdict {
            None => Verdict::None,
            Some(JudgedAct::Deliver | JudgedAct::Reject) => Verdict::Ham,
            Some(JudgedAct::Junk) => Verdict::Spam,
            Some(JudgedAct::Hold) => Verdict::Held,
        },
        parties: parties(store, &accepted)?,
        attachments,
        columns,
    })
}

fn put(words: &mut String, text: &str) {
    write_words(&message::fold(text), words);
}

fn put_people<'a>(words: &mut String, lists: impl IntoIterator<Item = &'a Vec<EnvelopeAddress>>) {
    for person in lists.into_iter().flatten() {
        if let Some(name) = &person.name {
            put(words, &decode_words(name));
        }
        if let Some(address) = person.address_text() {
            put(words, &address);
        }
    }
}

/// Which way a message went.
fn direction(accepted: &Accepted) -> Direction {
    let goes_out = accepted.custodies.iter().any(|one| matches!(one.fate, Fate::Queued { .. }));
    match accepted.source {
        Source::Smtp { .. } | Source::Lmtp { .. } => Direction::In,
        Source::Submission { .. } | Source::Report { .. } | Source::PeriodReport if goes_out => {
            Direction::Out
        }
        Source::Submission { .. }
        | Source::Report { .. }
        | Source::PeriodReport
        | Source::Append { .. }
        | Source::Import { .. } => Direction::Internal,
    }
}

/// The accounts that it is from or to: those whose mailboxes it came into, and those that its
/// envelope names.
fn parties(store: &Store, accepted: &Accepted) -> Result<Vec<AccountId>, StoreError> {
    let directory = store.directory();
    let mut parties = BTreeSet::new();
    match &accepted.source {
        Source::Submission { account, .. }
        | Source::Append { account }
        | Source::Import { account } => {
            parties.insert(*account);
        }
        Source::Smtp { .. }
        | Source::Report { .. }
        | Source::Lmtp { .. }
        | Source::PeriodReport => {}
    }
    let recipients = accepted.custodies.iter().map(|custody| &custody.recipient);
    for address in recipients.chain(accepted.reverse_path.address()) {
        parties.extend(directory.sign_in_name(&address.to_string()).map(|account| account.id));
    }
    for custody in &accepted.custodies {
        if let Fate::Delivered { mailbox, .. } = &custody.fate {
            parties.extend(store.mailbox_owner(*mailbox)?);
        }
    }
    Ok(parties.into_iter().collect())
}

/// What is attached, with what is written in it.
fn attachments(
    store: &Store,
    facts: &MailFacts,
    structure: &Structure,
    reader: &mut dyn Reader,
) -> Vec<Attachment> {
    let parts = structure.parts().iter().filter(|part| is_attachment(part));
    let parts: Vec<&message::Part> = parts.take(ATTACHMENTS_MAX).collect();
    let mut attachments = Vec::with_capacity(parts.len());
    let mut body = None;
    let mut room = FILES_TEXT_MAX;
    for part in parts {
        let name = part.content.filename().unwrap_or_default();
        let media_type = format!("{}/{}", part.content.media_type, part.content.subtype);
        let (mut unread, mut text) = (None, String::new());
        let bytes = match Kind::of(&media_type, &name) {
            None => part.body.len(),
            Some(_) if facts.body_bytes > BODY_BYTES_MAX => {
                unread = Some("the message is too large".to_owned());
                part.body.len()
            }
            Some(kind) => {
                let body = body.get_or_insert_with(|| {
                    let read = store.body(facts);
                    let mail = facts.receipt;
                    read.inspect_err(|error| tracing::error!(%error, %mail, "a message is lost"))
                        .unwrap_or_default()
                });
                let limits = attachment_text::Limits::default();
                let decoded = decoded_body(part, body, limits.bytes_max + 1);
                match reader.read(kind, &decoded) {
                    Ok(read) => text = read,
                    Err(error) => unread = Some(error.to_string()),
                }
                decoded.len()
            }
        };
        text.truncate(text.floor_char_boundary(room));
        room -= text.len();
        attachments.push(Attachment { name, media_type, bytes: bytes as u64, unread, text });
    }
    attachments
}

/// What people call an attachment: what has a name, is said to be one, or is no text that is shown.
fn is_attachment(part: &message::Part) -> bool {
    if matches!(part.kind, message::Kind::Multipart(_)) {
        return false;
    }
    let said = part.content.disposition.as_ref().is_some_and(|said| &*said.kind == "attachment");
    let shown = matches!(&*part.content.media_type, "text" | "message" | "multipart");
    said || part.content.filename().is_some() || !shown
}

/// The text of a message as it is shown, of its parts in their order; for excerpts.
pub fn shown_text(body: &[u8]) -> Vec<String> {
    let limits = Limits::default();
    let structure = Structure::parse(body, &limits);
    let texts = structure.parts().iter().filter_map(|part| {
        let text = message::decoded_text(part, body, &limits)?;
        let html = part.content.is("text", "html");
        Some(if html { message::html_text(&text) } else { text.into_owned() })
    });
    texts.collect()
}
