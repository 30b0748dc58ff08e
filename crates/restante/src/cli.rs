use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use mail_types::{Address, Domain};

use crate::data_dir::DataDir;
use crate::init::{InitArgs, generate_password, init, read_passwords};
use crate::operator_command::{self, OperatorCommand};
use crate::queue_command::Queue;
use crate::request::{Request, TraceKeys, Which};
use crate::{
    archive_command, backups, check, control, demo, dkim, domain_dns, doors, heads, history,
    hook_command, jobs, mailbox_command, report_command, scrubbing, search, serve, show, standbys,
    tls, transfer, verify,
};

/// A mail system that loses no mail, and shows it.
#[derive(Debug, Parser)]
#[command(name = "restante", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The data directory: everything of an installation is in it
    #[arg(long, global = true, env = "RESTANTE_DATA", default_value = "./restante-data")]
    data: PathBuf,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// `trace` and `queue show` found nothing.
const EXIT_NOTHING_FOUND: u8 = 3;

const EXAMPLES: &str = "\
Examples:
  restante demo                                   a server that shows itself, in a fresh directory
  restante init --data /var/lib/restante --hostname mail.example.org \\
      --domain example.org --account ann@example.org
  restante serve --data /var/lib/restante
  restante trace --data /var/lib/restante r2k-9f86d081
  restante verify --data /var/lib/restante        prove that nothing is lost";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a server in a fresh directory, send a message through it, show its story
    Demo(demo::DemoArgs),
    /// Make a data directory: settings, keys, certificate, accounts
    Init(InitArgs),
    /// Run the server until SIGTERM or SIGINT; SIGHUP reads the certificate anew
    Serve,
    /// How the server is
    Status,
    /// The running server's numbers, as Prometheus reads them
    Metrics,
    /// Accounts that sign in and receive
    #[command(subcommand)]
    Account(Account),
    /// Domains whose mail is kept here
    #[command(subcommand)]
    Domain(DomainCommand),
    /// Keys that mail is signed with
    #[command(subcommand)]
    Dkim(dkim::Dkim),
    /// Addresses whose mail goes on to others
    #[command(subcommand)]
    Alias(Alias),
    /// URLs that are told what happens to mail
    #[command(subcommand)]
    Hook(hook_command::Hook),
    /// Tokens by which programs send over the HTTP API as an account
    #[command(subcommand)]
    Token(doors::Token),
    /// The people who look after this server over its console and HTTP API
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// What operators did and looked at, over the console and on the command line
    Audit(Audit),
    /// Smart hosts by domain
    #[command(subcommand)]
    Route(Route),
    /// Mail on its way to other servers
    #[command(subcommand)]
    Queue(Queue),
    /// Certificates of this host, and what TLS must be towards others
    #[command(subcommand)]
    Tls(tls::Tls),
    /// The whole story of a message
    Trace(Trace),
    /// Find any message ever accepted, show it, write it out
    Search(search::SearchArgs),
    /// Reads attachments that the server gives it
    #[command(hide = true)]
    AttachmentReader(search::ReaderArgs),
    /// What people did: deleted, moved, renamed, changed; each can be taken back
    History(history::History),
    /// Take back what was done: all of it, or what one session or address did
    Undo(history::Undo),
    /// Long work of the running server: how far it is, ending it, taking it back
    #[command(subcommand)]
    Job(jobs::JobCommand),
    /// Mailboxes as they are, or as they were at a time; bring back what is gone since
    #[command(subcommand)]
    Mailbox(mailbox_command::Mailbox),
    /// How long mail is kept that lies in no mailbox any more
    #[command(subcommand)]
    Retention(archive_command::Retention),
    /// Legal holds: mail that is kept whatever else says
    #[command(subcommand)]
    Hold(archive_command::HoldCommand),
    /// Let mail go for good: what is over its time, or one message
    Purge(archive_command::Purge),
    /// Bring mail in from a Maildir, mbox files or an IMAP server: nothing twice, all of it compared
    Import(transfer::ImportArgs),
    /// Write an account's mail out as Maildir or mbox
    Export(transfer::ExportArgs),
    /// Prove that nothing is lost: reads everything, changes nothing, needs no server
    Verify(verify::Verify),
    /// Copy everything that cannot be made again, while the server runs; look into such copies
    Backup(backups::command::Take),
    /// Make an installation of a backup, in a new directory
    Restore(backups::command::Restore),
    /// Have a second server that has everything and can take this one's place
    Standby(standbys::command::StandbyArgs),
    /// Read the journal and its bodies from the disk now, and name what is damaged
    Scrub,
    /// Write what is damaged once more, from a backup
    Heal(backups::healing::Heal),
    /// The signed head of the journal, to be kept elsewhere, and its check
    Head(heads::command::Head),
    /// That a message was accepted, provable without this server
    Proof(heads::command::Proof),
    /// Make the index anew from the journal; the server must not run
    Rebuild,
    /// Reports about mail and TLS: those of others about our domains, and ours to others
    #[command(subcommand)]
    Report(report_command::Report),
    /// What SPF, DKIM, DMARC and ARC say of a sender or a message; needs no server
    #[command(subcommand)]
    Check(check::Check),
    /// Load a server, kill it, pull its plug, and count what is left
    #[command(subcommand)]
    Drill(drill::Drill),
}

