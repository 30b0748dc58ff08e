//! Signs mail of ours as it leaves (RFC 6376 §5): with the keys that are active at that moment, so
//! that a rotation holds from the next message on. The kept message stays as its author sent it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mail_types::{Domain, Timestamp};
use sender_auth::{Algorithm, Reading, SigningKey};
use store::{Directory, DkimAlgorithm, DkimKey, PrivateKey, Source, Store};

/// Keys that are kept ready; of more, all are read anew.
const READY_MAX: usize = 10_000;

/// The keys of local domains, ready to sign.
#[derive(Clone)]
pub struct Signing {
    store: Store,
    ready: Arc<Mutex<HashMap<(Domain, String), Ready>>>,
}

/// A key as kept, and ready.
type Ready = (PrivateKey, Arc<SigningKey>);

/// Whether we answer for a message from there: only what our own accounts, or this server itself,
/// have written is signed.
pub const fn is_ours(source: &Source) -> bool {
    match source {
        Source::Submission { .. } | Source::Report { .. } | Source::PeriodReport => true,
        Source::Smtp { .. }
        | Source::Lmtp { .. }
        | Source::Append { .. }
        | Source::Import { .. } => false,
    }
}

impl Signing {
    pub fn new(store: Store) -> Self {
        Self { store, ready: Arc::default() }
    }

    /// The DKIM-Signature fields to put in front of a message; empty where its From (or Resent-From,
    /// where it is resent: RFC 6376 §5.1, who signs takes responsibility) is of no domain that has
    /// active keys. A message is better sent unsigned than not at all.
    pub fn sign(&self, message: &[u8], now: Timestamp) -> String {
        let header = &message[message::header_range(message)];
        let facts = message::HeaderFacts::read(header, &message::Limits::default());
        let from = facts.answerable().iter().find_map(message::EnvelopeAddress::address);
        let Some(from) = from.as_ref().and_then(|address| address.domain()) else {
            return String::new();
        };
        let directory = self.store.directory();
        let Some((domain, keys)) = directory.signing_keys(from) else { return String::new() };
        let keys: Vec<_> = keys.into_iter().filter_map(|key| self.ready(domain, key)).collect();
        if keys.is_empty() {
            return String::new();
        }
        let mut reading = Reading::for_signing();
        reading.write(message);
        let examined = reading.finish();
        keys.iter().map(|key| examined.sign(key, now)).collect()
    }

    pub fn directory(&self) -> Arc<Directory> {
        self.store.directory()
    }

    /// Reading a key takes longer than signing with it.
    pub fn ready(&self, domain: &Domain, key: &DkimKey) -> Option<Arc<SigningKey>> {
        let place = (domain.clone(), key.selector.clone());
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((private, known)) = ready.get(&place)
            && *private == key.private
        {
            return Some(Arc::clone(known));
        }
        let algorithm = match key.algorithm {
            DkimAlgorithm::RsaSha256 => Algorithm::RsaSha256,
            DkimAlgorithm::Ed25519Sha256 => Algorithm::Ed25519Sha256,
        };
        match SigningKey::from_pkcs8(domain, &key.selector, algorithm, &key.private.0) {
            Ok(signing) => {
                if ready.len() >= READY_MAX {
                    ready.clear();
                }
                let signing = Arc::new(signing);
                ready.insert(place, (key.private.clone(), Arc::clone(&signing)));
                Some(signing)
            }
            Err(error) => {
                tracing::error!(%error, "mail goes out without this signature");
                None
            }
        }
    }
}
