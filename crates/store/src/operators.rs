//! Operators: the people who look after this server over its console and HTTP API. They are no mail
//! accounts; their names, roles and passwords stand by themselves.

use std::sync::Arc;

use journal::Disk;
use mail_types::{AccountId, RecordSeq, Timestamp};
use serde::{Deserialize, Serialize};

use crate::commit::Work;
use crate::record::{Actor, Entry, Place, Record, Source};
use crate::record_operator::{
    Looked, OperatorAct, OperatorChange, OperatorPassword, OperatorRole, TotpSecret,
};
use crate::sql::Executor;
use crate::trace::Event;
use crate::{Pending, Refused, Store, StoreError};

/// Operators at a time.
const OPERATORS_MAX: usize = 1000;
/// Tokens of one operator.
const TOKENS_MAX: usize = 100;
/// Characters of an operator's name.
const NAME_CHARS_MAX: usize = 64;
/// Bytes of a token's label.
const LABEL_BYTES_MAX: usize = 200;
/// Bytes that are kept of what somebody asked for, or what a browser calls itself.
const WORDS_BYTES_MAX: usize = 300;
/// Messages that one look names; more are shown by no page at once.
const LOOKED_MAX: usize = 1000;

/// An operator as of now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Its number, never given out twice.
    pub id: u64,
    /// Its name at sign-in: lower case.
    pub name: String,
    /// What it may do.
    pub role: OperatorRole,
    /// Its password.
    pub password: OperatorPassword,
    /// What its codes are made from, where it has a second factor.
    pub second_factor: Option<TotpSecret>,
    /// By which programs sign in.
    pub tokens: Vec<OperatorToken>,
    /// When it was added.
    pub added: Timestamp,
}

/// A token of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorToken {
    /// Its number.
    pub id: u64,
    /// What it is for.
    pub label: String,
    /// What it is good for, as `trace:read`; none: everything its operator may do.
    pub scopes: Vec<String>,
    /// BLAKE3 of the token.
    pub hash: [u8; 32],
    /// When it was made.
    pub added: Timestamp,
}

/// How an operator's name is kept and compared.
#[must_use]
pub fn operator_name(text: &str) -> String {
    text.trim().to_lowercase()
}

impl<D: Disk> Store<D> {
    /// A new operator; answers its number.
    pub fn add_operator(
        &self,
        actor: Actor,
        name: &str,
        role: OperatorRole,
        password: OperatorPassword,
    ) -> Pending<u64> {
        let name = operator_name(name);
        self.change(move |work| {
            check_name(&name)?;
            check_role(work, &role)?;
            let operators = &work.index.directory.operators;
            if operators.len() >= OPERATORS_MAX {
                return Err(Refused::Invalid(format!("there are {OPERATORS_MAX} already")));
            }
            if operators.values().any(|known| known.name == name) {
                return Err(Refused::Exists(format!("operator {name}")));
            }
            let operator = crate::hooks::next_id(work, "SELECT max(id) FROM operator")?;
            let act = OperatorAct::Added { name, role, password };
            work.record(&actor, operator_record(operator, act))?;
            Ok(operator)
        })
    }

    /// Something else about the operator of this name: it is checked that it is possible.
    pub fn change_operator(&self, actor: Actor, name: &str, act: OperatorAct) -> Pending<()> {
        let name = operator_name(name);
        self.change(move |work| {
            let operator = named(work, &name)?;
            match &act {
                OperatorAct::RoleSet { role } => check_role(work, role)?,
                OperatorAct::TokenRemoved { token } => {
                    if !operator.tokens.iter().any(|known| known.id == *token) {
                        return Err(Refused::Missing(format!("token {token} of {name}")));
                    }
                }
                OperatorAct::Added { .. } | OperatorAct::TokenAdded { .. } => {
                    return Err(Refused::Invalid("that is another command".to_owned()));
                }
                OperatorAct::Removed
                | OperatorAct::PasswordSet { .. }
                | OperatorAct::SecondFactorSet { .. }
                | OperatorAct::SignedIn { .. }
                | OperatorAct::SignedOut { .. } => {}
            }
            work.record(&actor, operator_record(operator.id, short(act)))
        })
    }

    /// A new token for an operator; answers its number. Only a hash of `text` is kept.
    pub fn add_operator_token(
        &self,
        actor: Actor,
        name: &str,
        label: String,
        scopes: Vec<String>,
        text: &str,
    ) -> Pending<u64> {
        let (name, hash) = (operator_name(name), *blake3::hash(text.as_bytes()).as_bytes());
        self.change(move |work| {
            let operator = named(work, &name)?;
            if operator.tokens.len() >= TOKENS_MAX {
                return Err(Refused::Invalid(format!("{name} has {TOKENS_MAX} tokens already")));
            }
            if label.len() > LABEL_BYTES_MAX || label.chars().any(char::is_control) {
                return Err(Refused::Invalid(format!(
                    "a label has at most {LABEL_BYTES_MAX} bytes and no control characters"
                )));
            }
            let last = operator.tokens.iter().map(|known| known.id).max().unwrap_or(0);
            let token = last.max(work.index.directory.operator_token_last) + 1;
            let act = OperatorAct::TokenAdded { token, label, scopes, hash };
            work.record(&actor, operator_record(operator.id, act))?;
            Ok(token)
        })
    }

