//! Port 443: HTTP/1.1 and HTTP/2 over TLS, with the API below `/api/v1/` and pages that other parts
//! of the server put there.
//!
//! Operators have the console at `/admin` and their part of the API.
//!
//! What it needs of others are the traits of [`Shared`]: it imports no other service. It never says
//! that a message is taken without the store's word for it; our own trouble is always 5xx, try again.
//! Every request has limits: its header, its body, its time, and what all bodies together take.
//!
//! RFCs: 9110 (HTTP), 9112 (HTTP/1.1), 9113 (HTTP/2), 9457 (problem details), 7617 (Basic), 6750
//! (Bearer), 6585 (429).

mod api;
mod asked;
mod busy;
pub mod check;
mod console;
mod content;
mod health;
mod hooks;
mod letter;
mod mime;
mod my;
mod openapi;
mod pages;
mod plain;
mod problem;
mod rates;
mod reply;
mod router;
mod send;
mod serve;
mod signed;

pub use api::{Api, Back, Doing, Future_, Leaves, NotTaken, OwnQuery, OwnSearch, Submission};
pub use asked::{Asked, Limits};
pub use console::{Console, Desk, Language, SessionLimits, Sessions, Trouble, Who, totp_url};
pub use content::Maker;
pub use health::Health;
pub use hooks::{Hooks, KINDS, secret_text};
pub use pages::{Page, PageSource};
pub use plain::serve_pages;
pub use problem::Problem;
pub use rates::Rates;
pub use serve::{Shared, TOO_MANY_CONNECTIONS, serve};
