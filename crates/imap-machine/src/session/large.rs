use std::ops::Range;

use mail_types::Acceptance;
use message::{SectionRange, filter_fields, section_range};

use super::binary::{Size, begin_binary, write_binary_size};
use super::fetch::{Fetching, Stage, octets_of, partial_of, write_fact, write_row_item};
use super::plan::Item;
use super::{Ending, Flow, Session, Work};
use crate::ask::{Answer, Content, Contents, Need, Octets, Question};
use crate::grammar::Section;
use crate::view::View;
use crate::write::push_number;

/// A message too large to be held: its sections are written as they are read.
#[derive(Debug)]
pub(super) struct Large {
    place: usize,
    /// Facts, summary and header of this one message.
    contents: Contents,
    /// The item under way.
    item: usize,
    /// What is being read for it.
    reading: Option<Reading>,
}

#[derive(Debug)]
struct Reading {
    /// Octets of the message still to be read.
    left: Range<u32>,
    /// Where header fields are chosen: what has been read so far.
    header: Option<Vec<u8>>,
    /// They are of this part, without its transfer encoding.
    decoded: Option<Box<[u32]>>,
}

impl<R: Acceptance> Session<R> {
    pub(super) fn large_begins(
        &mut self,
        mut work: Box<Fetching>,
        place: usize,
        contents: Contents,
    ) -> Flow {
        if let Some(mailbox) = &self.selected {
            mailbox.view.write_head(place, &mut self.output);
        }
        let large = Large { place, contents, item: 0, reading: None };
        work.stage = Stage::Large(Box::new(large));
        self.again(Work::Fetch(work))
    }

    pub(super) fn large_goes_on(
        &mut self,
        work: Box<Fetching>,
        mut large: Box<Large>,
        answer: Option<Answer<R>>,
    ) -> Flow {
        let Some(reading) = &mut large.reading else {
            return self.large_item(work, large);
        };
        if let Some(answer) = answer {
            let Some(octets) = piece(answer, &reading.left) else {
                // A literal has begun whose octets are not to be had. Nothing true can be said any
                // more on this connection.
                self.ending = Ending::Close;
                return Flow::Again;
            };
            // Proven: `piece` lets through at most what is left.
            reading.left.start += octets.len() as u32;
            match &mut reading.header {
                Some(header) => header.extend_from_slice(&octets),
                None => self.output.extend_from_slice(&octets),
            }
            // A look at the output before the next piece.
            return self.large_goes_on_after(work, large);
        }
        self.large_asks(work, large)
    }

    fn large_goes_on_after(&mut self, mut work: Box<Fetching>, mut large: Box<Large>) -> Flow {
        if let Some(reading) = large.reading.take_if(|reading| reading.left.is_empty()) {
            if let (Some(header), Some(Item::Section { section, .. })) =
                (reading.header, work.plan.items.get(large.item))
            {
                let fields = filter_fields(&header, &section.spec.text);
                let fields = &fields[partial_of(section, fields.len())];
                message::write_literal(&mut self.output, fields);
            }
            large.item += 1;
        }
        work.stage = Stage::Large(large);
        self.again(Work::Fetch(work))
    }

    /// Writes the next item, or begins to.
    fn large_item(&mut self, mut work: Box<Fetching>, mut large: Box<Large>) -> Flow {
        let Some(mailbox) = &self.selected else { return self.misfit() };
        let view = &mailbox.view;
        let out = &mut self.output;
        let Some(item) = work.plan.items.get(large.item) else {
            out.extend_from_slice(b")\r\n");
            work.stage = Stage::Rows;
            return self.again(Work::Fetch(work));
        };
        if large.item > 0 {
            out.push(b' ');
        }
        match item {
            Item::Section { name, section } => {
                large.reading = large.begin_section(name, section, out);
            }
            Item::Fact(item) => write_fact(item, &large.contents, item.at, out),
            Item::BinarySize { name, at } => {
                work.unknown_cte |= write_binary_size(name, &large.contents, *at, out);
            }
            Item::Binary { name, binary, at } => {
                let size = Size::told(&large.contents, *at);
                work.unknown_cte |= matches!(size, Size::UnknownCte);
                let left = begin_binary(name, binary, &size, out);
                let decoded = Some(binary.part.clone());
                large.reading = left.map(|left| Reading { left, header: None, decoded });
            }
            Item::Row(item) => write_row_item(view, view.rows().at(large.place), *item, out),
        }
        large.item += usize::from(large.reading.is_none());
        work.stage = Stage::Large(large);
        self.again(Work::Fetch(work))
    }

