//! A service with fixed opinions, so that dialogs can be read without looking here too often:
//!
//! - `example.org` is local: `ann`, `bob`, `postmaster`, anything with a capital, quote or `%`;
//!   `nobody` does not exist, `busy` is temporarily refused; other domains are relayed for those
//!   who have signed in.
//! - MAIL from `refused@…` is refused.
//! - `ann` signs in with `secret`; `down` finds the service unavailable.
//! - DATA: a message to `full@example.org` is refused before its content, one with `disk full` in it
//!   during it, one with `virus` in it at its end.

use std::fmt::Write as _;

use mail_types::{Acceptance, AccountId, Domain, MailId, ReceiptId, Refusal};
use sasl::ScramKeys;
use smtp_machine::server::{Answer, Question};
use smtp_machine::{BodyType, Envelope, MailParams, Recipient, Sender};

/// RFC 7628 §4.3.
const TOKEN_ERROR: &str = r#"{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/.well-known/openid-configuration"}"#;

/// Stands for the store's receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestReceipt(pub u64);

impl Acceptance for TestReceipt {
    fn receipt_id(&self) -> ReceiptId {
        ReceiptId { mail: MailId(self.0), check: 0x5eed_0000 + u32::try_from(self.0).unwrap() }
    }
}

#[derive(Debug, Default)]
pub struct Service {
    pub sender: Option<Sender>,
    pub begun: Option<Envelope>,
    pub content: Vec<u8>,
    /// Messages kept.
    pub kept: Vec<(Envelope, Vec<u8>)>,
    /// What was asked, one line each.
    pub log: Vec<String>,
    /// Refuse nothing.
    pub easy: bool,
}

fn refused(code: u16, subject: u16, detail: u16, text: &str) -> Answer<TestReceipt> {
    Answer::Refused(if code < 500 {
        Refusal::transient(code, subject, detail, text)
    } else {
        Refusal::permanent(code, subject, detail, text)
    })
}

fn params(params: &MailParams) -> String {
    let mut text = String::new();
    if let Some(size) = params.size {
        write!(text, " SIZE={size}").unwrap();
    }
    if params.body == BodyType::EightBitMime {
        text.push_str(" BODY=8BITMIME");
    }
    if params.requiretls {
        text.push_str(" REQUIRETLS");
    }
    if params.smtputf8 {
        text.push_str(" SMTPUTF8");
    }
    if let Some(ret) = params.ret {
        write!(text, " RET={ret:?}").unwrap();
    }
    if let Some(envid) = &params.envid {
        write!(text, " ENVID={envid:?}").unwrap();
    }
    if let Some(hold) = params.hold {
        write!(text, " {hold:?}").unwrap();
    }
    if let Some(priority) = params.priority {
        write!(text, " MT-PRIORITY={priority}").unwrap();
    }
    if let Some(by) = params.by {
        write!(text, " BY={by}").unwrap();
    }
    text
}

fn dsn_params(recipient: &Recipient) -> String {
    let mut text = String::new();
    if let Some(notify) = recipient.notify {
        write!(text, " NOTIFY={notify:?}").unwrap();
    }
    if let Some(orcpt) = &recipient.orcpt {
        write!(text, " ORCPT={}:{:?}", orcpt.addr_type, orcpt.address).unwrap();
    }
    text
}

