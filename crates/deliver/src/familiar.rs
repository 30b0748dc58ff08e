use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mail_types::{Address, Domain, EnhancedStatus, Host};

/// Domains that are remembered; the oldest is forgotten first.
pub(crate) const FAMILIAR_MAX: usize = 4096;

/// Domains that mail has reached: what a mistyped one may have been meant to be.
#[derive(Default)]
pub(crate) struct Familiar(Mutex<State>);

#[derive(Default)]
struct State {
    known: HashSet<Domain>,
    in_order: VecDeque<Domain>,
}

impl Familiar {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Mail has reached this host.
    pub(crate) fn reached(&self, host: &Host) {
        let Host::Domain(domain) = host else { return };
        let mut state = self.state();
        if state.known.contains(domain) {
            return;
        }
        if state.in_order.len() >= FAMILIAR_MAX
            && let Some(oldest) = state.in_order.pop_front()
        {
            state.known.remove(&oldest);
        }
        state.known.insert(domain.clone());
        state.in_order.push_back(domain.clone());
    }

    /// The address that was probably meant by one that failed in this way.
    pub(crate) fn meant(&self, failed: &Address, status: EnhancedStatus) -> Option<Address> {
        let Host::Domain(domain) = &failed.host else { return None };
        // RFC 3463 §2, §3: nothing said, the address, the network. A full mailbox, or a message
        // that is not liked, is no slip of the pen.
        if !matches!(status.subject, 0 | 1 | 4) {
            return None;
        }
        let meant = route::meant(domain, &self.state().in_order)?;
        Some(Address { host: Host::Domain(meant), ..failed.clone() })
    }
}
