//! Flags as they were.

use std::collections::{BTreeMap, HashMap};

use journal::Disk;
use mail_types::{Flags, MailboxId, ModSeq, RecordSeq, SystemFlag, Uid};

use super::messages::{Now, OF_OTHERS, is_of_another, now};
use super::{Plan, Skip, Taken};
use crate::act::{ActKind, before_on_mailbox};
use crate::commit::Work;
use crate::flags::FLAGS_BYTES_MAX;
use crate::index::{flags_from, runs};
use crate::mailboxes::mod_seq;
use crate::record::{Actor, Place, Record};
use crate::sql::Executor;
use crate::{Refused, Store, StoreError};

/// Earlier changes of flags in one mailbox that are looked at, the newest first.
const EARLIER_MAX: u64 = 100_000;
/// Of them, read at a time.
const EARLIER_PAGE: u64 = 64;

/// Acts that are looked at together, and messages whose flags they changed.
const ACTS_PER_ROUND: usize = 4096;
const MESSAGES_PER_ROUND: u64 = 250_000;

type FlagSets = Vec<(Flags, Vec<Uid>)>;

/// Records that set flags in one mailbox, each with the messages whose flags before it are asked.
/// Where they are more than one, these are messages that the record itself is about.
type Asked = BTreeMap<RecordSeq, Vec<Uid>>;

/// For each of those, the flags of messages before it; without those that are not known.
type Earlier = HashMap<RecordSeq, HashMap<Uid, Flags>>;

impl<D: Disk> Store<D> {
    /// What the first of these acts found for flags, those of them that set some; and how many acts
    /// these are, at least one. A mailbox is gone through once, however many of them are about it.
    pub(super) fn flags_of_acts(&self, acts: &[RecordSeq]) -> Result<(usize, Earlier), StoreError> {
        let (mut count, mut messages, mut places) = (0, 0, Vec::new());
        self.read(|sql| {
            for seq in acts.iter().take(ACTS_PER_ROUND) {
                let query = "SELECT segment, place, messages FROM act WHERE seq = $1 AND kind = $2";
                sql.query(query, &[seq.0.into(), ActKind::Flags.code().into()], &mut |row| {
                    let segment = u32::try_from(row.int(0)?).unwrap_or(u32::MAX);
                    places.push((*seq, Place { segment, offset: row.id(1)? }));
                    messages += row.id(2)?;
                    Ok(())
                })?;
                count += 1;
                if messages >= MESSAGES_PER_ROUND {
                    break;
                }
            }
            Ok(())
        })?;
        let mut asked: BTreeMap<MailboxId, Asked> = BTreeMap::new();
        for (seq, place) in places {
            // What cannot be read is told where the act is planned.
            let Ok(entry) = self.entry_at(place) else { continue };
            let Record::FlagsSet { mailbox, sets, .. } = entry.record else { continue };
            let uids = sets.into_iter().flat_map(|(_, uids)| uids).collect();
            asked.entry(mailbox).or_default().insert(seq, uids);
        }
        let mut earlier = Earlier::new();
        for (mailbox, asked) in asked {
            earlier.extend(self.flags_before(mailbox, asked)?);
        }
        Ok((count, earlier))
    }

    /// The flags of messages before a record: what the last one before it said of each, or what
    /// they came with. What lies too far back, or cannot be read, is not known.
    pub(crate) fn flags_before(
        &self,
        mailbox: MailboxId,
        mut asked: Asked,
    ) -> Result<Earlier, StoreError> {
        let mut earlier = Earlier::new();
        // Which record each message waits for: one, since the next that is asked of sets its flags.
        let mut wanted: HashMap<Uid, RecordSeq> = HashMap::new();
        while let Some((newest, uids)) = asked.pop_last() {
            earlier.entry(newest).or_default();
            wanted.extend(uids.into_iter().map(|uid| (uid, newest)));
            let mut pages = Places::new(mailbox, newest);
            while !wanted.is_empty() {
                let Some((seq, place)) = pages.next(self)? else { break };
                match self.entry_at(place).map(|entry| entry.record) {
                    Ok(Record::FlagsSet { sets, .. }) => {
                        for (flags, uids) in sets {
                            for uid in uids {
                                let Some(record) = wanted.remove(&uid) else { continue };
                                earlier.entry(record).or_default().insert(uid, flags.clone());
                            }
                        }
                    }
                    Ok(_) => {}
                    // Not known is better than wrong.
                    Err(_) => wanted.clear(),
                }
                if let Some(uids) = asked.remove(&seq) {
                    earlier.entry(seq).or_default();
                    wanted.extend(uids.into_iter().map(|uid| (uid, seq)));
                    pages.looked_at = 0;
                }
            }
            if pages.looked_at < EARLIER_MAX && !wanted.is_empty() {
                self.came_with(mailbox, &wanted, &mut earlier)?;
            }
            wanted.clear();
        }
        Ok(earlier)
    }

