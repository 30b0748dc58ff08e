//! Makes keys and takes them through their states.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::Ed25519KeyPair;
use mail_types::{Domain, Timestamp, civil_from_days};
use sender_auth::{Algorithm, SigningKey};
use serde_json::{Value, json};
use store::{
    Actor, Directory, DkimAlgorithm, DkimKey, DkimState, NewDkimKey, PrivateKey, Refused, Store,
};

use crate::request::{DkimRequest, Failure, did};

/// How long mail may be on its way after it was signed, the lifetime in others' queues and a
/// holiday counted.
const GRACE: Duration = Duration::from_secs(14 * 86_400);
/// Rotations of one day.
const SUFFIXES: &str = "bcdefghijklmnopqrstuvwxyz";

/// Does what was asked. Blocks until it is durable.
pub fn perform(store: &Store, request: DkimRequest, actor: &Actor) -> Result<Value, Failure> {
    match request {
        DkimRequest::List { domain } => list(store, domain.as_ref()),
        DkimRequest::Prepare { domain } => {
            if !ensure(store, actor, &domain)? {
                let directory = store.directory();
                if !has(&directory, &domain, DkimState::Prepared) {
                    let made = make(&domain, &directory, DkimState::Prepared)?;
                    store.add_dkim_keys(actor.clone(), domain.clone(), made).wait()?;
                }
            }
            list(store, Some(&domain))
        }
        DkimRequest::Activate { domain } => {
            let directory = store.directory();
            if !has(&directory, &domain, DkimState::Prepared) {
                return Err(Failure {
                    what: format!("{domain} has no new keys to sign with"),
                    mend: Some(format!("make them: restante dkim rotate {domain}")),
                });
            }
            let keys = directory.dkim_keys(&domain);
            let next = |key: &DkimKey| match key.state {
                DkimState::Prepared => Some(DkimState::Active),
                DkimState::Active => Some(DkimState::Retired),
                DkimState::Retired | DkimState::Removed => None,
            };
            set(store, actor, &domain, changes(keys, next))?;
            Ok(did(format!(
                "mail of {domain} is signed with the new keys; leave the old records published for \
                 two weeks, then: restante dkim remove"
            )))
        }
        DkimRequest::RotateSrs => {
            new_srs_key(store, actor)?;
            Ok(did(
                "reverse-paths of what is forwarded are made with a new key; those of the key before \
                 it are still taken, older ones no longer"
                    .to_owned(),
            ))
        }
        DkimRequest::Undo { domain } => undo(store, actor, &domain),
        DkimRequest::Remove { domain, selector, force } => {
            remove(store, actor, &domain, &selector, force)
        }
    }
}

/// A domain without keys gets some that sign at once; whether it did. The first one gets a key for
/// reverse-paths of what is forwarded, too.
pub fn ensure(store: &Store, actor: &Actor, domain: &Domain) -> Result<bool, Failure> {
    if !store.directory().has_srs_key() {
        new_srs_key(store, actor)?;
    }
    let directory = store.directory();
    if !directory.dkim_keys(domain).is_empty() {
        return Ok(false);
    }
    let made = make(domain, &directory, DkimState::Active)?;
    store.add_dkim_keys(actor.clone(), domain.clone(), made).wait()?;
    Ok(true)
}

/// Gives keys to the domains that have none, of before there were any; says what to publish.
pub fn ensure_all(store: &Store, stop: &net::Stop) {
    for domain in store.directory().domains() {
        if stop.is_requested() {
            return;
        }
        match ensure(store, &Actor::Server, domain) {
            Ok(false) => {}
            Ok(true) => {
                for key in store.directory().dkim_keys(domain) {
                    let publish = record_line(domain, key);
                    tracing::warn!(%domain, publish, "mail of this domain is signed from now on");
                }
            }
            // It goes on unsigned, and the next start tries again.
            Err(failure) => {
                tracing::error!(%domain, error = failure.what, "the domain has no DKIM keys");
            }
        }
    }
}

/// As in a zone file.
fn record_line(domain: &Domain, key: &DkimKey) -> String {
    let record = crate::zone::txt(&key.public);
    format!("{}._domainkey.{domain}. 3600 IN TXT {record}", key.selector)
}

/// What is forwarded is rewritten with a new key from now on.
fn new_srs_key(store: &Store, actor: &Actor) -> Result<(), Failure> {
    let random: [u8; 32] = net::random_bytes()
        .map_err(|error| Failure { what: format!("no key can be made: {error}"), mend: None })?;
    Ok(store.add_srs_key(actor.clone(), PrivateKey(random.to_vec())).wait()?)
}

fn has(directory: &Directory, domain: &Domain, state: DkimState) -> bool {
    directory.dkim_keys(domain).iter().any(|key| key.state == state)
}

fn changes(
    keys: &[std::sync::Arc<DkimKey>],
    next: impl Fn(&DkimKey) -> Option<DkimState>,
) -> Vec<(String, DkimState)> {
    keys.iter().filter_map(|key| Some((key.selector.clone(), next(key)?))).collect()
}

fn set(
    store: &Store,
    actor: &Actor,
    domain: &Domain,
    states: Vec<(String, DkimState)>,
) -> Result<(), Failure> {
    Ok(store.set_dkim_states(actor.clone(), domain.clone(), states).wait()?)
}

