//! QRESYNC (RFC 7162 §3.2): what a client that was away has missed.

use mail_types::{Acceptance, ModSeq};

use super::fetch::Fetching;
use super::finish::Finish;
use super::{Flow, Session, Status, Work};
use crate::ask::{Answer, Question};
use crate::grammar::{Resync, SequenceSet, UidSet};
use crate::view::View;
use crate::write::push_text;

/// Ranges of UIDs in one VANISHED response.
const VANISHED_RANGES_MAX: usize = 4096;

/// The service is asked what went out of the mailbox.
#[derive(Debug)]
pub(super) enum Resyncing {
    /// For SELECT: what the client remembers, and the tagged line to end with.
    Select(Box<Resync>, Vec<u8>),
    /// For UID FETCH: of these UIDs; then the FETCH itself.
    Fetch(SequenceSet, Box<Fetching>),
}

impl<R: Acceptance> Session<R> {
    /// Asks what went out of the selected mailbox after `since`.
    pub(super) fn ask_vanished(&mut self, since: u64, work: Resyncing) -> Flow {
        let Some(mailbox) = &self.selected else { return self.misfit() };
        let question = Question::Vanished { mailbox: mailbox.id, since: ModSeq(since) };
        self.ask(Work::Resync(work), question)
    }

    pub(super) fn resync_answered(&mut self, work: Resyncing, answer: Option<Answer<R>>) -> Flow {
        let vanished = match answer {
            Some(Answer::Vanished(vanished)) => vanished,
            Some(Answer::Gone) => return self.gone(),
            // The service cannot tell now. All that is missing may have gone: that is always true.
            Some(_) | None => None,
        };
        let Some(mailbox) = &self.selected else { return self.misfit() };
        let view = &mailbox.view;
        match work {
            Resyncing::Select(resync, line) => {
                let known = resync.known.as_ref().map(|known| known.resolve(u32::MAX));
                let mut vanished = earlier(view, vanished, known.as_ref());
                if let Some((numbers, uids)) = &resync.pairs {
                    vanished = behind(vanished, same_until(view, numbers, uids));
                }
                // RFC 7162 §3.2.5.1: VANISHED before FETCH.
                write_vanished(&vanished, true, &mut self.output);
                let rows = view.rows().iter().enumerate();
                let changed = rows.filter(|(_, row)| {
                    row.modseq > resync.modseq
                        && known.as_ref().is_none_or(|known| known.contains(row.uid))
                });
                let changed = changed.map(|(place, _)| place).collect();
                self.again(Work::Finish(Finish::telling(changed, line)))
            }
            Resyncing::Fetch(set, fetching) => {
                let wanted = if set.is_saved() {
                    UidSet::new()
                } else {
                    set.resolve(view.rows().uid_next().saturating_sub(1))
                };
                // RFC 7162 §3.2.6: before any FETCH.
                let vanished = earlier(view, vanished, Some(&wanted));
                write_vanished(&vanished, true, &mut self.output);
                self.again(Work::Fetch(fetching))
            }
        }
    }

    /// The response code of a command that took messages out (RFC 7162 §3.2.7 to §3.2.9): the
    /// mailbox's modification sequence, where it is above `before` and the client wants to know.
    pub(super) fn highest_code(&self, before: ModSeq, now: ModSeq) -> String {
        if self.condstore && now > before {
            format!("[HIGHESTMODSEQ {now}]")
        } else {
            String::new()
        }
    }

    /// A parameter or modifier of QRESYNC without ENABLE QRESYNC.
    pub(super) fn not_enabled(&mut self) -> Flow {
        self.bad("", "ENABLE QRESYNC comes first")
    }

    /// Ends SELECT; where the client remembers this very mailbox, tells first what it missed.
    pub(super) fn select_ends(
        &mut self,
        resync: Option<Box<Resync>>,
        uid_validity: u32,
        (code, text): (&str, &str),
    ) -> Flow {
        // RFC 7162 §3.2.5: under another UIDVALIDITY, what it remembers is of another mailbox.
        match resync.filter(|resync| resync.uid_validity == uid_validity) {
            Some(resync) => {
                let line = self.tagged(Status::Ok, code, text);
                self.ask_vanished(resync.modseq, Resyncing::Select(resync, line))
            }
            None => self.finish(Status::Ok, code, text),
        }
    }
}

/// What to tell as VANISHED (EARLIER): of the UIDs that are gone (where too many to name: all that no
/// message has) those that the client asks about. None of them is counted by the client.
fn earlier(view: &View, vanished: Option<UidSet>, wanted: Option<&UidSet>) -> UidSet {
    let rows = view.rows();
    let vanished: UidSet = match vanished {
        Some(vanished) => {
            let is_counted = |&uid: &u32| rows.find(uid).is_some();
            vanished.iter().filter(|uid| !is_counted(uid)).collect()
        }
        None => {
            let mut gaps = Vec::new();
            let mut next = 1;
            for uid in rows.iter().map(|row| row.uid).chain([rows.uid_next()]) {
                gaps.extend((next < uid).then(|| (next, uid - 1)));
                next = uid.saturating_add(1);
            }
            gaps.into_iter().collect()
        }
    };
    wanted.map_or_else(|| vanished.clone(), |wanted| vanished.intersection(wanted))
}

fn behind(set: UidSet, uid: u32) -> UidSet {
    match uid.checked_add(1) {
        Some(first) => set.intersection(&UidSet::range(first, u32::MAX)),
        None => UidSet::new(),
    }
}

/// RFC 7162 §3.2.5.2: the highest UID of which the client's sequence number is still true. Nothing
/// before it can have gone that the client counts.
fn same_until(view: &View, numbers: &SequenceSet, uids: &SequenceSet) -> u32 {
    let rows = view.rows();
    let exists = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let numbers = numbers.resolve(u32::MAX);
    let uids = uids.resolve(u32::MAX);
    let pairs = numbers.iter().zip(uids.iter()).take_while(|&(number, _)| number <= exists);
    let same = pairs.filter(|&(number, uid)| rows.at(number as usize - 1).uid == uid);
    same.map(|(_, uid)| uid).last().unwrap_or(0)
}

// RFC 7162 §7: expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids
pub(super) fn write_vanished(uids: &UidSet, earlier: bool, out: &mut Vec<u8>) {
    for ranges in uids.ranges().chunks(VANISHED_RANGES_MAX) {
        let uids: UidSet = ranges.iter().copied().collect();
        let name = if earlier { "* VANISHED (EARLIER) " } else { "* VANISHED " };
        push_text(out, &format!("{name}{uids}\r\n"));
    }
}
