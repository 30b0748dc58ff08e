use crate::address_list::{EnvelopeAddress, parse_addresses};
use crate::date::{MailDate, parse_date};
use crate::header::{Fields, unfold};
use crate::{Bytes, Limits};

/// The envelope structure of IMAP (RFC 3501 §7.4.2, RFC 9051 §7.5.2): what a header says, texts as
/// they stand there (unfolded, not RFC 2047 decoded).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Date.
    pub date: Option<Bytes>,
    /// Subject.
    pub subject: Option<Bytes>,
    /// From.
    pub from: Vec<EnvelopeAddress>,
    /// Sender, empty where the header has none; see [`Envelope::sender`].
    pub sender: Vec<EnvelopeAddress>,
    /// Reply-To, empty where the header has none; see [`Envelope::reply_to`].
    pub reply_to: Vec<EnvelopeAddress>,
    /// To.
    pub to: Vec<EnvelopeAddress>,
    /// Cc.
    pub cc: Vec<EnvelopeAddress>,
    /// Bcc.
    pub bcc: Vec<EnvelopeAddress>,
    /// In-Reply-To.
    pub in_reply_to: Option<Bytes>,
    /// Message-ID.
    pub message_id: Option<Bytes>,
}

impl Envelope {
    /// Reads a header, or a message that begins with one. Of two Date, Subject, From, Sender,
    /// In-Reply-To or Message-ID fields the first counts; the recipients of several To, Cc, Bcc
    /// and Reply-To are joined.
    #[must_use]
    pub fn read(header: &[u8], limits: &Limits) -> Self {
        let mut envelope = Self::default();
        for field in Fields::limited(header, limits) {
            let text = || Some(unfold(field.value, limits.value_bytes_max));
            let name = field.name;
            let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
            // By length first: most fields are none of these.
            match name.len() {
                2 if is(b"to") => parse_addresses(field.value, limits, &mut envelope.to),
                2 if is(b"cc") => parse_addresses(field.value, limits, &mut envelope.cc),
                3 if is(b"bcc") => parse_addresses(field.value, limits, &mut envelope.bcc),
                4 if is(b"date") && envelope.date.is_none() => envelope.date = text(),
                4 if is(b"from") && envelope.from.is_empty() => {
                    parse_addresses(field.value, limits, &mut envelope.from);
                }
                6 if is(b"sender") && envelope.sender.is_empty() => {
                    parse_addresses(field.value, limits, &mut envelope.sender);
                }
                7 if is(b"subject") && envelope.subject.is_none() => envelope.subject = text(),
                8 if is(b"reply-to") => {
                    parse_addresses(field.value, limits, &mut envelope.reply_to);
                }
                10 if is(b"message-id") && envelope.message_id.is_none() => {
                    envelope.message_id = text();
                }
                11 if is(b"in-reply-to") && envelope.in_reply_to.is_none() => {
                    envelope.in_reply_to = text();
                }
                _ => {}
            }
        }
        envelope
    }

    /// RFC 3501 §7.4.2: Sender, or From where that is absent or empty.
    #[must_use]
    pub fn sender(&self) -> &[EnvelopeAddress] {
        if self.sender.is_empty() { &self.from } else { &self.sender }
    }

    /// RFC 3501 §7.4.2: Reply-To, or From where that is absent or empty.
    #[must_use]
    pub fn reply_to(&self) -> &[EnvelopeAddress] {
        if self.reply_to.is_empty() { &self.from } else { &self.reply_to }
    }

    /// The Date field, where it can be understood.
    #[must_use]
    pub fn sent(&self) -> Option<MailDate> {
        parse_date(self.date.as_deref()?)
    }
}

/// Reads the envelope of a header with the default limits.
#[must_use]
pub fn envelope(header: &[u8]) -> Envelope {
    Envelope::read(header, &Limits::default())
}
