//! Records about many messages, cut down to what they say of one.

use std::collections::HashSet;

use mail_types::{MailId, MailboxId, Uid};

use crate::record::{Accepted, Fate, Record};
use crate::record_held::Condition;

/// Where one message was put so far, ever.
pub struct OwnPairs {
    mail: MailId,
    places: HashSet<(MailboxId, Uid)>,
}

impl OwnPairs {
    /// Where it came with its acceptance.
    pub fn new(accepted: &Accepted) -> Self {
        let places = accepted.custodies.iter().filter_map(|custody| match custody.fate {
            Fate::Delivered { mailbox, uid, .. } => Some((mailbox, uid)),
            Fate::Queued { .. } | Fate::Expanded { .. } | Fate::Held(_) => None,
        });
        Self { mail: accepted.mail, places: places.collect() }
    }

    /// Takes out of the next record of its story what is about others: it may say the same of
    /// thousands.
    pub fn cut(&mut self, record: &mut Record) {
        match record {
            Record::Copied { from, to, messages, .. }
            | Record::Moved { from, to, messages, .. }
            | Record::Restored { from, to, messages, .. } => {
                messages.retain(|(old, _)| self.places.contains(&(*from, *old)));
                messages.shrink_to_fit();
                self.places.extend(messages.iter().map(|&(_, new)| (*to, new)));
            }
            Record::Expunged { mailbox, uids, .. } => {
                uids.retain(|uid| self.places.contains(&(*mailbox, *uid)));
                uids.shrink_to_fit();
            }
            Record::CustodiesChanged(change) => {
                for item in &change.items {
                    if let Condition::Delivered { mailbox, uid, mail, .. } = item.is
                        && mail == self.mail
                    {
                        self.places.insert((mailbox, uid));
                    }
                }
            }
            _ => {}
        }
    }
}
