//! What of a message is put in: everybody it is from and to, its texts, what is attached.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use attachment_text::Kind;
use mail_types::{AccountId, MailId};
use message::{Envelope, EnvelopeAddress, Limits, Structure, Summary, decode_words, decoded_body};
use store::{Accepted, Fate, JudgedAct, MailFacts, Part, Source, Store, StoreError, Visit};

use crate::SearchError;
use crate::again::Earlier;
use crate::kept::{Attachment, Document};
use crate::query::{Direction, Verdict};
use crate::reading::{NotRead, Patience, Reader};
use crate::words::{cut_words, fold_words, write_words};

/// Attachments of a message that are looked at; those behind them are counted for nothing.
const ATTACHMENTS_MAX: usize = 64;
/// Octets of all texts of a message's attachments.
const FILES_TEXT_MAX: usize = 4 << 20;
/// Octets of a message whose attachments are read.
const BODY_BYTES_MAX: u64 = 128 << 20;
/// Octets of the words of one column: folding can make eleven times as many of a text, and pairs of
/// characters are more than twice as long as it.
const COLUMN_OCTETS_MAX: usize = 8 << 20;
/// How long the attachments of one message may take together; longer each time that they are tried
/// again, up to four times that.
const READ_TIME_MAX: Duration = Duration::from_secs(60);
const READ_LONGER_MAX: u32 = 4;

/// How attachments are read.
pub struct Reading<'a> {
    /// By whom.
    pub reader: &'a mut dyn Reader,
    /// Whether to end now.
    pub stopping: &'a dyn Fn() -> bool,
    /// What was read of them before.
    pub earlier: Earlier,
}

/// Makes a document of a message. One whose record is damaged is found by what the index knows of it,
/// which is logged; `None` where there is no such message.
///
/// # Errors
/// Where it cannot be read now: the index's and the system's.
pub fn document(
    store: &Store,
    mail: MailId,
    reading: &mut Reading<'_>,
) -> Result<Option<Document>, SearchError> {
    let Some(facts) = store.mail_facts(&[mail])?.pop() else { return Ok(None) };
    let known = store.accepted(&facts).and_then(|(_, accepted)| {
        let parties = parties(store, &accepted)?;
        Ok((accepted, parties))
    });
    match known {
        Ok((accepted, parties)) => whole(store, &facts, &accepted, parties, reading).map(Some),
        Err(error) if error.is_of_one_message() => {
            tracing::error!(%error, mail = %facts.receipt, "a message's words cannot be searched");
            Ok(Some(bare(&facts)))
        }
        Err(error) => Err(error.into()),
    }
}

fn bare(facts: &MailFacts) -> Document {
    Document {
        mail: facts.receipt.mail,
        check: facts.receipt.check,
        accepted: facts.accepted,
        bytes: facts.body_bytes,
        direction: Direction::Internal,
        verdict: Verdict::None,
        parties: Vec::new(),
        attachments: Vec::new(),
        columns: Default::default(),
        purged: facts.purged.is_some(),
        tries: 0,
        tried: facts.accepted,
    }
}

fn whole(
    store: &Store,
    facts: &MailFacts,
    accepted: &Accepted,
    parties: Vec<AccountId>,
    reading: &mut Reading<'_>,
) -> Result<Document, SearchError> {
    let mail = facts.receipt.mail;
    let verdict = store.judged(mail)?;
    // Of what was purged there is nothing to read; to try would look like a loss.
    let there: &[MailId] = if facts.purged.is_some() { &[] } else { &[mail] };
    let mut summary = None;
    store.heads(there, |_, head| {
        summary = head.and_then(|head| Summary::decode(head.part(Part::Summary)).ok());
        Visit::GoOn
    })?;
    let (envelope, structure) = match summary {
        Some(summary) => (summary.envelope, Some(summary.structure)),
        None => (Envelope::default(), None),
    };
    let attachments = match structure {
        Some(structure) => attachments(store, facts, &structure, reading)?,
        None => Vec::new(),
    };
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
    store.texts(there, |_, text| {
        let text = text.unwrap_or_default();
        write_words(&text[..text.floor_char_boundary(COLUMN_OCTETS_MAX)], words);
        cut_words(words, COLUMN_OCTETS_MAX);
        Visit::GoOn
    })?;
    for attachment in &attachments {
        put(names, &attachment.name);
        put(files, &attachment.text);
    }
    Ok(Document {
        mail,
        check: facts.receipt.check,
        accepted: facts.accepted,
        bytes: facts.body_bytes,
        direction: direction(accepted),
        verdict: match verdict {
            None => Verdict::None,
            Some(JudgedAct::Deliver | JudgedAct::Reject) => Verdict::Ham,
            Some(JudgedAct::Junk) => Verdict::Spam,
            Some(JudgedAct::Hold) => Verdict::Held,
        },
        parties,
        attachments,
        columns,
        purged: facts.purged.is_some(),
        tries: reading.earlier.tries,
        tried: store.now(),
    })
}

