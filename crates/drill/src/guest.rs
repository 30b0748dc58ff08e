//! What runs inside the machine of a power-cut drill: the load before the cut, the count after it.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::DrillError;
use crate::imap::Imap;
use crate::judge::{self, Evidence};
use crate::load::{self, Load};
use crate::powercut::print_now;
use crate::server::{self, Installation, doing};
use crate::token::Token;

/// Begins the line of a receipt on the console.
pub const RECEIPT: &str = "R ";
/// Begins the line of the judge's finding.
pub const VERDICT: &str = "VERDICT ";
/// Begins the line that says that `verify` found nothing.
pub const VERIFIED: &str = "VERIFIED";
/// The machine has nothing more to say.
pub const END: &str = "DRILL-END";
/// Ends the line of a receipt, so that a mixed-up line is noticed.
const RECEIPT_END: &str = " |";

const MAILBOXES: usize = 4;
const PORT_BASE: u16 = 20_000;
/// The plug is pulled long before this.
const MESSAGES_MAX: u64 = 200_000;
/// Large enough that the body is a file of its own, with a directory to be synced.
const LARGE_BYTES: usize = 3 << 20;

/// Options of the hidden `drill guest-load`.
#[derive(Clone, Debug, clap::Args)]
pub struct GuestLoadArgs {
    /// Where the machine's disk is mounted
    #[arg(long)]
    pub directory: PathBuf,
    /// SMTP connections at the same time
    #[arg(long)]
    pub connections: usize,
    /// The server's binary [default: this one]
    #[arg(long)]
    pub binary: Option<PathBuf>,
    /// A library that the server is made to load
    #[arg(long)]
    pub preload: Option<PathBuf>,
}

/// Options of the hidden `drill guest-check`.
#[derive(Clone, Debug, clap::Args)]
pub struct GuestCheckArgs {
    /// Where the machine's disk is mounted
    #[arg(long)]
    pub directory: PathBuf,
    /// The server's binary [default: this one]
    #[arg(long)]
    pub binary: Option<PathBuf>,
    /// The receipts that were seen
    #[arg(long)]
    pub receipts: PathBuf,
}

/// Makes the server, starts it, loads it, prints every receipt at once.
///
/// # Errors
/// When the server cannot be made or started.
pub fn load(args: &GuestLoadArgs) -> Result<(), DrillError> {
    let binary = crate::binary_or_this(args.binary.as_deref())?;
    let mut installation = Installation::init_on(&binary, &args.directory, MAILBOXES, PORT_BASE)?;
    // The installation itself is old and safe; only what comes now is at stake.
    Command::new("sync").status().map_err(doing("running sync"))?;
    if let Some(library) = &args.preload {
        installation.environment.push(("LD_PRELOAD".to_owned(), library.display().to_string()));
    }
    let _running = installation.start()?;
    let mut small = Load::new(installation.address(25), installation.accounts.clone());
    small.messages = MESSAGES_MAX;
    small.connections = args.connections;
    small.message_bytes = 2048;
    let mut large = small.clone();
    large.run = 1;
    large.connections = 1;
    large.message_bytes = LARGE_BYTES;
    let threads = [small, large].map(|load| {
        std::thread::spawn(move || {
            let report = Box::new(|token: Token, recipient: &str, answer: &str| {
                print_now(&format!("{RECEIPT}{token} {recipient} {answer}{RECEIPT_END}"));
            });
            load::run(&load, &Arc::new(AtomicBool::new(false)), Some(report))
        })
    });
    for thread in threads {
        let outcome = thread.join().map_err(|_| DrillError::Panicked)?;
        let outcome = outcome.map_err(doing("running a load"))?;
        for complaint in outcome.complaints {
            print_now(&format!("complaint: {complaint}"));
        }
    }
    Ok(())
}

/// Starts the server on what the cut left, counts, judges and verifies.
///
/// # Errors
/// When the server does not start or cannot be read.
pub fn check(args: &GuestCheckArgs) -> Result<(), DrillError> {
    let installation = Installation {
        binary: crate::binary_or_this(args.binary.as_deref())?,
        data: args.directory.join("data"),
        port_base: PORT_BASE,
        accounts: (1..=MAILBOXES).map(|number| format!("box{number}@drill.test")).collect(),
        password: fs::read_to_string(args.directory.join("password"))
            .map_err(doing("reading the password file"))?
            .trim_end()
            .to_owned(),
        wrapper: Vec::new(),
        environment: Vec::new(),
    };
    let receipts = fs::read_to_string(&args.receipts).map_err(doing("reading the receipts"))?;
    let mut evidence = Evidence::default();
    for line in receipts.lines() {
        if let Some((token, recipient, answer)) = parse_receipt(line) {
            let copy = (recipient.to_owned(), token);
            evidence.acknowledged.insert(copy, answer.to_owned());
        }
    }
    let running = installation.start()?;
    let mut found = HashMap::new();
    for account in &installation.accounts {
        let mut imap = Imap::sign_in(
            installation.address(143),
            account,
            &installation.password,
            Duration::from_secs(60),
        )?;
        for (token, count) in imap.tokens("INBOX")?.tokens {
            let copy = (account.clone(), token);
            // Acknowledged inside and not yet on the console: nobody saw a receipt.
            if !evidence.acknowledged.contains_key(&copy) {
                evidence.uncertain.insert(copy.clone());
            }
            found.insert(copy, count);
        }
    }
    evidence.found = found;
    let verdict = judge::judge(&evidence);
    let json = serde_json::to_string(&verdict).map_err(DrillError::Json)?;
    print_now(&format!("{VERDICT}{json}"));
    running.stop()?;
    let verify = installation.command(&["verify", "--json"])?;
    if verify.status.success() {
        print_now(VERIFIED);
    } else {
        print_now(&String::from_utf8_lossy(&verify.stdout));
        print_now(&String::from_utf8_lossy(&verify.stderr));
    }
    Ok(())
}

/// A receipt as it was printed; nothing where the line was cut or mixed with another.
#[must_use]
pub fn parse_receipt(line: &str) -> Option<(Token, &str, &str)> {
    let line = line.strip_prefix(RECEIPT)?.strip_suffix(RECEIPT_END)?;
    let (token, rest) = line.split_once(' ')?;
    let (recipient, answer) = rest.split_once(' ')?;
    Some((token.parse().ok()?, recipient, answer))
}

/// Prints why the guest's part failed, where the host reads it.
pub(crate) fn complain(error: &DrillError) {
    print_now(&format!("GUEST-ERROR {error}"));
    if let DrillError::Server(server::ServerError::NotReady { log, .. }) = error {
        print_now(log);
    }
}
