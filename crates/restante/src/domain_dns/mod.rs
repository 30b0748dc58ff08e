//! `restante domain dns`: all that a domain should have in the DNS, and what of it is there.

mod look;
mod rua;
mod wanted;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use config::Config;
use mail_types::Domain;
use net::Resolver;
use serde_json::{Value, json};
use store::{Actor, Store};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::check::Asking;
use crate::control;
use crate::data_dir::DataDir;
use crate::mta_sts;
use crate::request::{DkimRequest, Failure, Request};
use crate::show;
use look::{Found, Looking};
use rua::Kept;
use wanted::Wanted;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  restante domain dns example.org                 each record, marked right, WRONG or MISSING
  restante domain dns example.org --no-check      the records alone, as in a zone file
  restante domain dns example.org --resolver 127.0.0.1:53 --json")]
pub struct Args {
    domain: Domain,
    /// Print what to publish without looking whether it is there
    #[arg(long)]
    no_check: bool,
    #[command(flatten)]
    asking: Asking,
}

pub fn run(data: &DataDir, args: &Args, as_json: bool) -> anyhow::Result<ExitCode> {
    let config = data.config()?;
    let request = DkimRequest::List { domain: Some(args.domain.clone()) };
    let keys = control::ask(data, Request::Dkim { request })?;
    let certificate = std::fs::read(data.resolve(&config.tls.certificate)).unwrap_or_default();
    let mut records = wanted::records(&args.domain, &config, &keys, &certificate);
    let policy = mta_sts::policy(&config);
    if args.no_check {
        if as_json {
            let records: Vec<Value> = records.iter().map(|record| told(record, None)).collect();
            show::json(&json!({ "records": records, "mta_sts_policy": policy }));
            return Ok(ExitCode::SUCCESS);
        }
        records.iter().for_each(|record| show::line(&record.line()));
        print_policy(&args.domain, policy.as_deref());
        return Ok(ExitCode::SUCCESS);
    }
    let kept = Kept::ask(data)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(async {
        let resolver = args.asking.resolver(data)?;
        records.extend(look::reverse(&resolver, &config.hostname).await);
        let mut found = Vec::with_capacity(records.len());
        let (domain, host) = (&args.domain, &config.hostname);
        let looking = Looking { resolver: &resolver, domain, host, kept: &kept };
        for record in &records {
            found.push(look::look(&looking, record).await);
        }
        anyhow::Ok(found)
    })?;
    if as_json {
        let records: Vec<Value> =
            records.iter().zip(&found).map(|(record, found)| told(record, Some(found))).collect();
        show::json(&json!({ "records": records, "mta_sts_policy": policy }));
    } else {
        records.iter().zip(&found).for_each(|(record, found)| print(record, found));
        print_policy(&args.domain, policy.as_deref());
        summary(&records, &found);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever waits for a page about a domain waits no longer.
const LOOK_MAX: Duration = Duration::from_secs(12);

/// Looks domains up for a running server.
pub struct Names {
    data: DataDir,
    config: Config,
    resolver: Arc<Resolver>,
}

impl Names {
    pub fn new(data: &DataDir, config: &Config, resolver: &Arc<Resolver>) -> Arc<Self> {
        let (data, config) = (data.clone(), config.clone());
        Arc::new(Self { data, config, resolver: Arc::clone(resolver) })
    }

    /// What a domain should have in the DNS, and what of it is there.
    pub async fn check(&self, store: &Store, domain: Domain) -> Result<Value, Failure> {
        if !store.directory().is_local(&domain) {
            return Err(Failure {
                what: format!("{domain} is no domain of this server"),
                mend: Some(format!("add it first: restante domain add {domain}")),
            });
        }
        let request = DkimRequest::List { domain: Some(domain.clone()) };
        let keys = crate::dkim::perform(store, request, &Actor::Server)?;
        let certificate = self.data.resolve(&self.config.tls.certificate);
        let certificate = tokio::fs::read(certificate).await.unwrap_or_default();
        let host = &self.config.hostname;
        let mut records = wanted::records(&domain, &self.config, &keys, &certificate);
        let deadline = Instant::now() + LOOK_MAX;
        let reverse = look::reverse(&self.resolver, host);
        records.extend(timeout_at(deadline, reverse).await.unwrap_or_default());
        let records: Vec<Arc<Wanted>> = records.into_iter().map(Arc::new).collect();
        let found = self.look_all(store, &domain, &records, deadline).await;
        let told = records.iter().zip(&found).map(|(record, found)| {
            let mut told = told(record, found.as_ref());
            if found.is_none() {
                told["state"] = json!("unknown");
                told["trouble"] = json!("the DNS did not answer in time");
            }
            told
        });
        let (told, policy) = (told.collect::<Vec<_>>(), mta_sts::policy(&self.config));
        Ok(json!({ "domain": domain, "records": told, "mta_sts_policy": policy }))
    }

    /// All at once; what is not known at the deadline is none.
    async fn look_all(
        &self,
        store: &Store,
        domain: &Domain,
        records: &[Arc<Wanted>],
        deadline: Instant,
    ) -> Vec<Option<Found>> {
        let kept = Arc::new(Kept::of(&store.directory()));
        let mut looks = JoinSet::new();
        for (place, record) in records.iter().cloned().enumerate() {
            let (resolver, kept) = (Arc::clone(&self.resolver), Arc::clone(&kept));
            let (domain, host) = (domain.clone(), self.config.hostname.clone());
            looks.spawn(async move {
                let looking =
                    Looking { resolver: &resolver, domain: &domain, host: &host, kept: &kept };
                (place, look::look(&looking, &record).await)
            });
        }
        let mut found: Vec<Option<Found>> = records.iter().map(|_| None).collect();
        while let Ok(Some(done)) = timeout_at(deadline, looks.join_next()).await {
            if let Ok((place, one)) = done {
                found[place] = Some(one);
            }
        }
        found
    }
}

fn told(record: &Wanted, found: Option<&Found>) -> Value {
    json!({
        "name": record.name,
        "type": record.kind.as_str(),
        "data": record.data,
        "why": record.why,
        "needed": record.needed,
        "state": found.map(Found::word),
        "present": found.map(|found| &found.present),
        "trouble": found.and_then(|found| found.trouble.as_ref()),
        "notes": found.map(|found| &found.notes),
    })
}

/// Zone-file lines; all that is said besides is a comment.
fn print(record: &Wanted, found: &Found) {
    show::line(&format!("{:<60} ; {}: {}", record.line(), found.mark(), record.why));
    if found.word() == "wrong" {
        for present in &found.present {
            show::line(&format!(";   present: {present}"));
        }
        show::line(&format!(";   wanted:  {}", record.data));
    }
    found.notes.iter().for_each(|note| show::line(&format!(";   {note}")));
    if let Some(trouble) = &found.trouble {
        show::line(&format!(";   {trouble}"));
    }
}

fn print_policy(domain: &Domain, policy: Option<&str>) {
    let Some(policy) = policy else { return };
    show::line(&format!("; At https://mta-sts.{domain}/.well-known/mta-sts.txt stands:"));
    policy.lines().for_each(|line| show::line(&format!(";   {line}")));
}

fn summary(records: &[Wanted], found: &[Found]) {
    let count = |word: &str, needed: Option<bool>| {
        let all = records.iter().zip(found);
        all.filter(|(record, found)| {
            found.word() == word && needed.is_none_or(|needed| record.needed == needed)
        })
        .count()
    };
    show::line(&format!(
        "; {} right, {} wrong, {} missing that are needed, {} missing that are advised, {} unknown",
        count("right", None),
        count("wrong", None),
        count("missing", Some(true)),
        count("missing", Some(false)),
        count("unknown", None),
    ));
}
