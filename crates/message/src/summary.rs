use std::ops::Range;

use crate::Limits;
use crate::address_list::EnvelopeAddress;
use crate::codec::{Decoder, Encoder, SummaryError};
use crate::content::{Content, Disposition, Encoding};
use crate::envelope::Envelope;
use crate::params::Param;
use crate::structure::{Kind, Opaque, Part, Structure};

/// First octet of an encoded summary. Old versions are read for ever.
const VERSION: u8 = 1;

/// What IMAP asks for without the body: read once at delivery, kept, and answered from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Of the message's own header.
    pub envelope: Envelope,
    /// Of the whole message.
    pub structure: Structure,
}

impl Summary {
    /// Reads a message.
    #[must_use]
    pub fn read(bytes: &[u8], limits: &Limits) -> Self {
        let structure = Structure::parse(bytes, limits);
        let envelope = Envelope::read(&bytes[structure.root().header.clone()], limits);
        Self { envelope, structure }
    }

    /// A compact form to keep.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new(VERSION, 512);
        out.envelope(&self.envelope);
        out.number(self.structure.parts.len());
        for part in &self.structure.parts {
            out.part(part);
        }
        out.out
    }

    /// The inverse of [`Summary::encode`].
    ///
    /// # Errors
    /// Where the octets were not made by this or an older version, see [`SummaryError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SummaryError> {
        let mut decoder = Decoder::new(VERSION, bytes)?;
        let envelope = decoder.envelope()?;
        let parts = decoder.list(|decoder, at| decoder.part(at))?;
        let structure = Structure { parts };
        if !decoder.rest.is_empty() || !is_tree(&structure) {
            return Err(SummaryError::Damaged);
        }
        Ok(Self { envelope, structure })
    }
}

/// Whether each part but the first has one parent, and that before it: no loop, nothing missing.
fn is_tree(structure: &Structure) -> bool {
    let parts = &structure.parts;
    let mut has_parent = vec![false; parts.len()];
    let mut adopt = |parent: usize, child: usize| match has_parent.get_mut(child) {
        Some(taken) if child > parent => !std::mem::replace(taken, true),
        _ => false,
    };
    let adopted = parts.iter().enumerate().all(|(at, part)| match &part.kind {
        Kind::Leaf | Kind::Opaque(_) => true,
        Kind::Multipart(children) => {
            !children.is_empty() && children.iter().all(|&child| adopt(at, child))
        }
        Kind::Message { inner, .. } => adopt(at, *inner),
    });
    adopted && !parts.is_empty() && has_parent[1..].iter().all(|&found| found)
}

impl Encoder {
    fn envelope(&mut self, envelope: &Envelope) {
        let Envelope {
            date,
            subject,
            from,
            sender,
            reply_to,
            to,
            cc,
            bcc,
            in_reply_to,
            message_id,
        } = envelope;
        for text in [date, subject, in_reply_to, message_id] {
            self.optional(text.as_deref());
        }
        for list in [from, sender, reply_to, to, cc, bcc] {
            self.number(list.len());
            for EnvelopeAddress { name, route, mailbox, host } in list {
                for text in [name, route, mailbox, host] {
                    self.optional(text.as_deref());
                }
            }
        }
    }

    fn params(&mut self, params: &[Param]) {
        self.number(params.len());
        for Param { name, value } in params {
            self.text(name.as_bytes());
            self.text(value);
        }
    }

    fn content(&mut self, content: &Content) {
        let Content {
            media_type,
            subtype,
            params,
            id,
            description,
            encoding,
            md5,
            disposition,
            language,
            location,
        } = content;
        self.text(media_type.as_bytes());
        self.text(subtype.as_bytes());
        self.params(params);
        for text in [id, description, md5, location] {
            self.optional(text.as_deref());
        }
        match encoding {
            Encoding::SevenBit => self.number(0),
            Encoding::EightBit => self.number(1),
            Encoding::Binary => self.number(2),
            Encoding::Base64 => self.number(3),
            Encoding::QuotedPrintable => self.number(4),
            Encoding::Other(name) => {
                self.number(5);
                self.text(name);
            }
        }
        self.optional(disposition.as_ref().map(|found| found.kind.as_bytes()));
        if let Some(Disposition { params, .. }) = disposition {
            self.params(params);
        }
        self.number(language.len());
        for tag in language {
            self.text(tag);
        }
    }

