//! What people did with mail that was not settled, in sentences.

use mail_types::{ByMode, Deadline};
use store::{
    ChangeKind, Changed, Condition, CustodiesChanged, Healed, HeldBy, Hold, ReportKind, Reported,
};

use crate::phrase_book;
use crate::tongue::{self, Language, say};

/// What a change did to one recipient.
pub fn sentence(
    change: &CustodiesChanged,
    item: &Changed,
    (to, who): (&str, &str),
    language: Language,
) -> String {
    let (number, is) = (change.change, condition(&item.is, language));
    let what = match change.kind {
        ChangeKind::Undo => {
            let undone = change.undoes.unwrap_or_default();
            say!(
                language,
                "{who} undid change {undone}: {to} is {is} again",
                "{who}撤销了更改 {undone}：{to} 恢复为{is}"
            )
        }
        ChangeKind::ReleaseDue => say!(
            language,
            "the time that the sender named has come: {to} is {is}",
            "发件人指定的时间已到：{to} {is}"
        ),
        ChangeKind::PurgeDue => {
            say!(language, "the hold of {to} was over: purged", "{to} 的暂扣已到期：已清除")
        }
        kind => {
            let word = tongue::change(kind, language);
            say!(
                language,
                "{who}: {word} {to} (change {number}): it is {is}",
                "{who}：{word} {to}（更改 {number}）：{is}"
            )
        }
    };
    match &change.reason {
        Some(reason) => say!(language, "{what}; reason: {reason}", "{what}；原因：{reason}"),
        None => what,
    }
}

/// Which report of ours a message is.
pub fn report(report: &Reported, language: Language) -> String {
    let Reported { about, begin, end, id, .. } = report;
    let what = match report.kind {
        ReportKind::Dmarc => "DMARC",
        ReportKind::Tls => "TLS",
    };
    say!(
        language,
        "it is our {what} report about {about} from {begin} to {end}, id {id}",
        "这是本服务器关于 {about} 的 {what} 报告，时段 {begin} 至 {end}，编号 {id}"
    )
}

/// That it was damaged on the disk, and is not any more.
pub fn healed(healed: &Healed, language: Language) -> String {
    let (what, from) = (&healed.what, &healed.from);
    say!(
        language,
        "it was damaged on the disk ({what}) and written once more from the backup in {from}",
        "它在磁盘上曾损坏（{what}），已从 {from} 的备份重新写入"
    )
}

fn condition(is: &Condition, language: Language) -> String {
    match is {
        Condition::Queued(waiting) => {
            let due = waiting.due;
            let mut text = say!(language, "queued, next try {due}", "排队中，下次尝试 {due}");
            if let Some(recipient) = &waiting.recipient {
                text.push_str(&say!(language, ", to {recipient} instead", "，改发给 {recipient}"));
            }
            if let Some(relay) = &waiting.relay {
                text.push_str(&say!(language, ", by way of {relay}", "，经由 {relay}"));
            }
            if waiting.give_back.is_some() {
                text.push_str(&say!(language, ", to be returned", "，将退回发件人"));
            }
            text
        }
        Condition::Held { hold, .. } => match hold.purge_at {
            Some(at) => say!(language, "held until {at}, then purged", "暂扣至 {at}，届时清除"),
            None => say!(language, "held", "已暂扣"),
        },
        Condition::Delivered { uid, .. } => {
            say!(language, "delivered as UID {uid}", "已投递，UID {uid}")
        }
        Condition::Purged => say!(language, "purged", "已清除"),
    }
}

/// Where held mail is now.
pub fn held(to: &str, hold: &Hold, language: Language) -> String {
    let reason = phrase_book::in_language(&hold.reason, language);
    let why = match reason.as_str() {
        "" => String::new(),
        reason => say!(language, ": {reason}", "：{reason}"),
    };
    if hold.by == HeldBy::Future {
        return say!(
            language,
            "{to}: held {reason}, then it is sent",
            "{to}：暂扣（{reason}），届时发送"
        );
    }
    let by = tongue::held_by(hold.by, language);
    match hold.purge_at {
        Some(at) => say!(
            language,
            "{to}: held ({by}){why}; purged at {at} unless it is released",
            "{to}：已暂扣（{by}）{why}；除非放行，否则将于 {at} 清除"
        ),
        None => say!(language, "{to}: held ({by}){why}", "{to}：已暂扣（{by}）{why}"),
    }
}

/// Until when the sender wants a message delivered, and what then (RFC 2852).
pub fn deliver_by(by: Deadline, language: Language) -> String {
    let then = match by.mode {
        ByMode::Return => {
            say!(language, "after that it goes back to the sender", "逾期退回发件人")
        }
        ByMode::Notify => say!(
            language,
            "after that the sender is told of the delay, and it is tried on",
            "逾期告知发件人延迟，并继续尝试"
        ),
    };
    let trace = match by.trace {
        true => say!(
            language,
            "; the sender hears of each host that it is handed on to",
            "；每转交一台主机都会告知发件人"
        ),
        false => String::new(),
    };
    let at = by.at;
    match by.asked_secs {
        secs @ 1.. => say!(
            language,
            "the sender wants it delivered within {secs} seconds, by {at}: {then}{trace} (DELIVERBY)",
            "发件人要求在 {secs} 秒内送达，即 {at} 前：{then}{trace}（DELIVERBY）"
        ),
        secs => {
            let ago = secs.unsigned_abs();
            say!(
                language,
                "the sender wanted it delivered by {at}, {ago} seconds before it came here{trace} \
                 (DELIVERBY)",
                "发件人要求在 {at} 前送达，比到达本服务器早 {ago} 秒{trace}（DELIVERBY）"
            )
        }
    }
}

/// What that means for a recipient that waits.
pub fn still_by(by: Deadline, language: Language) -> String {
    let at = by.at;
    match by.mode {
        ByMode::Return => say!(
            language,
            ", goes back to the sender if it is not delivered by {at}",
            "，如 {at} 前未送达则退回发件人"
        ),
        ByMode::Notify => {
            say!(language, ", its sender wants it by {at}", "，发件人要求 {at} 前送达")
        }
    }
}
