//! Keeps the certificate of this host fresh, from an authority that speaks ACME (RFC 8555).

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::{AcmeProofBy, Config};
use mail_types::{Domain, Timestamp};
use net::{
    AcmeCertificateId, AcmeChallenge, AcmeExternal, AcmeOrder, AcmeProof, AcmeProver, AcmeWindow,
    CertificateFacts, HttpClient, ServerTls, Stop,
};
use tokio::sync::Mutex as Turn;

use crate::data_dir::DataDir;
use crate::{certificates, kept_file};

/// Chain and key, below the data directory.
pub const FILE: &str = "tls/acme.pem";
/// The account with the authority, beside it.
const ACCOUNT_FILE: &str = "tls/acme-account.json";
/// No two looks are nearer.
const LOOK_LEAST: Duration = Duration::from_secs(1);
/// How often it is asked whether the certificate is old.
const LOOK_EACH: Duration = Duration::from_secs(3600);
/// After a failure, first and at most: authorities count failures, and shut out who fails too often.
const AGAIN_AFTER: Duration = Duration::from_secs(600);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(86_400);
/// A DNS hook takes no longer.
const HOOK_TIME: Duration = Duration::from_secs(600);

/// Pages that prove to the authority that names are ours, by path.
#[derive(Clone, Default)]
pub struct Pages(Arc<Mutex<HashMap<String, String>>>);

impl Pages {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As HTTP listeners want them.
    pub fn source(&self) -> web::PageSource {
        let pages = self.clone();
        Arc::new(move |_, path| {
            let bytes = pages.lock().get(path)?.clone().into_bytes();
            Some(web::Page { media_type: "application/octet-stream", bytes })
        })
    }
}

/// Orders certificates, and takes them into use.
pub struct Keeper {
    data: DataDir,
    config: Config,
    http: HttpClient,
    tls: ServerTls,
    pages: Pages,
    /// One order at a time.
    turn: Turn<()>,
    /// When the authority wants the certificate renewed that is in use, as far as it has said.
    window: Mutex<Option<Known>>,
}

/// What an authority has said of a certificate.
struct Known {
    id: AcmeCertificateId,
    /// None where it says nothing, or could not be asked.
    renew_at: Option<Timestamp>,
    ask_at: Timestamp,
}

impl Keeper {
    /// `None` where the settings do not want one.
    pub fn new(
        data: &DataDir,
        config: &Config,
        http: &HttpClient,
        tls: &ServerTls,
        pages: &Pages,
    ) -> Option<Arc<Self>> {
        config.acme.enabled.then(|| {
            Arc::new(Self {
                data: data.clone(),
                config: config.clone(),
                http: http.clone(),
                tls: tls.clone(),
                pages: pages.clone(),
                turn: Turn::default(),
                window: Mutex::default(),
            })
        })
    }

