//! A message on its way in: its header is read as it passes, the trace fields go in front; where the
//! sender is checked, behind all else, since the results stand among them.

use journal::{Arrival, Body, RealDisk};
use mail_types::{Address, Domain, MailId, ReceiptId, Refusal, Timestamp};
use message::{HeaderFacts, MailDate, ProtocolKind, Received, WithProtocol};
use sender_auth::{Authors, Examined, Reading};
use smtp_machine::{Envelope, server::Role};

use crate::checks::Clues;

/// Bytes of a header, its blank line included, and fields of it: as many as are read wherever one
/// is read (`message::Limits`, `sender_auth`). Behind them a field would be shown by programs that
/// read on, and be held against nothing here.
const HEADER_BYTES_MAX: usize = 1 << 20;
const HEADER_FIELDS_MAX: usize = 10_000;
/// Bytes that the trace fields take at most: what is not much more than them below the limit of
/// memory may get a file in the end.
const FRONT_BYTES_MAX: usize = 64 << 10;

/// A message on its way in.
pub struct Arriving {
    /// Its id.
    pub mail: MailId,
    /// All that the client said of it.
    pub envelope: Envelope,
    arrival: Arrival<RealDisk>,
    rules: Rules,
    /// The header so far; `None` once it is complete and written.
    header: Option<Vec<u8>>,
    facts: HeaderFacts,
    /// The header as kept, where a report will need it.
    kept_header: Option<Vec<u8>>,
    /// What the checks of its sender will need; none where it is not checked.
    reading: Option<Box<Reading>>,
    /// The trace fields that are put in front once the results are known.
    late: Vec<Vec<u8>>,
    /// What the header tells to look up, until it is taken.
    clues: Option<Clues>,
    /// Whose it says it is, once the header is complete.
    authors: Authors,
}

/// What the header is held against.
pub struct Rules {
    /// Submission completes headers (RFC 6409 §8); relaying never does.
    pub role: Role,
    /// This host.
    pub hostname: Domain,
    /// RFC 5321 §6.3.
    pub received_fields_max: usize,
    /// Aliases among the recipients that lead out of here: to find one of them in Delivered-To is
    /// to have forwarded this message before.
    pub forwarders: Vec<Address>,
    /// Whether the sender is checked, and results go in front.
    pub is_checked: bool,
    /// Whether Authentication-Results in our name may be ours: it comes from hosts of our own.
    pub keeps_results: bool,
    /// Whether the signed-in account may have this address in From, or in Resent-From.
    pub may_send_as: Box<dyn Fn(&Address) -> bool + Send + Sync>,
    /// Whether an address is of a domain of ours, which receivers take our word for.
    pub is_of_ours: Box<dyn Fn(&Address) -> bool + Send + Sync>,
}

/// A message that is whole.
pub struct Whole {
    /// Its bytes, trace header included.
    pub body: Body,
    /// Without angle brackets.
    pub message_id: Option<String>,
    /// Decoded.
    pub subject: Option<String>,
    /// TLS-Required: No (RFC 8689 §5).
    pub is_tls_optional: bool,
    /// Its header as kept, where the sender wants to be told of its delivery.
    pub header: Option<Vec<u8>>,
}

impl Arriving {
    pub fn new(mail: MailId, envelope: Envelope, arrival: Arrival<RealDisk>, rules: Rules) -> Self {
        let facts = HeaderFacts::default();
        let kept_header = crate::delivered::is_wanted(&envelope).then(Vec::new);
        let reading = rules.is_checked.then(Box::default);
        Self {
            mail,
            envelope,
            arrival,
            rules,
            header: Some(Vec::new()),
            facts,
            kept_header,
            reading,
            late: Vec::new(),
            clues: None,
            authors: Authors::Unusable("there is no header".to_owned()),
        }
    }

    /// Takes the next bytes of the content.
    pub fn write(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), Refusal> {
        if let Some(reading) = &mut self.reading {
            reading.write(bytes);
        }
        let Some(header) = &mut self.header else {
            return self.arrival.write(bytes).map_err(|error| disk_trouble(&error));
        };
        // The blank line may begin in what came before.
        let from = header.len().saturating_sub(3);
        header.extend_from_slice(bytes);
        let complete = header.starts_with(b"\r\n")
            || memchr::memmem::find(&header[from..], b"\r\n\r\n").is_some();
        if complete || header.len() > HEADER_BYTES_MAX { self.end_header(now) } else { Ok(()) }
    }

    /// What there is to be looked up by now; once, when the header is complete.
    pub fn take_clues(&mut self) -> Option<Clues> {
        self.clues.take()
    }

    /// Whose it says it is.
    pub fn authors(&self) -> Authors {
        self.authors.clone()
    }

    /// The content is complete: what the checks of its sender need, where it is checked.
    pub fn examined(&mut self, now: Timestamp) -> Result<Option<Examined>, Refusal> {
        if self.header.is_some() {
            self.end_header(now)?;
        }
        Ok(self.reading.take().map(|reading| reading.finish()))
    }

