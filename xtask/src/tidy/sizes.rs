//! Functions and files that have grown too long to be read in one go.

use super::{Finding, RustFile};

/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 100;
/// Lines of a file.
const FILE_LINES_MAX: usize = 600;

pub(super) fn check(files: &[RustFile<'_>], findings: &mut Vec<Finding>) {
    for file in files {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            let what = format!("{lines} lines, more than {FILE_LINES_MAX}; split it by its nouns");
            findings.push(file.finding("file-lines", 0, "-", what));
        }
        for function in file.source.functions() {
            if function.lines > FUNCTION_LINES_MAX {
                let what = format!(
                    "{} lines, more than {FUNCTION_LINES_MAX}; keep the decisions, move the rest \
                     into functions of their own",
                    function.lines
                );
                let found = file.finding("function-lines", function.line, &function.name, what);
                findings.push(found);
            }
        }
    }
}
