//! A message that was found, back into a mailbox.

use std::net::IpAddr;

use archive_search::{Seen, Sight};
use mail_types::{AccountId, Address, Flags};
use serde_json::{Value, json};
use store::{Actor, Append, BroughtBack, NewMessage, Refused, SessionActor, Store, Via};

use crate::request::Failure;

/// Where a message is put, and by what way that came.
pub struct Into<'a> {
    /// Whose mailbox.
    pub account: AccountId,
    /// Its name.
    pub mailbox: &'a str,
    /// From where, where that is known.
    pub ip: Option<IpAddr>,
    /// By which protocol.
    pub via: Via,
}

/// Puts a message into a mailbox of an account: any, or one that may be seen.
pub fn bring_back(
    store: &Store,
    actor: Actor,
    receipt: &str,
    (to, mailbox): (&Address, &str),
    sight: Option<&dyn Sight>,
) -> Result<Value, Failure> {
    let missing = || Failure { what: format!("there is no message {receipt}"), mend: None };
    let id = receipt.parse::<mail_types::ReceiptId>().map_err(|_| missing())?;
    let query = store::Query { receipt: Some(id), count_max: 1, ..store::Query::default() };
    let story = store.trace(&query)?.pop().ok_or_else(missing)?;
    let directory = store.directory();
    let account = directory.sign_in_name(&to.to_string()).map(|account| account.id);
    let account = account.ok_or_else(|| Refused::Missing(format!("account {to}")))?;
    let seen = match sight {
        Some(sight) => sight.see(story).ok_or_else(missing)?,
        None => Seen { places: story.places(), story, whole: true },
    };
    put(store, actor, &seen, &Into { account, mailbox, ip: None, via: Via::Control })
}

/// Puts a message as far as it is seen: it is taken from no other place.
pub fn put(store: &Store, actor: Actor, seen: &Seen, into: &Into<'_>) -> Result<Value, Failure> {
    let receipt = seen.story.facts.receipt.to_string();
    let places = seen.places.iter().map(|lies| (lies.mailbox, lies.uid)).collect();
    let brought =
        store.bring_back(actor.clone(), places, into.account, into.mailbox.to_owned()).wait()?;
    let uid = match brought {
        BroughtBack::WasThere(uid) => {
            return Ok(json!({ "receipt": receipt, "uid": uid.get(), "was_there": true }));
        }
        BroughtBack::Put(uid) => uid.get(),
        // It was never in a mailbox of the account's, or never in any: held, sent, another's.
        BroughtBack::NowhereNear => {
            let body = store.body(&seen.story.facts)?;
            put_anew(store, actor, &seen.story, &body, into)?
        }
    };
    Ok(json!({ "receipt": receipt, "uid": uid, "was_there": false }))
}

fn put_anew(
    store: &Store,
    actor: Actor,
    story: &store::Story,
    body: &[u8],
    into: &Into<'_>,
) -> Result<u32, Failure> {
    let unwritten = |error: &dyn std::fmt::Display| Failure {
        what: format!("the message could not be written: {error}"),
        mend: None,
    };
    let mut arrival = store.arrival();
    arrival.write(body).map_err(|error| unwritten(&error))?;
    let message = NewMessage {
        mail: store.next_mail(),
        body: arrival.finish().map_err(|error| unwritten(&error))?,
        flags: Flags::default(),
        internal_date: Some(story.accepted.internal_date),
        message_id: story.accepted.message_id.clone(),
        subject: story.accepted.subject.clone(),
    };
    let append = Append {
        actor: SessionActor { account: into.account, ip: into.ip, via: into.via, session: None },
        mailbox: into.mailbox.to_owned(),
        messages: vec![message],
        replaces: None,
        room: None,
    };
    let appended = store.append_by(append, actor).wait()?;
    let uid = appended.and_then(|appended| appended.uids.first().map(|uid| uid.get()));
    uid.ok_or_else(|| Failure { what: "the mailbox is gone".to_owned(), mend: None })
}
