//! Where a message lies in mailboxes, and who took it out of others: read from its story.

use mail_types::{MailboxId, Timestamp, Uid};

use crate::record::{Actor, Fate, Record};
use crate::record_held::Condition;
use crate::trace::Story;

/// A mailbox that a message is in, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lies {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its UID there.
    pub uid: Uid,
    /// When and by whom it was taken out; none while it is there.
    pub gone: Option<Gone>,
}

/// How a message left a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// What was done.
    pub how: Left,
}

/// How a message left a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It was moved to another mailbox.
    Moved,
    /// It was expunged.
    Expunged,
    /// The mailbox was deleted.
    WithMailbox,
}

impl Story {
    /// Every mailbox that the message has been in, in the order in which it came there.
    #[must_use]
    pub fn places(&self) -> Vec<Lies> {
        let mut places: Vec<Lies> = Vec::new();
        for custody in &self.accepted.custodies {
            if let Fate::Delivered { mailbox, uid, .. } = &custody.fate {
                come(&mut places, *mailbox, *uid);
            }
        }
        for event in &self.events {
            let gone = |how| Gone { at: event.entry.at, by: event.entry.actor.clone(), how };
            match &event.entry.record {
                Record::CustodiesChanged(change) => {
                    for item in &change.items {
                        let of_story =
                            self.custodies.iter().any(|known| known.custody == item.custody);
                        if let (true, Condition::Delivered { mailbox, uid, .. }) =
                            (of_story, &item.is)
                        {
                            come(&mut places, *mailbox, *uid);
                        }
                    }
                }
                Record::Copied { from, to, messages, .. }
                | Record::Moved { from, to, messages, .. } => {
                    let moved = matches!(event.entry.record, Record::Moved { .. });
                    for at in 0..places.len() {
                        let known = &mut places[at];
                        if known.mailbox != *from || known.gone.is_some() {
                            continue;
                        }
                        let there = messages.iter().find(|(old, _)| *old == known.uid);
                        let Some((_, new)) = there else { continue };
                        if moved {
                            known.gone = Some(gone(Left::Moved));
                        }
                        come(&mut places, *to, *new);
                    }
                }
                Record::Expunged { mailbox, uids, .. } => {
                    let out = places
                        .iter_mut()
                        .filter(|known| known.mailbox == *mailbox && uids.contains(&known.uid));
                    out.for_each(|known| {
                        known.gone.get_or_insert_with(|| gone(Left::Expunged));
                    });
                }
                Record::MailboxDeleted { mailbox } => {
                    let out = places.iter_mut().filter(|known| known.mailbox == *mailbox);
                    out.for_each(|known| {
                        known.gone.get_or_insert_with(|| gone(Left::WithMailbox));
                    });
                }
                Record::Restored { from, to, messages, .. } => {
                    let back: Vec<Uid> = places
                        .iter()
                        .filter(|known| known.mailbox == *from)
                        .filter_map(|known| messages.iter().find(|(old, _)| *old == known.uid))
                        .map(|(_, new)| *new)
                        .collect();
                    back.into_iter().for_each(|uid| come(&mut places, *to, uid));
                }
                Record::MailboxRestored { mailbox, .. } => {
                    let with_it = places.iter_mut().filter(|known| {
                        let how = known.gone.as_ref().map(|gone| gone.how);
                        known.mailbox == *mailbox && how == Some(Left::WithMailbox)
                    });
                    with_it.for_each(|known| known.gone = None);
                }
                _ => {}
            }
        }
        places
    }
}

fn come(places: &mut Vec<Lies>, mailbox: MailboxId, uid: Uid) {
    // Two recipients may lead to one account, which then has the message once.
    if !places.iter().any(|known| known.mailbox == mailbox && known.uid == uid) {
        places.push(Lies { mailbox, uid, gone: None });
    }
}
