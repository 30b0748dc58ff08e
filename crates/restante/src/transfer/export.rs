//! `restante export`.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use interchange::{Dialect, Found, Keywords, Mbox, WriteAs, crlf, file_name, lf, write_message};
use mail_types::{Address, Timestamp};
use serde_json::{Value, json};

use crate::data_dir::DataDir;
use crate::show;
use crate::transfer::client::Client;
use crate::transfer::export_files::{Growing, directory, read, write_new};
use crate::transfer::export_names::Names;
use crate::transfer::words::Listed;

const EXIT_PARTLY: u8 = 4;
const PIECE_BYTES: usize = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  restante export ann@example.org --to /backup/ann --format maildir
  restante export ann@example.org --to /backup/ann --format mbox --folder Sent

A Maildir holds every message byte for byte, with flags and dates. An mbox (mboxrd) has LF at line
ends and keeps flags in fields of the messages. Everything is read back and compared.";

/// What to export.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    /// Whose mail
    account: Address,
    /// A directory to make, or an empty one
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// How it is written
    #[arg(long, value_parser = ["maildir", "mbox"], default_value = "maildir")]
    format: String,
    /// Only this mailbox (repeatable)
    #[arg(long = "folder")]
    folders: Vec<String>,
    /// In a Maildir: LF at line ends, for programs that want it; no longer byte for byte
    #[arg(long)]
    lf: bool,
}

#[derive(Clone, Debug, Default)]
struct Counted {
    folder: String,
    file: String,
    here: u64,
    written: u64,
    equal: u64,
    /// Messages that the format cannot hold as they are, and keywords it has no room for.
    altered: u64,
    /// Why not all of it is there.
    failed: Option<String>,
}

/// Writes mail out.
pub fn export(data: &DataDir, args: &ExportArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    directory(&args.to)?;
    if std::fs::read_dir(&args.to)?.next().is_some() {
        bail!("{} is not empty: name a new directory", args.to.display());
    }
    let mut client = Client::open(data, &args.account)?;
    let mut folders = client.folders()?;
    if let Some(missing) =
        args.folders.iter().find(|name| !folders.iter().any(|folder| folder.name == **name))
    {
        bail!("{} has no mailbox “{missing}”", args.account);
    }
    folders.retain(|folder| args.folders.is_empty() || args.folders.contains(&folder.name));
    let mut counted = Vec::new();
    let mut names = Names::default();
    let mut subscribed = String::new();
    for folder in &folders {
        let mut count = Counted { folder: folder.name.clone(), ..Counted::default() };
        let done = if args.format == "mbox" {
            let file = names.mbox(&folder.name);
            file.and_then(|file| mbox(&mut client, args.to.join(file), &mut count))
        } else {
            names.maildir(&folder.name).and_then(|name| {
                if folder.subscribed {
                    subscribed.push_str(&format!("{name}\n"));
                }
                maildir(&mut client, args, &name, &mut count)
            })
        };
        // The other mailboxes are not to be without a copy for it.
        count.failed = done.err().map(|error| format!("{error:#}"));
        counted.push(count);
    }
    if args.format == "maildir" {
        write_new(&args.to.join("subscriptions"), subscribed.as_bytes(), None)?;
    }
    client.close()?;
    show::progress("");
    Ok(report(args, &counted, as_json))
}

