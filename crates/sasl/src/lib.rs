//! SASL sign-in (RFC 4422), the server's side: PLAIN (RFC 4616), LOGIN (the never standardised one that
//! old mail programs still speak), SCRAM-SHA-256 (RFC 5802, RFC 7677), also bound to the TLS session
//! (RFC 9266, RFC 5929), and tokens of an OAuth 2.0 server: OAUTHBEARER (RFC 7628) and XOAUTH2 (what
//! was there before it); and the client's: SCRAM-SHA-256, PLAIN and
//! LOGIN. Shared by SMTP, IMAP and POP3.
//!
//! An [`Exchange`] takes decoded client responses and the service's answers, and says what comes
//! next. It knows no account, opens no socket, draws no randomness (the nonce is an argument) and
//! never compares a password or looks at a token itself: it asks. It does not normalise passwords (RFC 8265): what the
//! client sends is compared as it is.

mod bearer;
mod client;
mod encoding;
mod exchange;
mod mechanism;
mod scram;
mod secret;

pub use client::{ClientError, Login, SignIn};
pub use encoding::{Base64Error, base64_decode, base64_encode};
pub use exchange::{Answer, Exchange, Failure, Next, Question, SignedIn};
pub use mechanism::{Mechanism, Offer};
pub use scram::ScramKeys;
pub use secret::Secret;
