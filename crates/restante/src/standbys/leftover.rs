//! What a server has alone, whose standby was promoted without it: nothing of it is lost.

use std::path::Path;

use anyhow::{Context, bail};
use journal::{Reader, RealDisk};
use mail_types::{ReceiptId, RecordSeq};
use serde_json::{Value, json};
use standby::Fence;
use store::{Accepted, Entry, Record};

use crate::data_dir::DataDir;
use crate::show;
use crate::transfer::export_files::{directory, write_new};

/// `restante standby leftover`: the messages accepted behind what both have.
pub fn leftover(data: &DataDir, out: Option<&Path>, as_json: bool) -> anyhow::Result<()> {
    let Some(fence) = Fence::read(data.path())? else {
        bail!(
            "no standby of {} was promoted, as far as is known here: nothing is left over",
            data.path().display()
        );
    };
    let reader = Reader::look(RealDisk::new(data.path()));
    let found = accepted_behind(&reader, fence.shared())?;
    if let Some(out) = out {
        directory(out)?;
        for mail in &found {
            let receipt = ReceiptId::new(mail.mail, &mail.body_hash);
            let body = reader
                .read_body(mail.body_at.into())
                .with_context(|| format!("the body of {receipt} cannot be read"))?;
            write_new(&out.join(format!("{receipt}.eml")), &body, Some(mail.internal_date))?;
        }
    }
    let rows = Value::Array(found.iter().map(facts).collect());
    if as_json {
        show::json(&rows);
        return Ok(());
    }
    let columns = ["receipt", "at", "from", "to", "subject", "bytes"];
    show::table_of(&rows, &columns, "No message was accepted here that the other server lacks.");
    match out {
        Some(out) if !found.is_empty() => show::line(&format!(
            "{} messages written to {}. Deliver each there: swaks or sendmail to its recipients, or \
             restante import.",
            found.len(),
            out.display()
        )),
        None if !found.is_empty() => show::line("Write them out with --out DIRECTORY."),
        Some(_) | None => {}
    }
    Ok(())
}

fn accepted_behind(reader: &Reader<RealDisk>, shared: RecordSeq) -> anyhow::Result<Vec<Accepted>> {
    let mut found = Vec::new();
    for entry in reader.scan(None) {
        if let journal::Entry::Record { seq, payload, .. } = entry
            && seq > shared
            && let Record::Accepted(mail) = Entry::decode(&payload)?.record
        {
            found.push(*mail);
        }
    }
    Ok(found)
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
