//! Words and queries: what is typed finds what was written, and what is wrong is said.

#![allow(clippy::unwrap_used)]

mod query;
mod words;
