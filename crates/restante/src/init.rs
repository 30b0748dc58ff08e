//! `restante init`: makes a data directory.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use config::Config;
use mail_types::{Address, Domain};
use store::{Actor, OperatorRole, Store};

use crate::data_dir::DataDir;
use crate::operator_command;
use crate::request::{Request, perform};

/// What a new installation is.
#[derive(Clone, Debug, clap::Args)]
pub struct InitArgs {
    /// The full name of this host, as other servers look it up
    #[arg(long)]
    pub hostname: Domain,
    /// A domain whose mail is kept here (repeatable)
    #[arg(long = "domain", required = true)]
    pub domains: Vec<Domain>,
    /// An account to make, by its address (repeatable)
    #[arg(long = "account")]
    pub accounts: Vec<Address>,
    /// A file with one password for all accounts, or one a line for each; without it they are
    /// generated and printed once
    #[arg(long)]
    pub password_file: Option<PathBuf>,
    /// An address to listen on (repeatable); without it, all
    #[arg(long = "listen")]
    pub listen: Vec<IpAddr>,
    /// An operator to make, who signs in at the console; the password is printed once
    #[arg(long = "operator", value_name = "NAME")]
    pub operator: Option<String>,
    /// Added to every standard port: 20000 makes 25 into 20025
    #[arg(long, default_value_t = 0)]
    pub port_base: u16,
    /// The DNS server to ask, IP:PORT; without it, those of the system
    #[arg(long)]
    pub resolver: Option<SocketAddr>,
}

/// What was made.
pub struct Made {
    pub config: Config,
    /// Passwords that were generated, by account; nowhere else to be found.
    pub generated: BTreeMap<Address, String>,
    /// The operator's name and password.
    pub operator: Option<(String, String)>,
}

impl Made {
    /// Where the console is.
    pub fn console_url(&self) -> String {
        let host = &self.config.hostname;
        match self.config.port_of(config::Service::Https) {
            None | Some(443) => format!("https://{host}/admin"),
            Some(port) => format!("https://{host}:{port}/admin"),
        }
    }
}

pub fn init(data: &DataDir, args: &InitArgs) -> anyhow::Result<Made> {
    if data.settings_path().exists() {
        bail!(
            "{} holds an installation already; nothing was changed.\nTo add to it: restante \
             account add, restante domain add. To begin anew, choose another directory.",
            data.path().display()
        );
    }
    let mut config = Config::new(args.hostname.clone());
    if !args.listen.is_empty() {
        config.listen.addresses.clone_from(&args.listen);
    }
    config.listen.port_base = args.port_base;
    if let Some(resolver) = args.resolver {
        config.dns.resolver = config::Resolver::Server(resolver);
    }
    if let Some(contradiction) = config.contradictions().first() {
        bail!("{contradiction}");
    }
    check_accounts(args)?;
    let (passwords, generated) = passwords(args)?;
    let operator = match &args.operator {
        Some(name) => Some((name.clone(), generate_password()?)),
        None => None,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data.path())
        .with_context(|| format!("cannot make {}", data.path().display()))?;
    // It may have been there before, open to everybody: it holds people's mail.
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot protect {}", data.path().display()))?;
    fill_store(data, &config, args, passwords, operator.as_ref())?;
    write_certificate(data, &config)?;
    // Last: a directory without settings is no installation, and `init` can be run again.
    write_file(&data.settings_path(), config.to_toml().as_bytes())?;
    Ok(Made { config, generated, operator })
}

/// Everything that could be refused later is refused before anything is made.
fn check_accounts(args: &InitArgs) -> anyhow::Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for account in &args.accounts {
        if !account.domain().is_some_and(|domain| args.domains.contains(domain)) {
            bail!("{account} is in none of the domains; add --domain {}", account.host);
        }
        if !seen.insert(account.folded()) {
            bail!("{account} is named twice");
        }
    }
    let domains: std::collections::BTreeSet<_> = args.domains.iter().collect();
    if domains.len() < args.domains.len() {
        bail!("a domain is named twice");
    }
    Ok(())
}

