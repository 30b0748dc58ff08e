//! What operators did, in sentences: the audit log.

use serde_json::{Value, json};
use store::{Actor, Directory, Entry, Event, KeyChange, OperatorAct, Record, Store};

use crate::story::short_receipt;

/// Messages that one line names.
const NAMED_MAX: usize = 5;

/// One thing that was done.
pub fn view(event: &Event, store: &Store, directory: &Directory) -> Value {
    let entry = &event.entry;
    let ip = match &entry.actor {
        Actor::Console { ip, .. } => Some(ip.to_string()),
        Actor::Peer { .. }
        | Actor::Account { .. }
        | Actor::Session { .. }
        | Actor::Operator { .. }
        | Actor::Server => None,
    };
    let is_look = matches!(entry.record, Record::Looked(_));
    json!({
        "seq": event.seq.0,
        "at": entry.at.to_string(),
        "who": store::audited(entry),
        "ip": ip,
        "look": is_look,
        "what": sentence(entry, store, directory),
    })
}

fn sentence(entry: &Entry, store: &Store, directory: &Directory) -> String {
    let account = |id| match directory.account(id) {
        Some(account) => account.address.to_string(),
        // It is told of as it was called, also when it is gone.
        None => match store.account_address(id) {
            Ok(Some(address)) => address,
            Ok(None) | Err(_) => format!("account {id}"),
        },
    };
    match &entry.record {
        Record::DomainAdded { domain } => format!("added the domain {domain}"),
        Record::DomainRemoved { domain } => format!("removed the domain {domain}"),
        Record::AccountAdded { address, .. } => format!("added the account {address}"),
        Record::AccountRemoved { account: id } => format!("removed the account {}", account(*id)),
        Record::CredentialsSet { account: id, .. } => {
            format!("set a new password for {}", account(*id))
        }
        Record::AliasSet { alias, targets } => {
            let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
            format!("set the alias {alias} to {}", targets.join(", "))
        }
        Record::AliasRemoved { alias } => format!("removed the alias {alias}"),
        Record::RouteSet { domain, host, port } => {
            let of = domain.as_ref().map_or("every other domain", |domain| domain.as_str());
            format!("set the route of {of} to {host}:{port}")
        }
        Record::RouteRemoved { domain } => {
            let of = domain.as_ref().map_or("every other domain", |domain| domain.as_str());
            format!("removed the route of {of}")
        }
        Record::AccountRestored { account: id } => {
            format!("brought the account {} back", account(*id))
        }
        Record::Accepted(_) => "put a message into a mailbox".to_owned(),
        Record::Restored { messages, .. } => {
            format!("put messages back into a mailbox ({})", messages.len())
        }
        Record::MailboxRestored { name, .. } => format!("brought the mailbox {name} back"),
        Record::Undone { act, .. } => format!("took act {act} back"),
        Record::Expunged { uids, .. } => {
            format!("took messages out of a mailbox again ({})", uids.len())
        }
        Record::QuotaSet { account: id, .. } => format!("set the quota of {}", account(*id)),
        Record::CustodiesChanged(change) => {
            let (word, number, count) = (change.kind.word(), change.change, change.items.len());
            let reason = change.reason.as_ref().map(|why| format!("; reason: {why}"));
            let recipients = if count == 1 { "recipient" } else { "recipients" };
            format!("{word}: {count} {recipients} (change {number}){}", reason.unwrap_or_default())
        }
        Record::QueuePaused { destination, paused, .. } => {
            let to = destination.as_deref().unwrap_or("all destinations");
            match paused {
                true => format!("paused mail to {to}"),
                false => format!("let mail to {to} go on"),
            }
        }
        Record::TokenAdded { account: id, label, .. } => {
            format!("made a token “{label}” for {}", account(*id))
        }
        Record::TokenRemoved { token } => format!("made token {token} worthless"),
        Record::HookSet { url, .. } => format!("added a hook at {url}"),
        Record::HookRemoved { hook } => format!("removed hook {hook}"),
        Record::KeyChanged(change) => key_act(change),
        Record::MailboxCreated { name, account: id, .. } => {
            format!("made the mailbox {name} of {}", account(*id))
        }
        Record::Subscription { .. } => "set a subscription".to_owned(),
        Record::OperatorChanged(change) => {
            let known = directory.operator_of(change.operator);
            let name = known.map_or_else(
                || format!("removed operator {}", change.operator),
                |operator| operator.name.clone(),
            );
            operator_act(&change.act, &name)
        }
        Record::Promoted(promoted) => match &promoted.reason {
            Some(reason) => format!("promoted this standby to be the server: {reason}"),
            None => "promoted this standby to be the server".to_owned(),
        },
        Record::Looked(looked) => {
            let mut names: Vec<_> =
                looked.mails.iter().take(NAMED_MAX).map(|mail| short_receipt(*mail)).collect();
            if looked.mails.len() > NAMED_MAX {
                names.push(format!("{} more", looked.mails.len() - NAMED_MAX));
            }
            let found = match names.is_empty() {
                true => "found nothing".to_owned(),
                false => format!("saw {}", names.join(", ")),
            };
            format!("looked for “{}” ({}) and {found}", looked.asked, looked.at.word())
        }
        _ => "changed something else".to_owned(),
    }
}

fn key_act(change: &KeyChange) -> String {
    match change {
        KeyChange::DkimAdded { domain, key } => {
            format!("made the signing key {} of {domain}", key.selector)
        }
        KeyChange::DkimStateSet { domain, selector, state } => {
            let word = state.as_str();
            format!("made the signing key {selector} of {domain} {word}")
        }
        KeyChange::SrsAdded { .. } => "made a new key for forwarded mail".to_owned(),
    }
}

fn operator_act(act: &OperatorAct, name: &str) -> String {
    match act {
        OperatorAct::Added { name, role, .. } => {
            format!("added the operator {name} as {}", role.word())
        }
        OperatorAct::Removed => format!("removed the operator {name}"),
        OperatorAct::RoleSet { role } => format!("made {name} {}", role.word()),
        OperatorAct::PasswordSet { .. } => format!("set a new password for operator {name}"),
        OperatorAct::SecondFactorSet { secret: Some(_) } => {
            format!("set up an authenticator for operator {name}")
        }
        OperatorAct::SecondFactorSet { secret: None } => {
            format!("took the authenticator of operator {name} away")
        }
        OperatorAct::TokenAdded { token, label, .. } => {
            format!("made token {token} “{label}” for operator {name}")
        }
        OperatorAct::TokenRemoved { token } => {
            format!("made token {token} of operator {name} worthless")
        }
        OperatorAct::SignedIn { ip, agent } => format!("{name} signed in from {ip} ({agent})"),
        OperatorAct::SignedOut { ip } => format!("ended a session of {name} from {ip}"),
    }
}