#[derive(Debug, Subcommand)]
enum Account {
    /// Add one; the password is generated and printed once unless a file has it
    Add {
        address: Address,
        /// A file with the password
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// Set a new password
    Password {
        address: Address,
        /// A file with the password
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// Remove one; its mail stays in the archive
    Remove { address: Address },
    /// Set how much one may keep, or show it
    Quota {
        address: Address,
        /// Size of all its messages: 5GiB, 500MiB, or none
        #[arg(long, value_parser = storage_limit)]
        storage: Option<Limit>,
        /// How many messages, or none
        #[arg(long, value_parser = count_limit)]
        messages: Option<Limit>,
    },
    /// List them
    List,
}

#[derive(Debug, Subcommand)]
enum DomainCommand {
    /// Keep mail for this domain here
    Add { domain: Domain },
    /// What to publish in the DNS for it, and what of that is there
    Dns(domain_dns::Args),
    /// No longer; its accounts must be gone
    Remove { domain: Domain },
    /// List them
    List,
}

#[derive(Debug, Subcommand)]
enum Alias {
    /// Send the mail of an address on to one or more others
    Add {
        alias: Address,
        #[arg(required = true)]
        targets: Vec<Address>,
    },
    /// Take an alias away
    Remove { alias: Address },
    /// List them
    List,
}

#[derive(Debug, Subcommand)]
enum Route {
    /// Send a domain's mail (`*`: that of every other domain) to a host
    Add {
        /// `example.org` or `*`
        domain: String,
        /// HOST:PORT; with port 465 TLS comes first
        relay: String,
        /// Sign in there under this name, with SCRAM-SHA-256, else with PLAIN over verified TLS
        #[arg(long, requires = "password_file", value_name = "NAME")]
        user: Option<String>,
        /// A file with the password there, `-` for standard input; only its first line counts
        #[arg(long, requires = "user", value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Back to MX records
    Remove {
        /// `example.org` or `*`
        domain: String,
    },
    /// List them
    List,
}

#[derive(Debug, Args)]
struct Audit {
    /// Only what this one did, as the list shows it: “ann (console)”
    #[arg(long)]
    who: Option<String>,
    /// At most so many lines, the latest (default 100)
    #[arg(long)]
    limit: Option<usize>,
}

const TRACE_EXAMPLES: &str = "\
Examples:
  restante trace r2k-9f86d081
  restante trace --to bob@example.org --since 2d --host mail.example.com
  restante trace --from anna@example.com --subject invoice --json

All that is given must hold. `restante search` finds messages by more.";

#[derive(Debug, Args)]
#[command(after_help = TRACE_EXAMPLES)]
struct Trace {
    /// A receipt, a Message-ID or an address; without it, the latest messages
    query: Option<String>,
    /// From this address
    #[arg(long, value_name = "ADDRESS")]
    from: Option<Address>,
    /// To this address, also as Bcc
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    /// With this Message-ID
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Brought by this host, or offered to it: a name or an IP address
    #[arg(long)]
    host: Option<String>,
    /// With these words in the subject
    #[arg(long, value_name = "WORDS")]
    subject: Option<String>,
    /// Only what was accepted at this time or later: 2026-11-21, 2026-11-21T15:00Z, or 2h (ago)
    #[arg(long)]
    since: Option<String>,
    /// Only what was accepted before this time
    #[arg(long)]
    until: Option<String>,
    /// At most so many stories, the latest first
    #[arg(long)]
    limit: Option<usize>,
}

impl Cli {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let data = DataDir::new(&self.data);
        let request = match self.command {
            Command::Demo(args) => return demo::demo(&args),
            Command::Init(args) => {
                let made = init(&data, &args)?;
                show::made(&data, &args, &made, self.json);
                return Ok(ExitCode::SUCCESS);
            }
            Command::Serve => {
                let config = data.config()?;
                let alarms = show::start_log(config.log.level, config.log.format);
                serve::serve(&data, alarms, |_, _| {})?;
                return Ok(ExitCode::SUCCESS);
            }
            Command::Search(args) => return search::run(&data, &args, self.json),
            Command::AttachmentReader(_) => return search::read_attachments(),
            Command::Import(args) => return transfer::import(&data, &args, self.json),
            Command::Export(args) => return transfer::export(&data, &args, self.json),
            Command::Verify(args) => return verify::verify(&data, &args, self.json),
            Command::Backup(take) => return backups::command::backup(&data, take, self.json),
            Command::Restore(args) => return backups::command::restore(&data, &args, self.json),
            Command::Standby(args) => return standbys::command::standby(&data, args, self.json),
            Command::Scrub => return scrubbing::scrub(&data, self.json),
            Command::Heal(args) => return backups::healing::heal(&data, args, self.json),
            Command::Head(head) => return heads::command::head(&data, &head, self.json),
            Command::Proof(proof) => return heads::command::proof(&data, proof, self.json),
            Command::Rebuild => return verify::rebuild(&data, self.json),
            Command::Report(command) => return report_command::run(&data, command, self.json),
            Command::Tls(command) => return tls::tls(&data, command, self.json),
            Command::Check(command) => return check::check(&data, &command, self.json),
            Command::Drill(drill) => return Ok(drill::run(&drill::Args { drill })),
            Command::Status => Request::Status,
            Command::Metrics => Request::Metrics,
            Command::Account(command) => {
                let (request, generated) = account(command)?;
                let answer = control::ask(&data, request.clone())?;
                show::answer(&request, &answer, self.json);
                // Only now is it the account's.
                if let Some((address, password)) = generated {
                    show::generated(&address, &password, self.json);
                }
                return Ok(ExitCode::SUCCESS);
            }
            Command::Hook(command) => {
                let (request, secret) = hook_command::request(command)?;
                let answer = control::ask(&data, request.clone())?;
                hook_command::show(&request, &answer, secret.as_deref(), self.json);
                return Ok(ExitCode::SUCCESS);
            }
            Command::Dkim(command) => return dkim::run(&data, command, self.json),
            Command::Domain(command) => match domain(command) {
                Ok(request) => request,
                Err(args) => return domain_dns::run(&data, &args, self.json),
            },
            Command::Token(command) => {
                let (request, made) = doors::token(command)?;
                let answer = control::ask(&data, request.clone())?;
                doors::answer(&request, &answer, made.as_deref(), self.json);
                return Ok(ExitCode::SUCCESS);
            }
            Command::Operator(command) => {
                let Some((request, told)) = operator_command::request(command)? else {
                    operator_command::print_scopes();
                    return Ok(ExitCode::SUCCESS);
                };
                let answer = control::ask(&data, request.clone())?;
                operator_command::answer(&request, &answer, &told, self.json);
                return Ok(ExitCode::SUCCESS);
            }
            Command::Audit(audit) => {
                Request::OperatorLog { before: None, who: audit.who, count_max: audit.limit }
            }
            Command::Alias(command) => alias(command),
            Command::Route(command) => route(command)?,
            Command::Queue(command) => command.request()?,
            Command::Trace(trace) => self::trace(&data, trace)?,
            Command::History(command) => command.request()?,
            Command::Undo(command) => command.request()?,
            Command::Job(command) => return command.run(&data, self.json),
            Command::Mailbox(command) => command.request()?,
            Command::Retention(command) => command.request()?,
            Command::Hold(command) => command.request()?,
            Command::Purge(command) => command.request()?,
        };
        // Whoever sits there sees how far it is; a script gets its answer, however long it takes.
        let answer = match show::is_seen() && jobs::is_long(&request) {
            true => jobs::follow(&data, request.clone())?,
            false => control::ask(&data, request.clone())?,
        };
        show::answer(&request, &answer, self.json);
        let nothing = matches!(request, Request::Trace { .. } | Request::QueueShow { .. })
            && answer.as_array().is_some_and(Vec::is_empty);
        Ok(if nothing { ExitCode::from(EXIT_NOTHING_FOUND) } else { ExitCode::SUCCESS })
    }
}

/// The request, and the password if it was made up for it.
fn account(command: Account) -> anyhow::Result<(Request, Option<(Address, String)>)> {
    let password = |file: Option<PathBuf>, address: &Address| -> anyhow::Result<_> {
        if let Some(file) = file {
            return Ok((read_passwords(&file)?.swap_remove(0), None));
        }
        let password = generate_password()?;
        Ok((password.clone(), Some((address.clone(), password))))
    };
    Ok(match command {
        Account::Add { address, password_file } => {
            let (password, generated) = password(password_file, &address)?;
            (Request::AccountAdd { address, password }, generated)
        }
        Account::Password { address, password_file } => {
            let (password, generated) = password(password_file, &address)?;
            (Request::AccountPassword { address, password }, generated)
        }
        Account::Remove { address } => (Request::AccountRemove { address }, None),
        Account::Quota { address, storage, messages } => {
            let (storage_bytes, messages) = (storage.map(|l| l.0), messages.map(|l| l.0));
            (Request::AccountQuota { address, storage_bytes, messages }, None)
        }
        Account::List => (Request::AccountList, None),
    })
}

/// A limit, or that there is none.
#[derive(Clone, Copy, Debug)]
struct Limit(Option<u64>);

fn storage_limit(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    // `5G` is what people write.
    let sizes = [text.to_owned(), format!("{text}iB")];
    let bytes = sizes.iter().find_map(|text| config::parse_bytes(text));
    bytes.map(|bytes| Limit(Some(bytes))).ok_or_else(|| "write 5GiB, 500MiB or none".to_owned())
}

fn count_limit(text: &str) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit(None)),
        number => number.parse().map(|count| Limit(Some(count))).map_err(|error| error.to_string()),
    }
}

