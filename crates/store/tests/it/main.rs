#![allow(clippy::unwrap_used)]
//! The store on a real disk and on the simulated one.

mod accounts;
mod groups;
mod power;
mod script;
mod support;
