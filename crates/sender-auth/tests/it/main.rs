//! Each rule of the RFCs, by cases that pass and cases that fail.
#![allow(clippy::unwrap_used)]

mod auth_results;
mod corpora;
mod dkim_examples;
mod dkim_rules;
mod dmarc;
mod dns;
mod outcome;
mod properties;
mod report;
mod signer;
mod signing;
mod spf;
mod zone;
