#![allow(clippy::unwrap_used)]
//! Behaviour of the IMAP machine: dialogs and models against a small reference service.

mod appending;
mod appends;
mod client;
mod compress;
mod corpora;
mod dialogs;
mod grammar;
mod hostile;
mod looking;
mod model;
mod notify;
mod progress;
mod properties;
mod searches;
mod service;
mod service_names;
mod service_news;
mod sign_in;
mod urls;
