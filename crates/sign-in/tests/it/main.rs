#![allow(clippy::unwrap_used)]
//! Signing in against a real directory, under a clock that moves only by waiting.

mod guessing;
mod passwords;
mod tokens;
mod totp;
mod world;
