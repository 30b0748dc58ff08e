//! Tokens, keys of requests, imported messages, hooks.

use std::sync::Arc;

use mail_types::{AccountId, Timestamp};

use super::{Index, broken};
use crate::directory::Token;
use crate::record::{Entry, Record};
use crate::sql::{Executor, Param, SqlError};

/// A key of a request is forgotten when another one is used so long after it; settings may ask for
/// less.
const SEND_KEY_KEPT_MS: i64 = 31 * 24 * 3600 * 1000;

impl<E: Executor> Index<E> {
    pub(super) fn apply_door(&mut self, entry: &Entry) -> Result<(), SqlError> {
        match &entry.record {
            Record::TokenAdded { token, account, label, hash } => {
                let added =
                    Token { id: *token, account: *account, label: label.clone(), added: entry.at };
                Arc::make_mut(&mut self.directory).tokens.insert(*hash, added);
                self.sql.execute(
                    "INSERT INTO token (id, account, label, hash, added) \
                     VALUES ($1, $2, $3, $4, $5)",
                    &[
                        (*token).into(),
                        account.0.into(),
                        label.as_str().into(),
                        Param::Blob(hash),
                        entry.at.0.into(),
                    ],
                )?;
            }
            Record::TokenRemoved { token } => {
                Arc::make_mut(&mut self.directory).tokens.retain(|_, known| known.id != *token);
                let remove = "UPDATE token SET removed = 1 WHERE id = $1";
                self.sql.execute(remove, &[(*token).into()])?;
            }
            Record::SendKeyUsed { account, key, request, mail } => {
                let old = entry.at.0.saturating_sub(SEND_KEY_KEPT_MS);
                self.sql.execute("DELETE FROM send_key WHERE used < $1", &[old.into()])?;
                self.sql.execute(
                    "INSERT INTO send_key (account, key, request, mail, used) \
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account, key) DO UPDATE SET \
                     request = excluded.request, mail = excluded.mail, used = excluded.used",
                    &[
                        account.0.into(),
                        Param::Blob(key),
                        Param::Blob(request),
                        mail.0.into(),
                        entry.at.0.into(),
                    ],
                )?;
            }
            Record::Imported { messages, .. } => {
                for (key, mail) in messages {
                    self.sql.execute(
                        "INSERT INTO imported (key, mail) VALUES ($1, $2)",
                        &[Param::Blob(&key.0), mail.0.into()],
                    )?;
                }
            }
            Record::HookSet { hook, url, secret, kinds, from } => {
                self.sql.execute(
                    "INSERT INTO hook (id, url, secret, kinds, head) VALUES ($1, $2, $3, $4, $5)",
                    &[
                        (*hook).into(),
                        url.as_str().into(),
                        Param::Blob(&secret.0),
                        kinds.join(" ").as_str().into(),
                        Param::Blob(from),
                    ],
                )?;
            }
            Record::HookRemoved { hook } => {
                // What signed is of no use any more.
                let remove = "UPDATE hook SET removed = 1, secret = $2 WHERE id = $1";
                self.sql.execute(remove, &[(*hook).into(), Param::Blob(&[])])?;
            }
            Record::HookReached { hook, head } => {
                let reached = "UPDATE hook SET head = $2 WHERE id = $1";
                self.sql.execute(reached, &[(*hook).into(), Param::Blob(head)])?;
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn load_tokens(&mut self) -> Result<(), SqlError> {
        let directory = Arc::make_mut(&mut self.directory);
        let query = "SELECT id, account, label, added, hash FROM token WHERE removed = 0";
        self.sql.query(query, &[], &mut |row| {
            let token = Token {
                id: row.id(0)?,
                account: AccountId(row.id(1)?),
                label: row.text(2)?.to_owned(),
                added: Timestamp(row.int(3)?),
            };
            let hash = <[u8; 32]>::try_from(row.blob(4)?).map_err(broken)?;
            directory.tokens.insert(hash, token);
            Ok(())
        })
    }
}
