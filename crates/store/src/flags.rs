//! Flags of messages.

use std::collections::HashMap;

use journal::Disk;
use mail_types::{Flags, MailboxId, ModSeq, Right, Rights, SystemFlag, Uid};
use mailbox::{Packed, Rows};

use crate::acl;
use crate::commit::Work;
use crate::mailboxes::{MESSAGES_PER_RECORD, SessionActor, UidRanges, check_count, mod_seq, rows};
use crate::record::Record;
use crate::{Pending, Refused, Store};

/// Bytes of flags that one command records.
pub const FLAGS_BYTES_MAX: usize = 8 << 20;
/// Bytes that the keywords of one message may have, with a space behind each: every message pays for
/// its own. What has more already keeps that.
pub const KEYWORD_BYTES_MAX: usize = 2048;
/// Bytes of flags in one record, of which the journal takes 4 MiB.
const FLAGS_BYTES_PER_RECORD: usize = 1 << 20;

/// What STORE does with its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagsChange {
    /// FLAGS
    Replace,
    /// +FLAGS
    Add,
    /// -FLAGS
    Remove,
}

/// What came of a change of flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagsOutcome {
    /// Messages left alone since they changed after `unchanged_since` (RFC 7162 §3.1.3).
    pub modified: Vec<Uid>,
    /// HIGHESTMODSEQ of the mailbox now.
    pub mod_seq: ModSeq,
}

impl<D: Disk> Store<D> {
    /// Changes flags of the messages in these ranges.
    pub fn set_flags(
        &self,
        actor: SessionActor,
        mailbox: MailboxId,
        uids: UidRanges,
        change: FlagsChange,
        flags: Flags,
        unchanged_since: Option<ModSeq>,
    ) -> Pending<FlagsOutcome> {
        self.change(move |work| {
            let may = acl::rights(work, actor.account, mailbox);
            check_may_flag(may, change, &flags)?;
            let (rows, places) = rows(work, mailbox, &uids)?;
            let mut modified = Vec::new();
            let mut sets = NewFlags::new(&rows, |before| {
                let mut after = before.clone();
                match change {
                    FlagsChange::Replace => after = flags.clone(),
                    FlagsChange::Add => after.add_all(&flags),
                    FlagsChange::Remove => after.remove_all(&flags),
                }
                flags_within(may, before, after)
            });
            for (_, slice) in places.into_iter().flat_map(|places| rows.slices(places)) {
                for row in slice {
                    if unchanged_since.is_some_and(|limit| row.modseq > limit.0) {
                        modified.push(row.uid());
                    } else {
                        sets.add(row)?;
                    }
                }
            }
            let sets = sets.sets;
            let current = mod_seq(work, mailbox)?;
            if sets.is_empty() {
                return Ok(FlagsOutcome { modified, mod_seq: current });
            }
            let mod_seq = ModSeq(current.0 + 1);
            for sets in in_records(sets)? {
                work.record(&actor.into(), Record::FlagsSet { mailbox, mod_seq, sets })?;
            }
            Ok(FlagsOutcome { modified, mod_seq })
        })
    }
}

/// Each set of flags with the messages that have it.
type FlagSets = Vec<(Flags, Vec<Uid>)>;

/// What a change makes of flags, worked out once for each set of flags that there is.
struct NewFlags<'a, F> {
    rows: &'a Rows,
    change: F,
    /// For each set of flags: what is not worked out, what stays as it is, or which of `sets`.
    known: Vec<Option<Option<usize>>>,
    sets: FlagSets,
    /// Where each is in `sets`.
    index: HashMap<Flags, usize>,
}

impl<'a, F: FnMut(&Flags) -> Flags> NewFlags<'a, F> {
    fn new(rows: &'a Rows, change: F) -> Self {
        let known = vec![None; rows.flag_sets().len()];
        Self { rows, change, known, sets: FlagSets::new(), index: HashMap::new() }
    }

    fn add(&mut self, row: &Packed) -> Result<(), Refused> {
        let known = match self.known[row.flags as usize] {
            Some(known) => known,
            None => self.work_out(row)?,
        };
        if let Some(set) = known {
            self.sets[set].1.push(row.uid());
        }
        Ok(())
    }

    fn work_out(&mut self, row: &Packed) -> Result<Option<usize>, Refused> {
        let before = &self.rows.flag_set(row).flags;
        let after = (self.change)(before);
        check_keywords(keyword_bytes(before), &after)?;
        let set = (after != *before).then(|| {
            *self.index.entry(after).or_insert_with_key(|after| {
                self.sets.push((after.clone(), Vec::new()));
                self.sets.len() - 1
            })
        });
        self.known[row.flags as usize] = Some(set);
        Ok(set)
    }
}