    fn part(&mut self, part: &Part) {
        let Part { header, body, lines, content, kind } = part;
        // A body begins where its header ends.
        self.number(header.start);
        self.number(header.len());
        self.number(body.len());
        self.number(*lines);
        self.content(content);
        match kind {
            Kind::Leaf => self.number(0),
            Kind::Opaque(Opaque::NoParts) => self.number(1),
            Kind::Opaque(Opaque::Limit) => self.number(2),
            Kind::Opaque(Opaque::Encoded) => self.number(3),
            Kind::Multipart(children) => {
                self.number(4);
                self.number(children.len());
                for &child in children {
                    self.number(child);
                }
            }
            Kind::Message { inner, envelope } => {
                self.number(5);
                self.number(*inner);
                self.envelope(envelope);
            }
        }
    }
}

impl Decoder<'_> {
    fn addresses(&mut self) -> Result<Vec<EnvelopeAddress>, SummaryError> {
        self.list(|decoder, _| {
            Ok(EnvelopeAddress {
                name: decoder.optional()?,
                route: decoder.optional()?,
                mailbox: decoder.optional()?,
                host: decoder.optional()?,
            })
        })
    }

    fn envelope(&mut self) -> Result<Envelope, SummaryError> {
        Ok(Envelope {
            date: self.optional()?,
            subject: self.optional()?,
            in_reply_to: self.optional()?,
            message_id: self.optional()?,
            from: self.addresses()?,
            sender: self.addresses()?,
            reply_to: self.addresses()?,
            to: self.addresses()?,
            cc: self.addresses()?,
            bcc: self.addresses()?,
        })
    }

    fn params(&mut self) -> Result<Vec<Param>, SummaryError> {
        self.list(|decoder, _| Ok(Param { name: decoder.word()?, value: decoder.text()? }))
    }

    fn content(&mut self) -> Result<Content, SummaryError> {
        let mut content = Content::implied(false);
        content.media_type = self.word()?;
        content.subtype = self.word()?;
        content.params = self.params()?;
        content.id = self.optional()?;
        content.description = self.optional()?;
        content.md5 = self.optional()?;
        content.location = self.optional()?;
        content.encoding = match self.number()? {
            0 => Encoding::SevenBit,
            1 => Encoding::EightBit,
            2 => Encoding::Binary,
            3 => Encoding::Base64,
            4 => Encoding::QuotedPrintable,
            5 => Encoding::Other(self.text()?),
            _ => return Err(SummaryError::Damaged),
        };
        if let Some(kind) = self.optional()? {
            let kind = String::from_utf8(kind.into_vec()).map_err(|_| SummaryError::Damaged)?;
            content.disposition = Some(Disposition { kind: kind.into(), params: self.params()? });
        }
        content.language = self.list(|decoder, _| decoder.text())?;
        Ok(content)
    }

    fn range(start: usize, len: usize) -> Result<Range<usize>, SummaryError> {
        Ok(start..start.checked_add(len).ok_or(SummaryError::Damaged)?)
    }

    fn part(&mut self, at: usize) -> Result<Part, SummaryError> {
        let start = self.number()?;
        let header = Self::range(start, self.number()?)?;
        let body = Self::range(header.end, self.number()?)?;
        if at == 0 && start != 0 {
            return Err(SummaryError::Damaged);
        }
        let lines = self.number()?;
        let content = self.content()?;
        let kind = match self.number()? {
            0 => Kind::Leaf,
            1 => Kind::Opaque(Opaque::NoParts),
            2 => Kind::Opaque(Opaque::Limit),
            3 => Kind::Opaque(Opaque::Encoded),
            4 => Kind::Multipart(self.list(|decoder, _| decoder.number())?),
            5 => {
                let inner = self.number()?;
                Kind::Message { inner, envelope: Box::new(self.envelope()?) }
            }
            _ => return Err(SummaryError::Damaged),
        };
        Ok(Part { header, body, lines, content, kind })
    }
}
