//! Every host that was asked, as a sentence each and as JSON.

use mail_types::{Path, Peer, Phase, PhaseName, Reply, Timestamp};
use serde_json::{Value, json};
use store::{Tried, Try};

/// A sentence for each host, in order.
pub fn sentences(tried: &Tried) -> Vec<String> {
    tried.tries.iter().map(|one| sentence(one, tried.peer.as_ref())).collect()
}

fn sentence(one: &Try, last: Option<&Peer>) -> String {
    let mut text = clock_time(one.begun);
    match one.path {
        Path::Direct => text.push_str(" to "),
        Path::SmartHost => text.push_str(" by its route to "),
    }
    match one.peer.as_ref().or(last) {
        Some(peer) if peer.host.starts_with('[') => {
            text.push_str(&format!("{}:{}", peer.host, peer.port));
        }
        Some(peer) => text.push_str(&format!("{} [{}]:{}", peer.host, peer.ip, peer.port)),
        None => text.push_str("nobody"),
    }
    if let Some(preference) = one.preference {
        text.push_str(&format!(" (MX {preference})"));
    }
    if let Some(source) = one.source {
        text.push_str(&format!(" from {source}"));
    }
    if one.before > 0 {
        text.push_str(&format!(", message {} of its connection", u64::from(one.before) + 1));
    }
    if let Some(peer) = one.peer.as_ref().or(last) {
        text.push_str(&format!(", {}", security(peer)));
    }
    if !one.policy.is_empty() {
        text.push_str(&format!(", policy {}", one.policy));
    }
    if let Some(said) = &one.policy_said {
        text.push_str(&format!(" ({said})"));
    }
    text.push_str(&format!(": {}", end(&one.phases)));
    text.push_str(&took(&one.phases));
    text
}

fn security(peer: &Peer) -> String {
    match (&peer.tls, peer.tls_verified, &peer.tls_failure) {
        (Some(tls), true, _) => format!("{tls}, certificate verified"),
        (Some(tls), false, _) => format!("{tls}, certificate not verified"),
        (None, _, Some(failure)) => format!("in clear, since TLS failed ({failure})"),
        (None, _, None) => "in clear".to_owned(),
    }
}

/// What it came to: the reply to the message, else the first that refused something, else the last
/// one, or where it broke off.
fn end(phases: &[Phase]) -> String {
    let refused = |reply: &&Reply| matches!(reply.code, 400..=599);
    let replies = || phases.iter().filter_map(|phase| phase.reply.as_ref());
    match phases.last() {
        Some(Phase { name, reply: None, .. }) => format!("no answer ({})", name.word()),
        Some(Phase { name: PhaseName::Dot, reply: Some(reply), .. }) => format!("“{reply}”"),
        _ => match replies().find(refused).or(replies().next_back()) {
            Some(reply) => format!("“{reply}”"),
            None => "nothing was said".to_owned(),
        },
    }
}

fn took(phases: &[Phase]) -> String {
    if phases.is_empty() {
        return String::new();
    }
    let all: u64 = phases.iter().map(|phase| u64::from(phase.millis)).sum();
    let each: Vec<String> = phases
        .iter()
        .map(|phase| format!("{} {}", phase.name.word(), duration(u64::from(phase.millis))))
        .collect();
    format!(" (took {}: {})", duration(all), each.join(", "))
}

fn duration(millis: u64) -> String {
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..120_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => format!("{} min", millis / 60_000),
    }
}

/// The time of the day in UTC; the day stands in front of the whole sentence.
fn clock_time(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(11..19).unwrap_or(&text).to_owned()
}

/// All of it, for programs.
pub fn view(tried: &Tried) -> Vec<Value> {
    let one = |one: &Try| {
        let peer = one.peer.as_ref().or(tried.peer.as_ref());
        json!({
            "begun": one.begun.to_string(),
            "path": match &one.path {
                Path::Direct => "direct",
                Path::SmartHost => "smart host",
            },
            "host": peer.map(|peer| &peer.host),
            "ip": peer.map(|peer| peer.ip),
            "port": peer.map(|peer| peer.port),
            "preference": one.preference,
            "source": one.source,
            "tls": peer.and_then(|peer| peer.tls.as_ref()),
            "tls_verified": peer.map(|peer| peer.tls_verified),
            "tls_failure": peer.and_then(|peer| peer.tls_failure.as_ref()),
            "policy": one.policy,
            "policy_said": one.policy_said,
            "messages_before": one.before,
            "phases": one.phases.iter().map(phase).collect::<Vec<Value>>(),
        })
    };
    tried.tries.iter().map(one).collect()
}

fn phase(phase: &Phase) -> Value {
    json!({
        "phase": phase.name.word(),
        "reply": phase.reply.as_ref().map(verbatim),
        "millis": phase.millis,
    })
}

/// As it came over the line, but for the ends of its lines.
fn verbatim(reply: &Reply) -> String {
    let mut bytes = Vec::new();
    reply.write(&mut bytes);
    String::from_utf8_lossy(&bytes).trim_end().replace("\r\n", "\n")
}
