//! Every host that was asked, as a sentence each and as JSON.

use mail_types::{Path, Peer, Phase, PhaseName, Reply, Timestamp};
use serde_json::{Value, json};
use store::{Tried, Try};

use crate::tongue::{Language, say};

/// A sentence for each host, in order.
pub fn sentences(tried: &Tried, language: Language) -> Vec<String> {
    tried.tries.iter().map(|one| sentence(one, tried.peer.as_ref(), language)).collect()
}

fn sentence(one: &Try, last: Option<&Peer>, language: Language) -> String {
    let clock = clock_time(one.begun);
    let peer = one.peer.as_ref().or(last);
    let to = match peer {
        Some(peer) if peer.host.starts_with('[') => format!("{}:{}", peer.host, peer.port),
        Some(peer) => format!("{} [{}]:{}", peer.host, peer.ip, peer.port),
        None => say!(language, "nobody", "无主机"),
    };
    let mut text = match one.path {
        Path::Direct => say!(language, "{clock} to {to}", "{clock} 发往 {to}"),
        Path::SmartHost => {
            say!(language, "{clock} by its route to {to}", "{clock} 按路由发往 {to}")
        }
    };
    if let Some(preference) = one.preference {
        text.push_str(&format!(" (MX {preference})"));
    }
    if let Some(source) = one.source {
        text.push_str(&say!(language, " from {source}", "，本机地址 {source}"));
    }
    if one.before > 0 {
        let number = u64::from(one.before) + 1;
        text.push_str(&say!(
            language,
            ", message {number} of its connection",
            "，该连接的第 {number} 封邮件"
        ));
    }
    if let Some(peer) = peer {
        let security = security(peer, language);
        text.push_str(&say!(language, ", {security}", "，{security}"));
    }
    let policy = &one.policy;
    if !policy.is_empty() {
        text.push_str(&say!(language, ", policy {policy}", "，策略 {policy}"));
    }
    if let Some(said) = &one.policy_said {
        text.push_str(&say!(language, " ({said})", "（{said}）"));
    }
    let end = end(&one.phases, language);
    text.push_str(&say!(language, ": {end}", "：{end}"));
    text.push_str(&took(&one.phases, language));
    text
}

/// How a connection was protected.
pub fn security(peer: &Peer, language: Language) -> String {
    match (&peer.tls, peer.tls_verified, &peer.tls_failure) {
        (Some(tls), true, _) => {
            say!(language, "{tls}, certificate verified", "{tls}，证书已验证")
        }
        (Some(tls), false, _) => {
            say!(language, "{tls}, certificate not verified", "{tls}，证书未验证")
        }
        (None, _, Some(failure)) => {
            say!(
                language,
                "in clear, since TLS failed ({failure})",
                "明文，因为 TLS 失败（{failure}）"
            )
        }
        (None, _, None) => say!(language, "in clear", "明文"),
    }
}

/// What it came to: the reply to the message, else the first that refused something, else the last
/// one, or where it broke off.
fn end(phases: &[Phase], language: Language) -> String {
    let refused = |reply: &&Reply| matches!(reply.code, 400..=599);
    let replies = || phases.iter().filter_map(|phase| phase.reply.as_ref());
    match phases.last() {
        Some(Phase { name, reply: None, .. }) => {
            let phase = name.word();
            say!(language, "no answer ({phase})", "没有应答（{phase}）")
        }
        Some(Phase { name: PhaseName::Dot, reply: Some(reply), .. }) => format!("“{reply}”"),
        _ => match replies().find(refused).or(replies().next_back()) {
            Some(reply) => format!("“{reply}”"),
            None => say!(language, "nothing was said", "对方没有应答内容"),
        },
    }
}

fn took(phases: &[Phase], language: Language) -> String {
    if phases.is_empty() {
        return String::new();
    }
    let all: u64 = phases.iter().map(|phase| u64::from(phase.millis)).sum();
    let each: Vec<String> = phases
        .iter()
        .map(|phase| format!("{} {}", phase.name.word(), duration(u64::from(phase.millis))))
        .collect();
    let (all, each) = (duration(all), each.join(", "));
    say!(language, " (took {all}: {each})", "（用时 {all}：{each}）")
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
