//! Each rule of the RFCs, by cases that pass and cases that fail.
#![allow(clippy::unwrap_used)]

mod dkim_examples;
mod dkim_rules;
mod dns;
mod outcome;
mod properties;
mod signer;
mod signing;
mod spf;
mod zone;
