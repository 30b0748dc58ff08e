//! Which messages a command means.

use mail_types::{Address, Domain, ReceiptId};
use serde::{Deserialize, Serialize};

/// Which messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// All.
    All,
    /// By receipt: `r2k-9f86d081`, or `r2k` alone, as in its Received field.
    Mail { number: u64, check: Option<u32> },
    /// By Message-ID.
    MessageId(String),
    /// From or to this address.
    Address(Address),
    /// To this destination.
    Destination(String),
}

impl Which {
    /// What a word on the command line means.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(receipt) = text.parse::<ReceiptId>() {
            return Ok(Self::Mail { number: receipt.mail.0, check: Some(receipt.check) });
        }
        // A receipt without its check has the same number with any.
        if let Ok(receipt) = format!("{text}-00000000").parse::<ReceiptId>() {
            return Ok(Self::Mail { number: receipt.mail.0, check: None });
        }
        let bracketed = text.starts_with('<') && text.ends_with('>');
        if !bracketed && let Ok(address) = Address::parse(text) {
            return Ok(Self::Address(address));
        }
        if text.contains('@') {
            return Ok(Self::MessageId(text.trim_matches(['<', '>']).to_owned()));
        }
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        match Domain::new(text) {
            Ok(domain) => Ok(Self::Destination(domain.as_str().to_owned())),
            Err(_) => Err(format!(
                "“{text}” is no receipt (r2k-9f86d081), Message-ID (<…@…>), address or domain"
            )),
        }
    }
}
