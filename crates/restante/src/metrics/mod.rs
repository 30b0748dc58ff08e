//! Numbers for whoever watches over the server: `/metrics` for Prometheus, `/healthz` and `/readyz`
//! for what starts and balances servers, and OTLP where a collector is named.
//!
//! Reading them costs the mail nothing: counters are added up behind each sync, and what needs the
//! index is read at most every [`FRESH_FOR`].

mod family;
mod process;
mod push;
mod standbys;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use config::{Config, Network};
use deliver::Runner;
use mail_types::Timestamp;
use net::{CertificateFacts, Places};
use sign_in::SignIn;
use store::{Counted, CustodyState, SYNC_BOUNDS_MICROS, Store, StoreError, WAYS_IN};

use crate::alarms::Alarms;
use crate::backups::Backups;
use crate::certificates;
use crate::data_dir::DataDir;
use crate::outbound::Outbound;
use crate::standbys::Standbys;
use family::{Family, Numbers, by, one};

pub use push::push;

/// For so long what was read of the index is told again.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// Where the numbers come from.
pub struct Parts {
    store: Store,
    sign_in: Arc<SignIn>,
    places: Places,
    runner: Arc<Runner<Outbound>>,
    alarms: Alarms,
    standbys: Arc<Standbys>,
    backups: Arc<Backups>,
}

impl Parts {
    /// Shares them.
    pub fn of(
        store: &Store,
        sign_in: &Arc<SignIn>,
        places: &Places,
        runner: &Arc<Runner<Outbound>>,
        (alarms, standbys): (&Alarms, &Arc<Standbys>),
        backups: &Arc<Backups>,
    ) -> Self {
        Self {
            store: store.clone(),
            sign_in: Arc::clone(sign_in),
            places: places.clone(),
            runner: Arc::clone(runner),
            alarms: alarms.clone(),
            standbys: Arc::clone(standbys),
            backups: Arc::clone(backups),
        }
    }
}

/// Collects them.
pub struct Metrics {
    parts: Parts,
    data: DataDir,
    certificates: Vec<PathBuf>,
    started: Timestamp,
    networks: net::Trusted,
    read: Mutex<Option<(Timestamp, Waiting)>>,
}

/// What the index says of what waits.
#[derive(Clone, Copy, Default)]
struct Waiting {
    queued: u64,
    held: u64,
    oldest: Option<Timestamp>,
}

impl Metrics {
    pub fn new(parts: Parts, data: &DataDir, config: &Config) -> Self {
        let pairs = certificates::pairs(data, config);
        Self {
            parts,
            data: data.clone(),
            certificates: pairs.into_iter().map(|pair| pair.certificate).collect(),
            started: net::now(),
            networks: trusted(&config.metrics.networks),
            read: Mutex::new(None),
        }
    }

    /// All of them. Blocks: it reads files, and the index now and then.
    pub fn text(&self) -> String {
        family::text(&self.families())
    }

    fn families(&self) -> Vec<Family> {
        let counted = self.parts.store.counted();
        let mut all = self.of_server();
        all.extend(of_mail(&counted));
        all.extend(self.of_waiting());
        all.extend(self.of_backups());
        all.extend(self.of_connections());
        all.extend(self.of_files());
        all.extend(standbys::families(&self.parts.standbys.views()));
        all.extend(process::families());
        all
    }

