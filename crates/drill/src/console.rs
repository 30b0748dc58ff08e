//! What a drill says: results on standard output, progress on standard error.

use std::io::{self, IsTerminal, Write};

/// A line of the result. A reader that went away is no reason to stop a drill.
pub fn say(line: &str) {
    writeln!(io::stdout().lock(), "{line}").ok();
}

/// A line beside the result.
pub fn note(line: &str) {
    writeln!(io::stderr().lock(), "{line}").ok();
}

/// A line that the next one replaces on a terminal.
pub fn progress(line: &str) {
    let mut stderr = io::stderr().lock();
    if stderr.is_terminal() {
        write!(stderr, "\r\x1b[K{line}").ok();
        stderr.flush().ok();
    } else {
        writeln!(stderr, "{line}").ok();
    }
}
