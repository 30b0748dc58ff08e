//! What must be so: the mailboxes as they are after all that was answered.

use std::collections::BTreeSet;

/// Names of flags, without `\Recent`, which belongs to sessions.
pub(super) type Flags = BTreeSet<String>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub uid: u32,
    /// Its subject, which no other message has; a copy has its original's.
    pub token: String,
    pub flags: Flags,
}

/// One mailbox.
#[derive(Clone, Debug, Default)]
pub(super) struct Mailbox {
    pub name: String,
    pub validity: u32,
    /// Every UID given out so far is smaller.
    pub least_next: u32,
    pub messages: Vec<Message>,
}

impl Mailbox {
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), least_next: 1, ..Self::default() }
    }

    /// A new message; what is wrong about its UID, if anything.
    pub(super) fn add(&mut self, uid: u32, token: &str, flags: Flags) -> Result<(), String> {
        if uid < self.least_next {
            return Err(format!("UID {uid} after {}", self.least_next - 1));
        }
        self.least_next = uid + 1;
        self.messages.push(Message { uid, token: token.to_owned(), flags });
        Ok(())
    }

    pub(super) fn get(&self, uid: u32) -> Option<&Message> {
        self.messages.iter().find(|message| message.uid == uid)
    }

    pub(super) fn uids(&self) -> Vec<u32> {
        self.messages.iter().map(|message| message.uid).collect()
    }
}

/// How a STORE changes flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Add,
    Remove,
    Replace,
}

/// One command's change of flags; such a change may be answered before it is on the disk.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub uids: Vec<u32>,
    pub mode: Mode,
    pub flags: Flags,
}

impl Change {
    pub(super) fn apply(&self, mailbox: &mut Mailbox) {
        for message in mailbox.messages.iter_mut().filter(|each| self.uids.contains(&each.uid)) {
            match self.mode {
                Mode::Add => message.flags.extend(self.flags.iter().cloned()),
                Mode::Remove => message.flags.retain(|flag| !self.flags.contains(flag)),
                Mode::Replace => message.flags.clone_from(&self.flags),
            }
        }
    }
}

/// Both mailboxes and what a kill may take back.
#[derive(Clone, Debug)]
pub(super) struct Truth {
    pub work: Mailbox,
    pub other: Mailbox,
    /// `work` when something was last answered that has to be on the disk, and the flags since.
    durable: Mailbox,
    since: Vec<Change>,
    /// The highest MODSEQ that any session was told.
    pub modseq: u64,
}

impl Truth {
    pub(super) fn new() -> Self {
        let work = Mailbox::named("Work");
        Self {
            durable: work.clone(),
            work,
            other: Mailbox::named("Other"),
            since: Vec::new(),
            modseq: 0,
        }
    }

    pub(super) fn store(&mut self, change: Change) {
        change.apply(&mut self.work);
        self.since.push(change);
    }

    /// Something was answered that is on the disk, and everything before it is too.
    pub(super) fn is_durable(&mut self) {
        self.durable.clone_from(&self.work);
        self.since.clear();
    }

    /// After a kill: the last flag changes may be undone, one command after the other from the end.
    /// Those messages whose flags went back; None when what is found can be explained by nothing.
    pub(super) fn explain(&mut self, found: &[Message]) -> Option<Vec<u32>> {
        for kept in (0..=self.since.len()).rev() {
            let mut candidate = self.durable.clone();
            self.since[..kept].iter().for_each(|change| change.apply(&mut candidate));
            if candidate.messages == found {
                let lost = self.since[kept..].iter().flat_map(|change| change.uids.clone());
                let lost = lost.collect();
                self.work.messages = candidate.messages;
                self.is_durable();
                return Some(lost);
            }
        }
        None
    }
}

/// RFC 9051 §9, sequence-set, of numbers only: `1:3,7`.
pub(super) fn numbers(set: &str) -> Vec<u32> {
    let mut all = Vec::new();
    for part in set.split(',') {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            all.extend(first.min(last)..=first.max(last));
        }
    }
    all
}

/// The same the other way, without ranges.
pub(super) fn set(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    numbers.join(",")
}
