#![allow(clippy::unwrap_used)]
//! What is kept is what would be made anew, or nothing.

mod entries;
mod mails;
mod searches;
