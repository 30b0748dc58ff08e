//! Flags as they were.

use std::collections::{BTreeMap, HashMap};

use journal::Disk;
use mail_types::{Flags, MailboxId, ModSeq, RecordSeq, SystemFlag, Uid};

use super::messages::{Now, now};
use super::{Plan, Skip, Taken};
use crate::act::{ActKind, before_on_mailbox};
use crate::commit::Work;
use crate::index::{flags_from, runs};
use crate::mailboxes::mod_seq;
use crate::record::{Actor, Record};
use crate::sql::Executor;
use crate::{Refused, Store, StoreError};

/// Earlier changes of flags in one mailbox that are looked at, the newest first.
const EARLIER_MAX: u64 = 100_000;
/// Of them, read at a time.
const EARLIER_PAGE: u64 = 64;

type FlagSets = Vec<(Flags, Vec<Uid>)>;

impl<D: Disk> Store<D> {
    /// The flags of these messages before a record: what the last one before it said of each, or
    /// what they came with.
    pub(crate) fn flags_before(
        &self,
        record: RecordSeq,
        mailbox: MailboxId,
        uids: impl Iterator<Item = Uid>,
    ) -> Result<HashMap<Uid, Flags>, StoreError> {
        let mut wanted: HashMap<Uid, Option<Flags>> = uids.map(|uid| (uid, None)).collect();
        let mut left = wanted.len();
        let (mut below, mut looked_at) = (record, 0);
        while left > 0 && looked_at < EARLIER_MAX {
            let mut places = Vec::new();
            self.read(|sql| {
                let on_place = &mut |seq, place| places.push((seq, place));
                before_on_mailbox(sql, mailbox, ActKind::Flags, below, on_place, EARLIER_PAGE)
            })?;
            let Some((last, _)) = places.last() else { break };
            below = *last;
            looked_at += places.len() as u64;
            for (_, place) in places {
                if left == 0 {
                    break;
                }
                let Record::FlagsSet { sets, .. } = self.entry_at(place)?.record else { continue };
                for (flags, uids) in sets {
                    for uid in uids {
                        if let Some(before @ None) = wanted.get_mut(&uid) {
                            *before = Some(flags.clone());
                            left -= 1;
                        }
                    }
                }
            }
        }
        if left > 0 && looked_at >= EARLIER_MAX {
            // Not known is better than wrong.
            wanted.retain(|_, flags| flags.is_some());
        } else if left > 0 {
            self.came_with(mailbox, &mut wanted)?;
        }
        Ok(wanted.into_iter().map(|(uid, flags)| (uid, flags.unwrap_or_default())).collect())
    }

    fn came_with(
        &self,
        mailbox: MailboxId,
        wanted: &mut HashMap<Uid, Option<Flags>>,
    ) -> Result<(), StoreError> {
        let unknown = wanted.iter().filter(|(_, flags)| flags.is_none());
        let unknown: Vec<Uid> = unknown.map(|(uid, _)| *uid).collect();
        self.read(|sql| {
            for (first, last) in runs(&unknown) {
                for query in [
                    "SELECT uid, first_flags, first_keywords FROM message \
                     WHERE mailbox = $1 AND uid BETWEEN $2 AND $3",
                    "SELECT uid, first_flags, first_keywords FROM expunged \
                     WHERE mailbox = $1 AND uid BETWEEN $2 AND $3",
                ] {
                    sql.query(query, &[mailbox.0.into(), first.into(), last.into()], &mut |row| {
                        let uid = u32::try_from(row.int(0)?).ok().and_then(Uid::new);
                        if let Some(flags) = uid.and_then(|uid| wanted.get_mut(&uid)) {
                            *flags = Some(flags_from(row.int(1)?, row.text_or_null(2)?));
                        }
                        Ok(())
                    })?;
                }
            }
            Ok(())
        })
    }
}

/// A message's flags before and after.
type Change = (Flags, Flags);

/// Messages whose flags are still as the act left them have those again that they had. `\Deleted`
/// does not count: what comes back from deletion has it no more.
pub(super) fn take_back(
    work: &mut Work<'_>,
    actor: &Actor,
    plan: &Plan,
) -> Result<Result<Taken, Skip>, Refused> {
    let Record::FlagsSet { mailbox, sets, .. } = &plan.record else {
        return Ok(Ok(Taken::default()));
    };
    let mut changes: BTreeMap<MailboxId, BTreeMap<Uid, Change>> = BTreeMap::new();
    let (mut taken, mut gone) = (Taken::default(), 0);
    let after = sets.iter().flat_map(|(flags, uids)| uids.iter().map(move |&uid| (uid, flags)));
    for (uid, after) in after {
        let Some(before) = plan.flags.get(&uid) else { continue };
        match now(work, *mailbox, uid)? {
            Now::In(mailbox, uid) => {
                let change = (before.clone(), after.clone());
                changes.entry(mailbox).or_default().insert(uid, change);
            }
            Now::OutOf(..) => gone += 1,
        }
    }
    taken.skip("messages deleted since", gone);
    for (mailbox, changes) in changes {
        in_mailbox(work, actor, mailbox, &changes, &mut taken)?;
    }
    Ok(Ok(taken))
}

fn in_mailbox(
    work: &mut Work<'_>,
    actor: &Actor,
    mailbox: MailboxId,
    changes: &BTreeMap<Uid, Change>,
    taken: &mut Taken,
) -> Result<(), Refused> {
    let uids: Vec<Uid> = changes.keys().copied().collect();
    let rows = work.rows(mailbox, &runs(&uids))?;
    let mut sets: BTreeMap<(u8, Vec<String>), (Flags, Vec<Uid>)> = BTreeMap::new();
    let mut changed = 0;
    for (uid, (before, after)) in changes {
        let Some(place) = rows.find(uid.get()) else { continue };
        let current = rows.row(place).flags;
        if !same_but_deleted(&current, after) {
            changed += 1;
        } else if current != *before {
            let words = before.keywords().iter().map(|word| word.as_str().to_owned()).collect();
            let set = sets.entry((before.system_bits(), words));
            set.or_insert_with(|| (before.clone(), Vec::new())).1.push(*uid);
        }
    }
    taken.skip("messages with other flags since", changed);
    let sets: FlagSets = sets.into_values().collect();
    if sets.is_empty() {
        return Ok(());
    }
    taken.messages += sets.iter().map(|(_, uids)| uids.len() as u64).sum::<u64>();
    let mod_seq = ModSeq(mod_seq(work, mailbox)?.0 + 1);
    for sets in crate::flags::in_records(sets)? {
        work.record(actor, Record::FlagsSet { mailbox, mod_seq, sets })?;
    }
    Ok(())
}

fn same_but_deleted(one: &Flags, other: &Flags) -> bool {
    let deleted = SystemFlag::Deleted as u8;
    one.system_bits() | deleted == other.system_bits() | deleted
        && one.keywords() == other.keywords()
}