    fn of_server(&self) -> Vec<Family> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let accepting = f64::from(u8::from(self.parts.store.stopped().is_none()));
        let tries = self.parts.sign_in.tries();
        let tries = [
            ("accepted".to_owned(), tries.accepted as f64),
            ("refused".to_owned(), tries.refused as f64),
            ("unavailable".to_owned(), tries.unavailable as f64),
        ];
        let alarms = self.parts.alarms.times();
        let alarms = alarms.into_iter().map(|(what, times)| (what, times as f64));
        vec![
            Family {
                name: "restante_build_info",
                help: "The version that runs.",
                numbers: Numbers::Gauge(by("version", [(version, 1.0)])),
            },
            Family {
                name: "process_start_time_seconds",
                help: "When the server started, since 1970.",
                numbers: Numbers::Gauge(one(seconds(self.started))),
            },
            Family {
                name: "restante_accepting",
                help: "1 while mail is accepted; 0 after the disk has failed.",
                numbers: Numbers::Gauge(one(accepting)),
            },
            Family {
                name: "restante_alarms_total",
                help: "Alarms, by what they say; see `restante status`.",
                numbers: Numbers::Counter(by("what", alarms)),
            },
            Family {
                name: "restante_sign_ins_total",
                help: "Tries to sign in, by what came of them.",
                numbers: Numbers::Counter(by("result", tries)),
            },
        ]
    }

    fn of_backups(&self) -> Vec<Family> {
        let Some((age, failed)) = self.parts.backups.age() else { return Vec::new() };
        let age = age.map(|age| Family {
            name: "restante_backup_age_seconds",
            help: "Since the last good backup was taken.",
            numbers: Numbers::Gauge(one(age)),
        });
        let failed = Family {
            name: "restante_backup_failed",
            help: "1 where the last try to take a backup failed.",
            numbers: Numbers::Gauge(one(f64::from(u8::from(failed)))),
        };
        age.into_iter().chain([failed]).collect()
    }

    fn of_waiting(&self) -> Vec<Family> {
        let (records, mails) = self.parts.store.behind();
        let behind =
            |name, help, count: f64| Family { name, help, numbers: Numbers::Gauge(one(count)) };
        let mut all = vec![
            behind(
                "restante_index_behind_records",
                "Records that are durable and not in the index yet.",
                records as f64,
            ),
            behind(
                "restante_extract_waiting_messages",
                "Messages that wait to be made ready for searching.",
                mails as f64,
            ),
        ];
        match self.waiting() {
            Ok(waiting) => {
                let counts = [
                    ("queued".to_owned(), waiting.queued as f64),
                    ("held".to_owned(), waiting.held as f64),
                ];
                let now = net::now();
                let age = waiting.oldest.map_or(0.0, |oldest| seconds(now) - seconds(oldest));
                all.push(Family {
                    name: "restante_queue_recipients",
                    help: "Recipients whose mail waits to be sent on, or is held.",
                    numbers: Numbers::Gauge(by("state", counts)),
                });
                all.push(Family {
                    name: "restante_queue_oldest_seconds",
                    help: "Age of the oldest mail in the queue.",
                    numbers: Numbers::Gauge(one(age)),
                });
            }
            // What cannot be read now is missing, which monitoring notices; it is no zero.
            Err(error) => tracing::warn!(%error, "the queue could not be counted"),
        }
        all
    }

    fn waiting(&self) -> Result<Waiting, StoreError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let now = net::now();
        if let Some((at, waiting)) = *read
            && now < at.after(FRESH_FOR)
            && now >= at
        {
            return Ok(waiting);
        }
        let (queued, oldest) = self.parts.store.queue_size()?;
        let waiting = Waiting { queued, oldest, held: self.parts.store.held_count()? };
        *read = Some((now, waiting));
        Ok(waiting)
    }

    fn of_connections(&self) -> Vec<Family> {
        let known = self.parts.places.connections();
        let of = |count: fn(&net::Connections) -> u64| {
            let each = known.iter().map(|(name, now)| (name.to_string(), count(now) as f64));
            by("service", each.collect::<Vec<_>>())
        };
        let outgoing = self.parts.runner.connections();
        vec![
            Family {
                name: "restante_connections",
                help: "Connections that are open, by service.",
                numbers: Numbers::Gauge(of(|now| now.open)),
            },
            Family {
                name: "restante_connections_total",
                help: "Connections that were served, by service.",
                numbers: Numbers::Counter(of(|now| now.taken)),
            },
            Family {
                name: "restante_connections_refused_total",
                help: "Connections over a limit, by service.",
                numbers: Numbers::Counter(of(|now| now.turned_away)),
            },
            Family {
                name: "restante_outgoing_connections",
                help: "Connections to other servers.",
                numbers: Numbers::Gauge(one(outgoing as f64)),
            },
        ]
    }

    fn of_files(&self) -> Vec<Family> {
        let mut all = Vec::new();
        if let Ok(disk) = rustix::fs::statvfs(self.data.path()) {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            all.push(Family {
                name: "restante_disk_free_bytes",
                help: "What the disk of the data directory has left.",
                numbers: Numbers::Gauge(one(free as f64)),
            });
        }
        let ends: BTreeMap<String, f64> = self
            .certificates
            .iter()
            .filter_map(|file| {
                let facts = CertificateFacts::from_pem_file(file).ok()?;
                let name = file.strip_prefix(self.data.path()).unwrap_or(file);
                Some((name.display().to_string(), seconds(facts.to)))
            })
            .collect();
        all.push(Family {
            name: "restante_certificate_end_seconds",
            help: "When each certificate ends, since 1970.",
            numbers: Numbers::Gauge(by("file", ends)),
        });
        all
    }
}

impl web::Health for Metrics {
    fn ready(&self) -> Result<(), String> {
        self.parts.store.stopped().or_else(|| self.parts.standbys.away()).map_or(Ok(()), Err)
    }

    fn may_read_metrics(&self, peer: std::net::IpAddr) -> bool {
        (self.networks)(peer)
    }

    fn metrics(&self) -> (&'static str, String) {
        (family::TEXT_TYPE, self.text())
    }
}

fn trusted(networks: &[Network]) -> net::Trusted {
    crate::serve::trusted(networks)
}

/// What happened to mail since the start.
fn of_mail(counted: &Counted) -> Vec<Family> {
    let pairs = |words: &[&str], counts: &[u64]| {
        let each =
            words.iter().zip(counts).map(|(word, count)| ((*word).to_owned(), *count as f64));
        each.collect::<Vec<_>>()
    };
    let states = CustodyState::ALL.map(CustodyState::word);
    let tried = [
        ("deferred".to_owned(), counted.deferred as f64),
        ("uncertain".to_owned(), counted.uncertain as f64),
    ];
    let bounds = SYNC_BOUNDS_MICROS.map(|micros| micros as f64 / 1e6).to_vec();
    vec![
        Family {
            name: "restante_accepted_messages_total",
            help: "Messages that were accepted, by the way they came.",
            numbers: Numbers::Counter(by("from", pairs(&WAYS_IN, &counted.accepted))),
        },
        Family {
            name: "restante_accepted_bytes_total",
            help: "Bytes of accepted messages.",
            numbers: Numbers::Counter(one(counted.accepted_bytes as f64)),
        },
        Family {
            name: "restante_recipients_total",
            help: "Recipients of messages that came into each state.",
            numbers: Numbers::Counter(by("state", pairs(&states, &counted.came_into))),
        },
        Family {
            name: "restante_retries_total",
            help: "Attempts to send to a recipient after which another one follows.",
            numbers: Numbers::Counter(by("because", tried)),
        },
        Family {
            name: "restante_records_total",
            help: "Records that were made durable.",
            numbers: Numbers::Counter(one(counted.records as f64)),
        },
        Family {
            name: "restante_sync_seconds",
            help: "How long the disk took to make a group of records durable.",
            numbers: Numbers::Histogram {
                bounds,
                counts: counted.syncs.to_vec(),
                sum: counted.sync_micros as f64 / 1e6,
            },
        },
    ]
}

fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1e3
}
