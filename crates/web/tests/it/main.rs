//! The HTTP service.
#![allow(clippy::unwrap_used)]

mod connections;
mod corpora;
