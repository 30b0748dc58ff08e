//! The peers do what their scripts say: a test that trusts them rests on these.
#![allow(clippy::unwrap_used)]

mod dns;
mod sink;
