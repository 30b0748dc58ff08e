//! Why something was not done, in words for whoever asked.

use serde::{Deserialize, Serialize};
use store::{Refused, StoreError};

/// Why it was not done.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// In plain words.
    pub what: String,
    /// What to do about it, where that is known.
    pub mend: Option<String>,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let mend = match &refused {
            Refused::Unavailable(_) => Some("see the server's log, and try again".to_owned()),
            Refused::UnknownUser(address) => {
                Some(format!("add it first: restante account add {address}"))
            }
            _ => None,
        };
        Self { what: refused.to_string(), mend }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { what: error.to_string(), mend: Some("restante verify shows more".to_owned()) }
    }
}

impl From<sign_in::CredentialsError> for Failure {
    fn from(error: sign_in::CredentialsError) -> Self {
        Self { what: error.to_string(), mend: None }
    }
}
