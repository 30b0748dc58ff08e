//! Standbys of a running server, and a server that was one: crate `standby` links, this wires.

pub mod command;
mod leftover;
mod promote;
mod run;
mod status;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use config::{Config, Service, StandbyAcknowledge, StandbyWhenAway};
use journal::Head;
use mail_types::Timestamp;
use net::{Stop, Stopper};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standby::{
    Acknowledge, Fence, Hub, HubSettings, KeptState, LinkFile, StandbyView, Token, Told, WhenAway,
    following_path,
};
use store::{Actor, Promotion, Store, Witness};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::data_dir::DataDir;
use crate::kept_file;

/// How long a stop waits until standbys that are linked have everything.
const FLUSH: Duration = Duration::from_secs(2);
/// How long the start of a promoted server tries to reach the one that it followed, before it goes
/// on trying beside its work.
const FIRST_TOLD: Duration = Duration::from_secs(2);
/// Between two tries.
const TELL_EACH: Duration = Duration::from_secs(1);

/// What a promotion is, before its record is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promoting {
    /// [`Head::to_bytes`] of the end up to which it followed.
    pub after: Vec<u8>,
    /// Why, in the operator's words.
    pub reason: Option<String>,
}

impl Promoting {
    fn path(root: &Path) -> PathBuf {
        following_path(root).join("promoted.json")
    }

