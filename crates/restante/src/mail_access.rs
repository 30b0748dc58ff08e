//! Wires the services by which mail is read.

use std::sync::Arc;

use config::{Config, Service};
use sign_in::SignIn;
use store::Store;

use crate::serve::Running;

/// Serves POP3 on its ports.
pub fn listen_pop3(
    running: &mut Running,
    config: &Config,
    store: &Store,
    sign_in: &Arc<SignIn>,
) -> anyhow::Result<()> {
    let shared = Arc::new(pop3::Shared {
        store: store.clone(),
        sign_in: Arc::clone(sign_in),
        hostname: config.hostname.clone(),
        plain_sign_in_from_loopback: config.sign_in.allow_plaintext_from_loopback,
        idle: config.timeouts.pop3_autologout,
        locks: pop3::Locks::default(),
    });
    for service in [Service::Pop3, Service::Pop3s] {
        let (shared, stop) = (Arc::clone(&shared), running.stop());
        running.listen(config, service, pop3::TOO_MANY_CONNECTIONS, move |link| {
            pop3::serve(Arc::clone(&shared), link, stop.clone())
        })?;
    }
    Ok(())
}
