//! The settings of `restante.toml`.
//!
//! Every setting has one place, the table in `settings.rs`: name, type, unit, default, limits and
//! what it does. Three things are made from it: reading a file ([`Config::parse`]), the file that
//! `restante init` writes ([`Config::to_toml`]), and the page docs/settings.md
//! ([`reference_page`]).
//!
//! A file that says something wrong stops the start. Each [`Problem`] names file, line and key, and
//! how to mend it; all problems of a file are told at once. Settings that contradict each other
//! ([`Config::contradictions`]) are problems too.
//!
//! This crate opens no file, reads no clock and looks up no name: text comes in, text goes out.
//! Accounts, domains, aliases and routes are no settings; they are kept in the journal.

mod contradictions;
mod judging;
mod kinds;
mod listeners;
mod networks;
mod optional;
mod parse;
mod proxies;
mod setting;
mod settings;
mod suggest;
mod units;
mod values;
mod write;

pub use contradictions::Contradiction;
pub use judging::{Act, DomainRules, Rule};
pub use listeners::{Listener, Service};
pub use parse::{FILE_BYTES_MAX, Problem, Problems};
pub use proxies::ProxyAt;
pub use setting::Setting;
pub use settings::{
    Config, Dns, Journal, Judge, Limits, ListenOn, Lmtp, Log, OAuth, Proxy, Queue, SignIn, Store,
    Timeouts, Tls,
};
pub use units::{GIB, KIB, MIB, format_bytes, format_duration, parse_bytes, parse_duration};
pub use values::{
    AcmeProofBy, Dnssec, HostLimit, Listen, LogFormat, LogLevel, Network, Resolver, SendReports,
    StandbyAcknowledge, StandbyWhenAway, StsMode,
};
pub use write::reference_page;