fn put(words: &mut String, text: &str) {
    fold_words(text, words, COLUMN_OCTETS_MAX);
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
    reading: &mut Reading<'_>,
) -> Result<Vec<Attachment>, SearchError> {
    let parts = structure.parts().iter().filter(|part| is_attachment(part));
    let parts: Vec<&message::Part> = parts.take(ATTACHMENTS_MAX).collect();
    let mut attachments = Vec::with_capacity(parts.len());
    let mut body = None;
    let mut room = FILES_TEXT_MAX;
    let longer = (reading.earlier.tries + 1).min(READ_LONGER_MAX);
    let until = Instant::now() + READ_TIME_MAX * longer;
    for (at, part) in parts.into_iter().enumerate() {
        if (reading.stopping)() {
            return Err(SearchError::Stopped);
        }
        let name = part.content.filename().unwrap_or_default();
        let media_type = format!("{}/{}", part.content.media_type, part.content.subtype);
        // Of a body that is gone nothing is kept.
        let before = reading.earlier.attachments.get_mut(at).filter(|before| {
            facts.purged.is_none() && before.name == name && before.media_type == media_type
        });
        let off = NotRead::Off.to_string();
        let mut attachment = match before {
            Some(before) if !before.passing && before.unread.as_ref() != Some(&off) => {
                std::mem::take(before)
            }
            _ => {
                let bytes = part.body.len() as u64;
                let mut new = Attachment { name, media_type, bytes, ..Attachment::default() };
                match Kind::of(&new.media_type, &new.name) {
                    None => {}
                    Some(_) if facts.body_bytes > BODY_BYTES_MAX => {
                        new.unread = Some("the message is too large".to_owned());
                    }
                    Some(kind) => {
                        let body = match &mut body {
                            Some(body) => body,
                            None => body.insert(read_body(store, facts)?),
                        };
                        match body {
                            Ok(body) => read_part(&mut new, (kind, part, &*body), until, reading)?,
                            Err(why) => new.unread = Some(why.clone()),
                        }
                    }
                }
                new
            }
        };
        attachment.text.truncate(attachment.text.floor_char_boundary(room));
        room -= attachment.text.len();
        attachments.push(attachment);
    }
    Ok(attachments)
}

fn read_part(
    attachment: &mut Attachment,
    (kind, part, body): (Kind, &message::Part, &Vec<u8>),
    until: Instant,
    reading: &mut Reading<'_>,
) -> Result<(), SearchError> {
    let limits = attachment_text::Limits::default();
    let decoded = decoded_body(part, body, limits.bytes_max + 1);
    attachment.bytes = decoded.len() as u64;
    let patience = Patience { until, stopping: reading.stopping };
    match reading.reader.read(kind, &decoded, &patience) {
        Ok(read) => attachment.text = read,
        // Nothing is said of the attachment: the message comes again.
        Err(NotRead::Stopped) => return Err(SearchError::Stopped),
        Err(NotRead::NotStarted(why)) => return Err(SearchError::Reader(why)),
        Err(error) => {
            attachment.passing = error.is_passing();
            attachment.unread = Some(error.to_string());
        }
    }
    Ok(())
}

/// The octets of a message, or why there are none any more.
fn read_body(store: &Store, facts: &MailFacts) -> Result<Result<Vec<u8>, String>, StoreError> {
    match store.body(facts) {
        Ok(body) => Ok(Ok(body)),
        Err(error) if error.is_of_one_message() => {
            tracing::error!(%error, mail = %facts.receipt, "a message is lost");
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(error),
    }
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
