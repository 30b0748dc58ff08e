//! The certificates of this host.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::process::ExitCode;

use mail_types::Timestamp;
use net::{CertificateFacts, TlsError};
use serde_json::{Value, json};

use crate::certificates::{Pair, pairs};
use crate::data_dir::DataDir;
use crate::{mta_sts, show};

/// A certificate that ends sooner is worth a word.
const SOON_DAYS: i64 = 14;

/// Reads the files: needs no server.
pub fn status(data: &DataDir, as_json: bool) -> anyhow::Result<ExitCode> {
    let config = data.config()?;
    let now = net::now();
    let told: Vec<Value> = pairs(data, &config).iter().map(|pair| one(pair, now)).collect();
    let is_well = told.iter().all(|one| one["state"] == "good" || one["state"] == "ends soon");
    let record = mta_sts::txt_record(&config);
    if as_json {
        show::json(&json!({ "certificates": told, "mta_sts_txt": record }));
    } else {
        for one in &told {
            let word = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
            println!("{}: {}", word("certificate"), word("state"));
            if let Some(names) = one["names"].as_array() {
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                println!("  for {}", names.join(", "));
                println!(
                    "  from {} to {}{}",
                    word("from"),
                    word("to"),
                    match one["self_signed"] == true {
                        true => "; it signed itself, so other servers do not verify it",
                        false => "",
                    }
                );
            }
        }
    }
    if let Some(record) = record.filter(|_| !as_json) {
        println!("MTA-STS: _mta-sts.DOMAIN TXT \"{record}\" leads others to the policy shown here");
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one(pair: &Pair, now: Timestamp) -> Value {
    match read(&pair.certificate, &pair.key) {
        Ok(facts) => {
            let days = (facts.to.0 - now.0) / 86_400_000;
            let state = match facts.to.0 - now.0 {
                left if left <= 0 => "ended",
                _ if facts.from > now => "not good yet",
                _ if days < SOON_DAYS => "ends soon",
                _ => "good",
            };
            json!({
                "certificate": pair.certificate,
                "state": state,
                "names": facts.names,
                "from": facts.from.to_string(),
                "to": facts.to.to_string(),
                "days_left": days,
                "self_signed": facts.is_self_signed,
            })
        }
        Err(error) => json!({ "certificate": pair.certificate, "state": error.to_string() }),
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertificateFacts, TlsError> {
    // That key and certificate belong together is worth knowing, too.
    net::ServerTls::from_pem_files(certificate, key)?;
    CertificateFacts::from_pem_file(certificate)
}
