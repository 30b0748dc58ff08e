use crate::address_list::{EnvelopeAddress, parse_addresses};
use crate::date::{MailDate, parse_date};
use crate::header::{Fields, unfold};
use crate::text::decode_words;
use crate::{Bytes, Limits};

/// Octets of a Message-ID that are kept.
const MESSAGE_ID_OCTETS_MAX: usize = 998;

/// What routing, loop protection and submission ask of a header, read in one pass over it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderFacts {
    /// Message-ID with its angle brackets; as written where it has none.
    pub message_id: Option<Bytes>,
    /// Whether there is a Date field, understood or not.
    pub has_date: bool,
    /// The Date field, where it is understood.
    pub date: Option<MailDate>,
    /// From, group marks included.
    pub from: Vec<EnvelopeAddress>,
    /// Sender, group marks included.
    pub sender: Vec<EnvelopeAddress>,
    /// Resent-From of the last resending (RFC 5322 §3.6.6: the topmost), group marks included.
    pub resent_from: Vec<EnvelopeAddress>,
    /// Resent-Sender of the last resending, group marks included.
    pub resent_sender: Vec<EnvelopeAddress>,
    /// Subject, decoded.
    pub subject: Option<String>,
    /// Received fields (RFC 5321 §6.3: loop detection counts them).
    pub received_count: usize,
    /// Delivered-To fields, from the top, as written.
    pub delivered_to: Vec<Bytes>,
    /// RFC 3834 §5: Auto-Submitted says something other than `no`.
    pub is_auto_submitted: bool,
    /// TLS-Required: No (RFC 8689 §5): its sender would rather have it delivered than protected.
    pub is_tls_optional: bool,
    /// List-Id, List-Post or List-Unsubscribe, or Precedence list, bulk or junk.
    pub is_bulk: bool,
}

impl HeaderFacts {
    /// Reads a header, or a message that begins with one, within the limits. Of two of the same
    /// field the first counts.
    #[must_use]
    pub fn read(header: &[u8], limits: &Limits) -> Self {
        let mut facts = Self::default();
        let mut resent_count = 0;
        for field in Fields::limited(header, limits) {
            let text = |max: usize| unfold(field.value, limits.value_bytes_max.min(max));
            match field.name.len() {
                4 if field.is("Date") && !facts.has_date => {
                    facts.has_date = true;
                    facts.date = parse_date(field.value);
                }
                4 if field.is("From") && facts.from.is_empty() => {
                    parse_addresses(field.value, limits, &mut facts.from);
                }
                6 if field.is("Sender") && facts.sender.is_empty() => {
                    parse_addresses(field.value, limits, &mut facts.sender);
                }
                11 if field.is("Resent-From") => {
                    resent_count += 1;
                    if resent_count == 1 {
                        parse_addresses(field.value, limits, &mut facts.resent_from);
                    }
                }
                // Below the Resent-From of an earlier resending it is of that one.
                13 if field.is("Resent-Sender")
                    && facts.resent_sender.is_empty()
                    && resent_count < 2 =>
                {
                    parse_addresses(field.value, limits, &mut facts.resent_sender);
                }
                7 if field.is("Subject") && facts.subject.is_none() => {
                    facts.subject = Some(decode_words(&text(usize::MAX)));
                }
                8 if field.is("Received") => facts.received_count += 1,
                10 if field.is("Message-ID") && facts.message_id.is_none() => {
                    facts.message_id = Some(message_id(&text(MESSAGE_ID_OCTETS_MAX)));
                }
                12 if field.is("TLS-Required") => {
                    facts.is_tls_optional |=
                        text(usize::MAX).trim_ascii().eq_ignore_ascii_case(b"no");
                }
                12 if field.is("Delivered-To") => facts.delivered_to.push(text(usize::MAX)),
                14 if field.is("Auto-Submitted") => {
                    let value = text(usize::MAX);
                    let keyword = value.split(|byte| b" ;(\t".contains(byte)).next();
                    facts.is_auto_submitted |=
                        !keyword.unwrap_or_default().eq_ignore_ascii_case(b"no");
                }
                10 if field.is("Precedence") => {
                    let value = text(usize::MAX).to_ascii_lowercase();
                    facts.is_bulk |= matches!(&*value, b"bulk" | b"list" | b"junk");
                }
                7 if field.is("List-Id") => facts.is_bulk = true,
                9 if field.is("List-Post") => facts.is_bulk = true,
                16 if field.is("List-Unsubscribe") => facts.is_bulk = true,
                _ => {}
            }
        }
        facts
    }

    /// Who answers for the message as it is sent now: who resends it, else its authors. RFC 5322
    /// §3.6.6: who resends a message leaves From as it is, and names itself in fields of its own.
    #[must_use]
    pub fn answerable(&self) -> &[EnvelopeAddress] {
        // A field that names nobody lets nobody off.
        let names = |list: &[EnvelopeAddress]| list.iter().any(|one| one.address().is_some());
        match (names(&self.resent_from), names(&self.resent_sender)) {
            (false, _) => &self.from,
            (true, false) => &self.resent_from,
            (true, true) => &self.resent_sender,
        }
    }
}

/// RFC 5322 §3.6.4: the msg-id in its brackets, other text around it left out.
fn message_id(value: &[u8]) -> Bytes {
    let start = value.iter().position(|&byte| byte == b'<');
    let id = start.and_then(|start| {
        let end = value[start..].iter().position(|&byte| byte == b'>')?;
        Some(&value[start..=start + end])
    });
    id.unwrap_or(value).into()
}

/// The Date and Message-ID fields that RFC 6409 §8.2, §8.3 let a submission server add where the
/// author's program left them out; to be put in front of the message. Empty where both are there.
/// `message_id` is unique, with its angle brackets.
#[must_use]
pub fn missing_fields(facts: &HeaderFacts, date: MailDate, message_id: &str) -> Vec<u8> {
    let mut out = String::new();
    if !facts.has_date {
        out.push_str(&format!("Date: {}\r\n", crate::format_date(date)));
    }
    if facts.message_id.is_none() {
        out.push_str(&format!("Message-ID: {message_id}\r\n"));
    }
    out.into_bytes()
}
