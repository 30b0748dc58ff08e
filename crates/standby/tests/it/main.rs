//! Behaviour of a standby's parts.
#![allow(clippy::unwrap_used)]

mod kept;
mod tokens;
