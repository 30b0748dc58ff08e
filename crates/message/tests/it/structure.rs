use message::{Kind, Limits, Opaque, Structure};

use crate::support::{golden, goldens, structure};

/// The tree as `type/subtype[lines]`, children in parentheses.
fn tree(structure: &Structure, at: usize) -> String {
    let part = &structure.parts()[at];
    let name = format!("{}/{}", part.content.media_type, part.content.subtype);
    match &part.kind {
        Kind::Leaf => format!("{name}[{}]", part.lines),
        Kind::Opaque(why) => format!("{name}!{why:?}"),
        Kind::Multipart(children) => {
            let inside: Vec<_> = children.iter().map(|&child| tree(structure, child)).collect();
            format!("{name}({})", inside.join(" "))
        }
        Kind::Message { inner, .. } => format!("{name}<{}>", tree(structure, *inner)),
    }
}

fn tree_of(name: &str) -> String {
    tree(&structure(&golden(name)), 0)
}

fn body_of(name: &str, at: usize) -> String {
    let bytes = golden(name);
    let range = structure(&bytes).parts()[at].body.clone();
    String::from_utf8(bytes[range].to_vec()).unwrap()
}

#[test]
fn every_golden_message_has_its_tree() {
    let expected = [
        ("alternative", "multipart/alternative(text/plain[3] text/html[0])"),
        ("boundary_never", "multipart/mixed!NoParts"),
        ("broken_headers", "text/plain[1]"),
        (
            "digest",
            "multipart/digest(message/rfc822<text/plain[0]> text/plain[0] \
             message/rfc822<text/plain[0]>)",
        ),
        (
            "empty_parts",
            "multipart/mixed(text/plain[0] text/plain[0] text/plain[0] \
             message/rfc822<text/plain[0]> message/rfc822<text/plain[0]>)",
        ),
        ("encoded_message", "message/rfc822!Encoded"),
        ("global", "multipart/mixed(message/global<text/plain[0]>)"),
        ("lf_only", "multipart/mixed(text/plain[1] text/html[0])"),
        ("no_boundary_param", "multipart/mixed!NoParts"),
        ("no_end_boundary", "multipart/mixed(multipart/mixed(text/plain[0]) text/plain[1])"),
        ("only_header", "text/plain[0]"),
        ("plain", "text/plain[3]"),
        ("rfc2046_nested", "multipart/mixed(text/plain[1] text/plain[2])"),
        ("rfc2231", "application/x-stuff[1]"),
        (
            "rfc3501",
            "multipart/mixed(text/plain[0] application/octet-stream[0] \
             message/rfc822<multipart/mixed(text/plain[0] application/octet-stream[0])> \
             multipart/mixed(image/gif[0] message/rfc822<multipart/mixed(text/plain[0] \
             multipart/alternative(text/plain[0] text/richtext[0]))>))",
        ),
        ("same_boundary", "multipart/mixed(multipart/mixed(text/plain[0]) text/plain[0])"),
    ];
    for (name, expected) in expected {
        assert_eq!(tree_of(name), expected, "{name}");
    }
    assert_eq!(expected.len(), goldens().len(), "a golden message without its tree");
}

#[test]
fn a_boundary_counts_only_at_the_begin_of_a_line() {
    let text = body_of("alternative", 1);
    assert!(text.contains("in the middle --=_b1\r\n--x=_b1 is none either"), "{text}");
    assert!(text.ends_with("is none either"), "{text}");
    assert_eq!(body_of("alternative", 2), "PHA+R3LDvMOfZSA8Yj5mPC9iPmV0dDwvcD4=");
}

#[test]
fn the_line_end_before_a_boundary_belongs_to_it() {
    assert!(body_of("rfc2046_nested", 1).ends_with("does NOT end with a linebreak."));
    assert!(body_of("rfc2046_nested", 2).ends_with("DOES end with a linebreak.\r\n"));
    assert_eq!(body_of("lf_only", 1), "one\ntwo");
}

#[test]
fn without_end_boundary_nothing_is_lost() {
    assert_eq!(body_of("no_end_boundary", 2), "one");
    assert_eq!(body_of("no_end_boundary", 3), "two, the inner was never closed\r\n");
    assert_eq!(body_of("boundary_never", 0), "text without any part\r\n");
}

#[test]
fn empty_parts_have_empty_ranges_in_order() {
    let bytes = golden("empty_parts");
    let structure = structure(&bytes);
    let headers: Vec<_> = structure.parts()[1..]
        .iter()
        .map(|part| String::from_utf8_lossy(&bytes[part.header.clone()]).into_owned())
        .collect();
    let message = "Content-Type: message/rfc822\r\n";
    assert_eq!(headers[..3], ["", "", "X: y"]);
    // The blank line before a delimiter is the delimiter's; a line more ends the header.
    assert_eq!(headers[3..], [message, "", &format!("{message}\r\n"), "Subject: x\r\n"]);
    assert!(structure.parts()[1..].iter().all(|part| part.lines <= 1));
    let before_first = &bytes[..structure.parts()[1].header.start];
    assert!(before_first.ends_with(b"--e\r\n"), "an empty part begins behind its delimiter");
}

#[test]
fn parameters_are_joined_and_decoded() {
    let bytes = golden("rfc2231");
    let structure = structure(&bytes);
    let content = &structure.root().content;
    // RFC 2231 §4.1, its own example.
    let title = content.param("title").unwrap();
    assert_eq!(title, "This is even more ***fun*** isn't it!");
    assert_eq!(content.params.len(), 1);
    assert_eq!(&*content.params[0].name, "title*");
    assert_eq!(content.filename().unwrap(), "na\u{ef}ve file.txt");
}

