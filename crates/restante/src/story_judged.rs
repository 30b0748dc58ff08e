//! What was found out about a sender, in plain words.

use serde_json::{Value, json};
use store::{Fact, Judged, JudgedAct};

use crate::phrase_book;
use crate::tongue::{Language, say};

/// What was found, and what was made of it.
pub fn sentences(judged: &Judged, language: Language) -> Vec<String> {
    let facts: Vec<String> = judged.facts.iter().map(|fact| found(fact, language)).collect();
    let facts = facts.join(say_between(language));
    let mut told = vec![say!(language, "the sender was checked: {facts}", "已检查发件人：{facts}")];
    let reasons: Vec<String> =
        judged.reasons.iter().map(|reason| phrase_book::in_language(reason, language)).collect();
    let why = reasons.join(say_between(language));
    told.push(match judged.act {
        JudgedAct::Deliver if why.is_empty() => return told,
        JudgedAct::Deliver => say!(language, "judged to be delivered: {why}", "判定为投递：{why}"),
        JudgedAct::Junk => say!(language, "judged to be junk: {why}", "判定为垃圾邮件：{why}"),
        JudgedAct::Hold => say!(language, "judged to be held: {why}", "判定为暂扣：{why}"),
        JudgedAct::Reject => say!(language, "judged to be turned away: {why}", "判定为拒收：{why}"),
    });
    told
}

const fn say_between(language: Language) -> &'static str {
    match language {
        Language::English => "; ",
        Language::Chinese => "；",
    }
}

/// `SPF pass for example.org (mailfrom)`, with the reason where something is wrong.
fn found(fact: &Fact, language: Language) -> String {
    let method = match fact.method.as_str() {
        "iprev" => say!(language, "the client's name", "客户端名称"),
        "spf" => "SPF".to_owned(),
        "dkim" => "DKIM".to_owned(),
        "arc" => "ARC".to_owned(),
        "dmarc" => "DMARC".to_owned(),
        other => other.to_owned(),
    };
    let about = match (fact.about.as_str(), fact.property.as_str()) {
        ("", _) => String::new(),
        (about, "") => say!(language, " for {about}", "，对象 {about}"),
        (about, property) => {
            say!(language, " for {about} ({property})", "，对象 {about}（{property}）")
        }
    };
    let why = match fact.result.as_str() {
        "pass" | "none" => String::new(),
        _ => {
            let reason = phrase_book::in_language(&fact.reason, language);
            say!(language, ", since {reason}", "，原因：{reason}")
        }
    };
    let result = &fact.result;
    format!("{method} {result}{about}{why}")
}

/// For programs.
pub fn view(judged: &Judged) -> Value {
    let facts: Vec<Value> = judged
        .facts
        .iter()
        .map(|fact| {
            json!({
                "method": fact.method,
                "result": fact.result,
                "about": fact.about,
                "property": fact.property,
                "reason": fact.reason,
            })
        })
        .collect();
    json!({ "act": judged.act.word(), "reasons": judged.reasons, "facts": facts })
}
