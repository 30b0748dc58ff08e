//! `restante head` and `restante proof`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ledger::{Compared, LedgerError, View, heads_path};
use mail_types::MailId;
use serde_json::{Value, json};
use store::{Record, Store};
use transparency::Verifier;

use super::{Heads, proof};
use crate::control;
use crate::data_dir::DataDir;
use crate::request::{Failure, Request, Which};
use crate::show;

const HEAD_EXAMPLES: &str = "\
Examples:
  restante head > head.txt              the latest signed head, to be kept elsewhere
  restante head verify head.txt         is it still a beginning of the journal here?
  restante verify --head head.txt       the same from every record, not from the kept tree
  restante head key                     what others check heads and proofs with";

const PROOF_EXAMPLES: &str = "\
Examples:
  restante proof r2k-9f86d081 > r2k.tlog-proof
  restante proof verify r2k.tlog-proof --key \"$(cat head.key)\"
  restante proof verify r2k.tlog-proof --key KEY --message kept.eml

A proof holds the record of the message's acceptance, all its recipients included: show it to whom
you would show those. With --hash-only it holds the record's hash alone.";

/// `restante head`.
#[derive(Debug, Args)]
#[command(after_help = HEAD_EXAMPLES)]
pub struct Head {
    #[command(subcommand)]
    command: Option<HeadCommand>,
}

