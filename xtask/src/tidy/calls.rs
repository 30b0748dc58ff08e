//! What each layer may not call, whoever may print, and who alone may touch mail files.

use super::layers::layer_of_owner;
use super::{Finding, RustFile};

/// Paths that the layers up to this one may not name, outside tests.
const BANNED: &[(u8, &[&str], &str)] = &[
    (
        2,
        &["std::fs", "std::thread", "std::process", "std::env", "std::io::stdin"],
        "pure layers do no I/O; take bytes as an argument",
    ),
    (2, &["SystemTime", "Instant"], "pure layers read no clock; take a Timestamp"),
    (2, &["rand", "getrandom"], "pure layers draw no random number; take it as an argument"),
    (2, &["tracing", "log"], "pure layers write no log; return what happened"),
    (
        3,
        &[
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "UnixStream",
            "UnixListener",
            "ToSocketAddrs",
            "tokio",
        ],
        "only services (L4) talk to sockets and run on tokio",
    ),
];

/// Who changes files in the data directory: `journal` the mail, `extract` and `archive-search` what
/// they made of it, which can be dropped, and `ledger` the signed heads.
const FILES: &[&str] = &["journal", "backup", "extract", "archive-search", "ledger"];

/// Calls that change mail files or force them to disk. Only `journal` makes them.
const DISK: &[&str] = &[
    ".sync_all",
    ".sync_data",
    ".set_len",
    "fs::write",
    "fs::rename",
    "fs::remove_file",
    "fs::remove_dir",
    "fs::remove_dir_all",
    "fs::hard_link",
    "fs::copy",
    "File::create",
    "File::create_new",
    "OpenOptions",
    "fsync",
    "fdatasync",
    "fallocate",
];

/// These are not the server: they may write files, print and end processes.
const OUTSIDE: &[&str] = &["xtask", "fuzz", "drill", "peers"];

/// Who talks to a terminal.
const PRINTERS: &[&str] = &["restante", "xtask", "drill"];

/// Where the one maker of receipts is.
const RECEIPT: &str = "crates/store/src/receipt.rs";

pub(super) fn check(files: &[RustFile<'_>], findings: &mut Vec<Finding>) {
    for file in files {
        by_layer(file, findings);
        disk(file, findings);
        print(file, findings);
        acceptance(file, findings);
    }
}

fn by_layer(file: &RustFile<'_>, findings: &mut Vec<Finding>) {
    let Some(layer) = layer_of_owner(file.owner) else { return };
    for (_, tokens, why) in BANNED.iter().filter(|(last, ..)| layer <= *last) {
        for token in *tokens {
            for line in lines_naming(file, token) {
                let what = format!("L{layer} may not use {token}: {why}");
                findings.push(file.finding("calls", line, token, what));
            }
        }
    }
}

/// The lines of product code that name a path: in a `use`, or followed by `::` where it is a
/// crate's name, or as a word where it is a type.
fn lines_naming(file: &RustFile<'_>, path: &str) -> Vec<usize> {
    let is_crate = path.chars().all(|c| c.is_ascii_lowercase());
    let mut lines =
        file.product_lines(&if is_crate { format!("{path}::") } else { path.to_owned() });
    if !file.is_test {
        let within = |import: &str| {
            let rest = import.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
                || (!is_crate && import.ends_with(&format!("::{path}")))
        };
        let imports = file.source.imports().into_iter();
        let named = imports.filter(|(at, import)| !file.source.is_test(*at) && within(import));
        lines.extend(named.map(|(at, _)| file.source.line_of(at)));
    }
    lines.sort_unstable();
    lines.dedup();
    lines
}

fn disk(file: &RustFile<'_>, findings: &mut Vec<Finding>) {
    if file.owner == "journal" || OUTSIDE.contains(&file.owner) {
        return;
    }
    let syncs = |token: &str| token.contains("sync");
    for token in DISK.iter().filter(|token| !FILES.contains(&file.owner) || syncs(token)) {
        for line in file.product_lines(token) {
            let what = format!("only journal may call {token}; go through it");
            findings.push(file.finding("disk", line, token, what));
        }
    }
}

fn print(file: &RustFile<'_>, findings: &mut Vec<Finding>) {
    if PRINTERS.contains(&file.owner) {
        return;
    }
    for token in ["println!", "eprintln!", "print!", "eprint!", "dbg!"] {
        for line in file.product_lines(token) {
            let what = format!("{} may not print; return it, or log it", file.owner);
            findings.push(file.finding("print", line, token, what));
        }
    }
}

fn acceptance(file: &RustFile<'_>, findings: &mut Vec<Finding>) {
    if file.path == RECEIPT {
        return;
    }
    for line in file.product_lines("Acceptance for") {
        let what = format!("only {RECEIPT} implements Acceptance: a 250 needs a commit");
        findings.push(file.finding("acceptance", line, "Acceptance for", what));
    }
}
