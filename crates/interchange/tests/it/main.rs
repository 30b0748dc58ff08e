//! Files of other systems, read and written.
#![allow(clippy::unwrap_used)]

mod corpora;
mod maildir;
mod mbox;
mod properties;
