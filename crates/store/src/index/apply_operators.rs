//! Operators, what they did, and how much mail went by each minute.

use std::collections::BTreeMap;
use std::sync::Arc;

use mail_types::RecordSeq;

use super::{Index, broken};
use crate::flow::{FlowKind, KEPT_MINUTES, minute_of, of_record};
use crate::operators::{Operator, OperatorToken, audited};
use crate::record::{Entry, Place, Record};
use crate::record_operator::{LookedAt, OperatorAct, OperatorChange};
use crate::sql::{Executor, Param, SqlError};

/// What went by, where the table does not have it yet.
#[derive(Debug, Default)]
pub struct FlowNews {
    /// The newest minute of all.
    newest: i64,
    counts: BTreeMap<(i64, FlowKind), u64>,
}

impl<E: Executor> Index<E> {
    /// Notes what any record is for the flow, the log of operators and the acts.
    pub(super) fn note(
        &mut self,
        entry: &Entry,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        let minute = minute_of(entry.at);
        for (kind, count) in of_record(&entry.record) {
            if minute + KEPT_MINUTES <= self.flow.newest {
                self.flow_back_to(minute)?;
            }
            self.flow.newest = self.flow.newest.max(minute);
            *self.flow.counts.entry((minute, kind)).or_default() += count;
        }
        self.note_act(entry, seq, at)?;
        let Some(who) = audited(entry) else { return Ok(()) };
        self.sql.execute(
            "INSERT INTO audit (seq, at, who, segment, place) VALUES ($1, $2, $3, $4, $5)",
            &[
                seq.0.into(),
                entry.at.0.into(),
                who.as_str().into(),
                at.segment.into(),
                at.offset.into(),
            ],
        )?;
        Ok(())
    }

    /// The clock had run ahead and was put right: what it said then is no time that went by. What is
    /// too old by it goes as it would have with a commit: the same rows come of any grouping of
    /// records.
    fn flow_back_to(&mut self, minute: i64) -> Result<(), SqlError> {
        let oldest = self.flow.newest - KEPT_MINUTES;
        self.flow.counts.retain(|(of, _), _| *of > oldest && *of <= minute);
        self.flow.newest = minute;
        self.sql.execute(
            "DELETE FROM flow WHERE minute <= $1 OR minute > $2",
            &[oldest.into(), minute.into()],
        )?;
        Ok(())
    }

    /// Writes the flow into its table; with the commit.
    pub(super) fn write_flow(&mut self) -> Result<(), SqlError> {
        let counts = std::mem::take(&mut self.flow.counts);
        if counts.is_empty() {
            return Ok(());
        }
        for ((minute, kind), count) in counts {
            self.sql.execute(
                "INSERT INTO flow (minute, kind, count) VALUES ($1, $2, $3) \
                 ON CONFLICT (minute, kind) DO UPDATE SET count = flow.count + excluded.count",
                &[minute.into(), kind.code().into(), count.into()],
            )?;
        }
        let oldest = self.flow.newest - KEPT_MINUTES;
        self.sql.execute("DELETE FROM flow WHERE minute <= $1", &[oldest.into()])?;
        Ok(())
    }

    pub(super) fn apply_operator(
        &mut self,
        entry: &Entry,
        change: &OperatorChange,
    ) -> Result<(), SqlError> {
        let directory = Arc::make_mut(&mut self.directory);
        let id = change.operator;
        let mut operator = match (&change.act, directory.operators.get(&id)) {
            (OperatorAct::Added { name, role, password }, _) => Operator {
                id,
                name: name.clone(),
                role: role.clone(),
                password: password.clone(),
                second_factor: None,
                tokens: Vec::new(),
                added: entry.at,
            },
            (_, Some(known)) => Operator::clone(known),
            // It was removed in the same moment.
            (_, None) => return Ok(()),
        };
        match &change.act {
            OperatorAct::Added { .. } => {}
            OperatorAct::Removed => {
                directory.operators.remove(&id);
                // What proved it is of no use any more.
                let remove = "UPDATE operator SET removed = 1, kept = $2 WHERE id = $1";
                self.sql.execute(remove, &[id.into(), Param::Blob(&[])])?;
                return Ok(());
            }
            OperatorAct::RoleSet { role } => operator.role = role.clone(),
            OperatorAct::PasswordSet { password } => operator.password = password.clone(),
            OperatorAct::SecondFactorSet { secret } => operator.second_factor.clone_from(secret),
            OperatorAct::TokenAdded { token, label, scopes, hash } => {
                directory.operator_token_last = directory.operator_token_last.max(*token);
                operator.tokens.push(OperatorToken {
                    id: *token,
                    label: label.clone(),
                    scopes: scopes.clone(),
                    hash: *hash,
                    added: entry.at,
                });
            }
            OperatorAct::TokenRemoved { token } => {
                operator.tokens.retain(|known| known.id != *token);
            }
            OperatorAct::SignedIn { .. } | OperatorAct::SignedOut { .. } => return Ok(()),
        }
        let kept = postcard::to_stdvec(&operator).map_err(broken)?;
        directory.operators.insert(id, Arc::new(operator));
        self.sql.execute(
            "INSERT INTO operator (id, kept, token_last) VALUES ($1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET kept = excluded.kept, \
             token_last = excluded.token_last",
            &[id.into(), Param::Blob(&kept), directory.operator_token_last.into()],
        )?;
        Ok(())
    }

    /// A look at the content of messages is part of their story.
    /// What the stories of messages tell besides what became of them.
    pub(super) fn apply_beside_story(
        &mut self,
        entry: &Entry,
        seq: RecordSeq,
        at: Place,
    ) -> Result<(), SqlError> {
        let mails = match &entry.record {
            Record::Looked(looked) if looked.at != LookedAt::Story => &looked.mails,
            Record::Healed(healed) => &healed.mails,
            _ => return Ok(()),
        };
        mails.iter().try_for_each(|mail| self.tell_story(*mail, seq, at))
    }

    pub(super) fn load_operators(&mut self) -> Result<(), SqlError> {
        let directory = Arc::make_mut(&mut self.directory);
        let query = "SELECT kept, token_last, removed FROM operator";
        self.sql.query(query, &[], &mut |row| {
            directory.operator_token_last = directory.operator_token_last.max(row.id(1)?);
            if row.int(2)? == 0 {
                let operator: Operator = postcard::from_bytes(row.blob(0)?).map_err(broken)?;
                directory.operators.insert(operator.id, Arc::new(operator));
            }
            Ok(())
        })?;
        self.flow.newest = self.sql.number("SELECT max(minute) FROM flow", &[])?.unwrap_or(0);
        Ok(())
    }
}

impl Record {
    /// Whether it changes who may sign in as an operator.
    pub(crate) fn changes_operators(&self) -> bool {
        match self {
            Self::OperatorChanged(change) => {
                !matches!(change.act, OperatorAct::SignedIn { .. } | OperatorAct::SignedOut { .. })
            }
            _ => false,
        }
    }
}
