use std::collections::HashMap;

use mail_types::{Flags, SystemFlag};

/// A set of flags that occurs in the mailbox, kept once however many messages have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagSet {
    /// The flags.
    pub flags: Flags,
    /// As on the wire, without parentheses.
    pub text: Box<str>,
}

impl FlagSet {
    /// Whether `\Seen` is not in it.
    #[must_use]
    pub const fn is_unseen(&self) -> bool {
        !self.flags.has(SystemFlag::Seen)
    }
}

/// Combinations of the five system flags.
const PLAIN: usize = 32;

/// The flag sets of a mailbox, each under a number that never changes.
#[derive(Clone, Debug, Default)]
pub struct FlagSets {
    pub sets: Vec<FlagSet>,
    /// Where flag sets without keywords are in `sets`, plus one, by their bits.
    plain: [u32; PLAIN],
    /// The same for those with keywords.
    with_keywords: HashMap<Flags, u32>,
}

impl FlagSets {
    /// The number of a set that is there already.
    pub fn find(&self, flags: &Flags) -> Option<u32> {
        if flags.keywords().is_empty() {
            return self.plain[usize::from(flags.system_bits()) % PLAIN].checked_sub(1);
        }
        self.with_keywords.get(flags).copied()
    }

    /// The number of a new set.
    pub fn add(&mut self, flags: Flags) -> u32 {
        // Proven: `Rows` clears sets out before they are more than twice the messages, whose number
        // fits 32 bits.
        let index = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.sets.push(FlagSet { text: flags.to_string().into(), flags: flags.clone() });
        if flags.keywords().is_empty() {
            self.plain[usize::from(flags.system_bits()) % PLAIN] = index + 1;
        } else {
            self.with_keywords.insert(flags, index);
        }
        index
    }
}