    /// Reads it; `None` where this server never was a standby.
    pub fn read(root: &Path) -> anyhow::Result<Option<Self>> {
        let path = Self::path(root);
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            bytes => {
                let doing = || format!("cannot read {}", path.display());
                let bytes = bytes.with_context(doing)?;
                serde_json::from_slice(&bytes).map(Some).with_context(doing)
            }
        }
    }

    fn write(&self, root: &Path) -> anyhow::Result<()> {
        let path = Self::path(root);
        kept_file::replace(&path, &serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Records it, where that is not done.
    fn record(&self, store: &Store, actor: &Actor) -> anyhow::Result<Promotion> {
        let after = Head::from_bytes(&self.after).context("following/promoted.json is damaged")?;
        Ok(store.promoted(actor, &after, self.reason.clone())?)
    }
}

/// All that a server has to do with standbys.
pub struct Standbys {
    data: DataDir,
    /// Where the settings have a listener.
    hub: Option<Arc<Hub>>,
    /// For the links, which outlive the services.
    stopper: Stopper,
    /// Why this server must not go on, once that is so.
    over: watch::Sender<Option<String>>,
}

impl Standbys {
    /// Before the store is opened.
    ///
    /// # Errors
    /// Where another server goes on in this one's place.
    pub fn new(data: &DataDir, config: &Config) -> anyhow::Result<Arc<Self>> {
        if data.follows() {
            let place = data.path().display();
            bail!(
                "{place} is a standby, which follows another server.\nWhat to do: restante standby \
                 --data {place} has it go on following, restante standby promote --data {place} \
                 makes it the server"
            );
        }
        if let Some(fence) = Fence::read(data.path())? {
            bail!("{}", fence.told(data.path()));
        }
        let settings = &config.standby;
        let listens = !addresses(config).is_empty();
        let hub = listens.then(|| {
            Hub::new(HubSettings {
                root: data.path().to_owned(),
                hostname: config.hostname.to_string(),
                acknowledge: match settings.acknowledge {
                    StandbyAcknowledge::Local => Acknowledge::Local,
                    StandbyAcknowledge::Standby => Acknowledge::Standby,
                },
                when_away: match settings.when_away {
                    StandbyWhenAway::Refuse => WhenAway::Refuse,
                    StandbyWhenAway::GoOn => WhenAway::GoOn,
                },
                away_after: settings.away_after,
                alarm_after: settings.alarm_after,
                segment_bytes: config.journal.segment_bytes,
            })
        });
        let (stopper, _) = net::stopper();
        let hub = hub.transpose()?;
        Ok(Arc::new(Self { data: data.clone(), hub, stopper, over: watch::Sender::new(None) }))
    }

    /// Who hears of what is durable.
    pub fn witness(&self) -> Option<Arc<dyn Witness>> {
        let hub = self.hub.as_ref()?;
        Some(Arc::<Hub>::clone(hub))
    }

    /// Begins, before any service: a server whose standby was promoted meanwhile must hear of it
    /// first.
    ///
    /// # Errors
    /// Where it cannot listen, or must not go on.
    pub async fn start(self: &Arc<Self>, config: &Config, store: &Store) -> anyhow::Result<()> {
        self.tell_first(config, store).await?;
        let Some(hub) = &self.hub else { return Ok(()) };
        let key = standby::ensure_key(self.data.path(), config.hostname.as_str(), net::now())?;
        hub.attach(store.clone());
        for address in addresses(config) {
            let socket = TcpListener::bind(address).await.with_context(|| {
                format!(
                    "standby cannot listen on {address}: nothing was started; set another port for \
                     `standby` under [listen] in restante.toml, or stop what uses this one"
                )
            })?;
            let serving = Arc::clone(hub).listen(socket, key.clone(), self.stopper.watch());
            tokio::spawn(serving);
        }
        tokio::spawn(Arc::clone(hub).watch(self.stopper.watch()));
        let (standbys, watched) = (Arc::clone(self), Arc::clone(hub));
        tokio::spawn(async move {
            let fence = watched.fenced().await;
            standbys.over.send_replace(Some(fence.told(standbys.data.path())));
        });
        if hub.has_known_standby() && !config.standby.start_wait.is_zero() {
            hub.first_words(config.standby.start_wait).await;
        }
        if let Some(fence) = Fence::read(self.data.path())? {
            bail!("{}", fence.told(self.data.path()));
        }
        Ok(())
    }

    /// Records a promotion that is not recorded yet, and tells the server that was followed; where
    /// that cannot be reached now, it is told as soon as it can be.
    async fn tell_first(self: &Arc<Self>, config: &Config, store: &Store) -> anyhow::Result<()> {
        let root = self.data.path();
        let Some(promoting) = Promoting::read(root)? else { return Ok(()) };
        let work = store.clone();
        let recorded =
            tokio::task::spawn_blocking(move || promoting.record(&work, &Actor::Server)).await;
        let promotion = recorded.context("recording the promotion failed")??;
        let Some(link) = LinkFile::read(root)? else { return Ok(()) };
        if KeptState::read(root).told {
            return Ok(());
        }
        let telling = Telling {
            root: root.to_owned(),
            token: link.token.parse()?,
            from: link.from,
            hostname: config.hostname.to_string(),
            promotion,
        };
        match tokio::time::timeout(FIRST_TOLD, telling.tell()).await {
            Ok(Ok(Ok(true))) => return Ok(()),
            Ok(Ok(Err(overruled))) => bail!("{overruled}"),
            Ok(Ok(Ok(false)) | Err(_)) | Err(_) => tracing::warn!(
                "the server that was followed does not know yet that this one goes on; it is told \
                 as soon as it can be reached"
            ),
        }
        let (standbys, stop) = (Arc::clone(self), self.stopper.watch());
        tokio::spawn(async move {
            if let Some(overruled) = telling.until_told(stop).await {
                standbys.over.send_replace(Some(overruled));
            }
        });
        Ok(())
    }

    /// Waits until this server must not go on; why.
    pub async fn over(&self) -> String {
        let mut over = self.over.subscribe();
        loop {
            if let Some(why) = over.borrow_and_update().clone() {
                return why;
            }
            if over.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Why it must not, if so.
    pub fn why_over(&self) -> Option<String> {
        self.over.borrow().clone()
    }

    /// Behind the store's end: what came last goes to those who are linked, and the links end.
    pub async fn finish(&self) {
        if let Some(hub) = &self.hub {
            hub.flushed(FLUSH).await;
        }
        self.stopper.stop();
    }

    /// Of each standby.
    pub fn views(&self) -> Vec<StandbyView> {
        self.hub.as_ref().map_or_else(Vec::new, |hub| hub.view())
    }

    /// Why mail is not acknowledged now, if so.
    pub fn away(&self) -> Option<String> {
        match self.hub.as_ref().map(|hub| hub.waits()) {
            Some((true, true)) => Some("no standby is there, which is to have all mail".to_owned()),
            Some(_) | None => None,
        }
    }

    /// For the status; null where nothing listens for standbys.
    pub fn view(&self) -> Value {
        let Some(hub) = &self.hub else { return Value::Null };
        let (waits, away) = hub.waits();
        json!({
            "acknowledge": if waits { "standby" } else { "local" },
            "away": away,
            "standbys": self.views().iter().map(view).collect::<Vec<_>>(),
        })
    }
}

fn view(standby: &StandbyView) -> Value {
    json!({
        "name": standby.name,
        "linked": standby.linked,
        "peer": standby.peer,
        "seen": standby.seen.map(|at| at.to_string()),
        "records": standby.records,
        "lag_records": standby.lag_records,
        "lag_bytes": standby.lag_bytes,
        "lag_secs": standby.lag_secs,
        "trouble": standby.trouble,
    })
}

fn addresses(config: &Config) -> Vec<std::net::SocketAddr> {
    let listeners = config.listeners();
    let ours = listeners.iter().filter(|listener| listener.service == Service::Standby);
    ours.map(|listener| listener.address).collect()
}

/// Tells the server that was followed.
struct Telling {
    root: PathBuf,
    from: String,
    token: Token,
    hostname: String,
    promotion: Promotion,
}

impl Telling {
    /// Tells it once; whether it knows now. `Err` with why this one must not go on, if so.
    async fn tell(&self) -> anyhow::Result<Result<bool, String>> {
        match standby::tell(&self.from, &self.token, &self.hostname, &self.promotion).await? {
            Told::Fenced => {
                let mut kept = KeptState::read(&self.root);
                kept.told = true;
                kept.write(&self.root)?;
                tracing::info!(server = self.from, "the server that was followed serves no more");
                Ok(Ok(true))
            }
            // Its address leads here by now: the other one may still come up at another.
            Told::Itself => Ok(Ok(false)),
            Told::Overruled { what, mend } => Ok(Err(format!("{what}\nWhat to do: {mend}"))),
        }
    }

    /// Until it is told, or the stop; why this one must not go on, if so.
    async fn until_told(&self, mut stop: Stop) -> Option<String> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(TELL_EACH) => {}
                () = stop.requested() => return None,
            }
            match self.tell().await {
                Ok(Ok(true)) => return None,
                Ok(Ok(false)) => {}
                Ok(Err(overruled)) => return Some(overruled),
                Err(error) => tracing::debug!(%error, "the server that was followed is not there"),
            }
        }
    }
}

/// A time as text.
fn when(millis: i64) -> String {
    Timestamp(millis).to_string()
}