/// The request; or what is wanted of the DNS, which no server is needed for.
fn domain(command: DomainCommand) -> Result<Request, domain_dns::Args> {
    Ok(match command {
        DomainCommand::Add { domain } => Request::DomainAdd { domain },
        DomainCommand::Remove { domain } => Request::DomainRemove { domain },
        DomainCommand::List => Request::DomainList,
        DomainCommand::Dns(args) => return Err(args),
    })
}

fn alias(command: Alias) -> Request {
    match command {
        Alias::Add { alias, targets } => Request::AliasAdd { alias, targets },
        Alias::Remove { alias } => Request::AliasRemove { alias },
        Alias::List => Request::AliasList,
    }
}

fn route(command: Route) -> anyhow::Result<Request> {
    let pattern = |text: &str| -> anyhow::Result<Option<Domain>> {
        if text == "*" {
            return Ok(None);
        }
        Domain::new(text).map(Some).with_context(|| format!("“{text}” is no domain and not *"))
    };
    Ok(match command {
        Route::Add { domain, relay, user, password_file } => {
            let domain = pattern(&domain)?;
            let relay: route::Relay = relay.parse()?;
            let host = match relay.host {
                mail_types::Host::Domain(host) => host.as_str().to_owned(),
                mail_types::Host::Literal(ip) => ip.to_string(),
            };
            let login = match (user, password_file) {
                (Some(name), Some(file)) => Some(relay_login(name, &file)?),
                (_, _) => None,
            };
            Request::RouteAdd { domain, host, port: relay.port, login }
        }
        Route::Remove { domain } => Request::RouteRemove { domain: pattern(&domain)? },
        Route::List => Request::RouteList,
    })
}

