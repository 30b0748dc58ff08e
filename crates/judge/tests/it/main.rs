//! Verdicts from facts, without any look-up.
#![allow(clippy::unwrap_used)]

mod verdicts;
