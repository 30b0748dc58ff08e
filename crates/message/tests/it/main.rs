//! Tests of the message crate: golden messages, second opinions, properties, corpora.
#![allow(clippy::unwrap_used)]

mod corpus;
mod dates;
mod downgrade;
mod dsn;
mod envelope;
mod fold;
mod hostile_mime;
mod preview;
mod properties;
mod report_letter;
mod second_opinion;
mod section;
mod sort;
mod structure;
mod support;
mod text;
mod thread;
mod thread_model;
mod trace;
mod transfer;
mod wire;
