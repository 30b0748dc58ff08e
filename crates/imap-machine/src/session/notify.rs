//! NOTIFY (RFC 5465): news of all mailboxes, between commands too.
//!
//! What is wanted is kept here; what has happened, the service keeps until it is asked. So a session
//! holds no more than its client's command said, and the names that it subscribes to.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use mail_types::{Acceptance, MailboxId, Right, Rights};

use super::finish::Then;
use super::{Flow, Session, Status as Ended, Work};
use crate::ask::{Answer, Counts, Listed, MailboxNews, News, Question};
use crate::grammar::{
    EventGroup, Events, MailboxFilter, MailboxName, Notify, SEPARATOR, StatusItem,
};
use crate::write::push_text;

/// What the client wants to hear unasked.
#[derive(Debug, Default)]
pub(super) struct Wants {
    /// Of the selected mailbox; none: nothing.
    pub selected: Option<Selected>,
    others: Vec<EventGroup>,
    /// The names that it subscribes to, where that matters.
    subscribed: BTreeSet<MailboxName>,
}

/// What it wants to hear of the selected mailbox.
#[derive(Debug)]
pub(super) struct Selected {
    /// EXPUNGE only when a command allows it (RFC 5465 §6.1.2).
    pub delayed: bool,
    pub events: Events,
}

/// What the service is asked, and what comes of it.
#[derive(Debug)]
pub(super) enum Hearing {
    /// NOTIFY: it begins to watch.
    Begin(Wants, bool),
    /// NOTIFY: which mailboxes there are.
    Look(Wants, bool),
    /// It is no longer to watch; this ends the command.
    End(Then),
    /// What is new?
    News(Then),
    /// Which mailboxes there are, since some of these have other names or attributes.
    Names(Lines, Then),
    /// This is written.
    Write(Lines, Then),
}

/// What is to be told.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Names to be told by LIST: what they were called before, and whether one may not read them.
    names: BTreeMap<MailboxName, Name>,
    /// Rendered.
    rest: VecDeque<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Name {
    old: Option<MailboxName>,
    no_access: bool,
}

impl Wants {
    fn new(groups: Vec<EventGroup>) -> Self {
        let mut wants = Self::default();
        for EventGroup { mailboxes, events } in groups {
            match mailboxes {
                // RFC 5465 §3.1: SELECTED NONE is the same as nothing.
                MailboxFilter::Selected | MailboxFilter::SelectedDelayed => {
                    let delayed = mailboxes == MailboxFilter::SelectedDelayed;
                    wants.selected = events.messages.then_some(Selected { delayed, events });
                }
                mailboxes => wants.others.push(EventGroup { mailboxes, events }),
            }
        }
        wants
    }

    /// What is wanted of a mailbox that is not selected: several groups may be about it (§6).
    fn of(&self, listed: &Listed) -> Events {
        let is_subscribed = self.subscribed.contains(&listed.name);
        self.of_name(&listed.name, listed.special_use, is_subscribed)
    }

    fn of_name(
        &self,
        name: &MailboxName,
        special_use: Option<mail_types::SpecialUse>,
        is_subscribed: bool,
    ) -> Events {
        let mut wanted = Events::default();
        for EventGroup { mailboxes, events } in &self.others {
            if mailboxes.covers(name, special_use, is_subscribed) {
                wanted.messages |= events.messages;
                wanted.flags |= events.flags;
                wanted.name |= events.name;
                wanted.subscription |= events.subscription;
                wanted.metadata |= events.metadata;
            }
        }
        wanted
    }

    fn server_metadata(&self) -> bool {
        self.others.iter().any(|group| group.events.server_metadata)
    }
}

impl<R: Acceptance> Session<R> {
    // RFC 5465 §3.1
    pub(super) fn notify(&mut self, command: Notify) -> Flow {
        let Some(account) = self.account() else { return self.misfit() };
        match command {
            Notify::BadEvent => {
                let code = format!("[BADEVENT ({})]", Events::NAMES);
                self.finish(Ended::No, &code, "There is no such event here")
            }
            Notify::None => {
                self.wants = Some(Box::default());
                let line = self.tagged(Ended::Ok, "", "Quiet");
                let question = Question::Watch { account, on: false };
                self.ask(Work::Hear(Hearing::End(Then::Line(line))), question)
            }
            Notify::Set { status, groups } => {
                let wants = Wants::new(groups);
                let on = !wants.others.is_empty();
                let question = Question::Watch { account, on };
                self.ask(Work::Hear(Hearing::Begin(wants, status)), question)
            }
        }
    }

