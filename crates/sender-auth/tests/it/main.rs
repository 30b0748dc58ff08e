//! Each rule of the RFCs, by cases that pass and cases that fail.
#![allow(clippy::unwrap_used)]

mod auth_results;
mod corpora;
mod dmarc;
mod dns;
mod outcome;
mod report;
mod dkim_examples;
mod dkim_rules;
mod properties;
mod signer;
mod signing;
mod spf;
mod zone;
