//! IMAP over loopback against a real store.
#![allow(clippy::unwrap_used)]

mod appends;
mod client;
mod fetches;
mod mailboxes;
mod news;
mod notify;
mod orders;
mod searches;
mod sharing;
mod small;
mod tls;
mod urls;
mod world;
