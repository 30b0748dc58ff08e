use std::borrow::Cow;

use message::{BodyForm, SectionSpec, SectionText, downgraded_body, downgraded_envelope};

use crate::ask::{Fact, Need, Octets};
use crate::grammar::{Binary, Fetch, FetchAttribute, Section, write_part};

/// What is fetched of each message, worked out once.
#[derive(Debug)]
pub(super) struct Plan {
    pub items: Vec<Item>,
    pub need: Need,
    pub sets_seen: bool,
    pub changed_since: Option<u64>,
    dialect: Dialect,
}

/// What the client has enabled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    /// IMAP4rev2
    pub rev2: bool,
    /// UTF8=ACCEPT
    pub utf8: bool,
}

/// One thing to write.
#[derive(Debug)]
pub(super) enum Item {
    /// What the view answers.
    Row(RowItem),
    Fact(FactItem),
    Section {
        /// As in the response.
        name: Vec<u8>,
        section: Section,
    },
    Binary {
        /// As in the response.
        name: Vec<u8>,
        binary: Binary,
        /// The place of its size among the facts asked for.
        at: usize,
    },
    BinarySize {
        /// As in the response.
        name: Vec<u8>,
        /// Its place among the facts asked for.
        at: usize,
    },
}

/// What the service has ready as it goes over the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct FactItem {
    /// As in the response.
    pub name: &'static str,
    /// Its place among the facts asked for.
    pub at: usize,
    /// RFC 6855 §7: how it is rewritten for a client that has not enabled UTF-8.
    pub downgraded: fn(&[u8]) -> Cow<'_, [u8]>,
}

/// An item that is in the row of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowItem {
    Flags,
    Uid,
    InternalDate,
    Size,
    ModSeq,
    SaveDate,
    EmailId,
    /// BINARY.SIZE[]
    BinarySizeOfAll,
}

impl Plan {
    pub(super) fn new(fetch: Fetch, read_only: bool, dialect: Dialect) -> Self {
        let mut attributes = fetch.attributes;
        // RFC 3501 §6.4.8: UID FETCH answers with UIDs; RFC 7162 §3.1.4.1: CHANGEDSINCE with
        // modification sequences.
        if fetch.uid && !attributes.contains(&FetchAttribute::Uid) {
            attributes.insert(0, FetchAttribute::Uid);
        }
        if fetch.changed_since.is_some() && !attributes.contains(&FetchAttribute::ModSeq) {
            attributes.push(FetchAttribute::ModSeq);
        }
        Self::of(attributes, fetch.changed_since, read_only, dialect)
    }

    /// Of these attributes, in this order.
    pub(super) fn of(
        attributes: Vec<FetchAttribute>,
        changed_since: Option<u64>,
        read_only: bool,
        dialect: Dialect,
    ) -> Self {
        let mut plan = Self {
            items: Vec::with_capacity(attributes.len()),
            need: Need { facts: Vec::new(), summary: false, octets: Octets::None },
            sets_seen: false,
            changed_since,
            dialect,
        };
        for attribute in attributes {
            plan.add(attribute, read_only);
        }
        plan
    }

    fn add(&mut self, attribute: FetchAttribute, read_only: bool) {
        let rev2 = self.dialect.rev2;
        let item = match attribute {
            FetchAttribute::Flags => Item::Row(RowItem::Flags),
            FetchAttribute::Uid => Item::Row(RowItem::Uid),
            FetchAttribute::InternalDate => Item::Row(RowItem::InternalDate),
            FetchAttribute::Size => Item::Row(RowItem::Size),
            FetchAttribute::ModSeq => Item::Row(RowItem::ModSeq),
            FetchAttribute::SaveDate => Item::Row(RowItem::SaveDate),
            FetchAttribute::EmailId => Item::Row(RowItem::EmailId),
            FetchAttribute::ThreadId => self.fact("THREADID", Fact::Thread),
            FetchAttribute::Preview => self.fact("PREVIEW", Fact::Preview),
            FetchAttribute::Envelope => self.fact("ENVELOPE", Fact::Envelope),
            FetchAttribute::Body => {
                self.fact("BODY", Fact::Body(BodyForm { extended: false, rev2 }))
            }
            FetchAttribute::BodyStructure => {
                self.fact("BODYSTRUCTURE", Fact::Body(BodyForm { extended: true, rev2 }))
            }
            FetchAttribute::Section(section) => {
                let mut name = Vec::new();
                section.write_name(&mut name);
                self.section(name, section, read_only)
            }
            FetchAttribute::Binary(binary) => self.binary(binary, read_only),
            FetchAttribute::BinarySize(part) if part.is_empty() => {
                Item::Row(RowItem::BinarySizeOfAll)
            }
            FetchAttribute::BinarySize(part) => {
                let mut name = b"BINARY.SIZE[".to_vec();
                write_part(&part, &mut name);
                name.push(b']');
                Item::BinarySize { name, at: self.fact_at(Fact::BinarySize(part)) }
            }
        };
        self.items.push(item);
    }

    fn fact(&mut self, name: &'static str, fact: Fact) -> Item {
        // RFC 9051 §4.3: IMAP4rev2 has UTF-8 in its strings.
        let ascii = !self.dialect.rev2 && !self.dialect.utf8;
        let downgraded: fn(&[u8]) -> Cow<'_, [u8]> = match fact {
            Fact::Envelope if ascii => downgraded_envelope,
            Fact::Body(_) if ascii => downgraded_body,
            Fact::Envelope | Fact::Body(_) | Fact::Preview | Fact::Thread | Fact::BinarySize(_) => {
                |rendered| Cow::Borrowed(rendered)
            }
        };
        Item::Fact(FactItem { name, at: self.fact_at(fact), downgraded })
    }

    /// The place of a fact among those asked for.
    fn fact_at(&mut self, fact: Fact) -> usize {
        let facts = &mut self.need.facts;
        let known = facts.iter().position(|known| *known == fact);
        known.unwrap_or_else(|| {
            facts.push(fact);
            facts.len() - 1
        })
    }

    fn section(&mut self, name: Vec<u8>, section: Section, read_only: bool) -> Item {
        let of_root_header = section.spec.part.is_empty()
            && match section.spec.text {
                SectionText::Header
                | SectionText::HeaderFields(_)
                | SectionText::HeaderFieldsNot(_) => true,
                SectionText::All | SectionText::Text | SectionText::Mime => false,
            };
        if !of_root_header {
            self.need.octets = Octets::All;
        } else if self.need.octets == Octets::None {
            self.need.octets = Octets::Header;
        }
        self.need.summary |= !section.spec.part.is_empty();
        self.sets_seen |= !section.peek && !read_only;
        Item::Section { name, section }
    }

    fn binary(&mut self, binary: Binary, read_only: bool) -> Item {
        let mut name = Vec::new();
        binary.write_name(&mut name);
        if binary.part.is_empty() {
            // A message has no transfer encoding of its own: its body has (RFC 2045 §6.1).
            let spec = SectionSpec { part: Vec::new(), text: SectionText::All };
            let Binary { partial, peek, .. } = binary;
            let section = Section { spec, partial, peek, old_name: None };
            return self.section(name, section, read_only);
        }
        self.need.octets = Octets::All;
        self.need.summary = true;
        self.sets_seen |= !binary.peek && !read_only;
        let at = self.fact_at(Fact::BinarySize(binary.part.clone()));
        Item::Binary { name, binary, at }
    }

    pub(super) fn needs_messages(&self) -> bool {
        let Need { facts, summary, octets } = &self.need;
        !facts.is_empty() || *summary || *octets != Octets::None
    }
}
