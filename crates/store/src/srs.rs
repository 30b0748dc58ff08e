//! The Sender Rewriting Scheme: what is forwarded leaves with a reverse-path of ours, so that SPF
//! finds us allowed to send it; what comes back to that address goes on to the first sender. The
//! address itself says who that is, proven by a key and good for some weeks.
//!
//! `SRS0=hash=day=domain=local@ours`, and `SRS1=hash=forwarder==rest@ours` for what another forwarder
//! has rewritten already, which then gets it back without a chain that grows.

use std::sync::Arc;

use journal::Disk;
use mail_types::{Address, Domain, Host, ReversePath, Timestamp};

use crate::directory::Directory;
use crate::dkim_keys::{KeyChange, PrivateKey};
use crate::index::Index;
use crate::record::{Actor, Record};
use crate::sql::{Executor, Param, SqlError};
use crate::{Pending, Refused, Store};

/// Keys that are taken: the one that rewrites, and the one before it.
const KEYS_MAX: usize = 2;
/// For how many days such an address is good: longer than mail is tried anywhere.
const DAYS_MAX: i64 = 21;
/// Days are counted modulo this: two characters.
const DAYS_CYCLE: i64 = 1024;
/// Characters of a hash: 30 bits, as much as fits beside a long address.
const HASH_CHARS: usize = 6;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What an address says that was rewritten here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rewritten {
    original: Address,
    /// None for SRS1: its day is the first forwarder's to judge.
    day: Option<i64>,
}

impl Directory {
    /// The reverse-path for a message that `domain` forwards; unchanged where there is no key, where
    /// the sender is of a local domain, and where the address would be too long.
    #[must_use]
    pub fn forwarding_path(
        &self,
        reverse_path: &ReversePath,
        domain: &Domain,
        now: Timestamp,
    ) -> ReversePath {
        let rewritten = match reverse_path {
            ReversePath::Null => None,
            ReversePath::Address(address) => self.rewritten(address, domain, now),
        };
        rewritten.map_or_else(|| reverse_path.clone(), ReversePath::Address)
    }

    fn rewritten(&self, address: &Address, domain: &Domain, now: Timestamp) -> Option<Address> {
        let key = self.srs_keys.first()?;
        let from = address.domain().filter(|from| !self.is_local(from))?;
        let local = address.localpart.as_str();
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\(),:;<>@[]".contains(&byte);
        if !local.bytes().all(is_plain) {
            return None;
        }
        let tag = local.get(..4).map(str::to_ascii_uppercase);
        let separated = local.get(4..5).is_some_and(|c| "=+-".contains(c));
        let (scheme, rest) = match tag.as_deref() {
            Some("SRS0") if separated => ("SRS1", format!("{from}={}", &local[4..])),
            // Another hop: the hash is ours, the rest stays.
            Some("SRS1") if separated => ("SRS1", local[5..].split_once('=')?.1.to_owned()),
            _ => {
                let day = now.secs().div_euclid(86_400).rem_euclid(DAYS_CYCLE);
                let digit = |number: i64| char::from(BASE32[(number & 31) as usize]);
                ("SRS0", format!("{}{}={from}={local}", digit(day >> 5), digit(day)))
            }
        };
        let text = format!("{scheme}={}={rest}@{domain}", hash(key, scheme, &rest));
        Address::parse(&text).ok()
    }

    /// Who such an address stands for; `None` for any other, and for one that we did not make.
    pub(crate) fn first_sender(&self, address: &Address) -> Option<Address> {
        self.read_rewritten(address).map(|rewritten| rewritten.original)
    }

    /// Whether this address was rewritten here, too long ago to be good.
    #[must_use]
    pub fn is_stale_forward(&self, address: &Address, now: Timestamp) -> bool {
        let Some(Rewritten { day: Some(day), .. }) = self.read_rewritten(address) else {
            return false;
        };
        let today = now.secs().div_euclid(86_400);
        (today - day).rem_euclid(DAYS_CYCLE) > DAYS_MAX
    }

    fn read_rewritten(&self, address: &Address) -> Option<Rewritten> {
        let local = address.localpart.as_str();
        let scheme = local.get(..5)?.to_ascii_uppercase();
        let (said, rest) = local.get(5..)?.split_once('=')?;
        let scheme = scheme.strip_suffix('=').filter(|it| matches!(*it, "SRS0" | "SRS1"))?;
        let made = |key: &Arc<PrivateKey>| hash(key, scheme, rest).eq_ignore_ascii_case(said);
        if !self.srs_keys.iter().any(made) {
            return None;
        }
        if scheme == "SRS1" {
            let (host, rest) = rest.split_once('=')?;
            let original = Address::parse(&format!("SRS0{rest}@{host}")).ok()?;
            return Some(Rewritten { original, day: None });
        }
        let mut parts = rest.splitn(3, '=');
        let (day, host, local) = (parts.next()?, parts.next()?, parts.next()?);
        let digit = |byte: u8| {
            BASE32.iter().position(|&known| known == byte.to_ascii_uppercase()).map(|at| at as i64)
        };
        let &[high, low] = day.as_bytes() else { return None };
        let original = Address::parse(&format!("{local}@{host}")).ok()?;
        matches!(original.host, Host::Domain(_))
            .then_some(Rewritten { original, day: Some(digit(high)? << 5 | digit(low)?) })
    }
}

/// Case does not count: some hosts change it.
fn hash(key: &PrivateKey, scheme: &str, rest: &str) -> String {
    let key = blake3::hash(&key.0);
    let text = format!("{scheme}={}", rest.to_ascii_lowercase());
    let hash = blake3::keyed_hash(key.as_bytes(), text.as_bytes());
    let octets = hash.as_bytes().iter().take(HASH_CHARS);
    octets.map(|octet| char::from(BASE32[usize::from(octet & 31)])).collect()
}

impl<D: Disk> Store<D> {
    /// What is forwarded is rewritten with this key from now on; the one before it is still taken.
    pub fn add_srs_key(&self, actor: Actor, key: PrivateKey) -> Pending<()> {
        self.change(move |work| {
            if key.0.len() < 32 {
                return Err(Refused::Invalid("a key of fewer than 32 octets".to_owned()));
            }
            let added = KeyChange::SrsAdded { key };
            work.record(&actor, Record::KeyChanged(Box::new(added)))
        })
    }
}

impl<E: Executor> Index<E> {
    pub(crate) fn keep_srs(&mut self, key: &PrivateKey, at: Timestamp) -> Result<(), SqlError> {
        let keys = &mut Arc::make_mut(&mut self.directory).srs_keys;
        keys.insert(0, Arc::new(key.clone()));
        keys.truncate(KEYS_MAX);
        // Place 1 rewrites.
        self.sql.execute("DELETE FROM srs_key WHERE place = 2", &[])?;
        self.sql.execute("UPDATE srs_key SET place = 2", &[])?;
        let insert = "INSERT INTO srs_key (place, key, since) VALUES (1, $1, $2)";
        self.sql.execute(insert, &[Param::Blob(&key.0), at.0.into()])?;
        Ok(())
    }
}

impl Directory {
    /// Whether what is forwarded can be rewritten.
    #[must_use]
    pub fn has_srs_key(&self) -> bool {
        !self.srs_keys.is_empty()
    }
}
