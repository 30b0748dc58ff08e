//! Ports 110 and 995: lets mail programs fetch the inbox over POP3.
//!
//! The protocol is `pop3-machine`'s; here the maildrop is a reference to the state of the account's
//! INBOX at sign-in, of which all sessions of all protocols share one copy, and QUIT removes what was marked in one commit. A message is never removed by
//! anything else: not by reading it, a lost connection, a timeout or a stop. What is removed stays
//! in the store's archive.
//!
//! RFCs: 1939 §4 (exclusive-access lock), §7 (unique ids); 2449 §8.1.1 (IN-USE).

mod ahead;
mod locks;
mod session;

use std::sync::Arc;
use std::time::Duration;

use mail_types::Domain;
use net::{Bell, Link, Stop, drive, now};
use pop3_machine::{Config, TlsOffer};
use sign_in::SignIn;
use store::Store;

pub use crate::ahead::Reads;
pub use crate::locks::Locks;
use crate::session::Session;

/// What every connection of all POP3 ports shares.
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
    /// A session without input for so long is ended; RFC 1939 §3: at least ten minutes.
    pub idle: Duration,
    /// A client has so long to sign in.
    pub sign_in_timeout: Duration,
    /// Which maildrops are open; one for the whole server.
    pub locks: Locks,
    /// Turns at reading; one for the whole server.
    pub reads: Reads,
}

/// What a connection over a limit is told before it is closed.
pub const TOO_MANY_CONNECTIONS: &[u8] =
    b"-ERR [SYS/TEMP] Too many connections, try again later\r\n";

/// Serves one connection to its end.
pub async fn serve(shared: Arc<Shared>, mut link: Link, stop: Stop) {
    let peer = link.peer();
    let Ok(nonce) = net::nonce() else {
        tracing::error!("the system gives no randomness");
        return;
    };
    let tls = match (link.begins_with_tls(), link.can_start_tls()) {
        (true, _) => TlsOffer::Implicit,
        (false, true) => TlsOffer::Stls,
        (false, false) => TlsOffer::None,
    };
    let mut config = Config::new(shared.hostname.to_string(), tls, nonce);
    config.sign_in_without_tls = shared.plain_sign_in_from_loopback && peer.is_loopback();
    config.tokens = shared.sign_in.takes_tokens();
    config.idle = shared.idle;
    config.sign_in_timeout = shared.sign_in_timeout;
    let mut machine = pop3_machine::Session::new(config, now());
    let mut session = Session::new(shared, peer.ip);
    let ended = drive(&mut link, &mut machine, &mut session, &stop).await;
    tracing::debug!(peer = %peer, ?ended, "pop3 connection ended");
}
