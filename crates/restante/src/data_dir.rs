//! The data directory and the settings in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use config::Config;

/// All data of an installation.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn settings_path(&self) -> PathBuf {
        self.0.join("restante.toml")
    }

    pub fn control_path(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// Whether it follows another server, as a standby does: nothing else may write here then.
    pub fn follows(&self) -> bool {
        let following = self.0.join("following");
        self.0.join("journal").join("standby").exists()
            || following.join("link.json").exists() && !following.join("promoted.json").exists()
    }

    /// A path of the settings, which begins here unless it is absolute.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.0.join(path)
    }

    /// Reads the settings.
    pub fn config(&self) -> anyhow::Result<Config> {
        let path = self.settings_path();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "{} is no data directory of Restante (it has no restante.toml).\nMake one with: \
                 restante init --data {} --hostname mail.example.org --domain example.org \
                 --account you@example.org",
                self.0.display(),
                self.0.display()
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let shown = path.display().to_string();
        let config = Config::parse(&text, &shown)
            .map_err(|problems| anyhow::anyhow!("{problems}"))
            .context("the settings are not right, nothing was started")?;
        let contradictions = config.contradictions();
        if contradictions.is_empty() {
            return Ok(config);
        }
        let told: Vec<String> =
            contradictions.iter().map(|one| format!("{shown}: {one}")).collect();
        bail!("the settings contradict each other, nothing was started\n{}", told.join("\n"))
    }

    /// How the store is opened under these settings.
    pub fn store_options(config: &Config) -> store::Options {
        let mut options = store::Options::new(std::sync::Arc::new(net::now));
        options.journal = journal_options(config);
        options.index_commit_interval = config.store.index_commit_interval;
        options.retention = store::Retention {
            keep: config.archive.retention,
            spam: config.archive.spam_retention,
        };
        options.alarm = Box::new(|error| tracing::error!(%error, "ALARM: the store is in trouble"));
        let hostname = config.hostname.clone();
        options.delivery_report = Some(std::sync::Arc::new(move |mail, custody, header| {
            smtp::late_report(mail, custody, header, &hostname, net::now())
        }));
        options
    }
}

pub fn journal_options(config: &Config) -> journal::Options {
    journal::Options {
        segment_bytes: config.journal.segment_bytes,
        inline_body_bytes_max: config.journal.inline_body_bytes_max,
        zstd_level: config.journal.compression_level,
    }
}
