//! Behaviour of the journal on real and simulated disks.
#![allow(clippy::unwrap_used)]

mod basics;
mod copied;
mod corpus;
mod damage;
mod faults;
mod mend;
mod power;
mod support;
