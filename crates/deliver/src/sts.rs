//! MTA-STS policies (RFC 8461): found, fetched, remembered over restarts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mail_types::{Domain, Timestamp};
use net::{HttpClient, HttpLimits, HttpRequest, Lookup, Reach, Resolver, Stop};
use route::{StsMode, StsPolicy, sts_id};
use tokio::sync::Mutex as Turn;

use crate::Clock;

/// RFC 8461 §3.3: octets of a policy that are read.
const POLICY_OCTETS_MAX: usize = 64 << 10;
/// Domains of which something is in memory; those without a policy are forgotten beyond it.
const DOMAINS_MAX: usize = 100_000;
/// A policy that is older is fetched again, though its id is the same: RFC 8461 §3.3 advises to do
/// so well before it runs out.
const REFRESH_AFTER: Duration = Duration::from_secs(86_400);
/// A policy that could not be fetched is not asked for again before this (RFC 8461 §3.3 advises
/// against more than one try each five minutes).
const AGAIN_AFTER: Duration = Duration::from_secs(300);

/// How often it is looked whether policies are old.
const LOOK_EACH: Duration = Duration::from_secs(3600);
/// Policies of domains that no mail goes to for so long run out.
const USED_WITHIN: Duration = Duration::from_secs(90 * 86_400);

/// A policy as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPolicy {
    /// Whose.
    pub domain: Domain,
    /// The id of the TXT record that led to it.
    pub id: String,
    /// When it came, or came again.
    pub fetched: Timestamp,
    /// Its text, as it came.
    pub text: String,
}

/// Where policies stay over restarts. Losing one opens the way to a downgrade, until it is fetched
/// again.
pub trait PolicyFiles: Send + Sync {
    /// All that were kept; what cannot be read is told in the log and left out.
    fn load(&self) -> Vec<KeptPolicy>;
    /// Keeps one, in place of the domain's earlier one.
    ///
    /// # Errors
    /// Then it holds until the next restart alone.
    fn keep(&self, policy: &KeptPolicy) -> std::io::Result<()>;
    /// Forgets one that has run out.
    ///
    /// # Errors
    /// Then it is left lying, and stays run out.
    fn forget(&self, domain: &Domain) -> std::io::Result<()>;
}

/// How policies are fetched.
#[derive(Clone, Debug)]
pub struct StsSettings {
    /// The port to ask. Default 443.
    pub port: u16,
    /// How long it may take. Default 1 min.
    pub timeout: Duration,
}

impl Default for StsSettings {
    fn default() -> Self {
        Self { port: 443, timeout: Duration::from_secs(60) }
    }
}

/// What is known of a domain's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sts {
    /// It has none, or one of mode none.
    None,
    /// It has one.
    Policy {
        /// The policy.
        policy: Arc<StsPolicy>,
        /// Its id.
        id: String,
        /// Why it could not be refreshed, where that is so: it holds all the same until it runs
        /// out (RFC 8461 §3.3).
        stale: Option<String>,
    },
    /// It says that it has one, which cannot be fetched, and none is remembered: as if it had none
    /// (RFC 8461 §3.3), and told.
    Unfetched(StsTrouble),
}

/// Why a policy cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StsTrouble {
    /// Nobody answers at its place, or not with 200.
    #[error("its policy cannot be fetched: {0}")]
    Fetch(String),
    /// The certificate of its place is not good.
    #[error("its policy cannot be fetched: {0}")]
    Certificate(String),
    /// What is there is no policy.
    #[error("its policy is none: {0}")]
    Invalid(String),
}

/// Finds the policies of domains, and remembers them.
pub struct StsPolicies {
    resolver: Arc<Resolver>,
    http: HttpClient,
    settings: StsSettings,
    files: Box<dyn PolicyFiles>,
    domains: Mutex<HashMap<Domain, Arc<Turn<State>>>>,
}

/// What is remembered of a domain.
#[derive(Debug, Default)]
struct State {
    kept: Option<Kept>,
    /// When mail went there last; the start of the server for what was kept before it.
    used: Timestamp,
    /// What went wrong at the last fetch, and until when none is tried.
    failed: Option<(Timestamp, StsTrouble)>,
}

