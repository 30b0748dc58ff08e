use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use mail_types::Timestamp;
use sender_auth::{DkimResult, Examined, Outcome, Reading, dkim_overall};
use serde_json::json;

use super::{Asking, print};
use crate::data_dir::DataDir;

pub const EXAMPLES: &str = "\
Examples:
  restante check dkim message.eml
  restante check dkim - --json < message.eml
  restante check arc message.eml --resolver 127.0.0.1:53
  restante check dkim old.eml --time 1500000000";

/// Octets of a message that are read.
const MESSAGE_BYTES_MAX: u64 = 1 << 30;

#[derive(Debug, Args)]
pub struct Message {
    /// A file with the message, as mail programs save it; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Check as of then, in seconds since 1970, instead of now
    #[arg(long, value_name = "UNIX")]
    time: Option<i64>,
    #[command(flatten)]
    asking: Asking,
}

impl Message {
    pub(super) fn now(&self) -> Timestamp {
        self.time.map_or_else(net::now, Timestamp::from_secs)
    }

    /// Whom to ask.
    pub(super) const fn asking(&self) -> &Asking {
        &self.asking
    }

    fn examined(&self) -> anyhow::Result<Examined> {
        let mut reading = Reading::new();
        reading.write(&self.bytes()?);
        Ok(reading.finish())
    }

    /// Reads the message as it was on the wire.
    pub(super) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = if self.file.as_os_str() == "-" {
            std::io::stdin().lock().take(MESSAGE_BYTES_MAX).read_to_end(&mut bytes)
        } else {
            std::fs::File::open(&self.file)
                .and_then(|file| file.take(MESSAGE_BYTES_MAX).read_to_end(&mut bytes))
        };
        read.with_context(|| format!("{} cannot be read", self.file.display()))?;
        Ok(as_on_the_wire(bytes))
    }
}

/// Files keep lines as their system does; on the wire they end in CRLF. The first line tells which
/// this is, so that a lone LF in a message that was kept as it came stays one.
fn as_on_the_wire(bytes: Vec<u8>) -> Vec<u8> {
    let mut rest = bytes.as_slice();
    // The line that mbox puts in front of a message is none of it.
    if rest.starts_with(b"From ") {
        let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |end| end + 1);
        rest = &rest[end..];
    }
    let first = rest.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
    if first.ends_with(b"\r\n") {
        return rest.to_vec();
    }
    let mut text = Vec::with_capacity(rest.len() + rest.len() / 32);
    for line in rest.split_inclusive(|&byte| byte == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        text.extend_from_slice(bare.strip_suffix(b"\r").unwrap_or(bare));
        if line.len() > bare.len() {
            text.extend_from_slice(b"\r\n");
        }
    }
    text
}

pub async fn dkim(data: &DataDir, args: &Message, json: bool) -> anyhow::Result<()> {
    let (examined, now) = (args.examined()?, args.now());
    let mut authority = args.asking.authority(data)?;
    let results = authority.drive(|answers| examined.dkim(answers, now)).await;
    let lines: Vec<String> = results.iter().map(signature).collect();
    let facts = json!({
        "signatures": results.iter().map(signature_facts).collect::<Vec<_>>(),
        "lookups": authority.driven().lookups,
    });
    print(&dkim_overall(&results), &lines, facts, json);
    Ok(())
}

fn signature(result: &DkimResult) -> String {
    let DkimResult { outcome, domain, selector, algorithm, .. } = result;
    let mut line = outcome.verdict.to_string();
    if let Some(domain) = domain {
        line.push_str(&format!(" d={domain}"));
    }
    if let Some(selector) = selector {
        line.push_str(&format!(" s={selector}"));
    }
    if let Some(algorithm) = algorithm {
        line.push_str(&format!(" a={algorithm}"));
    }
    // What a signature says of itself is not ours to print raw.
    let line = Outcome::new(outcome.verdict, line).reason().to_owned();
    format!("{line} ({})", outcome.reason())
}

fn signature_facts(result: &DkimResult) -> serde_json::Value {
    json!({
        "result": result.outcome.verdict.as_str(),
        "reason": result.outcome.reason(),
        "domain": result.domain.as_ref().map(|domain| domain.as_str()),
        "selector": result.selector,
        "identity": result.identity,
        "algorithm": result.algorithm.map(|algorithm| algorithm.as_str()),
        "b": result.mark,
        "body_is_longer": result.body_is_longer,
        "testing": result.testing,
    })
}

pub async fn arc(data: &DataDir, args: &Message, json: bool) -> anyhow::Result<()> {
    let examined = args.examined()?;
    let mut authority = args.asking.authority(data)?;
    let result = authority.drive(|answers| examined.arc(answers)).await;
    let facts = json!({
        "instance": result.highest,
        "ended": result.ended,
        "sets": result.sets.iter().map(|set| json!({
            "instance": set.instance,
            "sealer": set.sealer.as_str(),
            "selector": set.selector,
            "results": set.results,
        })).collect::<Vec<_>>(),
        "lookups": authority.driven().lookups,
    });
    let line = |set: &sender_auth::ArcSet| {
        let results = set.results.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let line = format!("i={} d={} s={}: {results}", set.instance, set.sealer, set.selector);
        Outcome::new(result.outcome.verdict, line).reason().to_owned()
    };
    let lines: Vec<String> = result.sets.iter().map(line).collect();
    print(&result.outcome, &lines, facts, json);
    Ok(())
}
