//! How long mail is kept, what keeps it, and what is purged.

use mail_types::RecordSeq;

use super::Index;
use crate::archive::keep_code;
use crate::record::{Entry, Place, Record};
use crate::record_archive::{Purged, RetentionOf, RetentionRule};
use crate::sql::{Executor, SqlError};

impl<E: Executor> Index<E> {
    pub(super) fn apply_archive(
        &mut self,
        entry: &Entry,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        match &entry.record {
            Record::RetentionSet(rule) => self.retention_set(rule, seq),
            Record::LegalHoldSet(hold) => {
                self.sql.execute(
                    "INSERT INTO legal_hold (seq, since, name, account, from_at, until_at, reason) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    &[
                        seq.0.into(),
                        entry.at.0.into(),
                        hold.name.as_str().into(),
                        hold.account.0.into(),
                        hold.from.map(|at| at.0).into(),
                        hold.until.map(|at| at.0).into(),
                        hold.reason.as_str().into(),
                    ],
                )?;
                Ok(())
            }
            Record::HoldsEnded(ended) => {
                for hold in &ended.holds {
                    self.sql.execute(
                        "UPDATE legal_hold SET ended = $2, ended_seq = $3, ended_reason = $4 \
                         WHERE seq = $1",
                        &[
                            hold.0.into(),
                            entry.at.0.into(),
                            seq.0.into(),
                            ended.reason.as_str().into(),
                        ],
                    )?;
                }
                Ok(())
            }
            Record::Purged(purged) => self.purged(purged, entry, seq, at),
            Record::BodiesGone { through } => {
                let done = "UPDATE purge SET done = 1 WHERE done = 0 AND seq <= $1";
                self.sql.execute(done, &[through.0.into()])?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn retention_set(&mut self, rule: &RetentionRule, seq: RecordSeq) -> Result<(), SqlError> {
        let (domain, account) = match &rule.of {
            RetentionOf::Domain(domain) => (domain.as_str(), 0),
            RetentionOf::Account(account) => ("", account.0),
        };
        self.sql.execute(
            "INSERT INTO retention (domain, account, keep, spam, seq) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (domain, account) DO UPDATE SET keep = excluded.keep, \
             spam = excluded.spam, seq = excluded.seq",
            &[
                domain.into(),
                account.into(),
                keep_code(rule.keep).into(),
                keep_code(rule.spam).into(),
                seq.0.into(),
            ],
        )?;
        Ok(())
    }

    fn purged(
        &mut self,
        purged: &Purged,
        entry: &Entry,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO purge (seq, at, segment, place, done) VALUES ($1, $2, $3, $4, 0)",
            &[seq.0.into(), entry.at.0.into(), at.segment.into(), at.offset.into()],
        )?;
        for mail in &purged.mails {
            self.sql.execute(
                "UPDATE mail SET purged = $2 WHERE id = $1",
                &[mail.0.into(), seq.0.into()],
            )?;
            self.tell_story(*mail, seq, at)?;
        }
        Ok(())
    }
}
