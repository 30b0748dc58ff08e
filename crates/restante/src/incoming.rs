//! Starts what takes mail: ports 25, 587 and 465, and LMTP; how senders are judged, from the
//! settings.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use config::{Config, Service};
use mail_types::{Address, Domain, Priority};
use sign_in::SignIn;
use smtp_machine::server::Role;
use store::Store;
use tokio::net::UnixListener;

use crate::data_dir::DataDir;
use crate::outside::Outside;
use crate::serve::{Running, trusted};

/// A Unix socket's file while it is listened on.
pub struct SocketFile(PathBuf);

impl SocketFile {
    /// Takes the file away once nobody listens any more.
    pub fn remove(self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "the LMTP socket cannot be removed");
        }
    }
}

/// Listens; the LMTP socket's file, where there is one.
pub fn listen(
    running: &mut Running,
    data: &DataDir,
    config: &Config,
    store: &Store,
    sign_in: &Arc<SignIn>,
    outside: &Outside,
) -> anyhow::Result<Option<SocketFile>> {
    let checks = config.judge.enabled.then(|| Arc::new(checks(config, outside)));
    for (service, role) in [
        (Service::Smtp, Role::Mx),
        (Service::Submission, Role::Submission),
        (Service::Submissions, Role::Submission),
        (Service::Lmtp, Role::Lmtp),
    ] {
        let checks = match role {
            Role::Mx => checks.clone(),
            Role::Submission | Role::Lmtp => None,
        };
        let shared = smtp::Shared { checks, ..shared(config, store, sign_in, role) };
        let shared = Arc::new(shared);
        let stop = running.stop();
        running.listen(config, service, smtp::TOO_MANY_CONNECTIONS, move |link| {
            smtp::serve(Arc::clone(&shared), link, stop.clone())
        })?;
    }
    let Some(socket) = &config.lmtp.socket else { return Ok(None) };
    let path = data.resolve(socket);
    let listener = bind(&path, config.lmtp.socket_for_everybody)?;
    // Whoever may open the file may use it: no address to look at.
    let shared =
        Arc::new(smtp::Shared { clients: None, ..shared(config, store, sign_in, Role::Lmtp) });
    let stop = running.stop();
    running.listen_unix("lmtp", listener, smtp::TOO_MANY_CONNECTIONS, move |link| {
        smtp::serve(Arc::clone(&shared), link, stop.clone())
    });
    Ok(Some(SocketFile(path)))
}

/// What a port of this role works with; the HTTP API takes what the submission port would.
pub fn shared(config: &Config, store: &Store, sign_in: &Arc<SignIn>, role: Role) -> smtp::Shared {
    smtp::Shared {
        store: store.clone(),
        sign_in: Arc::clone(sign_in),
        hostname: config.hostname.clone(),
        role,
        checks: None,
        clients: match role {
            Role::Lmtp => Some(trusted(&config.lmtp.networks)),
            Role::Mx | Role::Submission => None,
        },
        plain_sign_in_from_loopback: config.sign_in.allow_plaintext_from_loopback,
        hold_max: (role == Role::Submission && !config.queue.future_release_max.is_zero())
            .then_some(config.queue.future_release_max),
        deliver_by_min: (!config.queue.deliver_by_min.is_zero())
            .then_some(config.queue.deliver_by_min),
        priority_max: Priority::nearest(config.queue.priority_max.into()),
        limits: limits(config),
        any_from: any_from(config),
        received_fields_max: config.limits.received_fields_max,
    }
}

/// Accounts that may write any From, by themselves or by their domain.
fn any_from(config: &Config) -> Box<dyn Fn(&Address) -> bool + Send + Sync> {
    let free = config.submission.any_from.iter();
    let free: HashSet<String> = free
        .map(|text| Address::parse(text).map_or_else(|_| text.to_lowercase(), |one| one.folded()))
        .collect();
    Box::new(move |account| {
        let domain = account.domain().map(Domain::as_str).unwrap_or_default();
        free.contains(&account.folded()) || free.contains(domain)
    })
}

fn checks(config: &Config, outside: &Outside) -> smtp::Checks {
    let judge = &config.judge;
    let all = judge::Policy {
        dmarc_reject: act(judge.dmarc_reject),
        dmarc_quarantine: act(judge.dmarc_quarantine),
        dmarc_none: act(judge.dmarc_none),
        spf_fail: act(judge.spf_fail),
        no_author: act(judge.no_author),
        dns_trouble: match judge.defer_on_dns_trouble {
            false => judge::DnsTrouble::Accept,
            true => judge::DnsTrouble::Defer,
        },
    };
    let of_domains: HashMap<Domain, judge::Policy> = judge
        .domains
        .iter()
        .map(|rules| (rules.domain.clone(), rules.rules.iter().fold(all, with_rule)))
        .collect();
    smtp::Checks {
        resolver: Arc::new(outside.resolver.for_strangers()),
        turnstile: net::Turnstile::default(),
        patience: judge.patience,
        message_wait: config.timeouts.smtp_message,
        trusted: trusted(&judge.trusted_networks),
        policy_of: Box::new(move |domain| of_domains.get(domain).copied().unwrap_or(all)),
        trusted_sealers: judge.trusted_sealers.clone(),
    }
}

fn with_rule(
    mut policy: judge::Policy,
    (rule, does): &(config::Rule, config::Act),
) -> judge::Policy {
    let place = match rule {
        config::Rule::DmarcReject => &mut policy.dmarc_reject,
        config::Rule::DmarcQuarantine => &mut policy.dmarc_quarantine,
        config::Rule::DmarcNone => &mut policy.dmarc_none,
        config::Rule::SpfFail => &mut policy.spf_fail,
        config::Rule::NoAuthor => &mut policy.no_author,
    };
    *place = act(*does);
    policy
}

const fn act(act: config::Act) -> judge::Act {
    match act {
        config::Act::Note => judge::Act::Note,
        config::Act::Junk => judge::Act::Junk,
        config::Act::Hold => judge::Act::Hold,
        config::Act::Reject => judge::Act::Reject,
    }
}

/// Binds the socket, whose file of a server that is dead may still be there.
fn bind(path: &Path, for_everybody: bool) -> anyhow::Result<UnixListener> {
    let named = || format!("lmtp.socket {}", path.display());
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            bail!("{} is there and no socket; name another path or remove it", named());
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            bail!("{} is listened on by another program; name another path", named());
        }
        Ok(_) => std::fs::remove_file(path)
            .with_context(|| format!("{} is left over and cannot be removed", named()))?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)
        .with_context(|| format!("{} cannot be made; does its directory exist?", named()))?;
    let mode = if for_everybody { 0o666 } else { 0o660 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .with_context(|| format!("{} cannot be protected", named()))?;
    Ok(listener)
}

fn limits(config: &Config) -> smtp_machine::server::Limits {
    let (limits, timeouts) = (&config.limits, &config.timeouts);
    smtp_machine::server::Limits {
        message_octets_max: limits.message_bytes_max,
        recipients_max: limits.recipients_max,
        line_octets_max: limits.smtp_line_bytes_max,
        path_line_octets_max: limits.smtp_path_line_bytes_max,
        auth_line_octets_max: limits.smtp_auth_line_bytes_max,
        commands_max: limits.smtp_commands_max,
        errors_max: limits.smtp_errors_max,
        refused_recipients_max: limits.smtp_refused_recipients_max,
        failed_sign_ins_max: config.sign_in.tries_max,
        command_wait: timeouts.smtp_command,
        content_wait: timeouts.smtp_data,
        message_wait: timeouts.smtp_message,
    }
}