    /// Orders one whenever the authority wants the old one renewed, or it has less than a third of
    /// its time left, or lacks a name, until the stop.
    pub async fn keep(self: Arc<Self>, mut stop: Stop) {
        let mut again_after = AGAIN_AFTER;
        loop {
            tokio::select! {
                () = stop.requested() => return,
                () = self.ask_when(net::now()) => {}
            }
            let wait = match self.is_due(net::now()) {
                None => self.until_due(net::now()),
                Some(why) => {
                    tracing::info!(why, "ordering a certificate");
                    let ordered = tokio::select! {
                        () = stop.requested() => return,
                        ordered = self.renew() => ordered,
                    };
                    match ordered {
                        Ok(facts) => {
                            tracing::info!(until = %facts.to, "a new certificate is in use");
                            again_after = AGAIN_AFTER;
                            LOOK_EACH
                        }
                        Err(error) => {
                            tracing::error!(
                                error = format!("{error:#}"),
                                again_in_s = again_after.as_secs(),
                                "ALARM: no new certificate; the old one stays in use"
                            );
                            let wait = again_after;
                            again_after = (again_after * 2).min(AGAIN_AFTER_MAX);
                            wait
                        }
                    }
                }
            };
            tokio::select! {
                () = stop.requested() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Why a new certificate is wanted, if so.
    fn is_due(&self, now: Timestamp) -> Option<&'static str> {
        let Ok(facts) = CertificateFacts::from_pem_file(&self.file()) else {
            return Some("there is none yet");
        };
        let names = self.names().ok()?;
        if !names.iter().all(|name| facts.names.contains(&name.as_str().to_ascii_lowercase())) {
            return Some("it lacks a name");
        }
        let whole = facts.to.0.saturating_sub(facts.from.0);
        let left = facts.to.0.saturating_sub(now.0);
        match self.window().as_ref().and_then(|known| known.renew_at) {
            Some(at) if at <= now => Some("its authority says so"),
            // Whatever it says, not at the last moment.
            Some(_) => (left < whole / 10).then_some("less than a tenth is left"),
            None => (left < whole / 3).then_some("less than a third is left"),
        }
    }

    /// Asks the authority when it wants the certificate renewed, where that is due (RFC 9773 §4.3).
    async fn ask_when(&self, now: Timestamp) {
        let Some(id) = self.current() else { return };
        if self.window().as_ref().is_some_and(|known| known.id == id && now < known.ask_at) {
            return;
        }
        let directory = &self.config.acme.directory;
        let (renew_at, again_after) = match net::acme_window(&self.http, directory, &id).await {
            Ok(Some(window)) => {
                let at = chosen(&window, &id);
                tracing::debug!(%at, why = window.explanation, "the authority says when to renew");
                (Some(at), window.again_after)
            }
            Ok(None) => (None, AGAIN_AFTER_MAX),
            Err(error) => {
                tracing::info!(%error, "the certificate is renewed by its own dates");
                (None, LOOK_EACH)
            }
        };
        let ask_at = now.after(again_after);
        *self.window() = Some(Known { id, renew_at, ask_at });
    }

    /// When to look again while nothing is due.
    fn until_due(&self, now: Timestamp) -> Duration {
        let window = self.window();
        let at =
            window.as_ref().map(|known| known.renew_at.unwrap_or(known.ask_at).min(known.ask_at));
        at.map_or(LOOK_EACH, |at| at.since(now).clamp(LOOK_LEAST, LOOK_EACH))
    }

    /// The certificate in use.
    fn current(&self) -> Option<AcmeCertificateId> {
        let pem = std::fs::read(self.file()).ok()?;
        AcmeCertificateId::of_pem(&pem)
    }

    fn window(&self) -> MutexGuard<'_, Option<Known>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What binds a new account to one that the operator has.
    fn external_key(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(path) = &self.config.acme.external_account_key_file else { return Ok(None) };
        let path = self.data.resolve(path);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("acme.external_account_key_file {}", path.display()))?;
        let key = URL_SAFE_NO_PAD.decode(text.trim().trim_end_matches('='));
        Ok(Some(key.with_context(|| format!("{} holds no base64url", path.display()))?))
    }

    /// Orders one now and takes it into use.
    pub async fn renew(&self) -> anyhow::Result<CertificateFacts> {
        let _turn = self.turn.lock().await;
        let acme = &self.config.acme;
        let account_path = self.data.path().join(ACCOUNT_FILE);
        let kept = match std::fs::read_to_string(&account_path) {
            Ok(kept) => Some(kept),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read {}", account_path.display()));
            }
        };
        let names = self.names()?;
        let contact: Vec<String> =
            acme.contact.iter().map(|address| format!("mailto:{address}")).collect();
        let key = self.external_key()?;
        let external = match (&acme.external_account, &key) {
            (Some(id), Some(key)) => Some(AcmeExternal { id, key }),
            (_, _) => None,
        };
        // RFC 9773 §5: only where the authority has said something of it.
        let replaces =
            self.window().as_ref().filter(|known| known.renew_at.is_some()).map(|it| it.id.clone());
        let order = AcmeOrder {
            external,
            replaces: replaces.as_ref(),
            directory: &acme.directory,
            contact: &contact,
            account: kept.as_deref(),
            names: &names,
            challenge: match acme.challenge {
                AcmeProofBy::Http => AcmeChallenge::Http01,
                AcmeProofBy::TlsAlpn => AcmeChallenge::TlsAlpn01,
                AcmeProofBy::Dns => AcmeChallenge::Dns01,
            },
        };
        let (account, fresh) = net::acme_account(&self.http, &order).await?;
        if let Some(fresh) = fresh {
            // Before anything is ordered with it: the authority knows it from here on.
            kept_file::replace(&account_path, fresh.as_bytes())
                .with_context(|| format!("cannot write {}", account_path.display()))?;
        }
        let issued = account.order(&order, self).await?;
        let path = self.file();
        kept_file::replace(&path, issued.chain_and_key.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        *self.window() = None;
        certificates::reload(&self.tls, &self.data, &self.config);
        Ok(CertificateFacts::from_pem_file(&path)?)
    }

    fn file(&self) -> PathBuf {
        self.data.path().join(FILE)
    }

    /// The host's name, and those that the settings add.
    fn names(&self) -> anyhow::Result<Vec<Domain>> {
        let mut names = vec![self.config.hostname.clone()];
        for name in &self.config.acme.names {
            let name = Domain::new(name).with_context(|| format!("acme.names: {name}"))?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Has the operator's command change a TXT record: `HOOK set|unset OWNER VALUE`.
    async fn hook(&self, what: &str, owner: &str, value: &str) -> io::Result<()> {
        let Some((program, arguments)) = self.config.acme.dns_hook.split_first() else {
            return Err(io::Error::other("acme.dns_hook names no command"));
        };
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).args([what, owner, value]).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(HOOK_TIME, command.output()).await??;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or_default();
        Err(io::Error::other(format!("{} ended with {}: {said}", program, output.status)))
    }
}

/// RFC 9773 §4.2: any moment of the window, so that not everybody comes at once; the same after a
/// restart.
fn chosen(window: &AcmeWindow, id: &AcmeCertificateId) -> Timestamp {
    let hash = blake3::hash(id.to_string().as_bytes());
    let first: [u8; 8] = std::array::from_fn(|at| hash.as_bytes()[at]);
    let length = window.end.since(window.start).as_millis().max(1);
    let behind = u128::from(u64::from_be_bytes(first)) % length;
    window.start.after(Duration::from_millis(u64::try_from(behind).unwrap_or(0)))
}

impl AcmeProver for Keeper {
    fn show<'a>(
        &'a self,
        name: &'a Domain,
        proof: &'a AcmeProof,
    ) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>> {
        Box::pin(async move {
            match proof {
                AcmeProof::Page { path, text } => {
                    self.pages.lock().insert(path.clone(), text.clone());
                    Ok(())
                }
                AcmeProof::Certificate { chain, key } => self
                    .tls
                    .begin_challenge(name.as_str(), chain.as_bytes(), key.as_bytes())
                    .map_err(io::Error::other),
                AcmeProof::Txt { owner, value } => self.hook("set", owner, value).await,
            }
        })
    }

    fn hide<'a>(
        &'a self,
        name: &'a Domain,
        proof: &'a AcmeProof,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            match proof {
                AcmeProof::Page { path, .. } => drop(self.pages.lock().remove(path)),
                AcmeProof::Certificate { .. } => self.tls.end_challenge(name.as_str()),
                AcmeProof::Txt { owner, value } => {
                    if let Err(error) = self.hook("unset", owner, value).await {
                        tracing::warn!(%error, owner, "a proof for ACME stays in DNS");
                    }
                }
            }
        })
    }
}
