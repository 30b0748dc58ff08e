//! Where mail went lately.

use std::collections::HashSet;

use journal::Disk;
use mail_types::{Address, Host};

use crate::sql::Executor;
use crate::{CustodyState, Store, StoreError};

/// Custodies that are looked at, the latest ones.
const LOOKED_AT_MAX: i64 = 20_000;

impl<D: Disk> Store<D> {
    /// Hosts of recipients that mail was relayed to, the latest last, at most so many.
    ///
    /// # Errors
    /// The index's.
    pub fn reached_lately(&self, hosts_max: usize) -> Result<Vec<Host>, StoreError> {
        let mut hosts = Vec::new();
        let mut seen = HashSet::new();
        self.read(|sql| {
            sql.query(
                "SELECT recipient FROM custody \
                 WHERE id > (SELECT coalesce(max(id), 0) - $1 FROM custody) AND state = $2 \
                 ORDER BY id DESC",
                &[LOOKED_AT_MAX.into(), CustodyState::Relayed.code().into()],
                &mut |row| {
                    // An address is read back as it was written; one that is not is left out.
                    if let Ok(Address { host, .. }) = Address::parse(row.text(0)?)
                        && hosts.len() < hosts_max
                        && seen.insert(host.clone())
                    {
                        hosts.push(host);
                    }
                    Ok(())
                },
            )
        })?;
        hosts.reverse();
        Ok(hosts)
    }
}
