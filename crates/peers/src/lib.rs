//! What the tests talk to: a DNS server whose answers the test sets ([`Dns`]), SMTP servers that
//! behave as told ([`Sink`]) and a server of pages ([`Web`]), all on loopback. For tests only.
//!
//! The SMTP here is written apart from `smtp-machine` on purpose, so that it is a second opinion:
//! strict about line ends, blind to anything the product believes. Nothing here waits by sleeping;
//! tests wait for a state with a deadline ([`Sink::wait_for`], [`Dns::wait_for`]). The only timers
//! are the delays that a script asks for, which are the peer's behaviour.
//!
//! RFCs: 1035, 2308, 7505 (null MX) · 5321, 2920, 3030, 3207, 3461.
//!
//! Panics on broken set-up (a port that cannot be bound, a record that is none): a test wants that.
#![allow(clippy::unwrap_used)]

mod dns;
mod script;
mod session;
mod sink;
mod tls;
mod web;

pub use dns::{Dns, Fault};
pub use script::{Act, Script, Stage};
pub use sink::{Command, Sink, SinkState, Stored, closed_port};
pub use tls::{Authority, Certified, SelfSigned, self_signed};
pub use web::{Asked, Web};