#[derive(Clone, Debug)]
struct Kept {
    policy: Arc<StsPolicy>,
    id: String,
    fetched: Timestamp,
}

impl Kept {
    fn runs_out(&self) -> Timestamp {
        self.fetched.after(Duration::from_secs(self.policy.max_age_secs))
    }

    fn is_old(&self, now: Timestamp) -> bool {
        let half = Duration::from_secs(self.policy.max_age_secs / 2);
        now >= self.fetched.after(half.min(REFRESH_AFTER))
    }

    fn found(&self, stale: Option<&StsTrouble>) -> Sts {
        match self.policy.mode {
            StsMode::None => Sts::None,
            StsMode::Enforce | StsMode::Testing => Sts::Policy {
                policy: Arc::clone(&self.policy),
                id: self.id.clone(),
                stale: stale.map(ToString::to_string),
            },
        }
    }
}

impl StsPolicies {
    /// With what was kept before.
    #[must_use]
    pub fn new(
        resolver: Arc<Resolver>,
        http: HttpClient,
        settings: StsSettings,
        files: Box<dyn PolicyFiles>,
        now: Timestamp,
    ) -> Self {
        let mut domains = HashMap::new();
        for kept in files.load() {
            let domain = kept.domain.clone();
            match read(&kept) {
                Some(kept) if kept.runs_out() > now => {
                    let state = State { kept: Some(kept), used: now, failed: None };
                    domains.insert(domain, Arc::new(Turn::new(state)));
                }
                Some(_) | None => {
                    if let Err(error) = files.forget(&domain) {
                        tracing::warn!(%domain, %error, "an old MTA-STS policy stays on disk");
                    }
                }
            }
        }
        Self { resolver, http, settings, files, domains: Mutex::new(domains) }
    }

    /// The policy that holds for mail to this domain now. Fetches it where it is new or old; two
    /// who ask at once share the answer.
    pub async fn find(&self, domain: &Domain, now: Timestamp) -> Sts {
        let turn = self.turn(domain);
        let mut state = turn.lock().await;
        state.used = now;
        self.look(domain, &mut state, now).await
    }

