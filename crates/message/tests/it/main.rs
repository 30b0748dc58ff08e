//! Tests of the message crate.
#![allow(clippy::unwrap_used)]
