#![allow(clippy::unwrap_used)]
//! The store on a real disk and on the simulated one.

mod accounts;
mod annotations;
mod appends;
mod archive;
mod audited;
mod changes;
mod extracted;
mod found_fast;
mod groups;
mod hooks;
mod lanes;
mod mended;
mod model;
mod power;
mod quotas;
mod released;
mod reports;
mod review;
mod rights;
mod script;
mod support;
mod tamper;
mod undo;
mod undo_of_others;
mod undo_skips;
