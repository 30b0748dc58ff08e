use std::collections::HashMap;

use imap_machine::grammar::MailboxName;
use imap_machine::{Answer, Event, Listed, MailboxNews, News};
use mail_types::{AccountId, Right};
use store::{Seen, Store, Watch};

use crate::session::{Answered, Session};

/// Watches all mailboxes of an account (RFC 5465).
pub struct Watching {
    watch: Watch,
    /// Changes made with it are no news to this session.
    pub store: Store,
    /// The machine knows that there is something, and will ask.
    announced: bool,
}

impl Watching {
    /// Waits for something that the machine does not know of. Safe to drop and call again.
    pub async fn changed(&mut self) -> Event {
        if self.announced {
            return std::future::pending().await;
        }
        self.watch.changed().await;
        self.announced = true;
        Event::News
    }
}

/// NOTIFY.
impl Session {
    /// The store, for changes by this session.
    pub fn handle(&self) -> &Store {
        self.watching.as_ref().map_or(&self.shared.store, |watching| &watching.store)
    }

    pub fn watch(&mut self, account: AccountId, on: bool) -> Answered {
        let store = &self.shared.store;
        self.watching = on.then(|| {
            let watch = store.watch(account);
            Box::new(Watching { store: store.by(&watch), watch, announced: false })
        });
        Ok(Answer::Done)
    }

    pub fn news(&mut self) -> Answered {
        let Some(watching) = &mut self.watching else {
            return Ok(Answer::News(News::default()));
        };
        watching.announced = false;
        let store::News { overflow, mailboxes, subscriptions, metadata } =
            self.shared.store.news(&watching.watch);
        let mut news = News { overflow, ..News::default() };
        for one in mailboxes {
            let before = one
                .before
                .map(|before| before.and_then(|seen| Some((name_of(&seen)?, seen.rights))));
            let now = one.now.and_then(|seen| self.listed(seen));
            let (new, expunged, flags) = (one.new, one.expunged, one.flags);
            news.mailboxes.push(MailboxNews { before, now, new, expunged, flags });
        }
        let subscriptions = subscriptions.into_iter();
        news.subscriptions = subscriptions
            .filter_map(|(name, subscribed)| Some((MailboxName::new(&name).ok()?, subscribed)))
            .collect();
        for (seen, entry) in metadata {
            match seen {
                None => news.metadata.push((None, entry)),
                Some(seen) => {
                    if let Some(listed) = self.listed(seen) {
                        news.metadata.push((Some(listed), entry));
                    }
                }
            }
        }
        Ok(Answer::News(news))
    }

    /// `None` where IMAP cannot name it.
    fn listed(&self, seen: Seen) -> Option<Listed> {
        let name = name_of(&seen)?;
        let Seen { rights, mailbox, .. } = seen;
        let status = rights.has(Right::Read).then(|| self.status_of(&mailbox, &HashMap::new()));
        Some(Listed {
            name,
            exists: true,
            special_use: mailbox.special_use,
            subscribed: false,
            rights,
            status: status.and_then(Result::ok).map(Box::new),
        })
    }
}

fn name_of(seen: &Seen) -> Option<MailboxName> {
    MailboxName::new(&seen.name).ok()
}