    fn came_with(
        &self,
        mailbox: MailboxId,
        wanted: &HashMap<Uid, RecordSeq>,
        earlier: &mut Earlier,
    ) -> Result<(), StoreError> {
        let mut unknown: Vec<Uid> = wanted.keys().copied().collect();
        unknown.sort_unstable();
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
                        let Some(uid) = uid else { return Ok(()) };
                        if let Some(record) = wanted.get(&uid) {
                            let flags = flags_from(row.int(1)?, row.text_or_null(2)?);
                            earlier.entry(*record).or_default().insert(uid, flags);
                        }
                        Ok(())
                    })?;
                }
            }
            Ok(())
        })
    }
}

/// Where the records are that set flags in a mailbox, the newest first.
struct Places {
    mailbox: MailboxId,
    below: RecordSeq,
    page: std::vec::IntoIter<(RecordSeq, Place)>,
    /// So many since the last one that was asked of.
    looked_at: u64,
}

impl Places {
    fn new(mailbox: MailboxId, below: RecordSeq) -> Self {
        Self { mailbox, below, page: Vec::new().into_iter(), looked_at: 0 }
    }

    /// None: there are no more, or too many.
    fn next<D: Disk>(
        &mut self,
        store: &Store<D>,
    ) -> Result<Option<(RecordSeq, Place)>, StoreError> {
        if self.looked_at >= EARLIER_MAX {
            return Ok(None);
        }
        if self.page.len() == 0 {
            let mut places = Vec::new();
            store.read(|sql| {
                let on_place = &mut |seq, place| places.push((seq, place));
                let (mailbox, below) = (self.mailbox, self.below);
                before_on_mailbox(sql, mailbox, ActKind::Flags, below, on_place, EARLIER_PAGE)
            })?;
            self.page = places.into_iter();
        }
        let next = self.page.next();
        if let Some((seq, _)) = next {
            self.below = seq;
            self.looked_at += 1;
        }
        Ok(next)
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
    let Some(Record::FlagsSet { mailbox, sets, .. }) = &plan.record else {
        return Ok(Ok(Taken::default()));
    };
    let mut changes: BTreeMap<MailboxId, BTreeMap<Uid, Change>> = BTreeMap::new();
    let (mut taken, mut gone, mut unknown, mut of_others) = (Taken::default(), 0, 0, 0);
    let after = sets.iter().flat_map(|(flags, uids)| uids.iter().map(move |&uid| (uid, flags)));
    for (uid, after) in after {
        let Some(before) = plan.flags.get(&uid) else {
            unknown += 1;
            continue;
        };
        match now(work, *mailbox, uid)? {
            Now::In(mailbox, _) if is_of_another(work, plan.owner, mailbox)? => of_others += 1,
            Now::In(mailbox, uid) => {
                let change = (before.clone(), after.clone());
                changes.entry(mailbox).or_default().insert(uid, change);
            }
            Now::OutOf(..) => gone += 1,
        }
    }
    taken.skip("messages whose earlier flags are not known", unknown);
    taken.skip("messages deleted since", gone);
    taken.skip(OF_OTHERS, of_others);
    // All of it is worked out before the first of it is recorded: until then it can be refused.
    let (mut records, mut bytes) = (Vec::new(), 0);
    for (mailbox, changes) in changes {
        let sets = in_mailbox(work, mailbox, &changes, &mut taken)?;
        bytes += sets.iter().map(|(flags, _)| keyword_bytes(flags)).sum::<usize>();
        if bytes > FLAGS_BYTES_MAX {
            return Ok(Err("too many different flags".to_owned()));
        }
        if !sets.is_empty() {
            let mod_seq = ModSeq(mod_seq(work, mailbox)?.0 + 1);
            let sets = crate::flags::in_records(sets)?;
            records.extend(sets.into_iter().map(|sets| Record::FlagsSet {
                mailbox,
                mod_seq,
                sets,
            }));
        }
    }
    for record in records {
        work.record(actor, record)?;
    }
    Ok(Ok(taken))
}

fn keyword_bytes(flags: &Flags) -> usize {
    flags.keywords().iter().map(|word| word.as_str().len() + 2).sum()
}

/// What is to be set there.
fn in_mailbox(
    work: &mut Work<'_>,
    mailbox: MailboxId,
    changes: &BTreeMap<Uid, Change>,
    taken: &mut Taken,
) -> Result<FlagSets, Refused> {
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
    taken.messages += sets.values().map(|(_, uids)| uids.len() as u64).sum::<u64>();
    Ok(sets.into_values().collect())
}

fn same_but_deleted(one: &Flags, other: &Flags) -> bool {
    let deleted = SystemFlag::Deleted as u8;
    one.system_bits() | deleted == other.system_bits() | deleted
        && one.keywords() == other.keywords()
}
