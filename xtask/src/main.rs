//! Chores of the workspace.
use std::process::ExitCode;
mod bench;
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["bench", rest @ ..] => bench::run(rest),
        _ => ExitCode::FAILURE,
    }
}
