//! Chores of the workspace, run as `cargo run -p xtask -- CHORE`.
//!
//! `tidy` holds the tree against the house rules and is a test as well; `planted` shows that the
//! tests which matter can fail; `settings` writes docs/settings.md; `rfc` shows where RFCs are
//! cited; `fuzz` runs the fuzz targets; `bench` measures the real binary. Nothing here is part of
//! the product.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to a terminal")]

pub mod bench;
pub mod fuzz;
pub mod planted;
pub mod rfc;
pub mod source;
pub mod tidy;
pub mod tree;

use std::path::{Path, PathBuf};

/// The root of the workspace that this program was built from.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Why a chore could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ChoreError {
    /// A file or directory could not be read or written.
    #[error("{what} {path}")]
    File {
        /// What was being done.
        what: &'static str,
        /// To which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program}: {mend}")]
    Program {
        /// Its name.
        program: String,
        /// How to get it.
        mend: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something else is missing or wrong; the text says what to do.
    #[error("{0}")]
    Other(String),
}
