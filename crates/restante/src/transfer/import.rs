//! `restante import`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use interchange::Dialect;
use mail_types::Address;
use serde_json::{Value, json};

use crate::data_dir::DataDir;
use crate::init::read_passwords;
use crate::show;
use crate::transfer::client::Client;
use crate::transfer::folders::Mapping;
use crate::transfer::imap::{ImapServer, Login};
use crate::transfer::imap_sign_in::Proof;
use crate::transfer::maildir::Maildir;
use crate::transfer::mbox::MboxFiles;
use crate::transfer::source::{Chunk, Folder, Found, Source, Trouble};
use crate::transfer::words::{FlagWords, Message};

/// Some messages did not come, or are not equal; the others are here.
const EXIT_PARTLY: u8 = 4;
/// Troubles told one by one; the rest is counted.
const TROUBLES_TOLD_MAX: usize = 1000;

const EXAMPLES: &str = "\
Examples:
  restante import ann@example.org maildir:/home/ann/Maildir
  restante import ann@example.org mbox:/home/ann/mail --into Old
  restante import ann@example.org imaps://ann@old.example.org --password-file old-password
  restante import ann@example.org imaps://ann@big.example.com --token-file access-token
  restante import ann@example.org mbox:all.mbox --map all=Archive/2024 --dry-run

What was imported once is never imported again, from wherever it is read: an import that was
interrupted is simply begun again, and one that is repeated later brings only what is new.";

/// What to import.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ImportArgs {
    /// The account to import into
    account: Address,
    /// maildir:DIR, mbox:FILE-OR-DIR, imaps://USER@HOST[:PORT] or imap:// (STARTTLS); or only a path
    source: String,
    /// Only this folder of the source (repeatable)
    #[arg(long = "folder")]
    folders: Vec<String>,
    /// Put a folder's messages into another mailbox: `Sent Items=Sent` (repeatable)
    #[arg(long = "map", value_name = "THERE=HERE")]
    map: Vec<String>,
    /// Put everything below this mailbox
    #[arg(long, value_name = "MAILBOX")]
    into: Option<String>,
    /// A file with the password of an IMAP source
    #[arg(long, conflicts_with = "token_file")]
    password_file: Option<PathBuf>,
    /// A file with an access token for an IMAP source (OAuth 2.0), instead of a password
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// Take any certificate of an IMAP source
    #[arg(long)]
    insecure: bool,
    /// No TLS to an IMAP source on this machine
    #[arg(long)]
    plain: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Dates of a Maildir: the files' times, or their newest Received fields
    #[arg(long, value_parser = ["files", "received"], default_value = "files")]
    dates: String,
    /// How an mbox quotes lines that begin with “From ”
    #[arg(long, value_parser = ["auto", "mboxo", "mboxrd", "mboxcl2"], default_value = "auto")]
    mbox_format: String,
}

/// What became of one folder.
#[derive(Clone, Debug, Default)]
struct Counted {
    folder: String,
    to: String,
    /// Messages there that could be read.
    there: u64,
    /// Of these, here.
    here: u64,
    /// Of these, brought now.
    new: u64,
    /// Of these, byte for byte the same as read from the disk here.
    equal: u64,
    troubles: u64,
}

/// Brings mail in.
pub fn import(data: &DataDir, args: &ImportArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let mapping = Mapping::read(&args.map, args.into.clone())?;
    let mut source = source(args)?;
    let mut client = Client::open(data, &args.account)?;
    let here = client.folders()?;
    let mut folders = source.folders()?;
    if let Some(missing) =
        args.folders.iter().find(|name| !folders.iter().any(|folder| folder.name == **name))
    {
        let known: Vec<&str> = folders.iter().map(|folder| folder.name.as_str()).collect();
        bail!("there is no folder “{missing}” in the source; there are: {}", known.join(", "));
    }
    folders.retain(|folder| args.folders.is_empty() || args.folders.contains(&folder.name));
    let mut importing = Importing { source, client, troubles: Vec::new(), dry_run: args.dry_run };
    let mut counted = Vec::new();
    for folder in &folders {
        let to = mapping.target(folder, &here);
        counted.push(importing.folder(folder, to)?);
    }
    let Importing { client, troubles, .. } = importing;
    client.close()?;
    show::progress("");
    Ok(report(args, &counted, &troubles, as_json))
}

