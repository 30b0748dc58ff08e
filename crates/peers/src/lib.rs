//! What the tests talk to: a DNS server whose answers the test sets ([`Dns`]), SMTP servers that
//! behave as told ([`Sink`]) and a server of pages ([`Web`]), all on loopback. For tests only.
//!
//! A sink's behaviour is a [`Script`]: it begins with [`Script::accept`], and each word after it is
//! one thing that goes otherwise, at a [`Stage`] of the session, for some commands (`when`), after
//! some (`skip`), so many times (`times`). The usual ones have names: `reply`, `tarpit`,
//! `cut_in_data`, `cut_after_dot`, `size`, `greylist`; a host that refuses connections is
//! [`closed_port`] or [`Sink::stop`].
//!
//! ```
//! use std::time::Duration;
//!
//! use peers::{Act, Dns, Fault, Script, Sink, Stage};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! // Greylists everybody for five minutes of its own clock, and then loses its first reply.
//! let script = Script::accept()
//!     .greylist_for(Duration::from_secs(300))
//!     .reply(Stage::Rcpt, "550 5.1.1 nobody here")
//!     .when("ghost@")
//!     .on(Stage::Dot, Act::StoreThenClose)
//!     .times(1);
//! let sink = Sink::start(script).await;
//! let dns = Dns::start().await;
//! dns.mx("far.test", 10, "mx.far.test").address("mx.far.test", sink.addr().ip());
//! dns.fault("broken.test", Fault::ServFail);
//! // … the product sends, is told 451, and waits …
//! sink.pass(Duration::from_secs(300));
//! // … and sends again; then: sink.wait_for_count(limit, 1).await
//! assert_eq!(sink.state().violations, Vec::<String>::new());
//! # });
//! ```
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
