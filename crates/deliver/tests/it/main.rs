//! The queue runner against scripted SMTP servers and DNS, with a queue in memory that checks the
//! contract.
#![allow(clippy::unwrap_used)]

mod concurrency;
mod dane;
mod deliver_by;
mod dns;
mod faults;
mod hosts;
mod memory_queue;
mod outcomes;
mod rates;
mod relay;
mod reports;
mod require_tls;
mod schedule;
mod stopping;
mod sts;
mod tls;
mod world;