fn source(args: &ImportArgs) -> anyhow::Result<Box<dyn Source>> {
    let text = args.source.as_str();
    if let Some(login) = imap_login(args)? {
        return Ok(Box::new(ImapServer::connect(login)?));
    }
    let (kind, path) = match text.split_once(':') {
        Some((kind @ ("maildir" | "mbox"), path)) => (kind, path),
        _ if Path::new(text).join("cur").is_dir() => ("maildir", text),
        _ => ("mbox", text),
    };
    let path = PathBuf::from(path);
    if !path.exists() {
        bail!("{} does not exist", path.display());
    }
    let dialect = match args.mbox_format.as_str() {
        "mboxo" => Dialect::Mboxo,
        "mboxrd" => Dialect::Mboxrd,
        "mboxcl2" => Dialect::Mboxcl2,
        _ => Dialect::Auto,
    };
    Ok(match kind {
        "maildir" => Box::new(Maildir::new(&path, args.dates == "received")?),
        _ => Box::new(MboxFiles::new(&path, dialect)),
    })
}

/// `imaps://USER@HOST:PORT`; the user may have an `@` of its own.
fn imap_login(args: &ImportArgs) -> anyhow::Result<Option<Login>> {
    let (rest, implicit_tls) = match args.source.split_once("://") {
        Some(("imaps", rest)) => (rest, true),
        Some(("imap", rest)) => (rest, false),
        _ => return Ok(None),
    };
    let wrong = || anyhow::anyhow!("“{}” is no source: imaps://USER@HOST[:PORT]", args.source);
    let (user, at) = rest.trim_end_matches('/').rsplit_once('@').ok_or_else(wrong)?;
    let standard = if implicit_tls { 993 } else { 143 };
    let (host, port) = match at.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (at, standard),
    };
    let first_line = |file| Ok::<_, anyhow::Error>(read_passwords(file)?.swap_remove(0));
    let proof = match (&args.password_file, &args.token_file) {
        (Some(file), _) => Proof::Password(first_line(file)?),
        (None, Some(file)) => Proof::Token(first_line(file)?.trim().to_owned()),
        (None, None) => bail!(
            "name a file with the password of the source (--password-file), or with an access \
             token (--token-file)"
        ),
    };
    Ok(Some(Login {
        host: host.to_owned(),
        port,
        user: user.to_owned(),
        proof,
        implicit_tls,
        plain: args.plain && !implicit_tls,
        insecure: args.insecure,
    }))
}

struct Importing {
    source: Box<dyn Source>,
    client: Client,
    troubles: Vec<Trouble>,
    dry_run: bool,
}

impl Importing {
    fn folder(&mut self, folder: &Folder, to: String) -> anyhow::Result<Counted> {
        let mut counted = Counted { folder: folder.name.clone(), to, ..Counted::default() };
        if let Err(error) = self.source.open(folder) {
            // The others are not to stay there for it.
            let (what, why) = (format!("folder {}", folder.name), format!("{error:#}"));
            self.trouble(Trouble { what, why }, &mut counted);
            return Ok(counted);
        }
        if !self.dry_run {
            self.client.folder(&counted.to, folder.subscribed)?;
        }
        loop {
            let chunk = self.source.next()?;
            let last = chunk.last;
            self.chunk(chunk, &mut counted)?;
            let of = folder.messages.map(|all| format!(" of {all}")).unwrap_or_default();
            show::progress(&format!(
                "{}: {}{of} read, {} new",
                counted.folder, counted.there, counted.new
            ));
            if last {
                return Ok(counted);
            }
        }
    }

    /// Brings what is not here, and reads all of it back.
    fn chunk(&mut self, chunk: Chunk, counted: &mut Counted) -> anyhow::Result<()> {
        for trouble in chunk.troubles {
            self.trouble(trouble, counted);
        }
        let keys: Vec<String> = chunk.found.iter().map(|found| found.key.clone()).collect();
        let known = self.client.known(&keys)?;
        let from = self.source.describe();
        let mut expected = Vec::new();
        let mut sent = 0;
        for found in chunk.found {
            let is_known = known.contains(&found.key);
            counted.there += 1;
            if is_known || self.dry_run {
                counted.new += u64::from(!is_known);
                let hash = found.content.as_ref().map(|content| blake3::hash(content));
                expected.push((found.key, hash, found.what));
                continue;
            }
            let content = match &found.content {
                Some(content) => Ok(content.clone()),
                None => self.source.fetch(&found)?,
            };
            let content = match content {
                Ok(content) if content.is_empty() => {
                    let why = "it is empty".to_owned();
                    self.trouble(Trouble { what: found.what, why }, counted);
                    counted.there -= 1;
                    continue;
                }
                Ok(content) => content,
                Err(trouble) => {
                    self.trouble(trouble, counted);
                    continue;
                }
            };
            self.client.message(message(&found, &content), &content)?;
            sent += 1;
            expected.push((found.key, Some(blake3::hash(&content)), found.what));
        }
        if sent > 0 {
            self.client.commit(&counted.to, &from)?;
            counted.new += sent;
        }
        if !self.dry_run {
            self.compare(expected, counted)?;
        }
        Ok(())
    }

