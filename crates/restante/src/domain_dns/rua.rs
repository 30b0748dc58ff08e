//! Where reports about a domain are to go (`rua`), and whether they would get there.

use std::collections::HashSet;
use std::sync::Arc;

use mail_types::{Address, Domain};
use net::{Authority, Resolver};
use sender_auth::{DmarcRecord, report_destinations};
use serde_json::Value;
use store::Directory;
use tls_report::{ReportUri, TlsReportRecord};

use super::look::PATIENCE;
use crate::control;
use crate::data_dir::DataDir;
use crate::request::Request;

/// What is kept here: addresses that take mail, and their domains.
pub struct Kept {
    domains: HashSet<String>,
    addresses: HashSet<String>,
}

impl Kept {
    /// Asks the server, or the store.
    pub fn ask(data: &DataDir) -> anyhow::Result<Self> {
        let texts = |request, name: &str| -> anyhow::Result<Vec<String>> {
            let answer: Value = control::ask(data, request)?;
            let all = answer.as_array().into_iter().flatten();
            Ok(all.filter_map(|one| one[name].as_str().map(str::to_owned)).collect())
        };
        let mut addresses = texts(Request::AccountList, "address")?;
        addresses.extend(texts(Request::AliasList, "alias")?);
        let folded = |text: &String| Address::parse(text).ok().map(|address| address.folded());
        Ok(Self {
            domains: texts(Request::DomainList, "domain")?.into_iter().collect(),
            addresses: addresses.iter().filter_map(folded).collect(),
        })
    }

    /// The same of a directory.
    pub fn of(directory: &Directory) -> Self {
        let accounts = directory.accounts();
        let accounts = accounts.iter().map(|account| account.address.folded());
        let aliases = directory.aliases().map(|(alias, _)| alias.to_owned());
        Self {
            domains: directory.domains().map(ToString::to_string).collect(),
            addresses: accounts.chain(aliases).collect(),
        }
    }

    /// Why mail to this address would not arrive; `None` where it would, or is for others to say.
    fn trouble(&self, address: &Address) -> Option<String> {
        let domain = address.domain().map(ToString::to_string).unwrap_or_default();
        let is_missing =
            self.domains.contains(&domain) && !self.addresses.contains(&address.folded());
        is_missing.then(|| {
            format!(
                "reports go to {address}, which nobody has here: restante alias add {address} \
                 ACCOUNT"
            )
        })
    }
}

/// What is wrong with a record, and what is worth telling of one that is right.
#[derive(Default)]
pub struct Checked {
    pub wrong: Vec<String>,
    pub told: Vec<String>,
}

/// A DMARC policy record (RFC 9989 §4.7), and where its reports go (RFC 9990 §4).
pub async fn dmarc(resolver: &Arc<Resolver>, domain: &Domain, text: &str, kept: &Kept) -> Checked {
    let mut checked = Checked::default();
    let Some(record) = DmarcRecord::parse(text.as_bytes()) else {
        checked.wrong.push("it is no DMARC record".to_owned());
        return checked;
    };
    if record.p.is_none() {
        checked.wrong.push("it has no p=none, p=quarantine or p=reject".to_owned());
    }
    if record.rua.is_empty() {
        checked.told.push("without rua=mailto:… nobody reports what comes in its name".to_owned());
    }
    checked.wrong.extend(record.rua.iter().filter_map(|one| kept.trouble(&one.address)));
    let mut authority = Authority::new(Arc::clone(resolver), PATIENCE);
    let name = domain.as_str();
    let confirmed = authority.drive(|answers| report_destinations(name, &record, answers)).await;
    for one in &record.rua {
        let Some(host) = one.address.domain() else { continue };
        if !confirmed.iter().any(|other| other.address.domain() == Some(host)) {
            checked.wrong.push(format!(
                "reports to {} are not sent before {name}._report._dmarc.{host}. IN TXT \
                 \"v=DMARC1\" is there",
                one.address
            ));
        }
    }
    checked
}

/// A TLSRPT record (RFC 8460 §3).
pub fn tls(text: &str, kept: &Kept) -> Checked {
    let mut checked = Checked::default();
    match TlsReportRecord::find(&[text.as_bytes().to_vec()]) {
        Ok(Some(record)) => {
            let trouble = |uri: &ReportUri| match uri {
                ReportUri::Mail(address) => kept.trouble(address),
                ReportUri::Https(_) => None,
            };
            checked.wrong.extend(record.rua.iter().filter_map(trouble));
        }
        Ok(None) => checked.wrong.push("it is no TLSRPT record".to_owned()),
        Err(error) => checked.wrong.push(error.to_string()),
    }
    checked
}
