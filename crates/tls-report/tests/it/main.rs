//! TLS reports: records, JSON, packing, sums.
#![allow(clippy::unwrap_used)]

mod record;
mod reports;
