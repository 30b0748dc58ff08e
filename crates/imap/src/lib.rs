//! Ports 143 and 993: serves the accounts' mailboxes over IMAP4rev1.
//!
//! The protocol is `imap-machine`'s; here its questions are answered from the store. A selected
//! mailbox is a snapshot followed by what its subscription tells, so sessions hear of each other's
//! changes, and of new mail, as soon as these are durable. `OK` to APPEND is made from the store's
//! receipt alone. It never changes or removes a message that its client did not ask to, and our own
//! trouble is never told as the mail's: it is `NO` with `UNAVAILABLE`, try again.
//!
//! `\Recent` (RFC 3501 §2.3.2) is kept in memory only: what came before a mailbox was first looked
//! at since the server started is recent to nobody.
//!
//! RFCs: 3501 §6.3, §6.4; 4314 (rights count at once); 5465 (NOTIFY); 2180 §4 (expunged messages can be fetched on); 3502 (messages of one APPEND);
//! 4467, 4469 (URLs of messages); 5530 (response codes).

mod access;
mod appending;
mod boxes;
mod caches;
mod content;
mod decoded;
mod matching;
mod metadata;
mod ordering;
mod quota;
mod refusals;
mod selected;
mod session;
mod url_octets;
mod watching;

use std::sync::Arc;

use imap_machine::{Config, Limits};
use mail_types::{Domain, TlsFacts};
use net::{Bell, Link, Stop, drive, now};
use sign_in::SignIn;
use store::Store;

pub use crate::caches::Caches;
use crate::session::Session;

/// What every connection of all IMAP ports shares.
pub struct Shared {
    /// The store.
    pub store: Store,
    /// Who signs in.
    pub sign_in: Arc<SignIn>,
    /// Rung when accounts have changed: sessions of those that are gone end.
    pub accounts: Bell,
    /// Our name, for the greeting.
    pub hostname: Domain,
    /// Whether passwords are taken without TLS from loopback.
    pub plain_sign_in_from_loopback: bool,
    /// Limits of a connection.
    pub limits: Limits,
    /// Names of accounts that are submission servers': they may fetch `submit+` URLs (RFC 4467 §3).
    pub submission_servers: Vec<String>,
    /// What sessions remember for each other; one for the whole server.
    pub caches: Caches,
}

/// What a connection over a limit is told before it is closed.
pub const TOO_MANY_CONNECTIONS: &[u8] =
    b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n";

/// Serves one connection to its end.
pub async fn serve(shared: Arc<Shared>, mut link: Link, stop: Stop) {
    let peer = link.peer();
    let Ok(nonce) = net::nonce() else {
        tracing::error!("the system gives no randomness");
        return;
    };
    let config = Config {
        host: shared.hostname.to_string(),
        starttls: link.can_start_tls(),
        plain_sign_in: shared.plain_sign_in_from_loopback && peer.is_loopback(),
        nonce,
        tokens: shared.sign_in.takes_tokens(),
        limits: shared.limits.clone(),
    };
    // The greeting is written now and sent after the handshake, which then tells the facts.
    let tls = link.begins_with_tls().then(TlsFacts::default);
    let mut machine = imap_machine::Session::new(config, tls, now());
    let mut session = Session::new(shared, peer.ip);
    let ended = drive(&mut link, &mut machine, &mut session, &stop).await;
    tracing::debug!(peer = %peer, ?ended, "imap connection ended");
}
