//! Messages that were found, written out byte for byte, with a manifest.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use interchange::{WriteAs, write_message};
use mail_types::Flags;
use serde_json::{Value, json};

use crate::data_dir::DataDir;
use crate::search::manifest::{self, Counts};
use crate::search::session::Client;
use crate::search::{EXIT_NOTHING_FOUND, SearchArgs, SearchRequest, text, zip};
use crate::show;
use crate::transfer::{Growing, directory, export_files, write};

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
    args: &SearchArgs,
    path: &Path,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let request = SearchRequest {
        query: Some(query.to_owned()),
        count_max: Some(args.limit.unwrap_or(usize::MAX)),
        excerpts: false,
        bodies: true,
        account: args.account.clone(),
    };
    let ends = |end: &str| path.extension().is_some_and(|known| known.eq_ignore_ascii_case(end));
    let mut client = Client::open(data, &request)?;
    let mut told = Instant::now();
    let mut tell = move |counts: &Counts| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            show::note(&format!("{} messages written …", counts.written + counts.before));
        }
    };
    let (counts, end, hashes) = if ends("zip") {
        zipped(&mut client, query, args.mbox, path, &mut tell)?
    } else {
        let mut writing = match ends("mbox") {
            true => Writing::mbox(path, query)?,
            false => Writing::directory(path, query)?,
        };
        let end = client.each(&mut |hit, body| {
            tell(&writing.counts);
            writing.add(hit, &body)
        })?;
        let (counts, manifest) = writing.finish(&end)?;
        (counts, end, manifest)
    };
    client.close()?;
    show_outcome(&counts, &end, (path, &hashes), as_json);
    let incomplete = is_incomplete(&end);
    Ok(match (counts.lost, end["found"].as_u64()) {
        (1.., _) => ExitCode::from(EXIT_PARTLY),
        (_, Some(0)) => ExitCode::from(EXIT_NOTHING_FOUND),
        _ if incomplete => ExitCode::from(EXIT_PARTLY),
        _ => ExitCode::SUCCESS,
    })
}

fn is_incomplete(end: &Value) -> bool {
    end["gave_up"] == true || end["searchable"] != end["messages"]
}

fn show_outcome(counts: &Counts, end: &Value, (path, hashes): (&Path, &Path), as_json: bool) {
    if as_json {
        show::json(&json!({ "export": counts.view(), "manifest": hashes, "end": end }));
        return;
    }
    show::line(&format!(
        "{} messages written to {}, {} were there before, {} are lost; their hashes are in {}.",
        counts.written,
        path.display(),
        counts.before,
        counts.lost,
        hashes.display()
    ));
    if is_incomplete(end) {
        show::line(&format!(
            "It may not be all: {} of {} messages were searchable{}. Run it again later.",
            end["searchable"],
            end["messages"],
            if end["gave_up"] == true { ", and it took too long" } else { "" }
        ));
    }
}

/// One zip file; what a run that was stopped has left of one is no zip file, and says so when it is
/// opened.
fn zipped(
    client: &mut Client,
    query: &str,
    as_mbox: bool,
    path: &Path,
    tell: &mut dyn FnMut(&Counts),
) -> anyhow::Result<(Counts, Value, PathBuf)> {
    let file = export_files::create(path)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let of = zip::Of { query, as_mbox, spool: dir };
    let mut written = Counts::default();
    let (counts, end) = zip::write(file, &of, &mut |on_hit| {
        client.each(&mut |hit, body| {
            written.written += 1;
            tell(&written);
            on_hit(hit, body)
        })
    })?;
    Ok((counts, end, PathBuf::from(zip::MANIFEST)))
}

struct Writing {
    to: To,
    manifest: Growing,
    manifest_path: PathBuf,
    /// Receipts that an earlier run has written.
    there: HashSet<String>,
    counts: Counts,
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
        Ok(Self { to, manifest, manifest_path, there, counts: Counts::default() })
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
            counts: Counts::default(),
        })
    }

    fn add(&mut self, hit: &Value, body: &[u8]) -> anyhow::Result<()> {
        let receipt = text(&hit["receipt"]);
        if self.there.contains(&receipt) {
            self.counts.before += 1;
            return Ok(());
        }
        let number = self.counts.written + self.counts.before;
        let Some(hash) = self.counts.take(hit, body)? else {
            return self.line(&manifest::lost(hit));
        };
        let internal_date = manifest::internal_date(hit);
        let file = match &mut self.to {
            To::Directory(path) => {
                let file = format!("{:04}/{receipt}.eml", number / FILES_PER_DIR);
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
        self.line(&manifest::line(hit, body, hash, file.as_deref()))
    }

    fn line(&mut self, line: &Value) -> anyhow::Result<()> {
        self.manifest.add(format!("{line}\n").as_bytes())?;
        // So that a run that is stopped is gone on with from here.
        self.manifest.flush()
    }

    fn finish(mut self, end: &Value) -> anyhow::Result<(Counts, PathBuf)> {
        self.line(&manifest::last(end, &self.counts))?;
        if let To::Mbox(mbox) = self.to {
            drop(mbox.finish()?);
        }
        drop(self.manifest.finish()?);
        Ok((self.counts, self.manifest_path))
    }
}

/// A new manifest; its first line says what it is of.
fn begin(path: &Path, query: &str) -> anyhow::Result<Growing> {
    let mut manifest = Growing::new(path.to_owned())?;
    manifest.add(format!("{}\n", manifest::first(query)).as_bytes())?;
    Ok(manifest)
}
