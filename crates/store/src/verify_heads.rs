//! The journal against the heads that were signed of it: an older head that is not its beginning
//! shows that it was changed, one over more records that it was cut back.

use std::path::Path;

use ledger::{HeadsCheck, Trouble, heads_path};

use crate::verify::{Invariant, Report};

/// What is kept beside the index, and elsewhere; `None` where nothing was ever signed, or where that
/// cannot be told, which is then in the report.
pub fn open(
    index_path: &Path,
    elsewhere: &[(String, String)],
    report: &mut Report,
) -> Option<HeadsCheck> {
    let root = index_path.parent().unwrap_or(Path::new("."));
    HeadsCheck::open(&heads_path(root), elsewhere).unwrap_or_else(|error| {
        let what = format!("the signed heads cannot be checked: {error}");
        report.add(Invariant::JournalWhole, what);
        None
    })
}

/// Tells what was found.
pub fn finish(heads: Option<HeadsCheck>, report: &mut Report) {
    for trouble in heads.map(HeadsCheck::finish).unwrap_or_default() {
        match trouble {
            Trouble::Head(what) => report.add(Invariant::JournalWhole, what),
            Trouble::Tree(what) => report.add(Invariant::IndexEqual, what),
        }
    }
}
