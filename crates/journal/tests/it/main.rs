//! Behaviour of the journal on real and simulated disks.
#![allow(clippy::unwrap_used)]

mod basics;
mod power;
mod support;
