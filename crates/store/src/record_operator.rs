//! What is done about operators, the people who look after this server, and what they look at.

use std::net::IpAddr;

use mail_types::{Domain, MailId};
use serde::{Deserialize, Serialize};

/// What an operator may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatorRole {
    /// Everything.
    Operator,
    /// Looks after accounts and aliases of these domains, and finds their mail.
    DomainAdmin {
        /// The domains.
        domains: Vec<Domain>,
    },
    /// Sees everything and changes nothing.
    Auditor,
}

impl OperatorRole {
    /// As it is written on the command line.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::DomainAdmin { .. } => "domain-admin",
            Self::Auditor => "auditor",
        }
    }
}

/// Something done about an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorChange {
    /// Whose.
    pub operator: u64,
    /// What.
    pub act: OperatorAct,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperatorAct {
    /// A new one.
    Added {
        /// Its name at sign-in.
        name: String,
        /// What it may do.
        role: OperatorRole,
        /// Its password.
        password: OperatorPassword,
    },
    /// It may not sign in any more.
    Removed,
    /// It may do something else.
    RoleSet {
        /// What.
        role: OperatorRole,
    },
    /// A new password.
    PasswordSet {
        /// The password.
        password: OperatorPassword,
    },
    /// From now on it needs codes of this secret, too; none: no longer.
    SecondFactorSet {
        /// The secret.
        secret: Option<TotpSecret>,
    },
    /// The HTTP API takes this token for the operator's.
    TokenAdded {
        /// Its number, of all operators' tokens.
        token: u64,
        /// What it is for.
        label: String,
        /// What it is good for, as `trace:read`; none: everything its operator may do.
        scopes: Vec<String>,
        /// BLAKE3 of the token.
        hash: [u8; 32],
    },
    /// The token is worth nothing any more.
    TokenRemoved {
        /// Its number.
        token: u64,
    },
    /// A session began.
    SignedIn {
        /// From where.
        ip: IpAddr,
        /// With which program, by its own word.
        agent: String,
    },
    /// A session was ended: by its operator, or by another one.
    SignedOut {
        /// From where it was used.
        ip: IpAddr,
    },
}

/// An operator's password. Never the password itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorPassword {
    /// Argon2id in PHC form.
    pub argon2id: String,
}

impl std::fmt::Debug for OperatorPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperatorPassword(..)")
    }
}

/// What codes of an authenticator are made from (RFC 6238). Kept as it is, since it has to be used.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotpSecret(pub Vec<u8>);

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

/// Somebody looked at others' mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// At what of it.
    pub at: LookedAt,
    /// What was asked for, in the asker's words.
    pub asked: String,
    /// The messages that were shown.
    pub mails: Vec<MailId>,
}

/// What of mail was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LookedAt {
    /// Sender, recipients, subject and what became of it.
    Story,
    /// Its text.
    Text,
    /// Its HTML.
    Html,
    /// All of it.
    Whole,
}

impl LookedAt {
    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Story => "the story",
            Self::Text => "the text",
            Self::Html => "the HTML",
            Self::Whole => "all",
        }
    }
}
