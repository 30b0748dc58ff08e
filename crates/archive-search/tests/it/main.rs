//! Words and queries: what is typed finds what was written, and what is wrong is said. And how
//! messages are made searchable.

#![allow(clippy::unwrap_used)]

mod again;
mod indexing;
mod purged;
mod query;
mod support;
mod words;
