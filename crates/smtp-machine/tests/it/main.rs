//! The server and client machines, without sockets.
#![allow(clippy::unwrap_used)]

mod back_to_back;
mod client;
mod client_dialog;
mod corpora;
mod dialog;
mod properties;
mod server;
mod service;
mod smuggling;
mod transitions;