    pub(super) fn hearing_goes_on(&mut self, work: Hearing, answer: Option<Answer<R>>) -> Flow {
        let Some(account) = self.account() else { return self.misfit() };
        match (work, answer) {
            (Hearing::Write(lines, then), _) => self.write_lines(lines, then),
            (Hearing::Begin(..) | Hearing::Look(..), Some(Answer::No(refusal))) => {
                self.refuse(&refusal)
            }
            (Hearing::Begin(wants, _), Some(Answer::Done)) if wants.others.is_empty() => {
                self.wants_from_now_on(wants, Lines::default())
            }
            (Hearing::Begin(wants, status), Some(Answer::Done)) => {
                let counts = Some(Counts::Known);
                let question = Question::List { account, counts };
                self.ask(Work::Hear(Hearing::Look(wants, status)), question)
            }
            (Hearing::Look(wants, status), Some(Answer::Mailboxes(listed))) => {
                self.look(wants, status, listed)
            }
            (Hearing::End(then), _) => self.finish_with(then),
            (Hearing::News(then), Some(Answer::News(news))) if news.overflow => {
                // RFC 5465 §5.8: as if NOTIFY NONE had come.
                push_text(
                    &mut self.output,
                    "* OK [NOTIFICATIONOVERFLOW] Too much has happened\r\n",
                );
                self.wants = Some(Box::default());
                let question = Question::Watch { account, on: false };
                self.ask(Work::Hear(Hearing::End(then)), question)
            }
            (Hearing::News(then), Some(Answer::News(news))) => {
                let lines = self.tell(news);
                if lines.names.is_empty() {
                    return self.write_lines(lines, then);
                }
                let question = Question::List { account, counts: None };
                self.ask(Work::Hear(Hearing::Names(lines, then)), question)
            }
            (Hearing::Names(mut lines, then), Some(Answer::Mailboxes(listed))) => {
                let names = std::mem::take(&mut lines.names);
                for line in self.list_lines(names, &listed).into_iter().rev() {
                    lines.rest.push_front(line);
                }
                self.write_lines(lines, then)
            }
            // The service cannot tell now: what can be told is.
            (Hearing::Names(lines, then), _) => self.write_lines(lines, then),
            (Hearing::News(then), _) => self.finished(then),
            (Hearing::Begin(..) | Hearing::Look(..), _) => self.misfit(),
        }
    }

    fn write_lines(&mut self, mut lines: Lines, then: Then) -> Flow {
        while !self.output_is_full() {
            let Some(line) = lines.rest.pop_front() else { return self.finish_with(then) };
            self.output.extend_from_slice(&line);
        }
        self.again(Work::Hear(Hearing::Write(lines, then)))
    }

    /// The first look at the mailboxes that NOTIFY SET names.
    fn look(&mut self, mut wants: Wants, status: bool, listed: Vec<Listed>) -> Flow {
        let subscribed = listed.iter().filter(|mailbox| mailbox.subscribed);
        if wants.others.iter().any(|group| group.mailboxes == MailboxFilter::Subscribed) {
            wants.subscribed = subscribed.map(|mailbox| mailbox.name.clone()).collect();
        }
        let selected = self.selected.as_ref().map(|mailbox| mailbox.id);
        let mut lines = Lines::default();
        let mut barred = BTreeMap::new();
        for mailbox in listed.iter().filter(|mailbox| mailbox.exists) {
            let events = wants.of(mailbox);
            if !events.messages {
                continue;
            }
            // RFC 5465 §3.1: one that can be listed and not read is told of as \NoAccess.
            if !mailbox.rights.has(Right::Read) {
                let name = Name { old: None, no_access: true };
                barred.insert(mailbox.name.clone(), name);
            } else if let Some(found) = mailbox.status.as_deref().filter(|_| status)
                && Some(found.mailbox) != selected
            {
                let mut items = vec![StatusItem::Messages, StatusItem::UidNext];
                items.push(StatusItem::UidValidity);
                if events.flags {
                    items.extend([StatusItem::Unseen, StatusItem::HighestModSeq]);
                }
                lines.rest.push_back(self.status_line(&mailbox.name, &items, found));
            }
        }
        lines.rest.extend(self.list_lines(barred, &listed));
        self.wants_from_now_on(wants, lines)
    }

    fn wants_from_now_on(&mut self, wants: Wants, lines: Lines) -> Flow {
        self.wants = Some(Box::new(wants));
        // RFC 5465 §3.1: it "implies an implicit NOOP command".
        self.stirred = self.selected.is_some();
        let line = self.tagged(Ended::Ok, "", "Watching");
        self.write_lines(lines, Then::Line(line))
    }

    /// Whether changes of the selected mailbox are told.
    pub(super) fn wants_selected(&self) -> bool {
        self.wants.as_ref().is_none_or(|wants| wants.selected.is_some())
    }

