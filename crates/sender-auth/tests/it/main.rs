//! Each rule of the RFCs, by cases that pass and cases that fail.

mod dkim_examples;
mod dkim_rules;
mod dns;
mod properties;
mod signer;
mod signing;
