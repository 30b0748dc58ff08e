//! A record's proof as a file that stands alone, and its check.

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{LEAF_SALT_BYTES, entry};
use mail_types::{ReceiptId, RecordSeq};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Entry, Record};
use transparency::{Checkpoint, ProofFile, Verifier};

/// What a proof says besides the path: what opens its leaf.
#[derive(Debug, Serialize, Deserialize)]
pub struct Opening {
    /// Number of the record.
    record: u64,
    /// The leaf's salt.
    salt: String,
    /// The record itself; where it is left out, the hash of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    /// BLAKE3 of the record.
    payload_hash: String,
}

impl Opening {
    pub fn new(
        seq: RecordSeq,
        salt: [u8; LEAF_SALT_BYTES],
        payload: &[u8],
        hash_only: bool,
    ) -> Self {
        Self {
            record: seq.0,
            salt: STANDARD.encode(salt),
            payload: (!hash_only).then(|| STANDARD.encode(payload)),
            payload_hash: STANDARD.encode(blake3::hash(payload).as_bytes()),
        }
    }

    pub fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }
}

/// A proof that holds.
pub struct Proved {
    pub head: Checkpoint,
    pub record: RecordSeq,
    /// What the record says; `None` where the proof leaves it out.
    pub entry: Option<Entry>,
}

/// Checks a proof with nothing but the log's key.
pub fn verify(text: &str, key: &Verifier) -> anyhow::Result<Proved> {
    let file = ProofFile::parse(text)?;
    let extra = file.extra.as_deref().context("the proof does not say what it proves")?;
    let opening: Opening =
        serde_json::from_slice(extra).context("the proof does not say what it proves")?;
    let bytes = |text: &str| -> Option<[u8; 32]> { STANDARD.decode(text).ok()?.try_into().ok() };
    let salt = bytes(&opening.salt).context("the proof's salt is none")?;
    let hash = bytes(&opening.payload_hash).context("the proof's hash is none")?;
    let seq = RecordSeq(opening.record);
    let head = file.verify(&entry(seq, &salt, &hash), key)?;
    if file.index.checked_add(1) != Some(seq.0) {
        bail!("the proof is of record {}, and says that it is of {seq}", file.index + 1);
    }
    let Some(payload) = &opening.payload else {
        return Ok(Proved { head, record: seq, entry: None });
    };
    let payload = STANDARD.decode(payload).context("the proof's record is none")?;
    if *blake3::hash(&payload).as_bytes() != hash {
        bail!("the record in the proof is not the one that is proved");
    }
    Ok(Proved { head, record: seq, entry: Some(Entry::decode(&payload)?) })
}

/// What a proved record says of the message that it accepted.
pub fn shown(entry: &Entry) -> Value {
    let Record::Accepted(mail) = &entry.record else {
        return json!({ "at": entry.at.to_string(), "record": "not the acceptance of a message" });
    };
    let recipients: Vec<String> =
        mail.custodies.iter().map(|custody| custody.recipient.to_string()).collect();
    json!({
        "receipt": ReceiptId::new(mail.mail, &mail.body_hash).to_string(),
        "at": entry.at.to_string(),
        "sender": mail.reverse_path.to_string(),
        "recipients": recipients,
        "subject": mail.subject,
        "message_id": mail.message_id,
        "body_bytes": mail.body_bytes,
        "body_blake3": mail.body_hash.to_string(),
    })
}
