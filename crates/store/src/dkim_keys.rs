//! Keys that mail of local domains is signed with (DKIM, RFC 6376). Each goes one way: published
//! before it signs, signing, published for a while after it has signed, gone; every step is a
//! record and can be taken back.

use std::sync::Arc;

use journal::Disk;
use mail_types::{Domain, Timestamp};
use serde::{Deserialize, Serialize};

use crate::commit::Work;
use crate::directory::Directory;
use crate::index::{Index, broken, parsed};
use crate::record::{Actor, Record};
use crate::sql::{Executor, Param, Row, SqlError};
use crate::{Pending, Refused, Store};

/// Keys that one domain can have at a time.
const KEYS_MAX: usize = 32;

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DkimAlgorithm {
    /// RFC 6376 §3.3.2.
    RsaSha256,
    /// RFC 8463.
    Ed25519Sha256,
}

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DkimState {
    /// To be published; does not sign yet.
    Prepared,
    /// Signs.
    Active,
    /// Signs no longer; stays published while mail that it signed is on its way.
    Retired,
    /// Gone. It may come back under its selector.
    Removed,
}

impl DkimState {
    /// For people and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Removed => "removed",
        }
    }
}

/// A private key in PKCS #8.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateKey(pub Vec<u8>);

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// A key of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimKey {
    /// Where it is published: `selector._domainkey.domain`.
    pub selector: String,
    /// How it signs.
    pub algorithm: DkimAlgorithm,
    /// What signs.
    pub private: PrivateKey,
    /// The TXT record to publish.
    pub public: String,
    /// What is done with it.
    pub state: DkimState,
    /// Since when.
    pub since: Timestamp,
}

/// What becomes of a key that mail leaves with. New variants come at the end, as with records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyChange {
    /// A domain has a new key to sign its mail with (RFC 6376).
    DkimAdded {
        /// The domain.
        domain: Domain,
        /// The key.
        key: NewDkimKey,
    },
    /// Something else is done with a key from now on.
    DkimStateSet {
        /// Its domain.
        domain: Domain,
        /// Its selector.
        selector: String,
        /// What.
        state: DkimState,
    },
    /// The reverse-path of what is forwarded is rewritten with this key from now on.
    SrsAdded {
        /// The key.
        key: PrivateKey,
    },
}

/// A key that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDkimKey {
    /// Not one that the domain has or ever had.
    pub selector: String,
    /// How it signs.
    pub algorithm: DkimAlgorithm,
    /// What signs.
    pub private: PrivateKey,
    /// The TXT record to publish.
    pub public: String,
    /// [`DkimState::Prepared`] or [`DkimState::Active`].
    pub state: DkimState,
}

impl Directory {
    /// The keys of a domain that are not gone, by selector.
    #[must_use]
    pub fn dkim_keys(&self, domain: &Domain) -> &[Arc<DkimKey>] {
        self.dkim_keys.get(domain).map_or(&[], Vec::as_slice)
    }

    /// The keys that sign mail whose From is of this domain, and the domain they sign for: itself,
    /// or the nearest local one above it.
    #[must_use]
    pub fn signing_keys(&self, from: &Domain) -> Option<(&Domain, Vec<&Arc<DkimKey>>)> {
        let mut found: Option<(&Domain, Vec<&Arc<DkimKey>>)> = None;
        for domain in self.domains().filter(|domain| from.is_within(domain)) {
            let keys = self.dkim_keys(domain).iter();
            let keys: Vec<_> = keys.filter(|key| key.state == DkimState::Active).collect();
            let is_nearer = found.as_ref().is_none_or(|(other, _)| domain.is_within(other));
            if !keys.is_empty() && is_nearer {
                found = Some((domain, keys));
            }
        }
        found
    }
}