/// Bytes of the keywords of a message, as they are kept.
pub fn keyword_bytes(flags: &Flags) -> usize {
    flags.keywords().iter().map(|word| word.as_str().len() + 1).sum()
}

/// Whether a message whose keywords had so many bytes may have these flags.
pub fn check_keywords(before: usize, after: &Flags) -> Result<(), Refused> {
    let bytes = keyword_bytes(after);
    if bytes > KEYWORD_BYTES_MAX && bytes > before {
        return Err(Refused::TooManyKeywords);
    }
    Ok(())
}

/// Sets of flags in as many records as they need.
pub fn in_records(mut sets: FlagSets) -> Result<Vec<FlagSets>, Refused> {
    check_count(sets.iter().map(|(_, uids)| uids.len()).sum())?;
    sets.sort_by_key(|(_, uids)| uids.first().copied());
    let mut records: Vec<FlagSets> = Vec::new();
    let (mut messages, mut bytes, mut bytes_in_all) = (0, 0, 0);
    for (flags, uids) in sets {
        let flags_bytes: usize = flags.keywords().iter().map(|word| word.as_str().len() + 2).sum();
        for uids in uids.chunks(MESSAGES_PER_RECORD) {
            bytes_in_all += flags_bytes;
            if records.is_empty()
                || messages + uids.len() > MESSAGES_PER_RECORD
                || bytes + flags_bytes > FLAGS_BYTES_PER_RECORD
            {
                records.push(Vec::new());
                (messages, bytes) = (0, 0);
            }
            messages += uids.len();
            bytes += flags_bytes;
            if let Some(record) = records.last_mut() {
                record.push((flags.clone(), uids.to_vec()));
            }
        }
    }
    if bytes_in_all > FLAGS_BYTES_MAX {
        return Err(Refused::Invalid("too many different flags; name fewer messages".to_owned()));
    }
    Ok(records)
}

/// RFC 4314 §4: only flags that somebody may set come along into another mailbox. The messages
/// for which that makes a difference, by their old UIDs.
pub fn flags_not_kept(
    work: &mut Work<'_>,
    actor: SessionActor,
    (from, to): (MailboxId, MailboxId),
    uids: &[(u32, u32)],
) -> Result<Vec<FlagSets>, Refused> {
    let may = acl::rights(work, actor.account, to);
    if FLAG_RIGHTS.iter().all(|&right| may.has(right)) {
        return Ok(Vec::new());
    }
    let (rows, places) = rows(work, from, uids)?;
    let kept = |flags: &Flags| flags_within(may, &Flags::default(), flags.clone());
    let mut sets = NewFlags::new(&rows, kept);
    let slices = places.into_iter().flat_map(|places| rows.slices(places));
    slices.flat_map(|(_, slice)| slice).try_for_each(|row| sets.add(row))?;
    in_records(sets.sets)
}

/// Rights to set flags.
const FLAG_RIGHTS: [Right; 3] = [Right::Seen, Right::Write, Right::DeleteMessages];

/// `new`, but for what these rights do not allow to change of `old`.
pub fn flags_within(may: Rights, old: &Flags, new: Flags) -> Flags {
    if FLAG_RIGHTS.iter().all(|&right| may.has(right)) {
        return new;
    }
    let mut kept = if may.has(Right::Write) { new.clone() } else { old.clone() };
    for (flag, right) in
        [(SystemFlag::Seen, Right::Seen), (SystemFlag::Deleted, Right::DeleteMessages)]
    {
        let from = if may.has(right) { &new } else { old };
        if from.has(flag) {
            kept.insert(flag);
        } else {
            kept.remove_all(&Flags::from_iter([flag]));
        }
    }
    kept
}

/// RFC 4314 §4: STORE fails only where none of its flags may be changed.
fn check_may_flag(may: Rights, change: FlagsChange, flags: &Flags) -> Result<(), Refused> {
    let seen = flags.has(SystemFlag::Seen);
    let deleted = flags.has(SystemFlag::Deleted);
    let mut others = flags.clone();
    others.remove_all(&Flags::from_iter([SystemFlag::Seen, SystemFlag::Deleted]));
    let replaces = change == FlagsChange::Replace;
    let wanted = [
        (seen || replaces, Right::Seen),
        (deleted || replaces, Right::DeleteMessages),
        (others != Flags::default() || replaces, Right::Write),
    ];
    let wants_any = wanted.iter().any(|&(wanted, _)| wanted);
    if !wants_any || wanted.iter().any(|&(wanted, right)| wanted && may.has(right)) {
        return Ok(());
    }
    let first = wanted.iter().find(|(wanted, _)| *wanted).map_or(Right::Write, |&(_, right)| right);
    acl::permit(may, first)
}
