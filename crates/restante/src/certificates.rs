//! The certificates of this host: which there are, and taking new ones into use without a restart.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use config::Config;
use net::{ServerTls, Stop, TlsError};

use crate::acme;
use crate::data_dir::DataDir;

/// How often the files are looked at.
const LOOK_EACH: Duration = Duration::from_secs(2);
/// Certificates beside the first.
const PAIRS_MAX: usize = 1000;
/// Below the data directory: `NAME.pem` with `NAME.key.pem`, served to those who ask for its names.
const BY_NAME: &str = "tls/by-name";

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The one that an authority has signed for us first, then that of the settings, then those by
/// name.
pub fn pairs(data: &DataDir, config: &Config) -> Vec<Pair> {
    let first = Pair {
        certificate: data.resolve(&config.tls.certificate),
        key: data.resolve(&config.tls.key),
    };
    let mut more = Vec::new();
    for entry in std::fs::read_dir(data.path().join(BY_NAME)).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(stem) = name.strip_suffix(".key.pem") else { continue };
        let certificate = path.with_file_name(format!("{stem}.pem"));
        more.push(Pair { certificate, key: path });
    }
    more.sort();
    more.truncate(PAIRS_MAX);
    let file = data.path().join(acme::FILE);
    let ordered = (config.acme.enabled && file.exists())
        .then(|| Pair { certificate: file.clone(), key: file });
    ordered.into_iter().chain([first]).chain(more).collect()
}

/// Loads all of them.
pub fn load(data: &DataDir, config: &Config) -> Result<ServerTls, TlsError> {
    ServerTls::from_files(&paths(&pairs(data, config)))
}

fn paths(pairs: &[Pair]) -> Vec<(PathBuf, PathBuf)> {
    pairs.iter().map(|pair| (pair.certificate.clone(), pair.key.clone())).collect()
}

/// Takes new certificates into use: at once. What is broken leaves the old ones in use.
pub fn reload(tls: &ServerTls, data: &DataDir, config: &Config) {
    match tls.reload_all(&paths(&pairs(data, config))) {
        Ok(()) => tracing::info!("the certificates were read anew"),
        Err(error) => tracing::error!(
            %error,
            "ALARM: the certificates could not be read; the old ones stay in use"
        ),
    }
}

/// What would show a change: the files, their times and sizes.
type Seen = Vec<(Pair, Option<(SystemTime, u64)>, Option<(SystemTime, u64)>)>;

fn look(data: &DataDir, config: &Config) -> Seen {
    let of = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    let seen = |pair: Pair| {
        let (certificate, key) = (of(&pair.certificate), of(&pair.key));
        (pair, certificate, key)
    };
    pairs(data, config).into_iter().map(seen).collect()
}

/// Looks at the files every few seconds until the stop, and takes changed ones into use: once they
/// stand still for one look, so that a certificate is not read between it and its key.
pub async fn watch(tls: ServerTls, data: DataDir, config: Config, mut stop: Stop) {
    let mut used = look(&data, &config);
    let mut before = used.clone();
    loop {
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(LOOK_EACH) => {}
        }
        let now = look(&data, &config);
        if now != used && now == before {
            reload(&tls, &data, &config);
            used.clone_from(&now);
        }
        before = now;
    }
}