/// Messages of a mailbox, one after the other.
fn each(
    client: &mut Client,
    folder: &str,
    mut write: impl FnMut(&Listed, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (mut behind, mut done) = (0, 0_u64);
    loop {
        let listed = client.list(folder, behind)?;
        let Some(last) = listed.last() else { return Ok(()) };
        behind = last.uid;
        for message in &listed {
            let bytes = client.body(message.mail)?;
            write(message, &bytes)?;
            done += 1;
        }
        show::progress(&format!("{folder}: {done} written"));
    }
}

fn maildir(
    client: &mut Client,
    args: &ExportArgs,
    name: &str,
    counted: &mut Counted,
) -> anyhow::Result<()> {
    let folder = counted.folder.clone();
    let root = if folder == "INBOX" { args.to.clone() } else { args.to.join(format!(".{name}")) };
    counted.file = root.display().to_string();
    for part in ["cur", "new", "tmp"] {
        directory(&root.join(part))?;
    }
    if folder != "INBOX" {
        // Maildir++: what marks a folder.
        write_new(&root.join("maildirfolder"), b"", None)?;
    }
    let mut keywords = Keywords::default();
    let mut uids = String::new();
    each(client, &folder, |message, bytes| {
        counted.here += 1;
        let mut left_out = Vec::new();
        let secs = message.date.div_euclid(1000);
        let unique = format!("{secs}.U{}M{}.restante,S={}", message.uid, message.mail, bytes.len());
        let name = file_name(&unique, &message.flags.flags(), &mut keywords, &mut left_out);
        counted.altered += left_out.len() as u64;
        let path = root.join("cur").join(&name);
        let content = if args.lf { lf(bytes) } else { bytes.to_vec() };
        write_new(&path, &content, Some(Timestamp(message.date)))?;
        counted.written += 1;
        uids.push_str(&format!("{} :{unique}\n", message.uid));
        let back = read(&path)?;
        let back = if args.lf { crlf(&back) } else { back };
        counted.equal += u64::from(is_equal(message, &back, bytes));
        Ok(())
    })?;
    let text = keywords.write();
    if !text.is_empty() {
        write_new(&root.join("dovecot-keywords"), text.as_bytes(), None)?;
    }
    // The order in which programs saw them; Dovecot gives numbers of its own.
    write_new(&root.join("restante-uids"), uids.as_bytes(), None)
}

/// Whether what was written is what the record of the message says.
fn is_equal(message: &Listed, back: &[u8], bytes: &[u8]) -> bool {
    back == bytes && blake3::hash(bytes).to_hex().as_str() == message.hash
}

fn mbox(client: &mut Client, path: PathBuf, counted: &mut Counted) -> anyhow::Result<()> {
    let folder = counted.folder.clone();
    if let Some(above) = path.parent() {
        directory(above)?;
    }
    counted.file = path.display().to_string();
    let mut file = Growing::new(path)?;
    let mut written = Vec::new();
    each(client, &folder, |message, bytes| {
        counted.here += 1;
        let mut text = Vec::with_capacity(bytes.len() + 256);
        let flags = message.flags.flags();
        let how = WriteAs { flags: &flags, date: Timestamp(message.date), sender: &message.sender };
        write_message(bytes, &how, &mut text);
        file.add(&text)?;
        counted.written += 1;
        written.push(blake3::hash(&as_mbox_keeps(bytes)));
        let exact =
            as_mbox_keeps(bytes) == bytes && blake3::hash(bytes).to_hex().as_str() == message.hash;
        counted.altered += u64::from(!exact);
        Ok(())
    })?;
    counted.equal = compare(file.finish()?, &written)?;
    Ok(())
}

/// What comes back of a message from an mbox: line ends are CRLF, the last line and the header have
/// one, and fields in which mbox keeps flags are none of its own.
fn as_mbox_keeps(bytes: &[u8]) -> Vec<u8> {
    let mut content = crlf(bytes);
    if !content.ends_with(b"\n") {
        content.extend_from_slice(b"\r\n");
    }
    if !content.starts_with(b"\r\n") && memchr::memmem::find(&content, b"\r\n\r\n").is_none() {
        content.extend_from_slice(b"\r\n");
    }
    drop(interchange::take_flags(&mut content));
    content
}

/// Reads the file back; how many of its messages are as they should be.
fn compare(mut file: impl Read, written: &[blake3::Hash]) -> anyhow::Result<u64> {
    let mut mbox = Mbox::new(Dialect::Mboxrd);
    let mut piece = vec![0; PIECE_BYTES];
    let (mut equal, mut at) = (0, 0);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            mbox.end();
        }
        mbox.push(&piece[..read]);
        while let Some(found) = mbox.find() {
            if let Found::Message(mut message) = found {
                drop(interchange::take_flags(&mut message.content));
                let hash = blake3::hash(&message.content);
                equal += u64::from(written.get(at) == Some(&hash));
            }
            at += 1;
        }
        if read == 0 {
            return Ok(equal);
        }
    }
}

fn report(args: &ExportArgs, counted: &[Counted], as_json: bool) -> ExitCode {
    let rows: Vec<Value> = counted
        .iter()
        .map(|one| {
            json!({
                "mailbox": one.folder, "file": one.file, "here": one.here,
                "written": one.written, "equal": one.equal, "altered": one.altered,
                "error": one.failed,
            })
        })
        .collect();
    let whole = counted.iter().all(|one| one.here == one.equal && one.failed.is_none());
    if as_json {
        show::json(&json!({
            "account": args.account, "format": args.format, "folders": rows, "complete": whole,
        }));
    } else {
        let columns = ["mailbox", "file", "here", "written", "equal", "altered"];
        show::table_of(&Value::Array(rows), &columns, "there are no mailboxes");
        for one in counted {
            if let Some(why) = &one.failed {
                show::line(&format!("{} is not whole: {why}", one.folder));
            }
        }
        let written: u64 = counted.iter().map(|one| one.written).sum();
        let altered: u64 = counted.iter().map(|one| one.altered).sum();
        show::line(&if whole {
            format!("{written} messages are in {}, read back and equal.", args.to.display())
        } else {
            "Not everything that was written reads back as it is here; see above.".to_owned()
        });
        if altered > 0 {
            show::line(&format!(
                "{altered} messages or keywords are not quite as here: {}.",
                if args.format == "mbox" {
                    "mbox has one form of line ends and keeps flags in fields; a Maildir is exact"
                } else {
                    "a Maildir has room for 26 keywords a folder"
                }
            ));
        }
    }
    if whole { ExitCode::SUCCESS } else { ExitCode::from(EXIT_PARTLY) }
}
