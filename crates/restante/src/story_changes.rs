//! What people did with mail that was not settled, in sentences.

use mail_types::{ByMode, Deadline};
use store::{
    ChangeKind, Changed, Condition, CustodiesChanged, Healed, HeldBy, Hold, ReportKind, Reported,
};

/// What a change did to one recipient.
pub fn sentence(change: &CustodiesChanged, item: &Changed, to: &str, who: &str) -> String {
    let number = change.change;
    let what = match change.kind {
        ChangeKind::Undo => {
            let undone = change.undoes.unwrap_or_default();
            format!("{who} undid change {undone}: {to} is {} again", condition(&item.is))
        }
        ChangeKind::ReleaseDue => {
            format!("the time that the sender named has come: {to} is {}", condition(&item.is))
        }
        ChangeKind::PurgeDue => format!("the hold of {to} was over: purged"),
        kind => {
            format!("{who}: {} {to} (change {number}): it is {}", kind.word(), condition(&item.is))
        }
    };
    match &change.reason {
        Some(reason) => format!("{what}; reason: {reason}"),
        None => what,
    }
}

/// Which report of ours a message is.
pub fn report(report: &Reported) -> String {
    let (about, begin, end) = (&report.about, report.begin, report.end);
    let what = match report.kind {
        ReportKind::Dmarc => "DMARC",
        ReportKind::Tls => "TLS",
    };
    format!("it is our {what} report about {about} from {begin} to {end}, id {}", report.id)
}

/// That it was damaged on the disk, and is not any more.
pub fn healed(healed: &Healed) -> String {
    format!(
        "it was damaged on the disk ({}) and written once more from the backup in {}",
        healed.what, healed.from
    )
}

fn condition(is: &Condition) -> String {
    match is {
        Condition::Queued(waiting) => {
            let mut text = format!("queued, next try {}", waiting.due);
            if let Some(recipient) = &waiting.recipient {
                text.push_str(&format!(", to {recipient} instead"));
            }
            if let Some(relay) = &waiting.relay {
                text.push_str(&format!(", by way of {relay}"));
            }
            if waiting.give_back.is_some() {
                text.push_str(", to be returned");
            }
            text
        }
        Condition::Held { hold, .. } => match hold.purge_at {
            Some(at) => format!("held until {at}, then purged"),
            None => "held".to_owned(),
        },
        Condition::Delivered { uid, .. } => format!("delivered as UID {uid}"),
        Condition::Purged => "purged".to_owned(),
    }
}

/// Where held mail is now.
pub fn held(to: &str, hold: &Hold) -> String {
    let why = match hold.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    if hold.by == HeldBy::Future {
        return format!("{to}: held {}, then it is sent", hold.reason);
    }
    match hold.purge_at {
        Some(at) => {
            format!("{to}: held ({}){why}; purged at {at} unless it is released", hold.by.word())
        }
        None => format!("{to}: held ({}){why}", hold.by.word()),
    }
}

/// Until when the sender wants a message delivered, and what then (RFC 2852).
pub fn deliver_by(by: Deadline) -> String {
    let then = match by.mode {
        ByMode::Return => "after that it goes back to the sender",
        ByMode::Notify => "after that the sender is told of the delay, and it is tried on",
    };
    let trace = match by.trace {
        true => "; the sender hears of each host that it is handed on to",
        false => "",
    };
    match by.asked_secs {
        secs @ 1.. => format!(
            "the sender wants it delivered within {secs} seconds, by {}: {then}{trace} (DELIVERBY)",
            by.at
        ),
        secs => format!(
            "the sender wanted it delivered by {}, {} seconds before it came here{trace} (DELIVERBY)",
            by.at,
            secs.unsigned_abs()
        ),
    }
}

/// What that means for a recipient that waits.
pub fn still_by(by: Deadline) -> String {
    match by.mode {
        ByMode::Return => format!(", goes back to the sender if it is not delivered by {}", by.at),
        ByMode::Notify => format!(", its sender wants it by {}", by.at),
    }
}
