//! The manifest of an export: a line for each message, with its hashes, so that everybody can check
//! later that it is what was accepted.

use anyhow::bail;
use aws_lc_rs::digest::{SHA256, digest};
use mail_types::Timestamp;
use serde_json::{Value, json};

use super::text;
use crate::show;

/// How many messages an export has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Written now.
    pub written: u64,
    /// An earlier run has written them.
    pub before: u64,
    /// Found, and damaged.
    pub lost: u64,
}

impl Counts {
    /// Counts a message; answers its hash, none where it is lost.
    ///
    /// # Errors
    /// Where the bytes are not what was accepted.
    pub fn take(&mut self, hit: &Value, body: &[u8]) -> anyhow::Result<Option<blake3::Hash>> {
        if let Some(why) = hit["lost"].as_str() {
            self.lost += 1;
            show::note(&format!("{} is lost: {why}", text(&hit["receipt"])));
            return Ok(None);
        }
        let hash = blake3::hash(body);
        if hash.to_hex().as_str() != text(&hit["body_hash"]) {
            let receipt = text(&hit["receipt"]);
            bail!("{receipt} is not what was accepted: restante verify shows more");
        }
        self.written += 1;
        Ok(Some(hash))
    }

    /// For programs.
    pub fn view(&self) -> Value {
        json!({ "written": self.written, "there_before": self.before, "lost": self.lost })
    }
}

/// The first line: what it is of.
pub fn first(query: &str) -> Value {
    json!({
        "query": query,
        "exported": net::now().to_string(),
        "by": format!("Restante {}", env!("CARGO_PKG_VERSION")),
    })
}

/// The line of a message.
pub fn line(hit: &Value, body: &[u8], hash: blake3::Hash, file: Option<&str>) -> Value {
    json!({
        "receipt": hit["receipt"],
        "file": file,
        "bytes": body.len(),
        "blake3": hash.to_hex().as_str(),
        "sha256": hex(digest(&SHA256, body).as_ref()),
        "accepted": hit["accepted"],
        "internal_date": hit["internal_date"],
        "from": hit["from"],
        "recipients": hit["recipients"],
        "direction": hit["direction"],
        "verdict": hit["verdict"],
        "message_id": hit["message_id"],
        "subject": hit["subject"],
        "places": hit["places"],
        "inclusion_proof": hit["inclusion_proof"],
    })
}

/// The line of a message that cannot be read.
pub fn lost(hit: &Value) -> Value {
    json!({ "receipt": hit["receipt"], "lost": hit["lost"] })
}

/// The last line: how the search ended. Where there is none, the export is not whole.
pub fn last(end: &Value, counts: &Counts) -> Value {
    json!({ "end": end, "counts": counts.view() })
}

/// When a message was, as mail programs show it.
pub fn internal_date(hit: &Value) -> Option<Timestamp> {
    let text = hit["internal_date"].as_str()?;
    Some(Timestamp(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
