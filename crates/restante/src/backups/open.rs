//! Places of backups as people write them: a directory, or `s3://BUCKET/PREFIX`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use backup::age::Identity;
use backup::{Backup, DirectoryPlace, Place};
use config::Config;
use net::{HttpClient, Resolver, ResolverSettings, Trust};
use route::Inward;

use super::s3::{Bucket, S3Place};
use super::signature::Keys;
use crate::data_dir::DataDir;
use crate::outside::Outside;

/// What a URL of a bucket begins with.
const S3: &str = "s3://";
const DEFAULT_REGION: &str = "us-east-1";
/// Bytes of a file with a key.
const KEY_BYTES_MAX: u64 = 64 << 10;

/// Whether it is no path of a directory.
pub fn is_url(place: &Path) -> bool {
    place.to_str().is_some_and(|text| text.starts_with(S3))
}

/// The place as another process understands it: a directory by its whole path.
pub fn absolute(place: &Path) -> anyhow::Result<PathBuf> {
    match is_url(place) {
        true => Ok(place.to_owned()),
        false => std::path::absolute(place).context("the directory has no name"),
    }
}

/// Opens a place; settings are those of the installation, where there is one. Blocks; not to be
/// called within a runtime.
pub fn open(
    place: &Path,
    settings: Option<(&DataDir, &Config)>,
    identity: Option<&Path>,
) -> anyhow::Result<Backup> {
    let identity = identity.map(read_identity).transpose()?;
    let place: Arc<dyn Place> = match place.to_str().and_then(|text| text.strip_prefix(S3)) {
        Some(rest) => Arc::new(bucket(rest, settings)?),
        None => Arc::new(DirectoryPlace::new(place)),
    };
    Ok(Backup::new(place, identity))
}

/// The settings beside a command, where it has a data directory.
pub fn settings(data: &DataDir) -> Option<Config> {
    data.settings_path().exists().then(|| data.config().ok()).flatten()
}

fn read_identity(path: &Path) -> anyhow::Result<Identity> {
    let shown = path.display();
    let text = read_key(path)?;
    Identity::parse(&text).with_context(|| format!("{shown} cannot be used"))
}

fn read_key(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let bytes = path.metadata().with_context(|| format!("cannot read {shown}"))?.len();
    if bytes > KEY_BYTES_MAX {
        bail!("{shown} is too large to be a key");
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))
}

fn bucket(rest: &str, settings: Option<(&DataDir, &Config)>) -> anyhow::Result<S3Place> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        bail!("s3:// wants the name of a bucket behind it: s3://BUCKET/PREFIX");
    }
    let set = settings.map(|(_, config)| &config.backup);
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let region = set.and_then(|set| set.s3_region.clone()).or_else(|| env("AWS_REGION"));
    let region = region.unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let endpoint = set.and_then(|set| set.s3_endpoint.clone());
    let endpoint = endpoint
        .or_else(|| env("AWS_ENDPOINT_URL_S3"))
        .or_else(|| env("AWS_ENDPOINT_URL"))
        .unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let at = Bucket {
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        region,
        bucket: bucket.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        keys: keys(settings)?,
    };
    S3Place::new(at, || client(settings))
}

fn keys(settings: Option<(&DataDir, &Config)>) -> anyhow::Result<Keys> {
    if let Some((data, config)) = settings
        && let (Some(id), Some(file)) = (&config.backup.s3_key_id, &config.backup.s3_secret_file)
    {
        let secret = read_key(&data.resolve(file))?.trim().to_owned();
        return Ok(Keys { id: id.clone(), secret, token: None });
    }
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (id, secret) = (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"));
    let (Some(id), Some(secret)) = (id, secret) else {
        bail!(
            "there is no key for the bucket\nWhat to do: set backup.s3_key_id and \
             backup.s3_secret_file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the \
             environment"
        );
    };
    Ok(Keys { id, secret, token: env("AWS_SESSION_TOKEN") })
}

fn client(settings: Option<(&DataDir, &Config)>) -> anyhow::Result<HttpClient> {
    if let Some((data, config)) = settings {
        return Ok(Outside::new(data, config)?.http);
    }
    let resolver = Arc::new(Resolver::new(&ResolverSettings::default())?);
    Ok(HttpClient::new(resolver, &Trust::public(), Inward::default())?)
}