#[test]
fn content_fields_are_read() {
    let bytes = golden("rfc3501");
    let structure = structure(&bytes);
    let gif = structure.parts().iter().find(|part| part.content.is("image", "gif")).unwrap();
    assert_eq!(gif.content.id.as_deref(), Some(&b"<gif@example.org>"[..]));
    assert_eq!(gif.content.md5.as_deref(), Some(&b"Q2hlY2sgSW50ZWdyaXR5IQ=="[..]));
    assert_eq!(gif.content.location.as_deref(), Some(&b"http://example.org/a.gif"[..]));
    assert_eq!(gif.content.filename().unwrap(), "a \"b\".gif");
    assert_eq!(&*gif.content.disposition.as_ref().unwrap().kind, "attachment");
}

#[test]
fn lenient_content_types() {
    let content = |value: &str| {
        let bytes = format!("Content-Type: {value}\r\n\r\n");
        structure(bytes.as_bytes()).root().content.clone()
    };
    assert_eq!(
        content("text/plain; charset=us-ascii (Plain text)").param("charset").unwrap(),
        "us-ascii"
    );
    assert_eq!(content("a/b; name=my file (1).pdf; x=y").param("name").unwrap(), "my file");
    assert_eq!(content("a/b; name=my_file(1).pdf").param("name").unwrap(), "my_file(1).pdf");
    assert_eq!(content("a/b; name==?utf-8?q?=C3=A9?=").param("name").unwrap(), "\u{e9}");
    assert_eq!(content("a/b;; ; charset = \"utf-8\" ;").param("charset").unwrap(), "utf-8");
    assert_eq!(content("(c) TEXT (d) / (e) HTML (f); A=b").param("a").unwrap(), "b");
    assert!(content("(c) TEXT (d) / (e) HTML (f); A=b").is("text", "html"));
    assert!(content("text").is("text", "plain"));
    assert!(content("text/").is("text", "plain"));
    assert!(content("").is("text", "plain"));
    // Continuations of which only a later one is extended.
    assert_eq!(content("a/b; t*1*=b'c'%20d; t*0=\"a'%\"").param("t").unwrap(), "a'%b'c' d");
    assert_eq!(content("a/b; c=\"unclosed").param("c").unwrap(), "unclosed");
}

/// A message of `depth` multiparts within one another.
fn deep(depth: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for level in 0..depth {
        let text =
            format!("Content-Type: multipart/mixed; boundary=b{level:03}\r\n\r\n--b{level:03}\r\n");
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend_from_slice(b"\r\nthe innermost text\r\n");
    for level in (0..depth).rev() {
        bytes.extend_from_slice(format!("--b{level:03}--\r\n").as_bytes());
    }
    bytes
}

#[test]
fn too_deep_a_part_is_opaque_and_whole() {
    let bytes = deep(150);
    let structure = structure(&bytes);
    assert_eq!(structure.parts().len(), 100);
    let last = &structure.parts()[99];
    assert_eq!(last.kind, Kind::Opaque(Opaque::Limit));
    assert_eq!(last.shown_type(), ("application", "octet-stream"));
    let body = String::from_utf8_lossy(&bytes[last.body.clone()]).into_owned();
    assert!(body.starts_with("--b099\r\n") && body.ends_with("--b099--"), "{body}");
    assert!(body.contains("the innermost text"));
    // One less is taken apart to its end.
    let bytes = deep(99);
    let structure = Structure::parse(&bytes, &Limits::default());
    assert_eq!(structure.parts().len(), 100);
    assert_eq!(structure.parts()[99].kind, Kind::Leaf);
}

#[test]
fn nested_messages_are_bounded_too() {
    let bytes = b"Content-Type: message/rfc822\r\n\r\n".repeat(150);
    let structure = structure(&bytes);
    assert_eq!(structure.parts().len(), 100);
    assert_eq!(structure.parts()[99].kind, Kind::Opaque(Opaque::Limit));
    assert_eq!(structure.parts()[99].body.len(), 50 * 32);
}

#[test]
fn the_last_of_too_many_parts_takes_the_rest() {
    let mut bytes = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for number in 0..20_000 {
        bytes.extend_from_slice(format!("--b\r\n\r\npart {number}\r\n").as_bytes());
    }
    let structure = structure(&bytes);
    assert_eq!(structure.parts().len(), 10_000);
    let last = &structure.parts()[9_999];
    let body = &bytes[last.body.clone()];
    assert!(body.starts_with(b"part 9998\r\n--b\r\n"));
    assert!(body.ends_with(b"part 19999\r\n"));
}

#[test]
fn fields_beyond_the_limits_are_ignored_but_kept() {
    let limits = Limits { header_fields_max: 3, ..Limits::default() };
    let bytes = b"A: 1\r\nB: 2\r\nC: 3\r\nContent-Type: text/html\r\n\r\nbody";
    let structure = Structure::parse(bytes, &limits);
    assert!(structure.root().content.is("text", "plain"));
    assert_eq!(structure.root().header, 0..bytes.len() - 4);
    let limits = Limits { header_bytes_max: 20, ..Limits::default() };
    let structure = Structure::parse(bytes, &limits);
    assert!(structure.root().content.is("text", "plain"));
}

#[test]
fn half_a_million_fields_are_read_in_linear_time() {
    let small = b"X: y\r\n".repeat(500_000);
    let structure = structure(&small);
    assert_eq!(structure.root().header, 0..small.len());
}
