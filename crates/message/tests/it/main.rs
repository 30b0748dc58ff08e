//! Tests of the message crate: golden messages, second opinions, properties, corpora.
#![allow(clippy::unwrap_used)]

mod corpus;
mod dates;
mod dsn;
mod envelope;
mod properties;
mod second_opinion;
mod section;
mod structure;
mod support;
mod text;
mod trace;
mod wire;
