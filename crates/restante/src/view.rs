//! What is shown, as JSON: the one form that tables, sentences and programs are made from.

use mail_types::AccountId;
use serde_json::{Value, json};
use store::{Directory, HeldBy, Hold, Store, StoreError, Story, Untold, WaitingItem};

use crate::tongue::Language;
use crate::{story, story_judged, story_tries};

pub fn accounts(store: &Store) -> Result<Value, StoreError> {
    let directory = store.directory();
    directory.accounts().iter().map(|account| self::account(store, account.id)).collect()
}

/// An account with what it keeps and may keep.
pub fn account(store: &Store, account: AccountId) -> Result<Value, StoreError> {
    let (usage, quota) = store.usage(account)?;
    let directory = store.directory();
    Ok(json!({
        "address": directory.account(account).map(|account| &account.address),
        "messages": usage.messages,
        "messages_max": quota.messages,
        "storage": config::format_bytes(usage.bytes),
        "storage_max": quota.storage_bytes.map(config::format_bytes),
        "storage_bytes": usage.bytes,
        "storage_bytes_max": quota.storage_bytes,
    }))
}

pub fn tokens(directory: &Directory) -> Value {
    directory
        .tokens()
        .into_iter()
        .map(|token| {
            json!({
                "token": token.id,
                "account": directory.account(token.account).map(|account| &account.address),
                "label": token.label,
                "added": token.added.to_string(),
            })
        })
        .collect()
}

pub fn domains(directory: &Directory) -> Value {
    directory.domains().map(|domain| json!({ "domain": domain })).collect()
}

pub fn aliases(directory: &Directory) -> Value {
    directory
        .aliases()
        .map(|(address, alias)| json!({ "alias": address, "targets": alias.targets }))
        .collect()
}

pub fn routes(directory: &Directory) -> Value {
    directory
        .routes()
        .map(|(domain, route)| {
            let domain = domain.map_or("*", mail_types::Domain::as_str);
            let mut relays = directory.logins();
            let login = relays.find(|(relay, _)| {
                relay.parse().is_ok_and(|at: route::Relay| {
                    let host = at.host.to_string();
                    host.trim_matches(['[', ']']).trim_start_matches("IPv6:") == route.host
                        && at.port == route.port
                })
            });
            let user = login.map(|(_, login)| &login.name);
            json!({ "domain": domain, "host": route.host, "port": route.port, "user": user })
        })
        .collect()
}

/// A recipient that waits or is held.
pub fn waiting(item: &WaitingItem) -> Value {
    let accepted = &item.mail.accepted;
    let state = match (&item.hold, &item.give_back) {
        (Some(Hold { by: HeldBy::Future, .. }), _) => match item.release_at {
            Some(at) => format!("held until {at}, then sent"),
            None => "held".to_owned(),
        },
        (Some(hold), _) => match hold.purge_at {
            Some(at) => format!("held until {at}, then purged"),
            None => format!("held ({})", hold.by.word()),
        },
        (None, Some(_)) => "being returned".to_owned(),
        (None, None) if item.begun => "being sent".to_owned(),
        (None, None) if item.uncertain => "uncertain".to_owned(),
        (None, None) => "waiting".to_owned(),
    };
    json!({
        "receipt": item.mail.facts.receipt.to_string(),
        "custody": item.custody.0,
        "message_id": accepted.message_id,
        "subject": accepted.subject,
        "from": accepted.reverse_path.to_string(),
        "to": item.recipient,
        "bytes": accepted.body_bytes,
        "accepted": item.mail.facts.accepted.to_string(),
        "next_try": item.hold.is_none().then(|| item.due.to_string()),
        "next_try_ms": item.hold.is_none().then(|| item.due.millis()),
        "attempts": item.attempts,
        "priority": item.priority.get(),
        "release_at": item.release_at.map(|at| at.to_string()),
        "deliver_by": item.mail.facts.deliver_by.map(|by| by.at.to_string()),
        "state": state,
        "purge_at": item.hold.as_ref().and_then(|hold| hold.purge_at).map(|at| at.to_string()),
        "held_because": item.hold.as_ref().map(|hold| &hold.reason),
        "via": item.relay,
        "last_host": item.last.as_ref().and_then(|last| last.host.as_ref()),
        "last_reply": item.last.as_ref().map(|last| &last.said),
    })
}

/// A message whose story cannot be told, in the place of one.
pub fn untold(untold: &Untold) -> Value {
    let facts = &untold.facts;
    let what = format!("the record of its acceptance is damaged: {}", untold.why);
    let line = json!({ "at": facts.accepted.to_string(), "what": what });
    json!({
        "receipt": facts.receipt.to_string(),
        "accepted": facts.accepted.to_string(),
        "bytes": facts.body_bytes,
        "recipients": [],
        "tries": [],
        "story": [line],
        "now": ["its body may be whole all the same: restante verify tells of the damage"],
        "lost": untold.why,
    })
}

/// The whole story of a message.
/// A story, with sentences for programs and the command line.
pub fn story(story: &Story, directory: &Directory) -> Value {
    story_in(story, directory, Language::English)
}

/// The same with sentences in a language.
pub fn story_in(story: &Story, directory: &Directory, language: Language) -> Value {
    let accepted = &story.accepted;
    let recipients: Vec<Value> = story
        .custodies
        .iter()
        .map(|custody| {
            json!({
                "custody": custody.custody.0,
                "recipient": custody.recipient,
                "state": custody.state.word(),
                "mailbox": custody.delivered.as_ref().map(|place| &place.1),
                "uid": custody.delivered.as_ref().map(|place| place.2),
                "next_try": custody.next_try.map(|(due, _)| due.to_string()),
                "attempts": custody.next_try.map(|(_, attempts)| attempts),
                "release_at": custody.release_at.map(|at| at.to_string()),
                "uncertain": custody.uncertain,
                "report": custody.report.map(story::short_receipt),
            })
        })
        .collect();
    let told: Vec<Value> = story::sentences(story, directory, language)
        .into_iter()
        .map(|(at, sentence)| json!({ "at": at.to_string(), "what": sentence }))
        .collect();
    let tries: Vec<Value> = story
        .events
        .iter()
        .filter_map(|event| match &event.entry.record {
            store::Record::Tried(tried) => Some(story_tries::view(tried)),
            _ => None,
        })
        .flatten()
        .collect();
    let judged = story.events.iter().find_map(|event| match &event.entry.record {
        store::Record::Judged(judged) => Some(story_judged::view(judged)),
        _ => None,
    });
    json!({
        "judged": judged,
        "receipt": story.facts.receipt.to_string(),
        "accepted": story.facts.accepted.to_string(),
        "from": accepted.reverse_path.to_string(),
        "message_id": accepted.message_id,
        "subject": accepted.subject,
        "deliver_by": story.facts.deliver_by.map(|by| by.at.to_string()),
        "tries": tries,
        "bytes": accepted.body_bytes,
        "body_hash": accepted.body_hash.to_string(),
        "recipients": recipients,
        "story": told,
        "now": story::now_sentences(story, language),
    })
}
