//! How long reading takes: `cargo run --release -p message --example speed`.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use message::{
    BodyForm, HeaderFacts, Limits, SortFacts, Structure, Summary, decode_base64,
    decode_quoted_printable, fold, html_text, preview, search_text, thread_ordered_subject,
    thread_references, write_body,
};

/// Shows the time of one round in the quickest of many batches: others may use the machine too. A
/// word on the command line chooses what is measured.
fn time(what: &str, rounds: u32, mut work: impl FnMut()) {
    if std::env::args().nth(1).is_some_and(|word| !what.contains(&word)) {
        return;
    }
    let batches = rounds.min(100);
    let per_batch = rounds.div_ceil(batches);
    let quickest = (0..batches).map(|_| {
        let start = Instant::now();
        for _ in 0..per_batch {
            work();
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(per_batch)
    });
    println!("{what:44} {:>12.2} us", quickest.fold(f64::MAX, f64::min));
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
    time("search text", 20_000, || {
        black_box(search_text(black_box(&usual), &summary.structure, &limits));
    });
    time("facts to sort by", 20_000, || {
        black_box(SortFacts::read(black_box(&usual), &limits));
    });
    time("preview", 20_000, || {
        black_box(preview(black_box(&usual), &summary.structure, &limits));
    });
    time("structure, envelope, search text, sort facts", 20_000, || {
        let usual = black_box(&usual[..]);
        let summary = Summary::read(usual, &limits);
        black_box(search_text(usual, &summary.structure, &limits));
        black_box(SortFacts::read(&usual[summary.structure.root().header.clone()], &limits));
    });
    mailboxes();

    let fields = b"X: y\r\n".repeat(500_000);
    time("500,000 fields", 10, || {
        black_box(Summary::read(&fields, &limits));
    });
    let mut deep = Vec::new();
    for level in 0..100 {
        let field =
            format!("Content-Type: multipart/mixed; boundary=b{level:03}\r\n\r\n--b{level:03}\r\n");
        deep.extend_from_slice(field.as_bytes());
    }
    deep.extend_from_slice(&b"--b\r\n--b00x\r\n".repeat(100_000));
    time("100 deep, 200,000 lines that are almost theirs", 10, || {
        black_box(Structure::parse(&deep, &limits));
    });
    let mut big = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n".to_vec();
    big.extend_from_slice(&[&[b'A'; 76][..], b"\r\n"].concat().repeat(640_000));
    time("50 MB attachment", 10, || {
        black_box(Structure::parse(&big, &limits));
    });
    let base64 = &big[50..];
    time("50 MB of base64", 10, || {
        black_box(decode_base64(black_box(base64), usize::MAX));
    });
    let quoted = b"Text in gr=C3=BC=C3=9Fe lines that are=\r\n soft.\r\n".repeat(1_000_000);
    println!("{} octets of quoted-printable", quoted.len());
    time("quoted-printable", 10, || {
        black_box(decode_quoted_printable(black_box(&quoted), usize::MAX));
    });
    for (what, text) in [
        ("1 MB of English", "The quick brown fox jumps over the lazy dog.\r\n"),
        ("1 MB of German", "Grüße aus Köln, wo die Straßen schön groß sind.\r\n"),
        ("1 MB of Japanese", "今日は天気がとても良いので、散歩に行きました。\r\n"),
        ("1 MB of Russian", "Съешь ещё этих мягких французских булок.\r\n"),
    ] {
        let text = text.repeat(1_000_000 / text.len());
        time(&format!("fold {what}"), 10, || {
            black_box(fold(black_box(&text)));
        });
    }
    let html = "<tr><td class=\"x\" style=\"color: #123\">Some words &amp; more</td></tr>\r\n";
    let html = html.repeat(1_000_000 / html.len());
    time("1 MB of HTML", 10, || {
        black_box(html_text(black_box(&html)));
    });
}

/// Threads of a mailbox of 100,000: conversations of ten, and one chain.
fn mailboxes() {
    const COUNT: usize = 100_000;
    let fact = |at: usize, references: Vec<String>, subject: String| -> SortFacts {
        SortFacts {
            sent: Some(at as i64),
            subject: subject.into(),
            message_id: Some(format!("{at}.abc@mail.example.org").into()),
            reference_lines: references.join("\n").into(),
            ..SortFacts::default()
        }
    };
    let id = |at: usize| format!("{at}.abc@mail.example.org");
    let usual: Vec<_> = (0..COUNT)
        .map(|at| {
            let first = at / 10 * 10;
            fact(at, (first..at).map(id).collect(), format!("SUBJECT {first}"))
        })
        .collect();
    let chain: Vec<_> = (0..COUNT)
        .map(|at| fact(at, at.checked_sub(1).map(id).into_iter().collect(), String::new()))
        .collect();
    for (what, facts) in [("conversations of ten", usual), ("one chain", chain)] {
        let kept: Vec<_> = facts.iter().map(SortFacts::encode).collect();
        time(&format!("decode 100,000 facts, {what}"), 10, || {
            let facts: Vec<_> = kept.iter().map(|kept| SortFacts::decode(kept)).collect();
            black_box(facts);
        });
        let facts: Vec<_> = facts.iter().map(SortFacts::by_ref).collect();
        time(&format!("REFERENCES of 100,000, {what}"), 10, || {
            let mut out = Vec::new();
            thread_references(black_box(&facts)).write(&mut out, |at| at as u32);
            black_box(out);
        });
        time(&format!("ORDEREDSUBJECT of 100,000, {what}"), 10, || {
            black_box(thread_ordered_subject(black_box(&facts)));
        });
    }
}
