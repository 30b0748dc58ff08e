//! What the API needs of the rest of the server.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use mail_types::{AccountId, Address, Priority, Refusal, ReversePath, Timestamp, TlsFacts};
use serde_json::Value;
use sign_in::{SignIn, Standing};
use store::{Receipt, SendKey, Store};

use crate::Problem;
use crate::content::Maker;

/// Everything below `/api/v1/`.
pub struct Api {
    /// Accounts, tokens, and which request was done before.
    pub store: Store,
    /// Who signs in with a password.
    pub sign_in: Arc<SignIn>,
    /// What is done by others.
    pub doing: Box<dyn Doing>,
    /// Whether passwords and tokens are taken without TLS from loopback.
    pub plain_sign_in_from_loopback: bool,
    /// How long a request that is sent again is known.
    pub keys_kept_for: Duration,
    /// How many messages may be sent.
    pub rates: crate::Rates,
}

/// A future of somebody else's.
pub type Future_<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the services of others do.
pub trait Doing: Send + Sync {
    /// Takes a message as the submission port would, from somebody who has signed in.
    fn submit(&self, submission: Submission) -> Future_<'_, Result<Receipt, NotTaken>>;

    /// What became of a message that this account has sent, newest state, as JSON; `None` where it
    /// has sent none of that name. Blocks.
    ///
    /// # Errors
    /// Our own trouble.
    fn story(&self, account: AccountId, receipt: &str) -> Result<Option<Value>, Problem>;

    /// What was deleted of an account's mail in these days, as JSON. Blocks.
    ///
    /// # Errors
    /// Our own trouble.
    fn deleted(&self, account: AccountId, days: u32) -> Result<Value, Problem>;

    /// Takes back what was done to an account's mail: by the numbers of [`Doing::deleted`], or what
    /// an answer to this called `redo`. Blocks until it is durable.
    ///
    /// # Errors
    /// Where nothing of its mail is meant; our own trouble.
    fn restore(
        &self,
        account: AccountId,
        peer: IpAddr,
        acts: Vec<u64>,
        redo: Option<String>,
    ) -> Result<Value, Problem>;

    /// Where messages are that came to an account or that it has sent, without anything of others.
    /// Blocks.
    ///
    /// # Errors
    /// Where the query cannot be read; our own trouble.
    fn own_trace(&self, account: AccountId, query: OwnQuery) -> Result<Value, Problem>;

    /// An account's own messages in the archive that a query finds, without anything of others.
    /// Blocks.
    ///
    /// # Errors
    /// Where the query cannot be read or would tell of others; our own trouble.
    fn own_search(&self, account: AccountId, asked: OwnSearch) -> Result<Value, Problem>;

    /// The same as a zip file with the messages, and their hashes and proofs. Blocks.
    ///
    /// # Errors
    /// Where the query cannot be read or would tell of others; our own trouble.
    fn own_export(
        &self,
        account: AccountId,
        query: String,
        as_mbox: bool,
    ) -> Result<Maker, Problem>;

    /// Puts a message of its own into one of an account's mailboxes again. Blocks until it is durable.
    ///
    /// # Errors
    /// Where there is no such message of its own; our own trouble.
    fn bring_back(&self, account: AccountId, peer: IpAddr, what: Back) -> Result<Value, Problem>;
}

/// A message that is put into a mailbox again.
#[derive(Clone, Debug)]
pub struct Back {
    /// Which.
    pub receipt: String,
    /// Into which mailbox.
    pub mailbox: String,
}

/// A search in one's own mail.
#[derive(Clone, Debug)]
pub struct OwnSearch {
    /// As it was typed.
    pub query: String,
    /// At most so many.
    pub count_max: usize,
}

/// Which messages of one's own; everything given must hold.
#[derive(Clone, Debug, Default)]
pub struct OwnQuery {
    /// This one.
    pub receipt: Option<String>,
    /// With this Message-ID.
    pub message_id: Option<String>,
    /// From (or to) this address.
    pub from: Option<String>,
    /// Accepted in so many days.
    pub days: u32,
}

/// A message to send.
pub struct Submission {
    /// Whose.
    pub account: AccountId,
    /// The account's address.
    pub name: String,
    /// What the sign-in stands on.
    pub standing: Standing,
    /// Where the request came from.
    pub peer: IpAddr,
    /// Over what.
    pub tls: Option<TlsFacts>,
    /// MAIL FROM.
    pub reverse_path: ReversePath,
    /// RFC 3461 ENVID.
    pub envelope_id: Option<String>,
    /// When it is to leave, where that is not at once.
    pub leaves: Option<Leaves>,
    /// How urgent it is.
    pub priority: Option<Priority>,
    /// RCPT TO; none twice, at least one.
    pub recipients: Vec<Address>,
    /// The message, line ends CRLF.
    pub content: Bytes,
    /// What keeps it from being done twice.
    pub key: Option<SendKey>,
}

/// When a message is to leave (RFC 4865).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// So many seconds from now on, 1 to 999,999,999.
    AfterSecs(u32),
    /// Then; at once where that is over.
    At(Timestamp),
}

/// Why a message was not taken.
#[derive(Clone, Debug)]
pub enum NotTaken {
    /// As SMTP would say it.
    Refused(Refusal),
    /// These recipients are refused, and so nobody gets it.
    Recipients(Vec<(Address, Refusal)>),
    /// A request of the same key was done meanwhile.
    Repeated,
}