fn write_certificate(data: &DataDir, config: &Config) -> anyhow::Result<()> {
    let made = net::self_signed(&[config.hostname.to_string()], net::now())?;
    for (path, pem) in
        [(&config.tls.certificate, made.certificate_pem), (&config.tls.key, made.key_pem)]
    {
        let path = data.resolve(path);
        if let Some(parent) = path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        write_file(&path, pem.as_bytes())?;
    }
    Ok(())
}

fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        // Synced: an installation that was told to be made is there after a power cut, too.
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn fill_store(
    data: &DataDir,
    config: &Config,
    args: &InitArgs,
    passwords: Vec<String>,
    operator: Option<&(String, String)>,
) -> anyhow::Result<()> {
    let (store, started) = Store::open(data.path(), DataDir::store_options(config))?;
    if !started.created {
        store.close();
        bail!(
            "{} has a journal but no settings: put restante.toml back, or choose another directory",
            data.path().display()
        );
    }
    let actor = Actor::Operator { name: "init".to_owned() };
    let mut requests: Vec<Request> =
        args.domains.iter().map(|domain| Request::DomainAdd { domain: domain.clone() }).collect();
    for (address, password) in args.accounts.iter().zip(passwords) {
        requests.push(Request::AccountAdd { address: address.clone(), password });
    }
    if let Some((name, password)) = operator {
        let (name, password, role) = (name.clone(), password.clone(), OperatorRole::Operator);
        let ask = operator_command::Ask::Add { name, role, password };
        requests.push(Request::Operator { ask });
    }
    if let Some(first) = args.accounts.first() {
        // RFC 5321 §4.5.1: every domain has a postmaster. The host's own name may be no mail domain.
        for domain in &args.domains {
            for role in ["postmaster", "abuse"] {
                let alias = Address::parse(&format!("{role}@{domain}"))?;
                if !args.accounts.iter().any(|account| account.folded() == alias.folded()) {
                    requests.push(Request::AliasAdd { alias, targets: vec![first.clone()] });
                }
            }
        }
    }
    let mut result = Ok(());
    for request in requests {
        result = perform(&store, request, &actor).map(drop);
        if result.is_err() {
            break;
        }
    }
    store.close();
    result.map_err(|failure| anyhow::anyhow!("{failure}"))
}

/// A password for each account, and those of them that were generated.
fn passwords(args: &InitArgs) -> anyhow::Result<(Vec<String>, BTreeMap<Address, String>)> {
    let Some(file) = &args.password_file else {
        let mut generated = BTreeMap::new();
        let mut passwords = Vec::new();
        for account in &args.accounts {
            let password = generate_password()?;
            passwords.push(password.clone());
            generated.insert(account.clone(), password);
        }
        return Ok((passwords, generated));
    };
    let lines = read_passwords(file)?;
    match (lines.len(), args.accounts.len()) {
        (1, count) => Ok((vec![lines[0].clone(); count], BTreeMap::new())),
        (given, count) if given == count => Ok((lines, BTreeMap::new())),
        (given, count) => bail!(
            "{} has {given} passwords for {count} accounts: give one for all, or one a line each",
            file.display()
        ),
    }
}

/// The passwords in a file, one a line.
pub fn read_passwords(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the password file {}", file.display()))?;
    let lines: Vec<String> =
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if lines.is_empty() {
        bail!("the password file {} is empty", file.display());
    }
    Ok(lines)
}

/// Four groups of five letters and digits that are not mistaken for each other: 100 bits.
pub fn generate_password() -> anyhow::Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let random: [u8; 20] = net::random_bytes()?;
    let groups: Vec<String> = random
        .chunks(5)
        .map(|group| group.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
        .collect();
    Ok(groups.join("-"))
}
