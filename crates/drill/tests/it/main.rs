//! The judge and its tools: each must be able to find a fault.
#![allow(clippy::unwrap_used)]

mod judge;
mod kill;
mod load;
