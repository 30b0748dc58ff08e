//! What was found out about a sender, in plain words.

use serde_json::{Value, json};
use store::{Fact, Judged, JudgedAct};

/// What was found, and what was made of it.
pub fn sentences(judged: &Judged) -> Vec<String> {
    let found: Vec<String> = judged.facts.iter().map(found).collect();
    let mut told = vec![format!("the sender was checked: {}", found.join("; "))];
    let why = judged.reasons.join("; ");
    told.push(match judged.act {
        JudgedAct::Deliver if why.is_empty() => return told,
        JudgedAct::Deliver => format!("judged to be delivered: {why}"),
        JudgedAct::Junk => format!("judged to be junk: {why}"),
        JudgedAct::Hold => format!("judged to be held: {why}"),
        JudgedAct::Reject => format!("judged to be turned away: {why}"),
    });
    told
}

/// `SPF pass for example.org (mailfrom)`, with the reason where something is wrong.
fn found(fact: &Fact) -> String {
    let method = match fact.method.as_str() {
        "iprev" => "the client's name",
        "spf" => "SPF",
        "dkim" => "DKIM",
        "arc" => "ARC",
        "dmarc" => "DMARC",
        other => other,
    };
    let about = match (fact.about.as_str(), fact.property.as_str()) {
        ("", _) => String::new(),
        (about, "") => format!(" for {about}"),
        (about, property) => format!(" for {about} ({property})"),
    };
    let why = match fact.result.as_str() {
        "pass" | "none" => String::new(),
        _ => format!(", since {}", fact.reason),
    };
    format!("{method} {}{about}{why}", fact.result)
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
