//! Messages that were found, written out byte for byte, with a manifest.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use aws_lc_rs::digest::{SHA256, digest};
use interchange::{WriteAs, write_message};
use mail_types::{Flags, Timestamp};
use serde_json::{Value, json};

use crate::data_dir::DataDir;
use crate::search::session::Client;
use crate::search::{EXIT_NOTHING_FOUND, SearchRequest, text};
use crate::show;
use crate::transfer::{Growing, directory, write};

/// Some messages could not be read.
const EXIT_PARTLY: u8 = 4;
/// The name of the manifest in a directory.
const MANIFEST: &str = "manifest.jsonl";
/// Messages in one directory.
const FILES_PER_DIR: u64 = 1000;
/// Between two lines about how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Writes out what a query finds.
pub fn export(
    data: &DataDir,
    query: &str,
    limit: Option<usize>,
    path: &Path,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let request = SearchRequest {
        query: Some(query.to_owned()),
        count_max: Some(limit.unwrap_or(usize::MAX)),
        excerpts: false,
        bodies: true,
    };
    let is_mbox = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("mbox"));
    let mut writing =
        if is_mbox { Writing::mbox(path, query)? } else { Writing::directory(path, query)? };
    let mut client = Client::open(data, &request)?;
    let mut told = Instant::now();
    let end = client.each(&mut |hit, body| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            show::note(&format!("{} messages written …", writing.written + writing.before));
        }
        writing.add(hit, &body)
    })?;
    client.close()?;
    let (counts, manifest) = writing.finish(&end)?;
    let incomplete = end["gave_up"] == true || end["searchable"] != end["messages"];
    if as_json {
        show::json(&json!({ "export": counts, "manifest": manifest, "end": end }));
    } else {
        show::line(&format!(
            "{} messages written to {}, {} were there before, {} are lost; their hashes are in {}.",
            counts["written"],
            path.display(),
            counts["there_before"],
            counts["lost"],
            manifest.display()
        ));
        if incomplete {
            show::line(&format!(
                "It may not be all: {} of {} messages were searchable{}. Run it again later.",
                end["searchable"],
                end["messages"],
                if end["gave_up"] == true { ", and it took too long" } else { "" }
            ));
        }
    }
    Ok(match (counts["lost"].as_u64(), end["found"].as_u64()) {
        (Some(1..), _) => ExitCode::from(EXIT_PARTLY),
        (_, Some(0)) => ExitCode::from(EXIT_NOTHING_FOUND),
        _ if incomplete => ExitCode::from(EXIT_PARTLY),
        _ => ExitCode::SUCCESS,
    })
}

struct Writing {
    to: To,
    manifest: Growing,
    manifest_path: PathBuf,
    /// Receipts that an earlier run has written.
    there: HashSet<String>,
    written: u64,
    before: u64,
    lost: u64,
}

enum To {
    Directory(PathBuf),
    Mbox(Growing),
}

impl Writing {
    /// A directory that is empty, or that an export of the same query has begun.
    fn directory(path: &Path, query: &str) -> anyhow::Result<Self> {
        directory(path)?;
        let manifest_path = path.join(MANIFEST);
        let mut there = HashSet::new();
        let manifest = if manifest_path.exists() {
            let known = fs::read_to_string(&manifest_path)
                .with_context(|| format!("cannot read {}", manifest_path.display()))?;
            let mut lines =
                known.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let first = lines.next().unwrap_or_default();
            if first["query"] != query {
                bail!(
                    "{} holds the export of another query ({}); name a new directory",
                    path.display(),
                    text(&first["query"])
                );
            }
            there.extend(lines.filter_map(|line| {
                let (file, bytes) = (line["file"].as_str()?, line["bytes"].as_u64()?);
                let whole = fs::metadata(path.join(file)).ok()?.len() == bytes;
                whole.then(|| line["receipt"].as_str().map(str::to_owned)).flatten()
            }));
            // A line that a stop has cut is not gone on with.
            let mut manifest = Growing::append(manifest_path.clone())?;
            if !known.is_empty() && !known.ends_with('\n') {
                manifest.add(b"\n")?;
            }
            manifest
        } else {
            if fs::read_dir(path)?.next().is_some() {
                bail!("{} is not empty: name a new directory", path.display());
            }
            begin(&manifest_path, query)?
        };
        let to = To::Directory(path.to_owned());
        Ok(Self { to, manifest, manifest_path, there, written: 0, before: 0, lost: 0 })
    }

