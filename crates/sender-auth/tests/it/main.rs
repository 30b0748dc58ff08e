//! Each rule of the RFCs, by cases that pass and cases that fail.
#![allow(clippy::unwrap_used)]

mod dns;
mod outcome;
mod spf;
mod zone;
