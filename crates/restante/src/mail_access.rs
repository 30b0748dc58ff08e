//! Wires the services by which mail is read.

use std::sync::Arc;

use config::{Config, Service};
use net::Bell;
use sign_in::SignIn;
use store::Store;

use crate::serve::Running;

/// Serves POP3 on its ports.
pub fn listen_pop3(
    running: &mut Running,
    config: &Config,
    store: &Store,
    sign_in: &Arc<SignIn>,
    accounts: &Bell,
) -> anyhow::Result<()> {
    let shared = Arc::new(pop3::Shared {
        store: store.clone(),
        sign_in: Arc::clone(sign_in),
        accounts: accounts.clone(),
        hostname: config.hostname.clone(),
        plain_sign_in_from_loopback: config.sign_in.allow_plaintext_from_loopback,
        idle: config.timeouts.pop3_autologout,
        sign_in_timeout: config.timeouts.before_sign_in,
        locks: pop3::Locks::default(),
        reads: pop3::Reads::default(),
    });
    for service in [Service::Pop3, Service::Pop3s] {
        let (shared, stop) = (Arc::clone(&shared), running.stop());
        running.listen(config, service, pop3::TOO_MANY_CONNECTIONS, move |link| {
            pop3::serve(Arc::clone(&shared), link, stop.clone())
        })?;
    }
    Ok(())
}

/// Serves IMAP on its ports.
pub fn listen_imap(
    running: &mut Running,
    config: &Config,
    store: &Store,
    sign_in: &Arc<SignIn>,
    accounts: &Bell,
) -> anyhow::Result<()> {
    let shared = Arc::new(imap::Shared {
        store: store.clone(),
        sign_in: Arc::clone(sign_in),
        accounts: accounts.clone(),
        hostname: config.hostname.clone(),
        plain_sign_in_from_loopback: config.sign_in.allow_plaintext_from_loopback,
        limits: imap_limits(config),
        submission_servers: config.sign_in.imap_submission_servers.clone(),
        caches: imap::Caches::default(),
    });
    for service in [Service::Imap, Service::Imaps] {
        let (shared, stop) = (Arc::clone(&shared), running.stop());
        running.listen(config, service, imap::TOO_MANY_CONNECTIONS, move |link| {
            imap::serve(Arc::clone(&shared), link, stop.clone())
        })?;
    }
    Ok(())
}

fn imap_limits(config: &Config) -> imap_machine::Limits {
    let (limits, timeouts) = (&config.limits, &config.timeouts);
    imap_machine::Limits {
        command_octets_max: limits.imap_command_bytes_max,
        unauthenticated_command_octets_max: limits.imap_command_bytes_before_sign_in_max,
        // RFC 3501 §4.3: a literal's size is a 32-bit number.
        message_octets_max: u32::try_from(limits.message_bytes_max).unwrap_or(u32::MAX),
        bad_commands_max: limits.imap_bad_commands_max,
        sign_in_timeout: timeouts.before_sign_in,
        idle_timeout: timeouts.imap_autologout,
        sign_in_failures_max: config.sign_in.tries_max,
        command_messages_max: limits.imap_command_messages_max,
        saved_messages_max: limits.imap_saved_messages_max,
        unauthenticate: config.sign_in.imap_unauthenticate,
        ..imap_machine::Limits::default()
    }
}