    fn large_asks(&mut self, mut work: Box<Fetching>, large: Box<Large>) -> Flow {
        let (Some(mailbox), Some(signed_in), Some(reading)) =
            (&self.selected, &self.signed_in, &large.reading)
        else {
            return self.misfit();
        };
        let left = &reading.left;
        let end = left.end.min(left.start.saturating_add(self.config.limits.fetch_octets_max));
        let octets = match &reading.decoded {
            Some(part) => Octets::Decoded(part.clone(), left.start..end),
            None => Octets::Range(left.start..end),
        };
        let question = Question::Fetch {
            account: signed_in.account,
            messages: vec![View::wanted(mailbox.view.rows().at(large.place))],
            need: Need { facts: Vec::new(), summary: false, octets },
        };
        work.stage = Stage::Large(large);
        self.ask(Work::Fetch(work), question)
    }
}

impl Large {
    fn content(&self) -> Option<&Content> {
        self.contents.messages.first()?.as_ref()
    }

    /// Writes a section's name, and what is there of it; returns what must be read.
    fn begin_section(&self, name: &[u8], section: &Section, out: &mut Vec<u8>) -> Option<Reading> {
        out.extend_from_slice(name);
        out.push(b' ');
        let content = self.content();
        let summary = content.and_then(|content| content.summary.as_ref());
        let range = summary.and_then(|summary| section_range(&summary.structure, &section.spec));
        let range = range.and_then(|range| {
            let octets = range.octets();
            let start = u32::try_from(octets.start).ok()?;
            Some((start..u32::try_from(octets.end).ok()?, range))
        });
        let Some((octets, range)) = range else {
            out.extend_from_slice(b"NIL");
            return None;
        };
        match range {
            SectionRange::Exact(_) => {
                // Proven: a partial of a range lies in it, and both ends of that fit 32 bits.
                let partial = partial_of(section, octets.len());
                let left = octets.start + partial.start as u32..octets.start + partial.end as u32;
                out.push(b'{');
                push_number(out, left.len() as u64);
                out.extend_from_slice(b"}\r\n");
                (!left.is_empty()).then_some(Reading { left, header: None, decoded: None })
            }
            SectionRange::Header(_)
                if content.is_some_and(|content| octets.end as usize <= content.octets.len()) =>
            {
                let fields =
                    content.and_then(|content| octets_of(section, &self.contents, content));
                if let Some(fields) = fields {
                    message::write_literal(out, &fields[partial_of(section, fields.len())]);
                }
                None
            }
            SectionRange::Header(_) => {
                Some(Reading { left: octets, header: Some(Vec::new()), decoded: None })
            }
        }
    }
}

/// The octets of a piece: at least one, at most what is left.
fn piece<R>(answer: Answer<R>, left: &Range<u32>) -> Option<Vec<u8>> {
    let Answer::Contents(mut contents) = answer else { return None };
    let range = contents.messages.first()?.as_ref()?.octets.clone();
    // The bytes are the piece and nothing else, unless a service says more than it was asked.
    let octets = if range == (0..contents.bytes.len()) {
        std::mem::take(&mut contents.bytes)
    } else {
        contents.octets(&range).to_vec()
    };
    (!octets.is_empty() && octets.len() <= left.len()).then_some(octets)
}
