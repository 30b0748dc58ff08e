//! Dialogs, limits and the replayed fuzz corpus.
#![allow(clippy::unwrap_used)]

mod dialog;
mod fuzz_session;
mod limits;
mod service;
