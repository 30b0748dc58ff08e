//! What the reference service tells a session that watches: the difference to what it was told last.

use imap_machine::{Listed, MailboxNews, News};
use mail_types::{Right, Rights};

use crate::service::{Mailbox, Service};

impl Service {
    pub fn has_news(&self) -> bool {
        let Some(before) = &self.watched else { return false };
        let state = |mailboxes: &[Mailbox]| -> Vec<_> {
            let one = |one: &Mailbox| {
                (one.id, one.name.clone(), one.exists, one.subscribed, one.rights, one.modseq)
            };
            mailboxes.iter().map(one).collect()
        };
        self.overflow || !self.metadata_news.is_empty() || state(before) != state(&self.mailboxes)
    }

    pub fn news(&mut self) -> News {
        let overflow = std::mem::take(&mut self.overflow);
        let mut news = News { overflow, ..News::default() };
        let Some(before) = self.watched.replace(self.mailboxes.clone()) else { return news };
        for now in &self.mailboxes {
            let was = before.iter().find(|was| was.id == now.id);
            let seen = |mailbox: &Mailbox| mailbox.exists && mailbox.rights.has(Right::Lookup);
            let named = |mailbox: &Mailbox| {
                let (name, rights): (_, Rights) = (mailbox.name.clone(), mailbox.rights);
                seen(mailbox).then_some((name, rights))
            };
            let (old, new) = (was.and_then(named), named(now));
            if was.is_none_or(|was| was.subscribed) != now.subscribed {
                news.subscriptions.push((now.name.clone(), now.subscribed));
            }
            let uids = |mailbox: &Mailbox| -> Vec<u32> {
                mailbox.messages.iter().map(|message| message.uid).collect()
            };
            let (had, has) = (was.map(uids).unwrap_or_default(), uids(now));
            let changed = was.is_some_and(|was| was.modseq != now.modseq);
            let one = MailboxNews {
                before: (old != new).then_some(old),
                now: seen(now).then(|| listed(now)),
                new: has.iter().any(|uid| !had.contains(uid)),
                expunged: had.iter().any(|uid| !has.contains(uid)),
                flags: changed && had == has,
            };
            if one.before.is_some() || one.new || one.expunged || one.flags {
                news.mailboxes.push(one);
            }
        }
        for (name, entry) in std::mem::take(&mut self.metadata_news) {
            let of = name.map(|name| listed(self.mailbox(name.as_str())));
            news.metadata.push((of, entry));
        }
        news
    }
}

fn listed(mailbox: &Mailbox) -> Listed {
    Listed {
        name: mailbox.name.clone(),
        exists: true,
        special_use: mailbox.special_use,
        subscribed: false,
        rights: mailbox.rights,
        status: mailbox.rights.has(Right::Read).then(|| Box::new(mailbox.status())),
    }
}
