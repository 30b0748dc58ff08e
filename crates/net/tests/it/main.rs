//! The crate over real loopback sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod authority;
mod dane;
mod deflate;
mod drive;
mod fuzz_proxy;
mod http_client;
mod listen;
mod proxy;
mod resolve;
mod small;
mod tls;
mod toy;
