//! Who may follow: a file each in `standby/invited`, which holds a hash of the secret and not the
//! secret. The certificate of the listener lies beside.

use std::path::{Path, PathBuf};

use mail_types::Timestamp;
use net::PinnedKey;
use serde::{Deserialize, Serialize};

use crate::error::{HubError, hub_io};
use crate::small;
use crate::token::Token;

/// Standbys of one server.
pub const INVITED_MAX: usize = 32;
/// Characters of a name.
const NAME_CHARS_MAX: usize = 64;

/// Somebody who may follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// What the operator calls it.
    pub name: String,
    /// BLAKE3 of its secret.
    pub secret_hash: String,
    /// When it was invited, in milliseconds since 1970.
    pub at: i64,
}

fn dir(root: &Path) -> PathBuf {
    root.join("standby")
}

fn path(root: &Path, name: &str) -> PathBuf {
    dir(root).join("invited").join(format!("{name}.json"))
}

/// Lets one more standby follow; answers its token, which is nowhere else. The certificate is made
/// at the first time.
///
/// # Errors
/// Where the name is taken or none, or files cannot be written.
pub fn invite(root: &Path, name: &str, hostname: &str, now: Timestamp) -> Result<Token, HubError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty()
        || name.len() > NAME_CHARS_MAX
        || !name.chars().all(plain)
        || name.starts_with('.')
    {
        let what = format!("“{name}” is no name: letters, digits, - and _, at most 64");
        return Err(HubError::Name(what));
    }
    let known = invited(root)?;
    if known.iter().any(|invite| invite.name == name) {
        return Err(HubError::Name(format!(
            "{name} is invited already; take another --name, or `restante standby forget {name}` first"
        )));
    }
    if known.len() >= INVITED_MAX {
        return Err(HubError::Name(format!("there are {INVITED_MAX} standbys already")));
    }
    let pin = ensure_key(root, hostname, now)?.pin();
    let token = Token { pin, secret: net::random_bytes()? };
    let secret_hash = Token::secret_hash(&token.secret).to_hex().to_string();
    let invite = Invite { name: name.to_owned(), secret_hash, at: now.millis() };
    let bytes = serde_json::to_vec_pretty(&invite).map_err(std::io::Error::other);
    bytes
        .and_then(|bytes| small::replace(&path(root, name), &bytes))
        .map_err(hub_io("keep the invitation"))?;
    Ok(token)
}

/// All who may follow, by name.
///
/// # Errors
/// Where they cannot be read.
pub fn invited(root: &Path) -> Result<Vec<Invite>, HubError> {
    let place = dir(root).join("invited");
    let entries = match std::fs::read_dir(&place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(hub_io("read the invitations"))?,
    };
    let mut all = Vec::new();
    for entry in entries.take(INVITED_MAX * 2) {
        let path = entry.map_err(hub_io("read the invitations"))?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let bytes = std::fs::read(&path).map_err(hub_io(format!("read {}", path.display())))?;
        let invite: Result<Invite, _> = serde_json::from_slice(&bytes);
        all.push(invite.map_err(|error| {
            hub_io(format!("read {}", path.display()))(std::io::Error::other(error))
        })?);
    }
    all.sort_by(|one: &Invite, other: &Invite| one.name.cmp(&other.name));
    Ok(all)
}

/// It may follow no more; whether it might before.
///
/// # Errors
/// Where the file cannot be removed.
pub fn forget(root: &Path, name: &str) -> Result<bool, HubError> {
    let known = invited(root)?.iter().any(|invite| invite.name == name);
    if known {
        small::remove(&path(root, name)).map_err(hub_io("remove the invitation"))?;
    }
    Ok(known)
}

/// Whose secret this is; all are compared, whatever comes of it.
pub fn whose(root: &Path, secret: &[u8; 32]) -> Result<Option<Invite>, HubError> {
    let hash = Token::secret_hash(secret);
    let mut found = None;
    for invite in invited(root)? {
        // `blake3::Hash` compares in constant time.
        if blake3::Hash::from_hex(&invite.secret_hash).is_ok_and(|known| known == hash) {
            found = Some(invite);
        }
    }
    Ok(found)
}

/// The key of the listener; made where there is none.
pub fn ensure_key(root: &Path, hostname: &str, now: Timestamp) -> Result<PinnedKey, HubError> {
    let (certificate, key) = (dir(root).join("certificate.pem"), dir(root).join("key.pem"));
    if !certificate.exists() || !key.exists() {
        let made = net::self_signed(&[hostname.to_owned()], now)?;
        small::replace(&key, made.key_pem.as_bytes()).map_err(hub_io("keep the key"))?;
        small::replace(&certificate, made.certificate_pem.as_bytes())
            .map_err(hub_io("keep the certificate"))?;
    }
    let read =
        |path: &Path| std::fs::read(path).map_err(hub_io(format!("read {}", path.display())));
    Ok(PinnedKey::from_pem(&read(&certificate)?, &read(&key)?)?)
}
