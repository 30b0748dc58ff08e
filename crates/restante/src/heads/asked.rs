//! Signed heads as operators see them over console and API: the latest, where they are sent, and what
//! others check them with.

use std::path::PathBuf;
use std::time::Duration;

use config::Config;
use ledger::{LedgerError, View, heads_path};
use mail_types::Timestamp;
use serde_json::{Value, json};

use super::command::hex;
use super::sending::Sent;
use crate::data_dir::DataDir;
use crate::request::Failure;

/// Kept heads that are shown.
const SHOWN_MAX: usize = 20;

/// What is known of heads besides themselves.
#[derive(Clone, Debug)]
pub struct About {
    dir: PathBuf,
    directory: Option<PathBuf>,
    mail_to: Vec<String>,
    each: Duration,
}

impl About {
    pub fn new(data: &DataDir, config: &Config) -> Self {
        let settings = &config.heads;
        Self {
            dir: heads_path(data.path()),
            directory: settings.directory.as_ref().map(|path| data.resolve(path)),
            mail_to: settings.mail_to.iter().map(ToString::to_string).collect(),
            each: settings.send_every,
        }
    }

    /// Reads what is kept; blocks. Nothing of the heads where none is signed yet.
    pub fn state(&self) -> Result<Value, Failure> {
        let failed = |error: LedgerError| Failure {
            what: format!("signed heads cannot be read: {error}"),
            mend: Some("restante status names the trouble".to_owned()),
        };
        let sent = Sent::read(&self.dir.join("sent"));
        let sent = (sent.at != 0)
            .then(|| json!({ "at": Timestamp(sent.at).to_string(), "records": sent.records }));
        let mut state = json!({
            "note": null,
            "directory": self.directory,
            "mail_to": self.mail_to,
            "each_secs": self.each.as_secs(),
            "sent": sent,
        });
        match self.read(&mut state) {
            Ok(()) | Err(LedgerError::None) => Ok(state),
            Err(error) => Err(failed(error)),
        }
    }

    fn read(&self, state: &mut Value) -> Result<(), LedgerError> {
        let view = View::open(&self.dir)?;
        let latest = view.latest()?;
        let kept = view.history(SHOWN_MAX)?;
        let kept: Vec<Value> = kept
            .iter()
            .map(|head| {
                json!({ "records": head.checkpoint.size, "root": hex(&head.checkpoint.root) })
            })
            .collect();
        state["origin"] = latest.checkpoint.origin.to_string().into();
        state["records"] = latest.checkpoint.size.into();
        state["root"] = hex(&latest.checkpoint.root).into();
        state["note"] = latest.note.to_string().into();
        state["key"] = view.verifier().to_string().into();
        state["kept"] = kept.into();
        Ok(())
    }
}
