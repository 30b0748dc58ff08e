//! The tree against its definition and against vectors of others; notes and files as others write
//! them.
#![allow(clippy::unwrap_used)]

mod notes;
mod others;
mod tree;