    /// Whether new flags are told.
    pub(super) fn wants_flags(&self) -> bool {
        let Some(wants) = &self.wants else { return true };
        wants.selected.as_ref().is_some_and(|selected| selected.events.flags)
    }

    /// Tells what is to be told while no command is under way, or in IDLE; `None` where that is
    /// nothing.
    pub(super) fn unasked(&mut self, then: Then) -> Option<Flow> {
        let account = self.account()?;
        let selected = self.wants.as_ref()?.selected.as_ref();
        let is_delayed = selected.is_some_and(|selected| selected.delayed);
        let has_news = self.stirred && self.selected.is_some() && selected.is_some();
        if !self.heard && !has_news {
            return None;
        }
        self.expunge_allowed = !is_delayed || matches!(then, Then::Idle);
        // RFC 5465 §5.1: flags are told with the UID.
        self.by_uid = true;
        if std::mem::take(&mut self.heard) {
            let question = Question::News { account };
            return Some(self.ask(Work::Hear(Hearing::News(then)), question));
        }
        Some(self.finish_with(then))
    }

    /// What the client hears of news.
    fn tell(&mut self, news: News) -> Lines {
        let Some(mut wants) = self.wants.take() else { return Lines::default() };
        let mut lines = Lines::default();
        for (name, subscribed) in &news.subscriptions {
            // RFC 5465 §6.4: "the server MUST reevaluate the list"; it was on it before or is now.
            if wants.of_name(name, None, true).subscription {
                lines.names.entry(name.clone()).or_default();
            }
            if *subscribed {
                wants.subscribed.insert(name.clone());
            } else {
                wants.subscribed.remove(name);
            }
        }
        let renamed: BTreeMap<&str, &str> = news
            .mailboxes
            .iter()
            .filter_map(|one| {
                let before = one.before.as_ref()?.as_ref()?;
                Some((before.0.as_str(), one.now.as_ref()?.name.as_str()))
            })
            .filter(|(before, now)| before != now)
            .collect();
        for one in &news.mailboxes {
            tell_names(&wants, one, &renamed, &mut lines);
            if let Some((now, items)) = self.status_items(&wants, one)
                && let Some(status) = &now.status
            {
                lines.rest.push_back(self.status_line(&now.name, &items, status));
            }
        }
        self.tell_metadata(&wants, &news, &mut lines);
        self.wants = Some(wants);
        lines
    }

