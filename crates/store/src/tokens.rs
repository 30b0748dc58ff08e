//! Tokens by which programs sign in to the HTTP API as an account, without its password.

use journal::Disk;
use mail_types::Address;

use crate::record::{Actor, Record};
use crate::{Pending, Refused, Store};

/// Tokens that are worth something at a time.
const TOKENS_MAX: usize = 10_000;
/// Bytes of a label.
const LABEL_BYTES_MAX: usize = 200;

impl<D: Disk> Store<D> {
    /// A new token for an account; answers its id. Only a hash of `text` is kept.
    pub fn add_token(
        &self,
        actor: Actor,
        address: &Address,
        label: String,
        text: &str,
    ) -> Pending<u64> {
        let (address, hash) = (address.clone(), *blake3::hash(text.as_bytes()).as_bytes());
        self.change(move |work| {
            let directory = &work.index.directory;
            let account = directory.by_address.get(&address.folded()).copied();
            let account = account.ok_or_else(|| Refused::Missing(format!("account {address}")))?;
            if directory.tokens.len() >= TOKENS_MAX {
                return Err(Refused::Invalid(format!("there are {TOKENS_MAX} tokens already")));
            }
            if label.len() > LABEL_BYTES_MAX || label.chars().any(char::is_control) {
                return Err(Refused::Invalid(format!(
                    "a label has at most {LABEL_BYTES_MAX} bytes and no control characters"
                )));
            }
            let token = crate::hooks::next_id(work, "SELECT max(id) FROM token")?;
            work.record(&actor, Record::TokenAdded { token, account, label, hash })?;
            Ok(token)
        })
    }

    /// The token is worth nothing any more.
    pub fn remove_token(&self, actor: Actor, token: u64) -> Pending<()> {
        self.change(move |work| {
            if !work.index.directory.tokens.values().any(|known| known.id == token) {
                return Err(Refused::Missing(format!("token {token}")));
            }
            work.record(&actor, Record::TokenRemoved { token })
        })
    }
}
