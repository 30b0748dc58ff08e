//! Custodies that are held, released, changed and purged; destinations that wait.

use mail_types::{Address, CustodyId, RecordSeq, Timestamp};

use super::apply_mail::sender_account;
use super::apply_mailbox::NewMessage;
use super::{Index, parsed};
use crate::custody::CustodyState;
use crate::record::{Accepted, NewCustody, Place};
use crate::record_held::{ChangeKind, Condition, CustodiesChanged, Hold, Waiting};
use crate::sql::{Executor, SqlError};

/// The columns that a custody keeps while it is held.
macro_rules! set_waiting_in {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET destination = $2, due = $3, recipient = $4, relay = $5, give_back = $6 \
             WHERE custody = $1"
        )
    };
}

macro_rules! kept {
    () => {
        "custody, mail, destination, account, priority, again, due, attempts, uncertain, \
         delay_told, accepted, recipient, relay, give_back"
    };
}

/// In the table `pause`: every destination.
pub const EVERYWHERE: &str = "*";

impl<E: Executor> Index<E> {
    /// A message that is held as it comes.
    pub(super) fn held_at_first(
        &mut self,
        at: Timestamp,
        mail: &Accepted,
        custody: &NewCustody,
        hold: &Hold,
    ) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO held (custody, mail, destination, account, priority, again, due, \
             attempts, uncertain, delay_told, accepted, since, held_by, reason, purge_at, \
             was_queued) VALUES ($1, $2, $3, $4, 0, 0, $5, 0, 0, 0, $5, $5, $6, $7, $8, 0)",
            &[
                custody.custody.0.into(),
                mail.mail.0.into(),
                custody.recipient.host.to_string().as_str().into(),
                sender_account(mail).into(),
                at.0.into(),
                hold.by.word().into(),
                hold.reason.as_str().into(),
                hold.purge_at.map(|at| at.0).into(),
            ],
        )?;
        Ok(())
    }

    pub(super) fn custodies_changed(
        &mut self,
        now: Timestamp,
        change: &CustodiesChanged,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO queue_change (id, at, kind, items, undoes, undone) \
             VALUES ($1, $2, $3, $4, $5, 0) \
             ON CONFLICT (id) DO UPDATE SET items = queue_change.items + excluded.items",
            &[
                change.change.into(),
                now.0.into(),
                change.kind.word().into(),
                (change.items.len() as u64).into(),
                change.undoes.into(),
            ],
        )?;
        self.sql.execute(
            "INSERT INTO queue_change_part (id, seq, segment, place) VALUES ($1, $2, $3, $4)",
            &[change.change.into(), seq.0.into(), at.segment.into(), at.offset.into()],
        )?;
        for item in &change.items {
            self.set_condition(now, item.custody, &item.is)?;
            if change.kind == ChangeKind::ReleaseDue {
                // Nobody undoes that.
                self.forget_wait(item.custody)?;
            }
            self.tell_story_of_custody(item.custody, seq, at)?;
        }
        Ok(())
    }

    /// All of a change is undone that could be.
    pub(super) fn change_undone(&mut self, change: u64) -> Result<(), SqlError> {
        let undone = "UPDATE queue_change SET undone = 1 WHERE id = $1";
        self.sql.execute(undone, &[change.into()])?;
        Ok(())
    }

    fn set_condition(
        &mut self,
        now: Timestamp,
        custody: CustodyId,
        is: &Condition,
    ) -> Result<(), SqlError> {
        if let Condition::Queued(_) | Condition::Held { .. } = is {
            self.back_from_mailbox(custody)?;
        }
        match is {
            Condition::Queued(waiting) => {
                self.sql.execute(
                    concat!(
                        "INSERT INTO queue (",
                        kept!(),
                        ", begun) SELECT ",
                        kept!(),
                        ", 0 FROM held WHERE custody = $1"
                    ),
                    &[custody.0.into()],
                )?;
                // Nobody tried it while it was held: that time does not count. (Of what is held to be
                // sent later, none has counted before.)
                self.sql.execute(
                    "UPDATE queue SET accepted = accepted + $2 - max(accepted, \
                     (SELECT since FROM held WHERE held.custody = queue.custody)) \
                     WHERE custody = $1 AND max(accepted, \
                     (SELECT since FROM held WHERE held.custody = queue.custody)) < $2",
                    &[custody.0.into(), now.0.into()],
                )?;
                self.forget_hold(custody)?;
                self.set_waiting(set_waiting_in!("queue"), custody, waiting)?;
                self.moved_in_queue(custody)?;
                self.set_state(custody, CustodyState::Queued)
            }
            Condition::Held { hold, then } => self.hold(now, custody, hold, then.as_ref()),
            Condition::Delivered { mailbox, uid, mod_seq, flags, internal_date, bytes, mail } => {
                self.remember_wait(now, custody)?;
                // Two recipients may lead to one account, which then has the message once.
                if self.mailboxes.get(mailbox).is_some_and(|known| uid.get() >= known.uid_next) {
                    let arrival = NewMessage {
                        mail: *mail,
                        uid: *uid,
                        mod_seq: *mod_seq,
                        flags,
                        internal_date: internal_date.0,
                        bytes: *bytes,
                        saved: now.0,
                    };
                    self.insert_message(*mailbox, &arrival)?;
                }
                self.sql.execute(
                    "UPDATE custody SET mailbox = $2, uid = $3 WHERE id = $1",
                    &[custody.0.into(), mailbox.0.into(), uid.get().into()],
                )?;
                self.set_state(custody, CustodyState::Delivered)
            }
            Condition::Purged => {
                self.forget_hold(custody)?;
                self.sql.execute("DELETE FROM queue WHERE custody = $1", &[custody.0.into()])?;
                self.set_state(custody, CustodyState::Purged)
            }
        }
    }

    /// Out of the queue, if it was there, and kept back.
    fn hold(
        &mut self,
        now: Timestamp,
        custody: CustodyId,
        hold: &Hold,
        then: Option<&Waiting>,
    ) -> Result<(), SqlError> {
        self.sql.execute(
            concat!(
                "INSERT INTO held (",
                kept!(),
                ", since, held_by, reason, was_queued) SELECT ",
                kept!(),
                ", $2, '', '', 1 FROM queue WHERE custody = $1"
            ),
            &[custody.0.into(), now.0.into()],
        )?;
        self.sql.execute("DELETE FROM queue WHERE custody = $1", &[custody.0.into()])?;
        self.sql.execute(
            "UPDATE held SET held_by = $2, reason = $3, purge_at = $4, was_queued = $5, \
             release_at = CASE WHEN $2 = 'future' THEN (SELECT until FROM future_release \
             WHERE future_release.mail = held.mail) END WHERE custody = $1",
            &[
                custody.0.into(),
                hold.by.word().into(),
                hold.reason.as_str().into(),
                hold.purge_at.map(|at| at.0).into(),
                i64::from(then.is_some()).into(),
            ],
        )?;
        if let Some(waiting) = then {
            self.set_waiting(set_waiting_in!("held"), custody, waiting)?;
        }
        self.set_state(custody, CustodyState::Held)
    }

    /// Out of the queue or the hold, into a mailbox: how it waited is kept, in case that was a slip.
    fn remember_wait(&mut self, now: Timestamp, custody: CustodyId) -> Result<(), SqlError> {
        let held = concat!(
            "INSERT INTO released (",
            kept!(),
            ", since) SELECT ",
            kept!(),
            ", since FROM held WHERE custody = $1"
        );
        self.sql.execute(held, &[custody.0.into()])?;
        let queued = concat!(
            "INSERT INTO released (",
            kept!(),
            ", since) SELECT ",
            kept!(),
            ", $2 FROM queue WHERE custody = $1"
        );
        self.sql.execute(queued, &[custody.0.into(), now.0.into()])?;
        self.sql.execute("DELETE FROM queue WHERE custody = $1", &[custody.0.into()])?;
        self.forget_hold(custody)
    }

    /// What was released into a mailbox is held as it was, before it becomes what else it is to be.
    fn back_from_mailbox(&mut self, custody: CustodyId) -> Result<(), SqlError> {
        let back = concat!(
            "INSERT INTO held (",
            kept!(),
            ", since, held_by, reason, was_queued) SELECT ",
            kept!(),
            ", since, '', '', 0 FROM released WHERE custody = $1 AND EXISTS (SELECT 1 FROM custody \
             WHERE custody.id = released.custody AND custody.state = $2)"
        );
        let delivered = CustodyState::Delivered.code();
        let found = self.sql.execute(back, &[custody.0.into(), delivered.into()])?;
        if found > 0 {
            let out = "UPDATE custody SET mailbox = NULL, uid = NULL WHERE id = $1";
            self.sql.execute(out, &[custody.0.into()])?;
            self.forget_wait(custody)?;
        }
        Ok(())
    }

    fn forget_wait(&mut self, custody: CustodyId) -> Result<(), SqlError> {
        let forget = "DELETE FROM released WHERE custody = $1";
        self.sql.execute(forget, &[custody.0.into()]).map(drop)
    }

    fn forget_hold(&mut self, custody: CustodyId) -> Result<(), SqlError> {
        self.sql.execute("DELETE FROM held WHERE custody = $1", &[custody.0.into()])?;
        Ok(())
    }

    fn set_state(&mut self, custody: CustodyId, state: CustodyState) -> Result<(), SqlError> {
        self.sql.execute(
            "UPDATE custody SET state = $2 WHERE id = $1",
            &[custody.0.into(), state.code().into()],
        )?;
        Ok(())
    }

    fn set_waiting(
        &mut self,
        update: &'static str,
        custody: CustodyId,
        waiting: &Waiting,
    ) -> Result<(), SqlError> {
        let destination = match &waiting.recipient {
            Some(recipient) => recipient.host.to_string(),
            None => self.accepted_recipient(custody)?.host.to_string(),
        };
        let recipient = waiting.recipient.as_ref().map(Address::to_string);
        self.sql.execute(
            update,
            &[
                custody.0.into(),
                destination.as_str().into(),
                waiting.due.0.into(),
                recipient.as_deref().into(),
                waiting.relay.as_deref().into(),
                waiting.give_back.as_deref().into(),
            ],
        )?;
        Ok(())
    }

    /// The recipient that was accepted.
    fn accepted_recipient(&mut self, custody: CustodyId) -> Result<Address, SqlError> {
        let mut text = String::new();
        let query = "SELECT recipient FROM custody WHERE id = $1";
        self.sql.query(query, &[custody.0.into()], &mut |row| {
            row.text(0)?.clone_into(&mut text);
            Ok(())
        })?;
        parsed(&text)
    }

    pub(super) fn queue_paused(
        &mut self,
        now: Timestamp,
        destination: Option<&str>,
        paused: bool,
        reason: Option<&str>,
    ) -> Result<(), SqlError> {
        let destination = destination.unwrap_or(EVERYWHERE);
        if paused {
            self.pauses.insert(destination.to_owned());
            self.sql.execute(
                "INSERT INTO pause (destination, since, reason) VALUES ($1, $2, $3) \
                 ON CONFLICT (destination) DO UPDATE SET reason = excluded.reason",
                &[destination.into(), now.0.into(), reason.into()],
            )?;
        } else {
            let query = "SELECT since FROM pause WHERE destination = $1";
            let since = self.sql.number(query, &[destination.into()])?;
            self.pauses.remove(destination);
            let remove = "DELETE FROM pause WHERE destination = $1";
            self.sql.execute(remove, &[destination.into()])?;
            if let Some(since) = since {
                self.pause_counts_not(destination, Timestamp(since), now)?;
            }
        }
        Ok(())
    }

    /// Nobody tried what waited by an operator's word: that time does not count, of whatever came
    /// before or during it. While another pause goes on, the time from its beginning on is that
    /// one's to take off.
    fn pause_counts_not(
        &mut self,
        destination: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), SqlError> {
        self.sql.execute(
            "UPDATE queue SET accepted = accepted - max(accepted, $2) + \
             min($3, coalesce((SELECT min(since) FROM pause \
             WHERE destination IN (queue.destination, '*')), $3)) \
             WHERE (destination = $1 OR $1 = '*') AND max(accepted, $2) < \
             min($3, coalesce((SELECT min(since) FROM pause \
             WHERE destination IN (queue.destination, '*')), $3))",
            &[destination.into(), since.0.into(), now.0.into()],
        )?;
        Ok(())
    }

    pub(super) fn load_pauses(&mut self) -> Result<(), SqlError> {
        let pauses = &mut self.pauses;
        self.sql.query("SELECT destination FROM pause", &[], &mut |row| {
            pauses.insert(row.text(0)?.to_owned());
            Ok(())
        })
    }

    /// Whether mail to this destination waits.
    pub fn is_paused(&self, destination: &str) -> bool {
        !self.pauses.is_empty()
            && (self.pauses.contains(EVERYWHERE) || self.pauses.contains(destination))
    }
}