    /// What STATUS tells of a mailbox with news, if anything.
    fn status_items<'a>(
        &self,
        wants: &Wants,
        news: &'a MailboxNews,
    ) -> Option<(&'a Listed, Vec<StatusItem>)> {
        let now = news.now.as_ref()?;
        let selected: Option<MailboxId> = self.selected.as_ref().map(|mailbox| mailbox.id);
        // RFC 5465 §6: of the selected mailbox only SELECTED is about.
        if now.status.as_ref().is_none_or(|status| Some(status.mailbox) == selected) {
            return None;
        }
        let events = wants.of(now);
        // Under this name there was another mailbox, or none: RFC 5465 §5.1 wants its UIDVALIDITY.
        let appeared = news
            .before
            .as_ref()
            .is_some_and(|before| before.as_ref().is_none_or(|(name, _)| *name != now.name));
        let counts = events.messages && (news.new || news.expunged || appeared);
        let flags = events.flags && (news.flags || appeared);
        let mut items = Vec::new();
        if counts {
            items.extend([StatusItem::Messages, StatusItem::UidNext]);
        }
        if flags || appeared {
            items.push(StatusItem::UidValidity);
        }
        if flags || (counts && events.flags) {
            items.push(StatusItem::Unseen);
        }
        // RFC 5465 §5.1, §5.2: with CONDSTORE.
        if self.condstore {
            items.push(StatusItem::HighestModSeq);
        }
        (counts || flags).then_some((now, items))
    }

    // RFC 5465 §5.6, §5.7; RFC 5464 §4.4.2: "METADATA" SP mailbox SP entry *(SP entry)
    fn tell_metadata(&self, wants: &Wants, news: &News, lines: &mut Lines) {
        let mut entries: BTreeMap<Option<&MailboxName>, (bool, Vec<&str>)> = BTreeMap::new();
        for (listed, entry) in &news.metadata {
            let is_wanted = || match listed {
                Some(listed) => listed.rights.has(Right::Read) && wants.of(listed).metadata,
                None => wants.server_metadata(),
            };
            let name = listed.as_ref().map(|listed| &listed.name);
            entries.entry(name).or_insert_with(|| (is_wanted(), Vec::new())).1.push(entry);
        }
        for (name, (_, entries)) in entries.into_iter().filter(|(_, (wanted, _))| *wanted) {
            let mut line = b"* METADATA ".to_vec();
            match name {
                Some(name) => self.reader.names.write(name.as_str(), &mut line),
                None => push_text(&mut line, "\"\""),
            }
            for entry in entries {
                line.push(b' ');
                message::write_astring(&mut line, entry.as_bytes());
            }
            push_text(&mut line, "\r\n");
            lines.rest.push_back(line);
        }
    }

    /// LIST of these names as they are now (RFC 5465 §5.4: "all mailbox attributes MUST be accurately
    /// computed").
    fn list_lines(&self, names: BTreeMap<MailboxName, Name>, listed: &[Listed]) -> Vec<Vec<u8>> {
        if names.is_empty() {
            return Vec::new();
        }
        let mut above: HashSet<&str> = HashSet::new();
        let mut there: BTreeMap<&MailboxName, &Listed> = BTreeMap::new();
        for mailbox in listed {
            there.insert(&mailbox.name, mailbox);
            let text = mailbox.name.as_str();
            let ends = text.match_indices(SEPARATOR).filter(|_| mailbox.exists);
            above.extend(ends.map(|(end, _)| &text[..end]));
        }
        let line = |(name, Name { old, no_access }): (MailboxName, Name)| {
            let listed = there.get(&name);
            let existing = listed.filter(|listed| listed.exists);
            let mut attributes = Vec::new();
            if existing.is_none() {
                attributes.push("\\NonExistent");
            } else if no_access {
                attributes.push("\\NoAccess");
            }
            let has_children = above.contains(name.as_str());
            attributes.push(if has_children { "\\HasChildren" } else { "\\HasNoChildren" });
            let special_use = existing.and_then(|listed| listed.special_use);
            attributes.extend(special_use.map(mail_types::SpecialUse::attribute));
            if listed.is_some_and(|listed| listed.subscribed) {
                attributes.push("\\Subscribed");
            }
            let mut line = format!("* LIST ({}) \"/\" ", attributes.join(" ")).into_bytes();
            self.reader.names.write(name.as_str(), &mut line);
            if let Some(old) = old {
                push_text(&mut line, " (\"OLDNAME\" (");
                self.reader.names.write(old.as_str(), &mut line);
                push_text(&mut line, "))");
            }
            push_text(&mut line, "\r\n");
            line
        };
        names.into_iter().map(line).collect()
    }
}

/// Which names LIST tells because of news about a mailbox (RFC 5465 §5.4, §5.9).
fn tell_names(
    wants: &Wants,
    news: &MailboxNews,
    renamed: &BTreeMap<&str, &str>,
    lines: &mut Lines,
) {
    let Some(before) = &news.before else { return };
    let wants_name = |name: &MailboxName| {
        let special_use = news.now.as_ref().and_then(|now| now.special_use);
        wants.of_name(name, special_use, wants.subscribed.contains(name)).name
    };
    match (before, &news.now) {
        (None, None) => {}
        (Some((old, _)), Some(now)) if *old != now.name => {
            // "When a mailbox is renamed, its children are renamed too. No additional MailboxName
            // events are sent".
            let with_parent = old.parent().zip(now.name.parent()).is_some_and(|(above, below)| {
                let mut pairs = ancestors(above).zip(ancestors(below));
                last_level(old) == last_level(&now.name)
                    && pairs.any(|(old, new)| renamed.get(old) == Some(&new))
            });
            if !with_parent && (wants_name(old) || wants_name(&now.name)) {
                lines.names.entry(now.name.clone()).or_default().old = Some(old.clone());
            }
        }
        (Some((name, had)), Some(now)) => {
            let can = |rights: Rights| rights.has(Right::Read);
            let events = wants.of(now);
            if can(*had) != can(now.rights) && (events.messages || events.name) {
                let no_access = !can(now.rights);
                lines.names.entry(name.clone()).or_default().no_access = no_access;
            }
        }
        (before, now) => {
            let name = now.as_ref().map(|now| &now.name);
            let Some(name) = before.as_ref().map(|(name, _)| name).or(name) else { return };
            // "the mailbox itself and its direct parent (whether it is an existing mailbox or not)
            // are considered to be affected".
            let parent = name.parent().and_then(|parent| MailboxName::new(parent).ok());
            for name in [Some(name), parent.as_ref()].into_iter().flatten() {
                if wants_name(name) {
                    lines.names.entry(name.clone()).or_default();
                }
            }
        }
    }
}

fn last_level(name: &MailboxName) -> Option<&str> {
    name.as_str().rsplit(SEPARATOR).next()
}

/// A name and those above it, the nearest first.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.rsplit_once(SEPARATOR).map(|(above, _)| above))
}
