//! How long reading takes: `cargo run --release -p message --example speed`.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use message::{BodyForm, HeaderFacts, Limits, Structure, Summary, search_text, write_body};

fn time(what: &str, rounds: u32, mut work: impl FnMut()) {
    work();
    let start = Instant::now();
    for _ in 0..rounds {
        work();
    }
    println!("{what:44} {:>12.2} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds));
}

/// A mail of about 4 KiB as people send it: trace fields, two forms of the text.
fn usual() -> Vec<u8> {
    let mut mail = Vec::new();
    for hop in 0..3 {
        let field = format!(
            "Received: from out{hop}.example.net (out{hop}.example.net [192.0.2.{hop}])\r\n\tby \
             mx.example.org (Restante) with ESMTPS id abc{hop}\r\n\tfor <ann@example.org>;\r\n\tSun, \
             22 Nov 2026 01:08:26 +0100\r\n"
        );
        mail.extend_from_slice(field.as_bytes());
    }
    mail.extend_from_slice(
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=s1;\r\n\
          \th=from:to:subject:date; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n\
          \tb=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB4nujc7YopdG5dWLSdNg6x\r\n\
          From: \"Bob Sender\" <bob@example.net>\r\nTo: Ann <ann@example.org>, c@example.org\r\n\
          Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Sun, 22 Nov 2026 01:08:26 +0100\r\n\
          Message-ID: <abc@example.net>\r\nMIME-Version: 1.0\r\n\
          Content-Type: multipart/alternative; boundary=\"=_boundary\"\r\n\r\n\
          --=_boundary\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
    );
    mail.extend_from_slice(
        &b"Some words on a line that is neither short nor too long.\r\n".repeat(20),
    );
    mail.extend_from_slice(b"--=_boundary\r\nContent-Type: text/html; charset=utf-8\r\n\r\n");
    mail.extend_from_slice(&b"<p>Some words on a line that is <b>neither</b>.</p>\r\n".repeat(30));
    mail.extend_from_slice(b"--=_boundary--\r\n");
    mail
}

fn main() {
    let limits = Limits::default();
    let usual = usual();
    println!("a mail of {} octets", usual.len());
    time("structure and envelope", 20_000, || {
        black_box(Summary::read(black_box(&usual), &limits));
    });
    time("facts of the header", 20_000, || {
        black_box(HeaderFacts::read(black_box(&usual), &limits));
    });
    let summary = Summary::read(&usual, &limits);
    let encoded = summary.encode();
    println!("summary: {} octets", encoded.len());
    time("encode a summary", 20_000, || {
        black_box(black_box(&summary).encode());
    });
    time("decode it, write BODYSTRUCTURE", 20_000, || {
        let mut out = Vec::new();
        let summary = Summary::decode(black_box(&encoded));
        if let Ok(summary) = summary {
            write_body(&mut out, &summary.structure, BodyForm { extended: true, rev2: false });
        }
        black_box(out);
    });
    time("search text", 5_000, || {
        black_box(search_text(black_box(&usual), &summary.structure, &limits));
    });

    let fields = b"X: y\r\n".repeat(500_000);
    time("500,000 fields", 10, || {
        black_box(Summary::read(&fields, &limits));
    });
    let mut deep = Vec::new();
    for level in 0..100 {
        let field =
            format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n");
        deep.extend_from_slice(field.as_bytes());
    }
    deep.extend_from_slice(&b"--b\r\n--b1x\r\n".repeat(100_000));
    time("100 deep, 200,000 lines that are almost theirs", 10, || {
        black_box(Structure::parse(&deep, &limits));
    });
    let mut big = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n".to_vec();
    big.extend_from_slice(&[&[b'A'; 76][..], b"\r\n"].concat().repeat(640_000));
    time("50 MB attachment", 10, || {
        black_box(Structure::parse(&big, &limits));
    });
}
