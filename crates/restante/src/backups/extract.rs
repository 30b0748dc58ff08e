//! Messages out of a backup, without a server: every record is read, in order.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use backup::BackupDisk;
use clap::Args;
use journal::{Position, Reader};
use mail_types::{Address, ReceiptId};
use serde_json::{Value, json};
use store::{Accepted, Entry, Record};

use super::command::From;
use crate::data_dir::DataDir;
use crate::request::Which;
use crate::show;
use crate::transfer::export_files::{directory, write_new};

/// Records looked at in one step.
const STEP_RECORDS: usize = 8192;
/// Messages taken out at a time.
const FOUND_MAX: usize = 100_000;

/// Which messages.
#[derive(Debug, Args)]
pub struct Extract {
    #[command(flatten)]
    from: From,
    /// A receipt, a Message-ID or an address; without it, what the words below say
    which: Option<String>,
    /// From this sender
    #[arg(long)]
    sender: Option<Address>,
    /// To this recipient
    #[arg(long)]
    recipient: Option<Address>,
    /// With these words in its subject
    #[arg(long)]
    subject: Option<String>,
    /// Write each into a file of its own in this directory
    #[arg(long)]
    out: Option<PathBuf>,
}

/// What is looked for.
struct Wanted<'a> {
    which: Option<Which>,
    args: &'a Extract,
    subject: Option<String>,
}

impl Wanted<'_> {
    fn fits(&self, mail: &Accepted) -> bool {
        let sender = mail.reverse_path.to_string().to_lowercase();
        let is_from = |address: &Address| {
            sender.trim_matches(['<', '>']) == address.to_string().to_lowercase()
        };
        let is_to = |address: &Address| {
            mail.custodies.iter().any(|one| one.recipient.folded() == address.folded())
        };
        let named = match &self.which {
            None | Some(Which::All) => true,
            Some(Which::Mail { number, check }) => {
                let receipt = ReceiptId::new(mail.mail, &mail.body_hash);
                mail.mail.0 == *number && check.is_none_or(|check| check == receipt.check)
            }
            Some(Which::MessageId(id)) => mail.message_id.as_deref() == Some(id.as_str()),
            Some(Which::Address(address)) => is_from(address) || is_to(address),
            Some(Which::Destination(domain)) => mail
                .custodies
                .iter()
                .any(|one| one.recipient.domain().is_some_and(|of| of.as_str() == domain)),
        };
        let subject = mail.subject.as_deref().unwrap_or_default().to_lowercase();
        named
            && self.args.sender.as_ref().is_none_or(is_from)
            && self.args.recipient.as_ref().is_none_or(is_to)
            && self.subject.as_ref().is_none_or(|words| subject.contains(words))
    }
}

/// `restante backup extract`.
pub fn extract(data: &DataDir, args: &Extract, as_json: bool) -> anyhow::Result<()> {
    let which = args.which.as_deref().map(Which::parse).transpose().map_err(anyhow::Error::msg)?;
    if which.is_none()
        && args.sender.is_none()
        && args.recipient.is_none()
        && args.subject.is_none()
    {
        bail!("say which messages: a receipt, a Message-ID, an address, --sender, --subject …");
    }
    let backup = args.from.open(data)?;
    let head = backup.manifest()?.latest()?.head()?;
    let reader = Reader::look(backup.disk()?);
    let subject = args.subject.as_ref().map(|words| words.to_lowercase());
    let wanted = Wanted { which, args, subject };
    let mut found: Vec<Box<Accepted>> = Vec::new();
    let (mut at, mut looked) = (Position::first_of(1), 0);
    while at < head.end && found.len() < FOUND_MAX {
        let headers = reader.record_headers(at, &head, STEP_RECORDS)?;
        for header in &headers.records {
            let (_, payload) = reader.read_record(header.at)?;
            if let Record::Accepted(mail) = Entry::decode(&payload)?.record
                && wanted.fits(&mail)
            {
                found.push(mail);
            }
        }
        looked += headers.records.len();
        show::progress(&format!("{looked} of {} records", head.last_seq));
        at = headers.next;
    }
    show::progress("");
    hand_out(&reader, &found, args.out.as_deref(), as_json)
}

fn facts(mail: &Accepted) -> Value {
    let recipients: Vec<String> =
        mail.custodies.iter().map(|custody| custody.recipient.to_string()).collect();
    json!({
        "receipt": ReceiptId::new(mail.mail, &mail.body_hash).to_string(),
        "at": mail.internal_date.to_string(),
        "from": mail.reverse_path.to_string(),
        "to": recipients,
        "subject": mail.subject,
        "bytes": mail.body_bytes,
    })
}

fn hand_out(
    reader: &Reader<BackupDisk>,
    found: &[Box<Accepted>],
    out: Option<&Path>,
    as_json: bool,
) -> anyhow::Result<()> {
    let body = |mail: &Accepted| {
        let receipt = ReceiptId::new(mail.mail, &mail.body_hash);
        reader
            .read_body(mail.body_at.into())
            .with_context(|| format!("the body of {receipt} cannot be read"))
    };
    match (found, out) {
        ([], _) => bail!("no such message is in the backup"),
        ([one], None) if !as_json => show::octets(&body(one)?)?,
        (_, None) => {
            let rows = Value::Array(found.iter().map(|mail| facts(mail)).collect());
            if as_json {
                show::json(&rows);
            } else {
                let columns = ["receipt", "at", "from", "to", "subject", "bytes"];
                show::table_of(&rows, &columns, "nothing");
                show::line("Take one by its receipt, or all of them with --out DIRECTORY.");
            }
        }
        (_, Some(out)) => {
            directory(out)?;
            for mail in found {
                let receipt = ReceiptId::new(mail.mail, &mail.body_hash);
                let path = out.join(format!("{receipt}.eml"));
                write_new(&path, &body(mail)?, Some(mail.internal_date))?;
            }
            if as_json {
                show::json(&Value::Array(found.iter().map(|mail| facts(mail)).collect()));
            } else {
                let (count, out) = (found.len(), out.display());
                show::line(&format!("{count} messages written to {out}."));
            }
        }
    }
    Ok(())
}