    /// Reads back what is here, from the disk.
    fn compare(
        &mut self,
        expected: Vec<(String, Option<blake3::Hash>, String)>,
        counted: &mut Counted,
    ) -> anyhow::Result<()> {
        let keys: Vec<String> = expected.iter().map(|(key, ..)| key.clone()).collect();
        let checked = self.client.check(&keys)?;
        let checked: std::collections::HashMap<_, _> =
            checked.into_iter().map(|checked| (checked.key.clone(), checked)).collect();
        for (key, hash, what) in expected {
            let Some(found) = checked.get(&key) else {
                let why = "it is not here although it was taken".to_owned();
                self.trouble(Trouble { what, why }, counted);
                continue;
            };
            counted.here += 1;
            // What was not fetched again was compared when it came. Sizes prove nothing: some servers
            // tell them about.
            let same_hash = match (&hash, &found.hash) {
                (Some(there), Some(here)) => there.to_hex().as_str() == here,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if same_hash {
                counted.equal += 1;
            } else {
                let why = "what is here is not the same, byte for byte".to_owned();
                self.trouble(Trouble { what, why }, counted);
            }
        }
        Ok(())
    }

    fn trouble(&mut self, trouble: Trouble, counted: &mut Counted) {
        counted.troubles += 1;
        if self.troubles.len() < TROUBLES_TOLD_MAX {
            self.troubles.push(trouble);
        }
    }
}

fn message(found: &Found, content: &[u8]) -> Message {
    Message {
        key: found.key.clone(),
        flags: FlagWords::from(&found.flags),
        date: found.date.map(mail_types::Timestamp::millis),
        bytes: content.len() as u64,
    }
}

fn report(args: &ImportArgs, counted: &[Counted], troubles: &[Trouble], as_json: bool) -> ExitCode {
    let rows: Vec<Value> = counted
        .iter()
        .map(|one| {
            json!({
                "folder": one.folder, "mailbox": one.to, "there": one.there, "here": one.here,
                "new": one.new, "equal": one.equal, "troubles": one.troubles,
            })
        })
        .collect();
    let told: Vec<Value> =
        troubles.iter().map(|one| json!({ "what": one.what, "why": one.why })).collect();
    let whole =
        args.dry_run || counted.iter().all(|one| one.troubles == 0 && one.there == one.equal);
    if as_json {
        show::json(&json!({
            "account": args.account, "dry_run": args.dry_run, "folders": rows,
            "troubles": told, "complete": whole,
        }));
    } else {
        let columns: &[&str] = if args.dry_run {
            &["folder", "mailbox", "there", "new", "troubles"]
        } else {
            &["folder", "mailbox", "there", "here", "new", "equal", "troubles"]
        };
        show::table_of(&Value::Array(rows), columns, "there are no folders");
        for trouble in troubles {
            show::line(&format!("  {}: {}", trouble.what, trouble.why));
        }
        let sum = |of: fn(&Counted) -> u64| counted.iter().map(of).sum::<u64>();
        let (there, new, equal) = (sum(|c| c.there), sum(|c| c.new), sum(|c| c.equal));
        show::line(&if args.dry_run {
            format!("Nothing was done. Of {there} messages {new} would be brought.")
        } else if whole {
            format!("All {there} messages are here, read back and equal; {new} of them are new.")
        } else {
            format!(
                "{equal} of {there} messages are here and equal; see above. What is missing \
                     is tried again when the command is."
            )
        });
    }
    if whole { ExitCode::SUCCESS } else { ExitCode::from(EXIT_PARTLY) }
}
