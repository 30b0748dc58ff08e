//! The server and client machines, without sockets.
#![allow(clippy::unwrap_used)]

mod dialog;
mod service;
