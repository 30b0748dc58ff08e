//! Accepted messages, their custodies, and what the queue does with those.

use mail_types::{Address, CustodyId, MailId, MailboxId, RecordSeq, Timestamp, Uid};

use super::apply_mailbox::NewMessage;
use super::{Index, runs};
use crate::custody::CustodyState;
use crate::record::{Accepted, Entry, Fate, NewCustody, Outcome, Place, Source};
use crate::record_tried::Tried;
use crate::sql::{Executor, SqlError};

impl<E: Executor> Index<E> {
    pub(super) fn accepted(
        &mut self,
        entry: &Entry,
        mail: &Accepted,
        at: Place,
    ) -> Result<(), SqlError> {
        self.last.mail = self.last.mail.max(mail.mail.0);
        let receipt = mail_types::ReceiptId::new(mail.mail, &mail.body_hash);
        self.sql.execute(
            "INSERT INTO mail (id, accepted, receipt_check, segment, place, body_segment, \
             body_place, body_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                mail.mail.0.into(),
                entry.at.0.into(),
                receipt.check.into(),
                at.segment.into(),
                at.offset.into(),
                mail.body_at.segment.into(),
                mail.body_at.offset.into(),
                mail.body_bytes.into(),
            ],
        )?;
        for custody in &mail.custodies {
            self.custody_begins(entry, mail, custody)?;
        }
        self.add_lookups(mail)
    }

    pub(super) fn custody_begins(
        &mut self,
        entry: &Entry,
        mail: &Accepted,
        custody: &NewCustody,
    ) -> Result<(), SqlError> {
        self.last.custody = self.last.custody.max(custody.custody.0);
        let (state, place) = match &custody.fate {
            Fate::Delivered { mailbox, uid, mod_seq, flags } => {
                // Two recipients may lead to one account, which then has the message once.
                if self.mailboxes.get(mailbox).is_some_and(|known| uid.get() >= known.uid_next) {
                    let arrival = NewMessage {
                        mail: mail.mail,
                        uid: *uid,
                        mod_seq: *mod_seq,
                        flags,
                        internal_date: mail.internal_date.0,
                        bytes: mail.body_bytes,
                        saved: entry.at.0,
                    };
                    self.insert_message(*mailbox, &arrival)?;
                }
                (CustodyState::Delivered, Some((*mailbox, *uid)))
            }
            Fate::Queued { due } => {
                let destination = custody.recipient.host.to_string();
                self.sql.execute(
                    "INSERT INTO queue (custody, mail, destination, account, priority, again, due, \
                     attempts, begun, uncertain, delay_told, accepted) \
                     VALUES ($1, $2, $3, $4, 0, 0, $5, 0, 0, 0, 0, $6)",
                    &[
                        custody.custody.0.into(),
                        mail.mail.0.into(),
                        destination.as_str().into(),
                        sender_account(mail).into(),
                        due.0.into(),
                        // Where it is to be sent later (RFC 4865), its time begins then.
                        due.0.max(entry.at.0).into(),
                    ],
                )?;
                self.new_in_lane(&destination, sender_account(mail), *due);
                (CustodyState::Queued, None)
            }
            Fate::Held(hold) => {
                self.held_at_first(entry.at, mail, custody, hold)?;
                (CustodyState::Held, None)
            }
            Fate::Expanded { .. } => (CustodyState::Expanded, None),
        };
        self.sql.execute(
            "INSERT INTO custody (id, mail, recipient, state, mailbox, uid) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                custody.custody.0.into(),
                mail.mail.0.into(),
                custody.recipient.to_string().as_str().into(),
                state.code().into(),
                place.map(|(mailbox, _)| mailbox.0).into(),
                place.map(|(_, uid)| uid.get()).into(),
            ],
        )?;
        Ok(())
    }

    /// Message-ID, sender and recipients by fingerprint, so that a trace finds them. A fingerprint
    /// may lie; the trace compares with the record.
    pub(super) fn add_lookups(&mut self, mail: &Accepted) -> Result<(), SqlError> {
        let mut fingerprints: Vec<i64> =
            mail.custodies.iter().map(|custody| address_fingerprint(&custody.recipient)).collect();
        fingerprints.extend(mail.reverse_path.address().map(address_fingerprint));
        fingerprints.extend(mail.message_id.as_deref().map(message_id_fingerprint));
        match &mail.source {
            Source::Smtp { ip, helo, .. } | Source::Lmtp { ip, lhlo: helo, .. } => {
                fingerprints.extend([host_fingerprint(&ip.to_string()), host_fingerprint(helo)]);
            }
            Source::Submission { ip, .. } => fingerprints.push(host_fingerprint(&ip.to_string())),
            Source::Append { .. }
            | Source::Report { .. }
            | Source::Import { .. }
            | Source::PeriodReport => {}
        }
        fingerprints.sort_unstable();
        fingerprints.dedup();
        for fingerprint in fingerprints {
            self.sql.execute(
                "INSERT INTO lookup (fingerprint, mail) VALUES ($1, $2) \
                 ON CONFLICT (fingerprint, mail) DO NOTHING",
                &[fingerprint.into(), mail.mail.0.into()],
            )?;
        }
        Ok(())
    }

    /// The hosts that were asked to take a message, so that a trace finds it by them.
    pub(super) fn add_hosts(&mut self, tried: &Tried) -> Result<(), SqlError> {
        // They are recipients of one message.
        let Some((custody, _)) = tried.outcomes.first() else { return Ok(()) };
        let peers = tried.tries.iter().filter_map(|each| each.peer.as_ref()).chain(&tried.peer);
        let mut hosts: Vec<i64> = peers
            .flat_map(|peer| [host_fingerprint(&peer.host), host_fingerprint(&peer.ip.to_string())])
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        for host in hosts {
            self.sql.execute(
                "INSERT INTO lookup (fingerprint, mail) SELECT $2, mail FROM custody WHERE id = $1 \
                 ON CONFLICT (fingerprint, mail) DO NOTHING",
                &[custody.0.into(), host.into()],
            )?;
        }
        Ok(())
    }

    pub(super) fn attempt_begun(
        &mut self,
        custodies: &[CustodyId],
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        for &custody in custodies {
            self.sql.execute(
                "UPDATE queue SET attempts = attempts + (1 - begun), begun = 1 WHERE custody = $1",
                &[custody.0.into()],
            )?;
            self.tell_story_of_custody(custody, seq, at)?;
        }
        Ok(())
    }

    pub(super) fn attempt_dropped(
        &mut self,
        custodies: &[CustodyId],
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        for &custody in custodies {
            self.sql.execute(
                "UPDATE queue SET begun = 0, attempts = attempts - begun WHERE custody = $1",
                &[custody.0.into()],
            )?;
            self.tell_story_of_custody(custody, seq, at)?;
        }
        Ok(())
    }

    pub(super) fn rescheduled(
        &mut self,
        custodies: &[CustodyId],
        due: Timestamp,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        for &custody in custodies {
            self.sql.execute(
                "UPDATE queue SET due = $2 WHERE custody = $1",
                &[custody.0.into(), due.0.into()],
            )?;
            self.moved_in_queue(custody)?;
            self.tell_story_of_custody(custody, seq, at)?;
        }
        Ok(())
    }

    pub(super) fn attempted(
        &mut self,
        custody: CustodyId,
        outcome: &Outcome,
    ) -> Result<(), SqlError> {
        let (state, report) = match outcome {
            Outcome::Relayed { report, .. } => (CustodyState::Relayed, *report),
            Outcome::Returned { notice, .. } => (CustodyState::Returned, notice.report()),
            Outcome::Deferred { due, report, .. } => {
                let delay_told = i64::from(report.is_some());
                self.sql.execute(
                    "UPDATE queue SET begun = 0, again = 1, due = $2, \
                     attempts = attempts + (1 - begun), \
                     delay_told = CASE WHEN $3 = 1 THEN 1 ELSE delay_told END WHERE custody = $1",
                    &[custody.0.into(), due.0.into(), delay_told.into()],
                )?;
                return self.moved_in_queue(custody);
            }
            Outcome::Waits { due, report, .. } => {
                let delay_told = i64::from(report.is_some());
                self.sql.execute(
                    "UPDATE queue SET due = $2, \
                     delay_told = CASE WHEN $3 = 1 THEN 1 ELSE delay_told END WHERE custody = $1",
                    &[custody.0.into(), due.0.into(), delay_told.into()],
                )?;
                return self.moved_in_queue(custody);
            }
            Outcome::Uncertain { due, .. } => {
                self.sql.execute(
                    "UPDATE queue SET begun = 0, again = 1, uncertain = 1, due = $2 \
                     WHERE custody = $1",
                    &[custody.0.into(), due.0.into()],
                )?;
                return self.moved_in_queue(custody);
            }
        };
        self.sql.execute("DELETE FROM queue WHERE custody = $1", &[custody.0.into()])?;
        self.sql.execute(
            "UPDATE custody SET state = $2, report = $3 WHERE id = $1",
            &[custody.0.into(), state.code().into(), report.map(|mail| mail.0).into()],
        )?;
        Ok(())
    }

    pub(crate) fn tell_story(
        &mut self,
        mail: MailId,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO story (mail, seq, segment, place) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (mail, seq) DO NOTHING",
            &[mail.0.into(), seq.0.into(), at.segment.into(), at.offset.into()],
        )?;
        Ok(())
    }

    pub(super) fn tell_story_of_custody(
        &mut self,
        custody: CustodyId,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO story (mail, seq, segment, place) \
             SELECT mail, $2, $3, $4 FROM custody WHERE id = $1 \
             ON CONFLICT (mail, seq) DO NOTHING",
            &[custody.0.into(), seq.0.into(), at.segment.into(), at.offset.into()],
        )?;
        Ok(())
    }

    pub(super) fn tell_story_of_messages(
        &mut self,
        mailbox: MailboxId,
        uids: &[Uid],
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        for (first, last) in runs(uids) {
            self.sql.execute(
                "INSERT INTO story (mail, seq, segment, place) \
                 SELECT DISTINCT mail, $4, $5, $6 FROM message \
                 WHERE mailbox = $1 AND uid BETWEEN $2 AND $3 ON CONFLICT (mail, seq) DO NOTHING",
                &[
                    mailbox.0.into(),
                    first.into(),
                    last.into(),
                    seq.0.into(),
                    at.segment.into(),
                    at.offset.into(),
                ],
            )?;
        }
        Ok(())
    }
}

/// Whose mail it is, for fairness between accounts: 0 for what nobody here has submitted.
pub(super) const fn sender_account(mail: &Accepted) -> u64 {
    match &mail.source {
        Source::Submission { account, .. }
        | Source::Append { account }
        | Source::Import { account } => account.0,
        Source::Smtp { .. }
        | Source::Report { .. }
        | Source::PeriodReport
        | Source::Lmtp { .. } => 0,
    }
}

/// Where an address is looked up.
pub fn address_fingerprint(address: &Address) -> i64 {
    fingerprint(b'a', &address.folded())
}

/// Where a Message-ID is looked up.
pub fn message_id_fingerprint(message_id: &str) -> i64 {
    fingerprint(b'm', message_id)
}

/// Where a host is looked up, by name or address.
pub fn host_fingerprint(host: &str) -> i64 {
    fingerprint(b'h', &host.trim_end_matches('.').to_ascii_lowercase())
}

fn fingerprint(kind: u8, text: &str) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind]).update(text.as_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    i64::from_be_bytes(first)
}
