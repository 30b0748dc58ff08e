//! POP3 over loopback against a real store.
#![allow(clippy::unwrap_used)]

mod client;
mod sessions;
mod world;
