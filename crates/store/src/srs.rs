//! The Sender Rewriting Scheme: what is forwarded leaves with a reverse-path of ours, so that SPF
//! finds us allowed to send it; what comes back to that address goes on to the first sender. The
//! address itself says who that is, proven by a key and good for some weeks.
//!
//! `SRS0=hash=day=domain=local@ours`, and `SRS1=hash=forwarder==rest@ours` for what another forwarder
//! has rewritten already, which then gets it back without a chain that grows. What does not fit into a
//! local-part that way (RFC 5321 §4.5.3.1.1: 64 octets), or may not stand in one unquoted, is
//! `SRS0=hash=day=number@ours`: the number is that of the message, whose record names its sender.

use std::sync::Arc;

use journal::Disk;
use mail_types::{Address, Domain, Host, MailId, ReversePath, Timestamp};

use crate::directory::{Directory, Resolution};
use crate::dkim_keys::{KeyChange, PrivateKey};
use crate::index::Index;
use crate::record::{Actor, Record};
use crate::sql::{Executor, Param, SqlError};
use crate::{Pending, Refused, Store, StoreError};

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
    original: Original,
    /// None for SRS1: its day is the first forwarder's to judge.
    day: Option<i64>,
}

/// For whom such an address stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Original {
    Address(Address),
    /// Whoever sent this message.
    SenderOf(MailId),
}

impl Directory {
    /// The reverse-path for a message that `domain` forwards; unchanged where there is no key, and
    /// where the sender is of a local domain.
    #[must_use]
    pub fn forwarding_path(
        &self,
        mail: MailId,
        reverse_path: &ReversePath,
        domain: &Domain,
        now: Timestamp,
    ) -> ReversePath {
        let rewritten = match reverse_path {
            ReversePath::Null => None,
            ReversePath::Address(address) => self
                .rewritten(address, domain, now)
                .or_else(|| self.rewritten_by_number(mail, address, domain, now)),
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
            _ => ("SRS0", format!("{}={from}={local}", day_of(now))),
        };
        let text = format!("{scheme}={}={rest}@{domain}", hash(key, scheme, &rest));
        Address::parse(&text).ok()
    }

    /// What does not fit otherwise.
    fn rewritten_by_number(
        &self,
        mail: MailId,
        address: &Address,
        domain: &Domain,
        now: Timestamp,
    ) -> Option<Address> {
        let key = self.srs_keys.first()?;
        address.domain().filter(|from| !self.is_local(from))?;
        let rest = format!("{}={}", day_of(now), base32(mail.0));
        Address::parse(&format!("SRS0={}={rest}@{domain}", hash(key, "SRS0", &rest))).ok()
    }

    /// Who such an address stands for; `None` for any other, and for one that we did not make.
    pub(crate) fn first_sender(&self, address: &Address) -> Option<Resolution> {
        Some(match self.read_rewritten(address)?.original {
            Original::Address(original) => Resolution::Alias(vec![original]),
            Original::SenderOf(mail) => Resolution::SenderOf(mail),
        })
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
            return Some(Rewritten { original: Original::Address(original), day: None });
        }
        let mut parts = rest.splitn(3, '=');
        let (day, host) = (parts.next()?, parts.next()?);
        let day = Some(number_of(day).filter(|_| day.len() == 2)?.cast_signed());
        let Some(local) = parts.next() else {
            let original = Original::SenderOf(MailId(number_of(host)?));
            return Some(Rewritten { original, day });
        };
        let original = Address::parse(&format!("{local}@{host}")).ok()?;
        matches!(original.host, Host::Domain(_))
            .then_some(Rewritten { original: Original::Address(original), day })
    }
}

/// The day of such an address: two digits.
fn day_of(now: Timestamp) -> String {
    let day = now.secs().div_euclid(86_400).rem_euclid(DAYS_CYCLE);
    let digit = |number: i64| char::from(BASE32[(number & 31) as usize]);
    [digit(day >> 5), digit(day)].into_iter().collect()
}

fn base32(number: u64) -> String {
    // 13 digits of 5 bits are 64 bits.
    let digits = (0..13).rev().map(|place| number >> (place * 5) & 31);
    let digits = digits.skip_while(|&digit| digit == 0);
    digits.map(|digit| char::from(BASE32[digit as usize])).collect()
}

/// What [`base32`] wrote, in any case; `None` for what it never writes.
fn number_of(text: &str) -> Option<u64> {
    let digit = |byte: u8| BASE32.iter().position(|&known| known == byte.to_ascii_uppercase());
    (1..=13).contains(&text.len()).then_some(())?;
    text.bytes().try_fold(0_u64, |number, byte| {
        Some(number.checked_mul(32)? | u64::try_from(digit(byte)?).ok()?)
    })
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
    /// Who sent a message, where anybody is to be told of it ([`Resolution::SenderOf`]).
    ///
    /// # Errors
    /// Where index or journal cannot be read.
    pub fn sender_of(&self, mail: MailId) -> Result<Option<Address>, StoreError> {
        let Some(facts) = self.mail_facts(&[mail])?.pop() else { return Ok(None) };
        let (_, accepted) = self.accepted(&facts)?;
        Ok(accepted.reverse_path.address().cloned())
    }

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
