//! What `route` decides, on tables of DNS facts, replies and times.
#![allow(clippy::unwrap_used)]

mod likeness;
mod mta_sts;
mod mx;
mod routes;
mod schedule;
mod verdict;
