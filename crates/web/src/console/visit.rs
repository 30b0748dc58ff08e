use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;
use store::{Operator, OperatorAct, OperatorRole};

use super::form::Form;
use super::phrases::{Language, Phrase};
use super::session::{Notice, Seen};
use super::{Answer, Console, Trouble, Who};

/// One request of somebody who is signed in.
pub(super) struct Visit<'a> {
    pub console: &'a Console,
    pub seen: Seen,
    pub operator: Arc<Operator>,
    pub ip: IpAddr,
    pub language: Language,
    pub query: Form,
}

impl Visit<'_> {
    /// A phrase in the visitor's language.
    pub fn t(&self, phrase: Phrase) -> &'static str {
        phrase.text(self.language)
    }

    fn who(&self) -> Who {
        Who {
            operator: Arc::clone(&self.operator),
            ip: self.ip,
            scopes: None,
            is_confirmed: self.seen.is_confirmed,
            language: self.language,
        }
    }

    /// Asks the desk.
    pub async fn ask(&self, request: Value) -> Result<Value, Trouble> {
        self.console.desk.perform(self.who(), request).await
    }

    /// Has it written down what the visitor did about itself.
    pub async fn note(&self, act: OperatorAct) -> Result<(), Trouble> {
        self.console.desk.note(self.who(), act).await
    }

    /// Goes to a page and tells there what was done.
    pub fn done(&self, to: impl Into<String>, notice: Notice) -> Answer {
        self.console.sessions.tell(self.seen.number, notice);
        Answer::To(to.into())
    }

    /// Asks, and tells on a page what the desk says of it.
    pub async fn do_and_tell(&self, request: Value, to: &str) -> Result<Answer, Trouble> {
        let answer = self.ask(request).await?;
        Ok(self.done(to, Notice::of(&answer)))
    }

    /// Whether the visitor may change something, so that forms are of use.
    pub fn may_change(&self) -> bool {
        match self.operator.role {
            OperatorRole::Operator | OperatorRole::DomainAdmin { .. } => true,
            OperatorRole::Auditor => false,
        }
    }

    /// Whether the visitor looks after domains alone.
    pub fn is_domain_admin(&self) -> bool {
        matches!(self.operator.role, OperatorRole::DomainAdmin { .. })
    }
}

impl Notice {
    /// What an answer of the desk says.
    pub fn of(answer: &Value) -> Self {
        let did = answer["did"].as_str().unwrap_or_default();
        // How it is taken back on the command line; here is a button for it.
        let text = match (did.split_once(" (change "), did.split_once("`)")) {
            (Some((before, _)), Some((_, behind))) => format!("{before}{behind}"),
            _ => did.to_owned(),
        };
        Self {
            good: true,
            text,
            secret: None,
            undo: answer["change"].as_u64(),
            redo: answer["redo"].as_str().map(str::to_owned),
        }
    }

    /// Words, and whether they are good ones.
    pub fn words(good: bool, text: impl Into<String>) -> Self {
        Self { good, text: text.into(), secret: None, undo: None, redo: None }
    }
}
