//! The server and client machines, without sockets.
#![allow(clippy::unwrap_used)]

mod client_dialog;
mod dialog;
mod service;