    /// A new file; one that was not finished has no manifest line `end`, and is not gone on with.
    fn mbox(path: &Path, query: &str) -> anyhow::Result<Self> {
        let manifest_path = path.with_extension("manifest.jsonl");
        for path in [path, &manifest_path] {
            if path.exists() {
                bail!(
                    "{} exists: an mbox cannot be gone on with; name another file, or a directory",
                    path.display()
                );
            }
        }
        Ok(Self {
            to: To::Mbox(Growing::new(path.to_owned())?),
            manifest: begin(&manifest_path, query)?,
            manifest_path,
            there: HashSet::new(),
            written: 0,
            before: 0,
            lost: 0,
        })
    }

    fn add(&mut self, hit: &Value, body: &[u8]) -> anyhow::Result<()> {
        let receipt = text(&hit["receipt"]);
        if self.there.contains(&receipt) {
            self.before += 1;
            return Ok(());
        }
        if let Some(why) = hit["lost"].as_str() {
            self.lost += 1;
            show::note(&format!("{receipt} is lost: {why}"));
            return self.line(&json!({ "receipt": receipt, "lost": why }));
        }
        let hash = blake3::hash(body);
        if hash.to_hex().as_str() != text(&hit["body_hash"]) {
            bail!("{receipt} is not what was accepted: restante verify shows more");
        }
        let internal_date = hit["internal_date"].as_str().and_then(millis);
        let file = match &mut self.to {
            To::Directory(path) => {
                let file =
                    format!("{:04}/{receipt}.eml", (self.written + self.before) / FILES_PER_DIR);
                let at = path.join(&file);
                directory(at.parent().unwrap_or(path))?;
                // One that is there was begun by a run that was stopped before it noted it.
                write(&at, body, internal_date)?;
                if let Some(proof) = hit["inclusion_proof"].as_str() {
                    write(&at.with_extension("proof"), proof.as_bytes(), None)?;
                }
                Some(file)
            }
            To::Mbox(mbox) => {
                let mut out = Vec::with_capacity(body.len() + 128);
                let sender = text(&hit["from"]);
                let date = internal_date.unwrap_or_default();
                let sender = sender.trim_matches(['<', '>']);
                let how = WriteAs { flags: &Flags::default(), date, sender };
                write_message(body, &how, &mut out);
                mbox.add(&out)?;
                None
            }
        };
        self.written += 1;
        self.line(&json!({
            "receipt": receipt,
            "file": file,
            "bytes": body.len(),
            "blake3": hash.to_hex().as_str(),
            "sha256": hex(digest(&SHA256, body).as_ref()),
            "accepted": hit["accepted"],
            "internal_date": hit["internal_date"],
            "from": hit["from"],
            "recipients": hit["recipients"],
            "direction": hit["direction"],
            "verdict": hit["verdict"],
            "message_id": hit["message_id"],
            "subject": hit["subject"],
            "places": hit["places"],
            "inclusion_proof": hit["inclusion_proof"],
        }))
    }

    fn line(&mut self, line: &Value) -> anyhow::Result<()> {
        self.manifest.add(format!("{line}\n").as_bytes())?;
        // So that a run that is stopped is gone on with from here.
        self.manifest.flush()
    }

    fn finish(mut self, end: &Value) -> anyhow::Result<(Value, PathBuf)> {
        let counts = json!({
            "written": self.written, "there_before": self.before, "lost": self.lost,
        });
        self.line(&json!({ "end": end, "counts": counts }))?;
        if let To::Mbox(mbox) = self.to {
            drop(mbox.finish()?);
        }
        drop(self.manifest.finish()?);
        Ok((counts, self.manifest_path))
    }
}

/// A new manifest; its first line says what it is of.
fn begin(path: &Path, query: &str) -> anyhow::Result<Growing> {
    let mut manifest = Growing::new(path.to_owned())?;
    let first = json!({
        "query": query,
        "exported": net::now().to_string(),
        "by": format!("Restante {}", env!("CARGO_PKG_VERSION")),
    });
    manifest.add(format!("{first}\n").as_bytes())?;
    Ok(manifest)
}

fn millis(text: &str) -> Option<Timestamp> {
    Some(Timestamp(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
