//! Healing: what is damaged in the journal is written once more from a backup that has it.

use std::path::PathBuf;
use std::process::ExitCode;

use backup::{Backup, BackupDisk, BackupError};
use clap::Args;
use journal::{Damage, Head, Reader};
use mail_types::ReceiptId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Actor, Copied, Healed, Store};

use super::{Backups, open};
use crate::control;
use crate::data_dir::DataDir;
use crate::request::{Failure, Request};
use crate::show;

const EXAMPLES: &str = "\
Examples:
  restante heal                           from the backup that backup.to names
  restante heal --from /mnt/backup        from this one; also s3://BUCKET/PREFIX
  restante heal --from /mnt/backup --identity KEYFILE    from an encrypted one
  restante heal --dry-run                 only say what is damaged

What was damaged is kept in the data directory, below damaged/. Purged mail stays purged. The server
does the same by itself where backup.to is set, except with an encrypted backup, which it cannot read.";

/// Bytes that the journal is read in at a time.
const STEP_BYTES: u64 = 16 << 20;
/// Times that the journal is read: healed headers may show more that is damaged.
const ROUNDS_MAX: usize = 4;

/// `restante heal`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Heal {
    /// The backup: a directory or s3://BUCKET/PREFIX; without it, the one that the settings name
    #[arg(long)]
    from: Option<PathBuf>,
    /// The file of the identity that opens an encrypted backup
    #[arg(long)]
    identity: Option<PathBuf>,
    /// Change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    pub from: Option<PathBuf>,
    pub identity: Option<PathBuf>,
    pub dry_run: bool,
}

/// The journal in a backup, twice where there are copies from before damage was found.
pub struct Copies {
    place: String,
    head: Head,
    readers: Vec<Reader<BackupDisk>>,
}

impl Copies {
    pub fn open(backup: &Backup) -> Result<Self, BackupError> {
        let head = backup.manifest()?.latest()?.head()?;
        let disks = backup.sound_disk()?.into_iter().chain([backup.disk()?]);
        Ok(Self { place: backup.place(), head, readers: disks.map(Reader::look).collect() })
    }

    /// Heals one damage, or says why not.
    pub fn heal(&self, store: &Store, actor: &Actor, damage: &Damage) -> Result<Healed, String> {
        let mut why = "there is no copy of it".to_owned();
        for reader in &self.readers {
            let copied = Copied { reader, head: self.head, place: &self.place };
            match store.heal(actor, damage, &copied) {
                Ok(healed) => return Ok(healed),
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }
}

impl Backups {
    /// Whether the server heals by itself.
    pub fn heals(&self) -> bool {
        self.config.backup.heal && self.to.is_some()
    }

    /// Heals what was just found, by itself.
    pub fn heal_found(&self, damage: &[Damage]) -> Vec<Result<Healed, String>> {
        let copies = self
            .configured()
            .map_err(|failure| failure.what)
            .and_then(|backup| Copies::open(&backup).map_err(|error| error.to_string()));
        let heal = |damage| match &copies {
            Ok(copies) => copies.heal(&self.store, &Actor::Server, damage),
            Err(why) => Err(why.clone()),
        };
        damage.iter().map(heal).collect()
    }

    /// Reads all of the journal, and heals what it finds.
    pub fn heal(
        &self,
        ask: &Ask,
        actor: &Actor,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Value, Failure> {
        let failed = |what: String| Failure { what, mend: None };
        let opened = match (&ask.from, &self.to) {
            (None, None) if ask.dry_run => None,
            (None, None) => {
                return Err(Failure {
                    what: "there is no backup to heal from".to_owned(),
                    mend: Some("name one with --from PLACE, or set backup.to".to_owned()),
                });
            }
            (Some(place), _) | (None, Some(place)) => {
                let backup = self.open(place, ask.identity.as_deref());
                Some(backup.map_err(|error| failed(format!("{error:#}")))?)
            }
        };
        let copies = match &opened {
            Some(backup) if !ask.dry_run => {
                Some(Copies::open(backup).map_err(|error| failed(error.to_string()))?)
            }
            _ => None,
        };
        let (mut healed, mut left) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS_MAX {
            let found = whole(&self.store, progress).map_err(failed)?;
            let before = healed.len();
            left.clear();
            for damage in found {
                match copies.as_ref().map(|copies| copies.heal(&self.store, actor, &damage)) {
                    Some(Ok(one)) => healed.push(self.view_healed(&one)),
                    Some(Err(why)) => {
                        left.push(json!({ "what": damage.to_string(), "why": why }));
                    }
                    None => left.push(json!({ "what": damage.to_string() })),
                }
            }
            if healed.len() == before {
                break;
            }
        }
        Ok(json!({ "healed": healed, "left": left, "clean": left.is_empty() }))
    }

    fn view_healed(&self, healed: &Healed) -> Value {
        let facts = self.store.mail_facts(&healed.mails).unwrap_or_default();
        let messages: Vec<String> =
            facts.iter().map(|facts| ReceiptId::to_string(&facts.receipt)).collect();
        json!({
            "what": healed.what,
            "messages": messages,
            "from": healed.from,
            "bytes": healed.bytes,
            "evidence": healed.evidence,
        })
    }
}

/// Everything that is damaged.
fn whole(store: &Store, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<Damage>, String> {
    let reader = store.journal();
    let head = reader.head().ok_or("the journal is not open")?;
    let (mut found, mut next) = (Vec::new(), None);
    // Each turn reads on; the last one ends at the head.
    loop {
        let done = reader.scrub(next, &head, STEP_BYTES);
        found.extend(done.damage);
        match done.next {
            Some(at) => {
                next = Some(at);
                progress(u64::from(at.segment), u64::from(head.end.segment) + 1);
            }
            None => return Ok(found),
        }
    }
}

/// `restante heal`.
pub fn heal(data: &DataDir, args: Heal, as_json: bool) -> anyhow::Result<ExitCode> {
    let from = args.from.as_deref().map(open::absolute).transpose()?;
    let identity = args.identity.as_deref().map(std::path::absolute).transpose()?;
    let ask = Ask { from, identity, dry_run: args.dry_run };
    let done = control::ask(data, Request::Heal { ask })?;
    show::progress("");
    let clean = done["clean"] == true;
    if as_json {
        show::json(&done);
        return Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    for one in done["healed"].as_array().into_iter().flatten() {
        show::line(&format!("Healed: {}", show::text(&one["what"])));
        for receipt in one["messages"].as_array().into_iter().flatten() {
            show::line(&format!("  message {}", show::text(receipt)));
        }
        if let Some(evidence) = one["evidence"].as_str() {
            show::line(&format!("  what was there is kept in {evidence}"));
        }
    }
    for one in done["left"].as_array().into_iter().flatten() {
        show::line(&format!("Damaged: {}", show::text(&one["what"])));
        if let Some(why) = one["why"].as_str() {
            show::line(&format!("  not healed: {why}"));
        }
    }
    match (clean, args.dry_run) {
        (true, _) => show::line("Nothing is damaged now."),
        (false, true) => show::line("Nothing was changed. Heal it: restante heal"),
        (false, false) => show::line(
            "What to do: try an older or another backup with --from. Everything else is read as \
             before; mail that waits to be sent waits until its message can be read.",
        ),
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