fn relay_login(name: String, file: &std::path::Path) -> anyhow::Result<store::RelayLogin> {
    let is_stdin = file.as_os_str() == "-";
    let file = if is_stdin { std::path::Path::new("/dev/stdin") } else { file };
    let password = read_passwords(file)?.swap_remove(0);
    // RFC 4616 §2: neither can hold a NUL.
    anyhow::ensure!(
        !name.is_empty() && !name.chars().chain(password.chars()).any(char::is_control),
        "a name and a password have no control characters"
    );
    Ok(store::RelayLogin { name, password: store::RelayPassword(password) })
}

fn trace(data: &DataDir, trace: Trace) -> anyhow::Result<Request> {
    let which = match &trace.query {
        Some(query) => Which::parse(query).map_err(anyhow::Error::msg)?,
        None => Which::All,
    };
    let time = |text: &Option<String>| text.as_deref().map(parse_time).transpose();
    let mails = match &trace.subject {
        None => None,
        Some(words) => {
            let mut query = format!("subject:\"{}\"", words.replace('"', " "));
            let mut also = |key: &str, value: Option<String>| {
                query.extend(value.map(|value| format!(" {key}:\"{value}\"")));
            };
            also("from", trace.from.as_ref().map(ToString::to_string));
            also("to", trace.to.as_ref().map(ToString::to_string));
            also("host", trace.host.clone());
            also("after", time(&trace.since)?.map(|at| mail_types::Timestamp(at).to_string()));
            also("before", time(&trace.until)?.map(|at| mail_types::Timestamp(at).to_string()));
            Some(search::mails(data, &query)?)
        }
    };
    Ok(Request::Trace {
        which,
        since: time(&trace.since)?,
        until: time(&trace.until)?,
        count_max: trace.limit,
        keys: TraceKeys {
            sender: trace.from,
            recipient: trace.to,
            message_id: trace.message_id,
            host: trace.host,
            mails,
        },
    })
}

/// A moment in milliseconds: a time, a day (its beginning in UTC), or how long ago.
pub fn parse_time(text: &str) -> anyhow::Result<i64> {
    if let Some(ago) = config::parse_duration(text) {
        let ago = i64::try_from(ago.min(Duration::from_secs(1 << 40)).as_millis())?;
        return Ok(net::now().millis() - ago);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_millisecond());
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>() {
        return Ok(day.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_millisecond());
    }
    if let Ok(time) = text.trim_end_matches('Z').parse::<jiff::civil::DateTime>() {
        return Ok(time.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_millisecond());
    }
    bail!("“{text}” is no time: write 2026-11-21, 2026-11-21T15:00Z, or how long ago, like 2h")
}
