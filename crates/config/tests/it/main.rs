//! Tests of `config`.
#![allow(clippy::unwrap_used)]

mod contradictions;
mod problems;
mod settings;
mod units;

use config::Config;

/// The problems of a file, one line each, as a person reads them.
fn problems_of(text: &str) -> String {
    Config::parse(text, "restante.toml").unwrap_err().to_string()
}

/// The configuration of a file with a hostname and these lines.
fn config_of(lines: &str) -> Config {
    Config::parse(&format!("hostname = \"mx.example.org\"\n{lines}"), "restante.toml").unwrap()
}
