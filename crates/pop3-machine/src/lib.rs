//! POP3 as a pure machine: RFC 1939 with CAPA and PIPELINING (RFC 2449), STLS (RFC 2595), AUTH
//! (RFC 5034) and response codes (RFC 2449 §8, RFC 3206).
//!
//! A [`Session`] takes the client's bytes and the answers of a service that knows the maildrop; it
//! gives replies and [`Question`]s. It opens no socket and no mailbox, reads no clock, and holds at
//! most one line of input, one chunk of a message, a reference to the mailbox's state at sign-in and
//! a bit for each of its messages. Messages are only
//! ever removed by a QUIT that the client sent and the service committed: a lost connection, an
//! idle one or a stopping server deletes nothing.
//!
//! UTF8 and LANG (RFC 6856): names and passwords are UTF-8, and mail is sent as it came, to clients
//! that have not said UTF8, too. RFC 6856 §4 would have it refused or rewritten for them; here nothing
//! is, since either would keep mail from its owner.
//!
//! Not offered: APOP (it needs passwords in the clear on the server), LAST (gone since RFC 1460).

mod body;
mod command;
mod language;
mod maildrop;
mod question;
mod session;
mod sign_in;
mod transaction;

pub use question::{Answer, Question, Trouble, TroubleCode};
pub use session::{Config, Session, TlsOffer};
