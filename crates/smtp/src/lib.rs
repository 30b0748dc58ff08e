//! Ports 25, 587 and 465, and LMTP: takes mail from other servers, from the accounts' mail programs
//! and from hosts of our own in front of us.
//!
//! The protocol is `smtp-machine`'s; here it is decided who may send what to whom, the trace
//! header is put in front, the sender is checked (`sender-auth`) and judged (`judge`), and the
//! message is handed to the store. The only way to a `250` is the store's receipt. It never sends
//! mail on (that is `deliver`) and never judges content.
//!
//! RFCs: 5321 §3.6 (no open relay), §4.4 (trace), §6.3 (loops); 6409 §6.1, §8 (submission);
//! 2033 (LMTP); 2852 (DELIVERBY); 8601 (Authentication-Results).

mod arriving;
mod checks;
mod delivered;
mod judged;
mod session;
mod submitted;

use std::sync::Arc;
use std::time::Duration;

use mail_types::{Address, Domain, Priority};
use net::{Link, Stop, drive};
use sign_in::SignIn;
use smtp_machine::server::{Config, Limits, Role, Server, Tls};
use store::Store;

pub use crate::checks::Checks;
pub use crate::delivered::late_report;
use crate::session::Session;
pub use crate::submitted::{NotTaken, Submitted, submit};
pub use smtp_machine::HoldFor;

/// What every connection of a port shares.
pub struct Shared {
    /// The store.
    pub store: Store,
    /// Who signs in.
    pub sign_in: Arc<SignIn>,
    /// Our name.
    pub hostname: Domain,
    /// What the port is for.
    pub role: Role,
    /// How senders are checked; not at all where none.
    pub checks: Option<Arc<Checks>>,
    /// Who may connect; everybody where none.
    pub clients: Option<net::Trusted>,
    /// Whether passwords are taken without TLS from loopback.
    pub plain_sign_in_from_loopback: bool,
    /// Limits of a connection.
    pub limits: Limits,
    /// For how long a submitted message may be held (RFC 4865); not offered where none.
    pub hold_max: Option<Duration>,
    /// The highest priority that who submits gets (RFC 6710).
    pub priority_max: Priority,
    /// The least time after which a message may have to go back (RFC 2852); not offered where none.
    pub deliver_by_min: Option<Duration>,
    /// Whether an account may write what it likes into From; its envelope sender stays its own.
    pub any_from: Box<dyn Fn(&Address) -> bool + Send + Sync>,
    /// `Received` fields in one message; more is a loop (RFC 5321 §6.3).
    pub received_fields_max: usize,
}

/// What a connection over a limit is told before it is closed.
pub const TOO_MANY_CONNECTIONS: &[u8] = b"421 4.7.0 Too many connections, try again later\r\n";

/// What a client that may not connect is told in place of the greeting.
const NOT_FOR_YOU: &str = "Your address is none of those that may use this port";

/// Serves one connection to its end.
pub async fn serve(shared: Arc<Shared>, mut link: Link, stop: Stop) {
    let peer = link.peer();
    let Ok(nonce) = net::nonce() else {
        tracing::error!("the system gives no randomness");
        return;
    };
    let tls = match (link.begins_with_tls(), link.can_start_tls()) {
        (true, _) => Tls::Implicit,
        (false, true) => Tls::Offered,
        (false, false) => Tls::Unavailable,
    };
    let directory = shared.store.directory();
    // RFC 5321 §4.5.1: <postmaster> alone is the postmaster of this host.
    let domain = directory.domains().next().unwrap_or(&shared.hostname).clone();
    let Ok(postmaster) = Address::parse(&format!("postmaster@{domain}")) else { return };
    let mut session = Session::new(Arc::clone(&shared), peer.ip);
    let mut machine = Server::new(Config {
        hostname: shared.hostname.clone(),
        role: shared.role,
        peer: peer.ip,
        tls,
        auth_without_tls: shared.plain_sign_in_from_loopback && peer.is_loopback(),
        tokens: shared.sign_in.takes_tokens(),
        postmaster,
        nonce,
        turned_away: shared
            .clients
            .as_ref()
            .is_some_and(|may| !may(peer.ip))
            .then_some(NOT_FOR_YOU),
        hold_max: shared.hold_max,
        // RFC 6710 §5: other servers are believed where they are our own.
        priority_max: match shared.role {
            Role::Submission => Some(shared.priority_max),
            Role::Lmtp => Some(Priority::MAX),
            Role::Mx => session.is_one_of_ours().then_some(Priority::MAX),
        },
        // RFC 2852 §2: whole seconds.
        deliver_by_min: shared
            .deliver_by_min
            .map(|min| i32::try_from(min.as_secs()).unwrap_or(i32::MAX).max(1)),
        limits: shared.limits.clone(),
    });
    let ended = drive(&mut link, &mut machine, &mut session, &stop).await;
    tracing::debug!(peer = %peer, ?ended, "smtp connection ended");
}
