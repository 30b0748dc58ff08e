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
use config::{AcmeProofBy, Config};
use mail_types::{Domain, Timestamp};
use net::{
    AcmeChallenge, AcmeOrder, AcmeProof, AcmeProver, CertificateFacts, HttpClient, ServerTls, Stop,
};
use tokio::sync::Mutex as Turn;

use crate::data_dir::DataDir;
use crate::{certificates, kept_file};

/// Chain and key, below the data directory.
pub const FILE: &str = "tls/acme.pem";
/// The account with the authority, beside it.
const ACCOUNT_FILE: &str = "tls/acme-account.json";
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
            })
        })
    }

    /// Orders one whenever the old one has less than a third of its time left, or lacks a name,
    /// until the stop.
    pub async fn keep(self: Arc<Self>, mut stop: Stop) {
        let mut again_after = AGAIN_AFTER;
        loop {
            let wait = match self.is_due(net::now()) {
                None => LOOK_EACH,
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
        (facts.to.0.saturating_sub(now.0) < whole / 3).then_some("less than a third is left")
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
        let order = AcmeOrder {
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