/// The last step backwards.
fn undo(store: &Store, actor: &Actor, domain: &Domain) -> Result<Value, Failure> {
    let directory = store.directory();
    let keys = directory.dkim_keys(domain);
    if has(&directory, domain, DkimState::Prepared) {
        let next = |key: &DkimKey| (key.state == DkimState::Prepared).then_some(DkimState::Removed);
        set(store, actor, domain, changes(keys, next))?;
        return Ok(did(format!("the new keys of {domain} are gone; the old ones go on signing")));
    }
    let retired = keys.iter().filter(|key| key.state == DkimState::Retired);
    let Some(last) = retired.map(|key| key.since).max() else {
        return Err(Failure { what: format!("nothing of {domain} to undo"), mend: None });
    };
    let next = |key: &DkimKey| match key.state {
        DkimState::Retired if key.since == last => Some(DkimState::Active),
        DkimState::Active => Some(DkimState::Prepared),
        DkimState::Retired | DkimState::Prepared | DkimState::Removed => None,
    };
    set(store, actor, domain, changes(keys, next))?;
    Ok(did(format!("mail of {domain} is signed with the keys of before the last rotation")))
}

fn remove(
    store: &Store,
    actor: &Actor,
    domain: &Domain,
    selector: &str,
    force: bool,
) -> Result<Value, Failure> {
    let directory = store.directory();
    let found = directory.dkim_keys(domain).iter().find(|key| key.selector == selector);
    let key =
        found.ok_or_else(|| Refused::Missing(format!("the DKIM key {selector} of {domain}")))?;
    match key.state {
        DkimState::Active => {
            return Err(Failure {
                what: format!("{selector} signs the mail of {domain}"),
                mend: Some(format!("sign with new keys first: restante dkim rotate {domain}")),
            });
        }
        DkimState::Retired if !force && net::now() < key.since.after(GRACE) => {
            return Err(Failure {
                what: format!("mail that {selector} signed may still be on its way"),
                mend: Some(format!("wait until {}, or use --force", key.since.after(GRACE))),
            });
        }
        DkimState::Retired | DkimState::Prepared | DkimState::Removed => {}
    }
    set(store, actor, domain, vec![(selector.to_owned(), DkimState::Removed)])?;
    Ok(did(format!("{selector}._domainkey.{domain} is no longer needed in the DNS")))
}

/// The keys of a domain or of all, without what is secret.
fn list(store: &Store, domain: Option<&Domain>) -> Result<Value, Failure> {
    let directory = store.directory();
    if let Some(domain) = domain.filter(|domain| !directory.is_local(domain)) {
        return Err(Refused::Missing(format!("domain {domain}")).into());
    }
    let wanted = directory.domains().filter(|known| domain.is_none_or(|domain| domain == *known));
    let keys = |domain: &Domain| -> Vec<Value> {
        let keys = directory.dkim_keys(domain).iter();
        keys.map(|key| {
            json!({
                "selector": key.selector,
                "name": format!("{}._domainkey.{domain}", key.selector),
                "algorithm": algorithm(key.algorithm).as_str(),
                "state": key.state.as_str(),
                "since": key.since.to_string(),
                "record": key.public,
            })
        })
        .collect()
    };
    Ok(wanted.map(|domain| json!({ "domain": domain, "keys": keys(domain) })).collect())
}

const fn algorithm(algorithm: DkimAlgorithm) -> Algorithm {
    match algorithm {
        DkimAlgorithm::RsaSha256 => Algorithm::RsaSha256,
        DkimAlgorithm::Ed25519Sha256 => Algorithm::Ed25519Sha256,
    }
}

/// A key of each algorithm, named by the day.
// RFC 8463 §5: signers sign with both, since many verifiers know RSA alone; RFC 8301 §3.2: 2048 bits.
fn make(domain: &Domain, known: &Directory, state: DkimState) -> Result<Vec<NewDkimKey>, Failure> {
    let day = date(net::now());
    let is_free = |suffix: &str| {
        let ends = |key: &DkimKey| key.selector.ends_with(&format!("{day}{suffix}"));
        !known.dkim_keys(domain).iter().any(|key| ends(key))
    };
    let suffixes =
        std::iter::once("").chain(SUFFIXES.split("").filter(|letter| !letter.is_empty()));
    let Some(suffix) = suffixes.into_iter().find(|suffix| is_free(suffix)) else {
        return Err(Failure { what: format!("{domain} has had enough keys today"), mend: None });
    };
    let made = |error: &dyn std::fmt::Display| Failure {
        what: format!("no key can be made: {error}"),
        mend: None,
    };
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|error| made(&error))?;
    let rsa: Pkcs8V1Der<'_> = AsDer::as_der(&rsa).map_err(|error| made(&error))?;
    let ed25519 = Ed25519KeyPair::generate().and_then(|key| key.to_pkcs8());
    let ed25519 = ed25519.map_err(|error| made(&error))?;
    let both = [
        (DkimAlgorithm::RsaSha256, 'r', rsa.as_ref()),
        (DkimAlgorithm::Ed25519Sha256, 'e', ed25519.as_ref()),
    ];
    both.into_iter()
        .map(|(kind, letter, pkcs8)| {
            let selector = format!("{letter}{day}{suffix}");
            let key = SigningKey::from_pkcs8(domain, &selector, algorithm(kind), pkcs8);
            let public = key.map_err(|error| made(&error))?.record();
            let private = PrivateKey(pkcs8.to_vec());
            Ok(NewDkimKey { selector, algorithm: kind, private, public, state })
        })
        .collect()
}

fn date(now: Timestamp) -> String {
    let (year, month, day) = civil_from_days(now.secs().div_euclid(86_400));
    format!("{year:04}{month:02}{day:02}")
}
