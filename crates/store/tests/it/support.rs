use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use journal::Disk;
use mail_types::{AccountId, Address, ReversePath, Timestamp};
use store::{
    Actor, Arrived, Credentials, Options, Recipient, Refused, SessionActor, Source, Store, Via,
};

pub const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

pub fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A clock that moves one millisecond at each look, so that runs are the same.
pub fn options() -> Options {
    let now = AtomicI64::new(1_800_000_000_000);
    Options::new(Arc::new(move || Timestamp(now.fetch_add(1, Ordering::Relaxed))))
}

pub fn credentials() -> Credentials {
    Credentials {
        argon2id: "$argon2id$".to_owned(),
        scram_salt: vec![1; 16],
        scram_iterations: 4096,
        scram_stored_key: [2; 32],
        scram_server_key: [3; 32],
    }
}

pub fn operator() -> Actor {
    Actor::Operator { name: "root".to_owned() }
}

pub fn session(account: AccountId) -> SessionActor {
    SessionActor { account, ip: Some(PEER), via: Via::Imap, session: None }
}

/// A domain and two accounts, ann and bob.
pub fn populate<D: Disk>(store: &Store<D>) -> (AccountId, AccountId) {
    populate_or(store).unwrap()
}

/// The same, where the disk may fail.
pub fn populate_or<D: Disk>(store: &Store<D>) -> Result<(AccountId, AccountId), Refused> {
    store.add_domain(operator(), "example.org".parse().unwrap()).wait()?;
    let ann = store.add_account(operator(), address("ann@example.org"), credentials()).wait()?;
    let bob = store.add_account(operator(), address("bob@example.org"), credentials()).wait()?;
    Ok((ann, bob))
}

/// A message from outside, or from ann, to these.
pub fn arrived<D: Disk>(store: &Store<D>, from_outside: bool, to: &[&str], text: &str) -> Arrived {
    let source = if from_outside {
        Source::Smtp { ip: PEER, helo: "mx.example.net".to_owned(), tls: None }
    } else {
        Source::Submission { account: AccountId(1), ip: PEER, tls: None }
    };
    let mut arrival = store.arrival();
    arrival.write(b"Message-ID: <a@example.net>\r\n\r\n").unwrap();
    arrival.write(text.as_bytes()).unwrap();
    let to = to.iter().map(|to| Recipient::plain(address(to))).collect();
    let (mail, from) = (store.next_mail(), (Actor::Peer { ip: PEER }, source));
    Arrived {
        reverse_path: ReversePath::Address(address("eve@example.net")),
        message_id: Some("a@example.net".to_owned()),
        ..Arrived::plain(mail, from, arrival.finish().unwrap(), to)
    }
}