impl<D: Disk> Store<D> {
    /// A local domain has these keys too; all of them or none.
    pub fn add_dkim_keys(
        &self,
        actor: Actor,
        domain: Domain,
        keys: Vec<NewDkimKey>,
    ) -> Pending<()> {
        self.change(move |work| {
            let known = known(work, &domain)?;
            if known.len() + keys.len() > KEYS_MAX {
                return Err(Refused::Invalid(format!("domain {domain} has {KEYS_MAX} DKIM keys")));
            }
            for key in keys {
                if known.iter().any(|other| other.selector == key.selector) {
                    return Err(Refused::Exists(format!("the DKIM selector {}", key.selector)));
                }
                let domain = domain.clone();
                let added = Record::KeyChanged(Box::new(KeyChange::DkimAdded { domain, key }));
                work.record(&actor, added)?;
            }
            Ok(())
        })
    }

    /// Keys of a local domain are in these states from now on; all of them or none.
    pub fn set_dkim_states(
        &self,
        actor: Actor,
        domain: Domain,
        states: Vec<(String, DkimState)>,
    ) -> Pending<()> {
        self.change(move |work| {
            let known = known(work, &domain)?;
            if let Some((selector, _)) = states
                .iter()
                .find(|(selector, _)| known.iter().all(|key| key.selector != *selector))
            {
                return Err(Refused::Missing(format!("the DKIM key {selector} of {domain}")));
            }
            for (selector, state) in states {
                let domain = domain.clone();
                let set = KeyChange::DkimStateSet { domain, selector, state };
                work.record(&actor, Record::KeyChanged(Box::new(set)))?;
            }
            Ok(())
        })
    }
}

fn known(work: &Work<'_>, domain: &Domain) -> Result<Vec<Arc<DkimKey>>, Refused> {
    let directory = &work.index.directory;
    if !directory.is_local(domain) {
        return Err(Refused::Missing(format!("domain {domain}")));
    }
    Ok(directory.dkim_keys(domain).to_vec())
}

impl<E: Executor> Index<E> {
    pub(crate) fn apply_key(&mut self, change: &KeyChange, at: Timestamp) -> Result<(), SqlError> {
        match change {
            KeyChange::DkimAdded { domain, key } => {
                let NewDkimKey { selector, algorithm, private, public, state } = key.clone();
                let key = DkimKey { selector, algorithm, private, public, state, since: at };
                self.keep_dkim(domain, &key)
            }
            KeyChange::DkimStateSet { domain, selector, state } => {
                let mut known = self.directory.dkim_keys(domain).iter();
                let Some(key) = known.find(|key| key.selector == *selector) else {
                    return Ok(());
                };
                let key = DkimKey { state: *state, since: at, ..DkimKey::clone(key) };
                self.keep_dkim(domain, &key)
            }
            KeyChange::SrsAdded { key } => self.keep_srs(key, at),
        }
    }

    fn keep_dkim(&mut self, domain: &Domain, key: &DkimKey) -> Result<(), SqlError> {
        let directory = Arc::make_mut(&mut self.directory);
        let keys = directory.dkim_keys.entry(domain.clone()).or_default();
        keys.retain(|other| other.selector != key.selector);
        let place = [domain.as_str().into(), key.selector.as_str().into()];
        if key.state == DkimState::Removed {
            self.sql.execute("DELETE FROM dkim_key WHERE domain = $1 AND selector = $2", &place)?;
            return Ok(());
        }
        keys.push(Arc::new(key.clone()));
        keys.sort_by(|a, b| a.selector.cmp(&b.selector));
        let bytes = postcard::to_stdvec(&(key.algorithm, &key.private, &key.public, key.state))
            .map_err(broken)?;
        let [domain, selector] = place;
        self.sql.execute(
            "INSERT INTO dkim_key (domain, selector, key, since) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (domain, selector) DO UPDATE SET key = excluded.key, since = excluded.since",
            &[domain, selector, Param::Blob(&bytes), key.since.0.into()],
        )?;
        Ok(())
    }
}

/// A key from its row: domain, selector, key, since.
pub(crate) fn key_from(row: &dyn Row) -> Result<(Domain, DkimKey), SqlError> {
    let domain = parsed(row.text(0)?)?;
    let (algorithm, private, public, state) = postcard::from_bytes(row.blob(2)?).map_err(broken)?;
    let (selector, since) = (row.text(1)?.to_owned(), Timestamp(row.int(3)?));
    Ok((domain, DkimKey { selector, algorithm, private, public, state, since }))
}
