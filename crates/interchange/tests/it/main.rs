//! Files of other systems, read and written.
#![allow(clippy::unwrap_used)]

mod maildir;
mod mbox;
mod properties;