impl Service {
    pub fn answer(&mut self, question: Question) -> Answer<TestReceipt> {
        match question {
            Question::SignIn(question) => self.sign_in(question),
            Question::Sender(sender) => {
                self.log.push(format!("sender {}{}", sender.reverse_path, params(&sender.params)));
                let is_refused = sender.reverse_path.to_string().starts_with("<refused@");
                self.sender = Some(*sender);
                if is_refused { refused(550, 7, 1, "Not from you") } else { Answer::Ok }
            }
            Question::Recipient(recipient) => {
                let address = recipient.address.to_string();
                self.log.push(format!("recipient {address}{}", dsn_params(&recipient)));
                let signed_in = self.sender.as_ref().is_some_and(|s| s.signed_in.is_some());
                let local =
                    recipient.address.domain() == Some(&Domain::new("example.org").unwrap());
                match recipient.address.localpart.as_str() {
                    _ if self.easy => Answer::Ok,
                    _ if !local && !signed_in => refused(550, 7, 1, "No relaying here"),
                    "nobody" => refused(550, 1, 1, "No such user"),
                    "busy" => refused(451, 3, 0, "Try later"),
                    _ => Answer::Ok,
                }
            }
            Question::BodyBegin(envelope) => {
                assert!(self.begun.is_none(), "a message within a message");
                let to: Vec<_> =
                    envelope.recipients.iter().map(|r| r.address.to_string()).collect();
                self.log.push(format!("begin {} to {}", envelope.protocol, to.join(", ")));
                if to.iter().any(|to| to.starts_with("full@")) {
                    return refused(452, 3, 1, "Disk full");
                }
                self.begun = Some(*envelope);
                self.content.clear();
                Answer::Ok
            }
            Question::BodyBytes(bytes) => self.bytes(&bytes),
            Question::BodyEnd => {
                let envelope = self.begun.take().expect("an end without a begin");
                let text = String::from_utf8_lossy(&self.content).into_owned();
                let start: String = text.chars().take(80).collect();
                self.log.push(format!("end {} octets {start:?}", self.content.len()));
                if text.contains("virus") {
                    return refused(554, 7, 1, "A virus is in it");
                }
                self.kept.push((envelope, self.content.clone()));
                Answer::Accepted(TestReceipt(self.kept.len() as u64))
            }
            Question::BodyAborted => {
                self.begun.take().expect("aborted without a begin");
                self.log.push("aborted".into());
                Answer::Ok
            }
            Question::Reset => {
                assert!(self.begun.is_none(), "begun anew within a message");
                Answer::Ok
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> Answer<TestReceipt> {
        assert!(self.begun.is_some(), "content without a begin");
        assert!(!bytes.is_empty() && bytes.len() <= smtp_machine::server::BODY_OCTETS_MAX);
        self.content.extend_from_slice(bytes);
        if String::from_utf8_lossy(&self.content).contains("disk full") {
            self.begun = None;
            self.log.push("refused within".into());
            return refused(452, 3, 1, "Disk full");
        }
        Answer::Ok
    }

    fn sign_in(&mut self, question: sasl::Question) -> Answer<TestReceipt> {
        let (account, name) = (AccountId(7), "ann@example.org".to_owned());
        Answer::SignIn(match question {
            sasl::Question::Password { authcid, authzid, password } => {
                self.log.push(format!("password of {authcid} as {authzid:?}"));
                match authcid.as_str() {
                    "down" => sasl::Answer::Unavailable,
                    "ann" if password.expose() == "secret" => {
                        sasl::Answer::Accepted { account, name }
                    }
                    _ => sasl::Answer::Refused,
                }
            }
            sasl::Question::Token { authzid, token } => {
                self.log.push(format!("token of {authzid:?}"));
                match token.expose() {
                    "good" => sasl::Answer::Accepted { account, name },
                    "down" => sasl::Answer::Unavailable,
                    _ => sasl::Answer::TokenRefused { error: TOKEN_ERROR.to_owned() },
                }
            }
            sasl::Question::ScramProof { right: true, .. } => {
                sasl::Answer::Accepted { account, name }
            }
            sasl::Question::ScramProof { .. } => sasl::Answer::Refused,
            sasl::Question::ScramKeys { authcid } => {
                self.log.push(format!("keys of {authcid}"));
                // RFC 7677 §3.
                let salt = sasl::base64_decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
                let password = if authcid == "user" { "pencil" } else { "secret" };
                let keys = ScramKeys::derive(password, &salt, 4096);
                sasl::Answer::Keys { account, name, keys }
            }
        })
    }
}
