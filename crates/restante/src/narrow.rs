//! What a domain-admin sees of answers: what belongs to the domains, and nothing of others.

use mail_types::{Address, Domain};
use serde_json::Value;
use store::{Actor, Directory, Record, Source, Story};

/// Whom the settings' own retention is for, as it is listed.
pub const EVERYBODY: &str = "everybody else";

/// The rows whose address under `name` is in one of the domains.
pub fn rows(answer: Value, name: &str, domains: &[Domain]) -> Value {
    let Value::Array(rows) = answer else { return answer };
    let is_own = |row: &Value| {
        let text = row[name].as_str().unwrap_or_default();
        let domain = text.rsplit_once('@').map_or(text, |(_, domain)| domain);
        // What holds for everybody holds for them.
        text == EVERYBODY || domains.iter().any(|own| own.as_str().eq_ignore_ascii_case(domain))
    };
    Value::Array(rows.into_iter().filter(is_own).collect())
}

/// A story as far as it is one of the domains': with all its recipients where one of their accounts has
/// sent the message; else with their recipients alone; none where it has none of them. What others do
/// in their mailboxes is not told.
pub fn story(mut story: Story, domains: &[Domain], directory: &Directory) -> Option<Story> {
    let own = |address: &Address| address.domain().is_some_and(|domain| domains.contains(domain));
    let own_account = |id| directory.account(id).is_some_and(|account| own(&account.address));
    let brought = match &story.accepted.source {
        Source::Submission { account, .. }
        | Source::Append { account }
        | Source::Import { account } => own_account(*account),
        Source::Smtp { .. }
        | Source::Lmtp { .. }
        | Source::Report { .. }
        | Source::PeriodReport => false,
    };
    story.accepted.custodies.retain(|custody| brought || own(&custody.recipient));
    let kept: Vec<_> = story.accepted.custodies.iter().map(|custody| custody.custody).collect();
    if kept.is_empty() {
        return None;
    }
    story.custodies.retain(|custody| kept.contains(&custody.custody));
    // Sentences about recipients find none for those that are gone; what names no recipient tells
    // of somebody's mailbox.
    story.events.retain(|event| match &event.entry.record {
        Record::AttemptBegun { custodies, .. }
        | Record::AttemptDropped { custodies }
        | Record::Rescheduled { custodies, .. } => custodies.iter().any(|one| kept.contains(one)),
        Record::Attempted { custody, .. } => kept.contains(custody),
        Record::Tried(tried) => tried.outcomes.iter().any(|(one, _)| kept.contains(one)),
        Record::CustodiesChanged(change) => {
            change.items.iter().any(|item| kept.contains(&item.custody))
        }
        Record::Judged(_)
        | Record::PrioritySet { .. }
        | Record::FutureRelease { .. }
        | Record::DeliverBy { .. } => true,
        _ => match &event.entry.actor {
            Actor::Account { account, .. } | Actor::Session { account, .. } => {
                own_account(*account)
            }
            Actor::Peer { .. } | Actor::Operator { .. } | Actor::Server | Actor::Console { .. } => {
                false
            }
        },
    });
    for event in &mut story.events {
        if let Record::Tried(tried) = &mut event.entry.record {
            tried.outcomes.retain(|(one, _)| kept.contains(one));
        }
    }
    Some(story)
}

/// A story for whoever sent the message: what became of it on its way, and nothing of what others do
/// with theirs, or of who looked at it.
pub fn to_sender(mut story: Story) -> Story {
    story.events.retain(|event| is_of_the_way(&event.entry.record));
    for custody in &mut story.custodies {
        custody.delivered = None;
    }
    story
}

const fn is_of_the_way(record: &Record) -> bool {
    matches!(
        record,
        Record::AttemptBegun { .. }
            | Record::AttemptDropped { .. }
            | Record::Attempted { .. }
            | Record::Tried(_)
            | Record::Judged(_)
            | Record::Reported(_)
            | Record::PrioritySet { .. }
            | Record::FutureRelease { .. }
            | Record::DeliverBy { .. }
    )
}
