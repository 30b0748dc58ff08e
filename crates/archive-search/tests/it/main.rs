//! Words and queries: what is typed finds what was written, and what is wrong is said.

mod query;
mod words;