    /// The message as it is kept, `results` among its trace fields. Blocks while a large body is
    /// synced.
    pub fn finish(mut self, results: &str, now: Timestamp) -> Result<(Envelope, Whole), Refusal> {
        if self.header.is_some() {
            self.end_header(now)?;
        }
        if let [first, last] = &*self.late {
            // RFC 8601 §4: above everything that was there before, our own Received included.
            let front = [first, results.as_bytes(), last].concat();
            if let Some(kept) = &mut self.kept_header {
                kept.splice(0..0, front.iter().copied());
            }
            self.arrival = self.arrival.behind(&front).map_err(|error| disk_trouble(&error))?;
        }
        let body = self.arrival.finish().map_err(|error| disk_trouble(&error))?;
        let text = |id: &[u8]| String::from_utf8_lossy(id).trim_matches(['<', '>', ' ']).to_owned();
        let message_id = self.facts.message_id.as_deref().map(text);
        let HeaderFacts { subject, is_tls_optional, .. } = self.facts;
        let header = self.kept_header;
        Ok((self.envelope, Whole { body, message_id, subject, is_tls_optional, header }))
    }

    /// Whether finishing it blocks on the disk.
    pub fn is_large(&self) -> bool {
        !self.arrival.fits_inline(FRONT_BYTES_MAX)
    }

    fn end_header(&mut self, now: Timestamp) -> Result<(), Refusal> {
        let Some(header) = self.header.take() else { return Ok(()) };
        check_size(&header)?;
        self.facts = HeaderFacts::read(&header, &message::Limits::default());
        self.check()?;
        let header = if self.rules.role == Role::Submission {
            self.check_from(&header)?;
            without_bcc(header)
        } else {
            header
        };
        let header = if self.rules.keeps_results {
            header
        } else {
            without_forged_results(header, &self.rules.hostname)
        };
        let mut front = message::return_path(&self.envelope.sender.reverse_path).into_bytes();
        if let ([_], [forwarder]) = (&*self.envelope.recipients, &*self.rules.forwarders) {
            // Only where it tells nobody of another recipient.
            front.extend_from_slice(message::delivered_to(forwarder).as_bytes());
        }
        if let Some(reading) = &self.reading {
            let authors = sender_auth::authors(&header);
            let (keys, seals) = (reading.queries(), reading.seal_queries());
            self.clues = Some(Clues { keys, seals, authors: authors.clone() });
            self.authors = authors;
            self.late = vec![front, self.received(now).into_bytes()];
            if let Some(kept) = &mut self.kept_header {
                kept.extend_from_slice(&header[message::header_range(&header)]);
            }
            return self.arrival.write(&header).map_err(|error| disk_trouble(&error));
        }
        front.extend_from_slice(self.received(now).as_bytes());
        if self.rules.role == Role::Submission {
            let id = format!("<{}.{}@{}>", now.millis(), self.name(), self.rules.hostname);
            front.extend_from_slice(&message::missing_fields(&self.facts, date(now), &id));
            self.facts.message_id.get_or_insert_with(|| id.into_bytes().into());
        }
        if let Some(kept) = &mut self.kept_header {
            kept.extend_from_slice(&front);
            kept.extend_from_slice(&header[message::header_range(&header)]);
        }
        self.arrival
            .write(&front)
            .and_then(|()| self.arrival.write(&header))
            .map_err(|error| disk_trouble(&error))
    }

    fn check(&self) -> Result<(), Refusal> {
        // RFC 5321 §6.3: too many Received fields are a loop.
        if self.facts.received_count > self.rules.received_fields_max {
            return Err(Refusal::permanent(
                554,
                4,
                6,
                format!(
                    "Mail loop: {} Received fields, {} are the limit",
                    self.facts.received_count, self.rules.received_fields_max
                ),
            ));
        }
        for seen in &self.facts.delivered_to {
            let seen = String::from_utf8_lossy(seen);
            let seen = Address::parse(seen.trim()).map(|address| address.folded());
            let mine = |forwarder: &&Address| Ok(forwarder.folded()) == seen;
            if let Some(forwarder) = self.rules.forwarders.iter().find(mine) {
                return Err(Refusal::permanent(
                    554,
                    4,
                    6,
                    format!("Mail loop: this message was forwarded by {forwarder} before"),
                ));
            }
        }
        Ok(())
    }

