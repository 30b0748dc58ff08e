//! What each layer may not call.

use crate::found;

#[track_caller]
fn calls(path: &str, text: &str, expected: &[&str]) {
    let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
    assert_eq!(found(&[(path, text)]), expected);
}

#[test]
fn pure_layers_do_no_io_and_read_no_clock() {
    let path = "crates/smtp-machine/src/session.rs";
    for (text, item) in [
        ("use std::fs;", "std::fs"),
        ("use std::{fs::File, fmt};", "std::fs"),
        ("fn f() { std::thread::yield_now(); }", "std::thread"),
        ("fn f() { Instant::now(); }", "Instant"),
        ("use std::time::{Duration, SystemTime};", "SystemTime"),
        ("fn f() { aws_lc_rs::rand::fill(x); }", "rand"),
        ("use tracing::info;", "tracing"),
        ("use tokio::sync::mpsc;", "tokio"),
        ("use std::net::TcpStream;", "TcpStream"),
    ] {
        calls(path, text, &[&format!("calls {path}:1 {item}")]);
    }
}

#[test]
fn words_in_comments_strings_tests_and_addresses_are_no_calls() {
    let path = "crates/route/src/mx.rs";
    calls(path, "// tokio::spawn\n/* Instant::now */ const X: &str = \"std::fs\";", &[]);
    calls(path, "#[cfg(test)]\nmod tests { use std::fs; }", &[]);
    calls(path, "use std::net::IpAddr;\nuse std::time::Duration;", &[]);
    calls("crates/route/tests/it/mx.rs", "use std::fs;", &[]);
}

#[test]
fn durable_state_has_no_sockets() {
    let path = "crates/store/src/commit.rs";
    calls(
        path,
        "use tokio::net::TcpStream;",
        &[&format!("calls {path}:1 TcpStream"), &format!("calls {path}:1 tokio")],
    );
    calls(path, "use std::time::Instant;", &[]);
    calls("crates/net/src/listen.rs", "use tokio::net::TcpStream;", &[]);
}

#[test]
fn only_the_journal_touches_mail_files() {
    let text = "fn f() { file.sync_data(); fs::rename(a, b); }";
    calls(
        "crates/store/src/body.rs",
        text,
        &[
            "disk crates/store/src/body.rs:1 .sync_data",
            "disk crates/store/src/body.rs:1 fs::rename",
        ],
    );
    calls("crates/journal/src/segment.rs", text, &[]);
    calls(
        "crates/deliver/src/queue.rs",
        "fn f() { std::fs::remove_file(x); }",
        &["disk crates/deliver/src/queue.rs:1 fs::remove_file"],
    );
    calls("crates/drill/src/kill.rs", text, &[]);
    calls("crates/store/tests/it/body.rs", text, &[]);
}

#[test]
fn only_the_terminal_side_prints() {
    let text = "fn f() { println!(); eprintln!(); }";
    calls(
        "crates/net/src/driver.rs",
        text,
        &[
            "print crates/net/src/driver.rs:1 println!",
            "print crates/net/src/driver.rs:1 eprintln!",
        ],
    );
    calls("crates/restante/src/trace.rs", text, &[]);
}

#[test]
fn only_the_commit_makes_receipts() {
    let text = "impl Acceptance for Receipt {}";
    calls("crates/store/src/receipt.rs", text, &[]);
    calls("crates/smtp-machine/tests/it/data.rs", text, &[]);
    calls(
        "crates/smtp/src/receive.rs",
        text,
        &["acceptance crates/smtp/src/receive.rs:1 Acceptance for"],
    );
}