    /// Keeps policies fresh until the stop, whether or not mail goes there: one that ends between
    /// two messages would leave the second without protection (RFC 8461 §10.2).
    pub async fn keep_fresh(self: Arc<Self>, clock: Arc<dyn Clock>, mut stop: Stop) {
        loop {
            let until = clock.now().after(LOOK_EACH);
            tokio::select! {
                biased;
                () = stop.requested() => return,
                fresh = self.refresh(clock.now()) => tracing::debug!(fresh, "MTA-STS policies"),
            }
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = clock.until(until) => {}
            }
        }
    }

    /// Asks anew for the policies that are old (RFC 8461 §3.3), of domains that mail went to lately;
    /// answers for how many.
    pub async fn refresh(&self, now: Timestamp) -> usize {
        let is_due = |turn: &Arc<Turn<State>>| {
            // One that is in use is being asked for.
            turn.try_lock().is_ok_and(|state| {
                let old = state.kept.as_ref().is_some_and(|kept| kept.is_old(now));
                old && now.since(state.used) < USED_WITHIN
            })
        };
        let due: Vec<(Domain, Arc<Turn<State>>)> = {
            let domains = self.lock();
            let due = domains.iter().filter(|(_, turn)| is_due(turn));
            due.map(|(domain, turn)| (domain.clone(), Arc::clone(turn))).collect()
        };
        for (domain, turn) in &due {
            let mut state = turn.lock().await;
            self.look(domain, &mut state, now).await;
        }
        due.len()
    }

    async fn look(&self, domain: &Domain, state: &mut State, now: Timestamp) -> Sts {
        state.kept = state.kept.take().filter(|kept| kept.runs_out() > now);
        let id = self.id(domain).await;
        let kept = state.kept.clone();
        let id = match (id, &kept) {
            // RFC 8461 §3.3: a policy that is remembered holds until it runs out, whatever has
            // become of the record: else whoever can forge DNS answers could switch it off.
            (None, Some(kept)) => return kept.found(None),
            (None, None) => return Sts::None,
            (Some(id), Some(kept)) if kept.id == id && !kept.is_old(now) => {
                return kept.found(None);
            }
            (Some(id), _) => id,
        };
        let failed = match &state.failed {
            Some((until, why)) if *until > now => why.clone(),
            Some(_) | None => match self.fetch(domain, id, now).await {
                Ok(fresh) => {
                    let found = fresh.found(None);
                    (state.kept, state.failed) = (Some(fresh), None);
                    return found;
                }
                Err(why) => {
                    tracing::warn!(%domain, %why, "MTA-STS");
                    state.failed = Some((now.after(AGAIN_AFTER), why.clone()));
                    why
                }
            },
        };
        match kept {
            Some(kept) => kept.found(Some(&failed)),
            None => Sts::Unfetched(failed),
        }
    }

    fn turn(&self, domain: &Domain) -> Arc<Turn<State>> {
        let mut domains = self.lock();
        if domains.len() >= DOMAINS_MAX {
            // What is in use is left, and what holds a policy.
            domains.retain(|_, turn| turn.try_lock().map_or(true, |state| state.kept.is_some()));
        }
        Arc::clone(domains.entry(domain.clone()).or_default())
    }

    /// The id of the policy that the domain has now; `None` where it has none or it is not known.
    async fn id(&self, domain: &Domain) -> Option<String> {
        let name = Domain::new(&format!("_mta-sts.{domain}")).ok()?;
        match self.resolver.txt(&name).await {
            Lookup::Found { records, .. } => match sts_id(&records) {
                Ok(id) => id,
                Err(error) => {
                    tracing::debug!(%domain, %error, "MTA-STS");
                    None
                }
            },
            Lookup::NoData | Lookup::NxDomain | Lookup::Temporary(_) => None,
        }
    }

    /// RFC 8461 §3.3: from a fixed place, its certificate verified, no redirect followed.
    async fn fetch(&self, domain: &Domain, id: String, now: Timestamp) -> Result<Kept, StsTrouble> {
        let port = match self.settings.port {
            443 => String::new(),
            port => format!(":{port}"),
        };
        let url = format!("https://mta-sts.{domain}{port}/.well-known/mta-sts.txt");
        let limits = HttpLimits {
            time: self.settings.timeout,
            body_octets_max: POLICY_OCTETS_MAX,
            redirects_max: 0,
            reach: Reach::Outward,
            may_be_plain: false,
        };
        let response = match self.http.send(HttpRequest::get(url), &limits).await {
            Ok(response) => response,
            Err(error @ net::HttpError::Tls { .. }) => {
                return Err(StsTrouble::Certificate(error.to_string()));
            }
            Err(error) => return Err(StsTrouble::Fetch(error.to_string())),
        };
        if response.status != 200 {
            return Err(StsTrouble::Fetch(format!("HTTP status {}", response.status.as_u16())));
        }
        // RFC 8461 §3.2: "text/plain", so that nobody can put one on a server for pages.
        if response.media_type().as_deref() != Some("text/plain") {
            return Err(StsTrouble::Invalid("its media type is not text/plain".to_owned()));
        }
        let invalid = |error: route::StsError| StsTrouble::Invalid(error.to_string());
        let policy = StsPolicy::parse(&response.body).map_err(invalid)?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        let kept = KeptPolicy { domain: domain.clone(), id: id.clone(), fetched: now, text };
        if let Err(error) = self.files.keep(&kept) {
            tracing::error!(%domain, %error, "an MTA-STS policy will not survive a restart");
        }
        Ok(Kept { policy: Arc::new(policy), id, fetched: now })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Domain, Arc<Turn<State>>>> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(kept: &KeptPolicy) -> Option<Kept> {
    let policy = StsPolicy::parse(kept.text.as_bytes()).ok()?;
    Some(Kept { policy: Arc::new(policy), id: kept.id.clone(), fetched: kept.fetched })
}