    /// Somebody looked at mail: durable before it is shown.
    pub fn looked(&self, actor: Actor, mut looked: Looked) -> Pending<()> {
        looked.asked = shortened(looked.asked);
        looked.mails.truncate(LOOKED_MAX);
        self.change(move |work| work.record(&actor, Record::Looked(Box::new(looked))))
    }

    /// The address of an account, also of one that is removed.
    ///
    /// # Errors
    /// The index's.
    pub fn account_address(&self, account: AccountId) -> Result<Option<String>, StoreError> {
        self.read(|sql| {
            let mut address = None;
            let query = "SELECT address FROM account WHERE id = $1";
            sql.query(query, &[account.0.into()], &mut |row| {
                address = Some(row.text(0)?.to_owned());
                Ok(())
            })?;
            Ok(address)
        })
    }

    /// What operators did, over the console and on the command line: the latest first, at most so
    /// many, before this record; of one of them alone, where a name is given (as [`Audited::who`]).
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn operator_log(
        &self,
        before: Option<RecordSeq>,
        who: Option<&str>,
        count_max: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let before = before.map_or(i64::MAX, |before| before.0.cast_signed());
        let limit = i64::try_from(count_max).unwrap_or(i64::MAX);
        let places = self.read(|sql| {
            let mut places = Vec::new();
            let mut each = |row: &dyn crate::sql::Row| {
                let segment = u32::try_from(row.int(1)?).unwrap_or(u32::MAX);
                places.push((RecordSeq(row.id(0)?), Place { segment, offset: row.id(2)? }));
                Ok(())
            };
            match who {
                None => sql.query(
                    "SELECT seq, segment, place FROM audit WHERE seq < $1 ORDER BY seq DESC \
                     LIMIT $2",
                    &[before.into(), limit.into()],
                    &mut each,
                )?,
                Some(who) => sql.query(
                    "SELECT seq, segment, place FROM audit WHERE who = $3 AND seq < $1 \
                     ORDER BY seq DESC LIMIT $2",
                    &[before.into(), limit.into(), who.into()],
                    &mut each,
                )?,
            }
            Ok(places)
        })?;
        let mut events = Vec::with_capacity(places.len());
        for (seq, at) in places {
            events.push(Event { seq, entry: self.entry_at(at)? });
        }
        Ok(events)
    }
}

/// Who did something that the audit log has: `ann (console)` or `root (command line)`; none where it
/// is nothing for it.
#[must_use]
pub fn audited(entry: &Entry) -> Option<String> {
    let who = match &entry.actor {
        Actor::Operator { name } => format!("{name} (command line)"),
        Actor::Console { operator, .. } => format!("{operator} (console)"),
        Actor::Peer { .. } | Actor::Account { .. } | Actor::Session { .. } | Actor::Server => {
            return None;
        }
    };
    // Importing is one act and many records, of which the messages tell; an account comes with
    // mailboxes.
    let many = match &entry.record {
        // What was brought into a mailbox by hand is one.
        Record::Accepted(accepted) => !matches!(accepted.source, Source::Append { .. }),
        record => matches!(
            record,
            Record::Imported { .. }
                | Record::FlagsSet { .. }
                | Record::MailboxCreated { .. }
                | Record::Subscription { .. }
        ),
    };
    (!many).then_some(who)
}

fn operator_record(operator: u64, act: OperatorAct) -> Record {
    Record::OperatorChanged(Box::new(OperatorChange { operator, act }))
}

fn named(work: &Work<'_>, name: &str) -> Result<Arc<Operator>, Refused> {
    let operators = &work.index.directory.operators;
    let found = operators.values().find(|known| known.name == name);
    found.cloned().ok_or_else(|| Refused::Missing(format!("operator {name}")))
}

fn check_name(name: &str) -> Result<(), Refused> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    let count = name.chars().count();
    if count == 0 || count > NAME_CHARS_MAX || !name.chars().all(fits) {
        return Err(Refused::Invalid(format!(
            "an operator's name has 1 to {NAME_CHARS_MAX} letters, digits, dots, dashes, \
             underscores and @"
        )));
    }
    Ok(())
}

fn check_role(work: &Work<'_>, role: &OperatorRole) -> Result<(), Refused> {
    let OperatorRole::DomainAdmin { domains } = role else { return Ok(()) };
    if domains.is_empty() {
        return Err(Refused::Invalid("a domain-admin needs at least one domain".to_owned()));
    }
    match domains.iter().find(|domain| !work.index.directory.is_local(domain)) {
        Some(domain) => Err(Refused::Missing(format!("domain {domain}"))),
        None => Ok(()),
    }
}

fn short(act: OperatorAct) -> OperatorAct {
    match act {
        OperatorAct::SignedIn { ip, agent } => {
            OperatorAct::SignedIn { ip, agent: shortened(agent) }
        }
        other => other,
    }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(WORDS_BYTES_MAX));
    text.retain(|c| !c.is_control());
    text
}