    /// RFC 6409 §6.1: the submission server may hold From against who has signed in: every address
    /// in it, also what others may take for one.
    fn check_from(&self, header: &[u8]) -> Result<(), Refusal> {
        let refused = |text: String| Err(Refusal::permanent(550, 6, 0, text));
        // RFC 5322 §3.6: one From. With two, programs differ in which they show.
        if message::Fields::new(header).filter(|field| field.is("From")).count() > 1 {
            return refused("The message has more than one From field".to_owned());
        }
        // What is sent again is answered for by whoever does so.
        let answerable = self.facts.answerable();
        let is_author = answerable == &*self.facts.from;
        let field = if is_author { "From" } else { "Resent-From or Resent-Sender" };
        // The list is cut there.
        if answerable.len() + 1 >= message::Limits::default().addresses_max {
            return refused(format!("The {field} field names too many addresses"));
        }
        // To receivers our servers vouch for our domains: resending is no way to write as a colleague.
        if !is_author {
            let authors = self.facts.from.iter().filter_map(message::EnvelopeAddress::address);
            let mut others = authors.filter(|author| !(self.rules.may_send_as)(author));
            if let Some(author) = others.find(|author| (self.rules.is_of_ours)(author)) {
                let text = format!(
                    "The From address {author} is another account's here; send its message on as \
                     an attachment"
                );
                return Err(Refusal::permanent(550, 7, 1, text));
            }
        }
        for entry in answerable {
            // Words, mostly of a name with a comma in it; and the marks of a group.
            let has_at = |text: &message::Bytes| text.contains(&b'@');
            if entry.host.as_deref().is_none_or(<[u8]>::is_empty)
                && !entry.mailbox.as_ref().is_some_and(has_at)
            {
                continue;
            }
            let Some(address) = entry.address() else {
                let text: String =
                    entry.address_text().unwrap_or_default().escape_default().take(100).collect();
                return refused(format!("The {field} field names {text}, which is no address"));
            };
            if !(self.rules.may_send_as)(&address) {
                return Err(Refusal::permanent(
                    550,
                    7,
                    1,
                    format!("The {field} address {address} does not belong to your account"),
                ));
            }
        }
        Ok(())
    }

    /// The part of the receipt's id that is known before the message is whole; `trace` finds it.
    pub fn name(&self) -> String {
        let id = ReceiptId { mail: self.mail, check: 0 }.to_string();
        id.split('-').next().unwrap_or_default().to_owned()
    }

    fn received(&self, now: Timestamp) -> String {
        let Envelope { sender, recipients, protocol } = &self.envelope;
        let with = WithProtocol {
            kind: match (self.rules.role, *protocol) {
                (_, "HTTP") => ProtocolKind::Http,
                (Role::Lmtp, _) => ProtocolKind::Lmtp,
                (Role::Mx | Role::Submission, "SMTP") => ProtocolKind::Smtp,
                (Role::Mx | Role::Submission, _) => ProtocolKind::Esmtp,
            },
            tls: sender.tls.is_some(),
            authenticated: sender.signed_in.is_some(),
            utf8: sender.params.smtputf8,
        };
        Received {
            greeting: &sender.helo,
            ip: sender.peer,
            reverse_name: None,
            by: &self.rules.hostname,
            with,
            tls: sender.tls.as_ref(),
            id: &self.name(),
            recipient: match &**recipients {
                [only] => Some(&only.address),
                _ => None,
            },
            priority: sender.params.priority,
            at: date(now),
        }
        .field()
    }
}

/// A header of a size that is read whole, wherever it is read.
fn check_size(header: &[u8]) -> Result<(), Refusal> {
    let header = &header[message::header_range(header)];
    let too_much = if header.len() > HEADER_BYTES_MAX {
        format!("is longer than {HEADER_BYTES_MAX} octets")
    } else if message::Fields::new(header).nth(HEADER_FIELDS_MAX).is_some() {
        format!("has more than {HEADER_FIELDS_MAX} fields")
    } else {
        return Ok(());
    };
    Err(Refusal::permanent(554, 6, 0, format!("The header of the message {too_much}")))
}

/// RFC 5322 §3.6.3: what Bcc names is known to nobody else; programs that leave it in the header
/// rely on the submission server to take it out.
fn without_bcc(header: Vec<u8>) -> Vec<u8> {
    let end = message::header_range(&header).end;
    let names = vec![b"Bcc"[..].into(), b"Resent-Bcc"[..].into()];
    let mut kept =
        message::filter_fields(&header[..end], &message::SectionText::HeaderFieldsNot(names));
    kept.extend_from_slice(&header[end..]);
    kept
}

/// RFC 8601 §5: results in our name that come from outside are forged, and are taken out: the one
/// thing in a received message that is ever changed.
fn without_forged_results(header: Vec<u8>, us: &Domain) -> Vec<u8> {
    let forged = |field: &message::Field<'_>| {
        field.is("Authentication-Results") && sender_auth::claims_to_be_of(field.value, us.as_str())
    };
    let end = message::header_range(&header).end;
    if !message::Fields::new(&header[..end]).any(|field| forged(&field)) {
        return header;
    }
    let mut kept = Vec::with_capacity(header.len());
    let mut read = 0;
    for field in message::Fields::new(&header[..end]) {
        read += field.raw.len();
        if !forged(&field) {
            kept.extend_from_slice(field.raw);
        }
    }
    kept.extend_from_slice(&header[read..]);
    kept
}

fn date(now: Timestamp) -> MailDate {
    MailDate { at: now, offset_minutes: 0 }
}

/// Our own trouble is always temporary (design §1.2); `<>` mail too.
pub fn disk_trouble(error: &std::io::Error) -> Refusal {
    tracing::error!(%error, "a message could not be written");
    let code = if error.kind() == std::io::ErrorKind::StorageFull { 452 } else { 451 };
    Refusal::transient(code, 3, 1, "The message cannot be stored now, try again later")
}
