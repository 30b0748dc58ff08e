//! Events: what happened to mail, in JSON, with names that stay the same for ever.

use mail_types::{CustodyId, MailId, Peer};
use serde_json::{Value, json};
use store::{
    Accepted, Changed, Condition, Fate, Happening, Outcome, Record, Source, Store, StoreError,
};

/// Every kind, as hooks name them.
pub const KINDS: [&str; 9] = [
    "accepted",
    "delivered",
    "queued",
    "relayed",
    "deferred",
    "uncertain",
    "returned",
    "held",
    "purged",
];

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// The same each time it is told.
    pub id: String,
    /// One of [`KINDS`].
    pub kind: &'static str,
    /// Standard Webhooks: `type`, `timestamp`, `data`.
    pub payload: Value,
}

/// What a record tells. Blocks.
///
/// # Errors
/// The store's.
pub fn events(store: &Store, happening: &Happening) -> Result<Vec<Event>, StoreError> {
    let mut told = Vec::new();
    match &happening.entry.record {
        Record::Accepted(mail) => accepted(store, mail, &mut told)?,
        Record::Attempted { custody, peer, outcome } => {
            told.extend(tried(store, *custody, peer.as_ref(), outcome)?);
        }
        Record::Tried(attempt) => {
            for (custody, outcome) in &attempt.outcomes {
                told.extend(tried(store, *custody, attempt.peer.as_ref(), outcome)?);
            }
        }
        Record::CustodiesChanged(changed) => {
            for one in &changed.items {
                told.extend(changed_to(store, one)?);
            }
        }
        // Nothing that is told of.
        _ => {}
    }
    let at = happening.entry.at.to_string();
    let named = told.into_iter().enumerate().map(|(number, (kind, data))| Event {
        id: format!("evt_{}_{number}", happening.seq),
        kind,
        payload: json!({ "type": format!("mail.{kind}"), "timestamp": at, "data": data }),
    });
    Ok(named.collect())
}

type Told = (&'static str, Value);

fn accepted(store: &Store, mail: &Accepted, told: &mut Vec<Told>) -> Result<(), StoreError> {
    match mail.source {
        Source::Smtp { .. }
        | Source::Lmtp { .. }
        | Source::Submission { .. }
        | Source::PeriodReport
        | Source::Report { .. } => {}
        // What programs put into mailboxes is no mail on its way.
        Source::Append { .. } | Source::Import { .. } => return Ok(()),
    }
    let receipt = receipt(store, mail.mail)?;
    let recipients: Vec<String> =
        mail.custodies.iter().map(|custody| custody.recipient.to_string()).collect();
    told.push((
        "accepted",
        json!({
            "receipt": receipt, "from": mail.reverse_path.to_string(), "recipients": recipients,
            "message_id": mail.message_id, "envelope_id": mail.envelope_id,
            "bytes": mail.body_bytes,
        }),
    ));
    for custody in &mail.custodies {
        let kind = match custody.fate {
            Fate::Delivered { .. } => "delivered",
            Fate::Queued { .. } => "queued",
            Fate::Held(_) => "held",
            Fate::Expanded { .. } => continue,
        };
        let data = json!({
            "receipt": receipt, "recipient": custody.recipient, "message_id": mail.message_id,
        });
        told.push((kind, data));
    }
    Ok(())
}

fn tried(
    store: &Store,
    custody: CustodyId,
    peer: Option<&Peer>,
    outcome: &Outcome,
) -> Result<Option<Told>, StoreError> {
    let Some((mail, recipient)) = store.custody_of(custody)? else { return Ok(None) };
    let (kind, mut data) = match outcome {
        Outcome::Relayed { reply, may_be_duplicate, .. } => {
            ("relayed", json!({ "reply": reply.to_string(), "may_be_duplicate": may_be_duplicate }))
        }
        Outcome::Deferred { reason, status, reply, due, .. } => (
            "deferred",
            json!({
                "reason": reason, "enhanced_status": status.to_string(),
                "reply": reply.as_ref().map(ToString::to_string), "next_try": due.to_string(),
            }),
        ),
        Outcome::Uncertain { reason, due } => {
            ("uncertain", json!({ "reason": reason, "next_try": due.to_string() }))
        }
        // Nobody was asked.
        Outcome::Waits { .. } => return Ok(None),
        Outcome::Returned { reason, status, reply, .. } => (
            "returned",
            json!({
                "reason": reason, "enhanced_status": status.to_string(),
                "reply": reply.as_ref().map(ToString::to_string),
            }),
        ),
    };
    data["receipt"] = json!(receipt(store, mail)?);
    data["recipient"] = json!(recipient);
    if let Some(peer) = peer {
        data["host"] = json!(peer.host);
        data["ip"] = json!(peer.ip);
        data["tls"] = json!(peer.tls);
    }
    Ok(Some((kind, data)))
}

fn changed_to(store: &Store, change: &Changed) -> Result<Option<Told>, StoreError> {
    let kind = match &change.is {
        Condition::Queued(_) => "queued",
        Condition::Held { .. } => "held",
        Condition::Delivered { .. } => "delivered",
        Condition::Purged => "purged",
    };
    let Some((mail, recipient)) = store.custody_of(change.custody)? else { return Ok(None) };
    let mut data = json!({ "receipt": receipt(store, mail)?, "recipient": recipient });
    if let Condition::Held { hold, .. } = &change.is {
        data["reason"] = json!(hold.reason);
    }
    Ok(Some((kind, data)))
}

fn receipt(store: &Store, mail: MailId) -> Result<Option<String>, StoreError> {
    Ok(store.mail_facts(&[mail])?.first().map(|facts| facts.receipt.to_string()))
}
