use message::{Limits, preview};

use crate::support::{golden, structure};

fn of(bytes: &[u8]) -> String {
    preview(bytes, &structure(bytes), &Limits::default())
}

fn of_text(text: &str) -> String {
    of(format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{text}").as_bytes())
}

#[test]
fn the_first_words() {
    assert_eq!(of_text("Hello\r\n  there,\tyou\r\n\r\n"), "Hello there, you");
    assert_eq!(of_text(""), "");
    assert_eq!(of_text("\r\n \r\n"), "");
    assert_eq!(of_text(&"ä".repeat(500)), "ä".repeat(200));
    let words = of_text(&"word ".repeat(100));
    assert!(words.chars().count() <= 200 && words.ends_with("word"), "{words}");
    assert_eq!(of_text("a\u{200b}\u{34f}\u{200c} b"), "a b");
}

#[test]
fn quotes_and_signatures_are_left_out() {
    assert_eq!(of_text("On Monday Ann wrote:\r\n> old\r\n> words\r\nNew words"), "New words");
    assert_eq!(of_text("Dear all:\r\nlisten\r\n-- \r\nAnn"), "Dear all: listen");
    assert_eq!(of_text("Ann wrote:\r\n\r\n> only old"), "Ann wrote: > only old");
    assert_eq!(of_text("-- \r\nAnn"), "");
}

#[test]
fn plain_text_before_html_and_outer_before_inner() {
    assert!(of(&golden("alternative")).starts_with("Grüße: a long line that is folded"));
    let html = b"Content-Type: text/html\r\n\r\n<style>p {}</style><p>Hello <b>you</b>&amp;me</p>";
    assert_eq!(of(html), "Hello you&me");
    let inner = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
        Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ninner\r\n--b\r\n\
        Content-Disposition: attachment\r\n\r\nattached\r\n--b\r\n\r\nouter\r\n--b--\r\n";
    assert_eq!(of(inner), "outer");
    let forwarded = b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ninner\r\n";
    assert_eq!(of(forwarded), "inner");
    let image = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n";
    assert_eq!(of(image), "");
}