#[derive(Debug, Subcommand)]
enum HeadCommand {
    /// Whether a head kept elsewhere is a beginning of the journal here
    Verify {
        /// A signed head, as `restante head` printed it
        file: PathBuf,
    },
    /// What others check heads and proofs with: name+id+key
    Key,
    /// The heads that are kept, one a minute
    List {
        /// At most so many, the latest
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
}

/// `restante proof`.
#[derive(Debug, Args)]
#[command(after_help = PROOF_EXAMPLES, args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true)]
pub struct Proof {
    /// The receipt of a message: what stands behind `250 2.0.0`
    #[arg(required = true)]
    receipt: Option<String>,
    /// Leave the record itself out
    #[arg(long)]
    hash_only: bool,
    #[command(subcommand)]
    command: Option<ProofCommand>,
}

#[derive(Debug, Subcommand)]
enum ProofCommand {
    /// Check a proof; needs no data directory and no server
    Verify {
        /// The proof
        file: PathBuf,
        /// The log's key, as `restante head key` printed it
        #[arg(long)]
        key: String,
        /// The message itself, as it was kept: is it the one?
        #[arg(long)]
        message: Option<PathBuf>,
    },
}

/// `restante head …`: reads what is kept, beside a server or without one.
pub fn head(data: &DataDir, head: &Head, as_json: bool) -> anyhow::Result<ExitCode> {
    data.config()?;
    let view = View::open(&heads_path(data.path())).map_err(|error| match error {
        LedgerError::None => anyhow::anyhow!(
            "no head is signed yet\nWhat to do: a server signs one within a second of its start"
        ),
        error => error.into(),
    })?;
    match &head.command {
        None => {
            let latest = view.latest()?;
            if as_json {
                let checkpoint = &latest.checkpoint;
                show::json(&json!({
                    "origin": checkpoint.origin,
                    "records": checkpoint.size,
                    "root": hex(&checkpoint.root),
                    "note": latest.note.to_string(),
                    "key": view.verifier().to_string(),
                }));
            } else {
                show::verbatim(&latest.note.to_string());
            }
        }
        Some(HeadCommand::Key) => {
            let key = view.verifier().to_string();
            if as_json { show::json(&json!({ "key": key })) } else { show::line(&key) }
        }
        Some(HeadCommand::List { limit }) => {
            let rows: Vec<Value> = view
                .history(*limit)?
                .iter()
                .map(|head| {
                    json!({ "records": head.checkpoint.size, "root": hex(&head.checkpoint.root) })
                })
                .collect();
            let rows = Value::Array(rows);
            if as_json {
                show::json(&rows);
            } else {
                show::table_of(&rows, &["records", "root"], "No head is kept yet.");
            }
        }
        Some(HeadCommand::Verify { file }) => return compare(&view, file, as_json),
    }
    Ok(ExitCode::SUCCESS)
}

fn compare(view: &View, file: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let text = ledger::read_head(file)?;
    let compared = view.compare(&text).context("this head cannot be compared")?;
    let (holds, size, latest, what) = match compared {
        Compared::Prefix { size, latest } => (
            true,
            size,
            latest,
            format!("The first {size} records are those of this head; now there are {latest}."),
        ),
        Compared::CutBack { size, latest } => (
            false,
            size,
            latest,
            format!(
                "This head is over {size} records, and the latest one here over {latest}: the \
                 journal was cut back, or put back from a copy."
            ),
        ),
        Compared::Fork { size, latest } => (
            false,
            size,
            latest,
            format!(
                "The first {size} records here are not those of this head: the journal was \
                     changed, or is another one."
            ),
        ),
    };
    if as_json {
        show::json(&json!({
            "is_beginning": holds, "records": size, "latest": latest, "what": what
        }));
    } else {
        show::line(&what);
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `restante proof …`.
pub fn proof(data: &DataDir, proof: Proof, as_json: bool) -> anyhow::Result<ExitCode> {
    if let Some(ProofCommand::Verify { file, key, message }) = &proof.command {
        return verify(file, key, message.as_deref(), as_json);
    }
    let receipt = proof.receipt.unwrap_or_default();
    let Which::Mail { number, check } = Which::parse(&receipt).map_err(anyhow::Error::msg)? else {
        bail!("“{receipt}” is no receipt; restante trace finds it by anything else");
    };
    let request = Request::Proof { mail: number, check, hash_only: proof.hash_only };
    let answer = control::ask(data, request)?;
    if as_json {
        show::json(&answer);
    } else {
        show::verbatim(answer["proof"].as_str().unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a proof on an open store.
pub fn prove(
    heads: &Heads,
    mail: u64,
    check: Option<u32>,
    hash_only: bool,
) -> Result<Value, Failure> {
    let found = heads.store.proved_record(MailId(mail))?;
    let record = found.filter(|found| check.is_none_or(|check| found.facts.receipt.check == check));
    let Some(record) = record else {
        return Err(Failure {
            what: "there is no message with this receipt".to_owned(),
            mend: Some("restante trace finds messages by sender, recipient and more".to_owned()),
        });
    };
    let failed = |error: &dyn std::fmt::Display| Failure {
        what: format!("it cannot be proved: {error}"),
        mend: Some("restante verify shows more".to_owned()),
    };
    let head = heads.covering(record.seq).map_err(|error| failed(&error))?;
    let mut ledger = heads.lock();
    let salt = ledger.salt(record.seq);
    let opening = proof::Opening::new(record.seq, salt, &record.payload, hash_only);
    let extra = opening.to_bytes().map_err(|error| failed(&error))?;
    let proof = ledger.prove(record.seq, Some(extra)).map_err(|error| failed(&error))?;
    Ok(json!({
        "receipt": record.facts.receipt.to_string(),
        "record": record.seq.0,
        "records": head.checkpoint.size,
        "key": ledger.verifier().to_string(),
        "proof": proof.to_string(),
    }))
}

/// The same where no server runs.
pub fn prove_alone(
    data: &DataDir,
    store: &Store,
    mail: u64,
    check: Option<u32>,
    hash_only: bool,
) -> Result<Value, Failure> {
    let failed = |error: anyhow::Error| Failure { what: format!("{error:#}"), mend: None };
    let config = data.config().map_err(failed)?;
    let heads = Heads::open(data, &config, store).map_err(failed)?;
    prove(&heads, mail, check, hash_only)
}

fn verify(
    file: &Path,
    key: &str,
    message: Option<&Path>,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let key = Verifier::parse(key).context("the key is none; restante head key prints it")?;
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let proved =
        proof::verify(&text, &key).with_context(|| format!("{} proves nothing", file.display()))?;
    let same = message.map(|path| is_message(&proved, path)).transpose()?;
    let said = proved.entry.as_ref().map(proof::shown);
    if as_json {
        show::json(&json!({
            "proved": true,
            "log": proved.head.origin,
            "record": proved.record.0,
            "records": proved.head.size,
            "says": said,
            "message_is_the_one": same,
        }));
    } else {
        show::line(&format!(
            "Proved: record {} of the {} that {} had when it signed.",
            proved.record, proved.head.size, proved.head.origin
        ));
        for (name, value) in said.as_ref().and_then(Value::as_object).into_iter().flatten() {
            show::line(&format!("  {name}: {}", show::text(value)));
        }
        if said.is_none() {
            show::line("What the record says is left out of this proof.");
        }
        match same {
            Some(true) => show::line("The message is the one that was accepted then."),
            Some(false) => show::line("The message is ANOTHER one than was accepted then."),
            None => {}
        }
    }
    Ok(if same == Some(false) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether the bytes of a message are those that the record was made of.
fn is_message(proved: &proof::Proved, path: &Path) -> anyhow::Result<bool> {
    let Some(Record::Accepted(mail)) = proved.entry.as_ref().map(|entry| &entry.record) else {
        bail!("the proof does not hold the record that names the message");
    };
    let mut hasher = blake3::Hasher::new();
    let mut file =
        std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    std::io::copy(&mut file, &mut hasher)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(*hasher.finalize().as_bytes() == mail.body_hash.0)
}

/// The same on a running server.
pub async fn answer(
    heads: Option<Arc<Heads>>,
    mail: u64,
    check: Option<u32>,
    hash_only: bool,
) -> Result<Value, Failure> {
    let Some(heads) = heads else {
        return Err(Failure {
            what: "this server signs no heads".to_owned(),
            mend: Some("its log says why: restante status".to_owned()),
        });
    };
    let made = tokio::task::spawn_blocking(move || prove(&heads, mail, check, hash_only));
    made.await.unwrap_or_else(|_| {
        Err(Failure { what: "the server failed at it (a bug)".to_owned(), mend: None })
    })
}
