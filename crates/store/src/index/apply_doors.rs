//! Tokens, keys of requests, imported messages, hooks.

use std::sync::Arc;

use mail_types::{AccountId, RecordSeq, Timestamp};

use super::{Index, broken};
use crate::directory::Token;
use crate::hooks::HOOK_TRIES_KEPT;
use crate::record::{Entry, HookTry, Record};
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
                let forget = "DELETE FROM hook_log WHERE hook = $1";
                self.sql.execute(forget, &[(*hook).into()])?;
            }
            Record::HookReached { hook, head } => {
                let reached = "UPDATE hook SET head = $2 WHERE id = $1";
                self.sql.execute(reached, &[(*hook).into(), Param::Blob(head)])?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Keeps the latest tries of a hook.
    pub(super) fn hook_tried(
        &mut self,
        hook: u64,
        tries: &[HookTry],
        seq: RecordSeq,
    ) -> Result<(), SqlError> {
        for (place, one) in (0_u64..).zip(tries) {
            self.sql.execute(
                "INSERT INTO hook_log (hook, seq, place, at, event, kind, said, told) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                &[
                    hook.into(),
                    seq.0.into(),
                    place.into(),
                    one.at.0.into(),
                    one.event.as_str().into(),
                    one.kind.as_str().into(),
                    one.said.as_str().into(),
                    i64::from(one.told).into(),
                ],
            )?;
        }
        self.sql.execute(
            "DELETE FROM hook_log WHERE hook = $1 AND (seq, place) NOT IN (SELECT seq, place \
             FROM hook_log WHERE hook = $1 ORDER BY seq DESC, place DESC LIMIT $2)",
            &[hook.into(), (HOOK_TRIES_KEPT as u64).into()],
        )?;
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
