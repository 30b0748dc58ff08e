#![allow(clippy::unwrap_used)]
//! Rows against a plain list, and what they cost.

mod cost;
mod model;
