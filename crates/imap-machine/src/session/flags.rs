use mail_types::{Acceptance, ModSeq};

use super::{Flow, Session, Status, Work};
use crate::ask::{Answer, Code, Question};
use crate::grammar::{Store, UidSet};
use crate::view::Places;
use crate::write::push_number;

/// STORE (RFC 3501 §6.4.6).
#[derive(Debug)]
pub(super) struct Storing {
    store: Store,
    places: Places,
    uids: UidSet,
    /// Left alone because of UNCHANGEDSINCE; `None` while the service is asked.
    modified: Option<UidSet>,
    /// How many rows have been told.
    told: usize,
    /// Some were gone.
    missing: bool,
}

impl<R: Acceptance> Session<R> {
    pub(super) fn store(&mut self, store: Store) -> Flow {
        self.by_uid = store.uid;
        // RFC 3501 §7.4.1: no EXPUNGE while a command's numbers could be misread.
        self.expunge_allowed = store.uid;
        if store.unchanged_since.is_some() {
            self.enable_condstore();
        }
        let Some(mailbox) = &self.selected else { return self.misfit() };
        if mailbox.read_only {
            return self.no(Code::ReadOnly, "The mailbox is opened read-only");
        }
        let Some(mut places) = mailbox.view.places(&store.set, store.uid) else {
            return self.bad("", "There is no message of that number");
        };
        if let Some(limit) = self.message_limit()
            && let Some((last, lowest)) = mailbox.view.last_of(&places, limit, |_| true)
        {
            (places, self.cut) = (last, Some(lowest));
        }
        let uids = mailbox.view.uid_set(&places);
        if uids.is_empty() {
            return self.finish(Status::Ok, "", "No such messages");
        }
        let question = Question::Store {
            mailbox: mailbox.id,
            uids: uids.clone(),
            mode: store.mode,
            flags: store.flags.clone(),
            unchanged_since: store.unchanged_since.map(ModSeq),
        };
        let work = Storing { store, places, uids, modified: None, told: 0, missing: false };
        self.ask(Work::Store(Box::new(work)), question)
    }

    pub(super) fn store_goes_on(&mut self, work: Box<Storing>, answer: Option<Answer<R>>) -> Flow {
        let mut work = work;
        if work.modified.is_none() {
            let Some(mailbox) = &mut self.selected else { return self.misfit() };
            let (newest, modified) = match answer {
                Some(Answer::Stored { newest, modified }) => (newest, modified),
                Some(Answer::No(refusal)) => return self.refuse(&refusal),
                Some(Answer::Gone) => return self.gone(),
                Some(_) | None => return self.misfit(),
            };
            let (store, uids) = (&work.store, &work.uids);
            mailbox.view.take(&newest, |uid, before, after| {
                // Told below, or known to the client by its own arithmetic.
                uids.contains(uid)
                    && !modified.contains(uid)
                    && (!store.silent || store.mode.apply(before, &store.flags) == *after)
            });
            work.modified = Some(modified);
        }
        if !work.store.silent || self.condstore {
            self.tell_stored(&mut work);
            if !work.places.is_empty() {
                return self.again(Work::Store(work));
            }
        }
        self.store_ends(&work)
    }

    /// Tells the new flags of the messages, or with .SILENT only their modification sequences
    /// (RFC 7162 §3.1.3), while there is room; takes the places that are done.
    fn tell_stored(&mut self, work: &mut Storing) {
        let Some(mailbox) = &self.selected else { return };
        let view = &mailbox.view;
        let rows = view.rows();
        let modified = work.modified.as_ref();
        while let Some(range) = work.places.get(work.told) {
            for place in range.clone() {
                let row = rows.at(place);
                if self.output.len() >= self.config.limits.output_octets_max {
                    work.places[work.told].start = place;
                    return;
                }
                if view.is_gone(row.uid) {
                    work.missing = true;
                    continue;
                }
                if modified.is_some_and(|modified| modified.contains(row.uid)) {
                    continue;
                }
                let out = &mut self.output;
                view.write_head(place, out);
                if !self.uid_only && (work.store.uid || self.condstore) {
                    out.extend_from_slice(b"UID ");
                    push_number(out, u64::from(row.uid));
                    out.push(b' ');
                }
                if !work.store.silent {
                    out.extend_from_slice(b"FLAGS ");
                    view.write_flags(row, out);
                }
                if self.condstore {
                    let gap: &[u8] = if work.store.silent { b"" } else { b" " };
                    out.extend_from_slice(gap);
                    out.extend_from_slice(b"MODSEQ (");
                    push_number(out, row.modseq);
                    out.push(b')');
                }
                out.extend_from_slice(b")\r\n");
            }
            work.told += 1;
        }
        work.places.clear();
    }

    fn store_ends(&mut self, work: &Storing) -> Flow {
        let modified = work.modified.clone().unwrap_or_default();
        if !modified.is_empty() {
            // RFC 7162 §3.1.3: numbers of the kind the command used.
            let Some(mailbox) = &self.selected else { return self.misfit() };
            let numbers = if work.store.uid { modified } else { mailbox.view.numbers(&modified) };
            let code = format!("[MODIFIED {numbers}]");
            return self.finish_cut(&code, "Some had changed and were left alone");
        }
        if work.missing && !work.store.uid {
            self.tell_cut();
            return self.refuse(&Self::expunge_issued());
        }
        self.finish_cut("", "Stored")
    }
}
