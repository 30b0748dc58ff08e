//! Reads messages (RFC 5322, MIME: RFC 2045 to 2049, 2183, 2231) by exact byte ranges, answers what
//! IMAP asks of them (RFC 3501 §7.4.2, RFC 9051 §7.5.2; SORT and THREAD: RFC 5256, 5957; BINARY:
//! RFC 3516; PREVIEW: RFC 8970), decodes their text for search and display (RFC 2047, 2231, 5051),
//! and builds what a mail system adds: trace fields (RFC 5321 §4.4) and delivery status
//! notifications (RFC 3464, RFC 6533).
//!
//! Reading takes any octets: there is no error, no panic, and time and memory are linear in the
//! message within [`Limits`]. What a limit stops from being taken apart is still whole inside the
//! ranges. A message is never altered; header edits are octets to put in front of it.
//!
//! This crate does no I/O, reads no clock and draws no random number.

mod address_list;
mod charset;
pub mod check;
mod codec;
mod content;
mod date;
mod downgrade;
pub mod dsn;
mod encode;
mod envelope;
mod facts;
mod fold;
mod header;
mod html;
mod limits;
mod params;
mod preview;
mod report_letter;
mod search;
mod section;
mod sort;
mod structure;
mod subject;
mod summary;
mod text;
mod thread;
mod trace;
mod transfer;
mod wire;

pub use address_list::EnvelopeAddress;
pub use charset::decode_charset;
pub use codec::SummaryError;
pub use content::{Content, Disposition, Encoding};
pub use date::{MailDate, format_date, format_internal_date, parse_date, parse_internal_date};
pub use downgrade::{downgraded_body, downgraded_envelope};
pub use encode::{encoded_words, unstructured};
pub use envelope::{Envelope, envelope};
pub use facts::{HeaderFacts, missing_fields};
pub use fold::{casemap, fold};
pub use header::{Field, Fields, find_field, header_range};
pub use html::html_text;
pub use limits::Limits;
pub use params::{Param, param_text};
pub use preview::preview;
pub use report_letter::ReportLetter;
pub use search::{SearchText, search_body, search_field, search_header, search_text};
pub use section::{
    SectionRange, SectionSpec, SectionText, filter_fields, part_at, section, section_range,
};
pub use sort::SortFacts;
pub use structure::{Kind, Opaque, Part, PartIndex, Structure};
pub use subject::base_subject;
pub use summary::Summary;
pub use text::{decode_words, decoded_body, decoded_text};
pub use thread::{ThreadNode, Threads, thread_ordered_subject, thread_references};
pub use trace::{ProtocolKind, Received, WithProtocol, delivered_to, return_path};
pub use transfer::{
    UnknownCte, decode_base64, decode_quoted_printable, decoded_part, decoded_part_range,
    decoded_size,
};
pub use wire::{
    BodyForm, write_astring, write_body, write_body_of_part, write_envelope, write_literal,
    write_nstring, write_string,
};

/// Octets of a value as they stand in the message: any, though mostly ASCII or UTF-8.
pub type Bytes = Box<[u8]>;
