use message::{Bytes, SectionRange, SectionText, part_at, section_range};

use crate::support::{get, golden, goldens, spec, structure};

fn names(names: &[&str]) -> Vec<Bytes> {
    names.iter().map(|name| name.as_bytes().into()).collect()
}

#[test]
fn the_tree_of_rfc_3501() {
    let bytes = golden("rfc3501");
    let body = |part: &[u32]| get(&bytes, part, SectionText::All);
    let header = |part: &[u32]| get(&bytes, part, SectionText::Header);
    assert_eq!(body(&[1]).unwrap(), "part 1");
    assert_eq!(body(&[2]).unwrap(), "AAEC");
    assert!(body(&[3]).unwrap().starts_with("From: inner3@"));
    assert!(header(&[3]).unwrap().ends_with("boundary=B\r\n\r\n"));
    assert!(get(&bytes, &[3], SectionText::Text).unwrap().starts_with("--B\r\n"));
    assert!(get(&bytes, &[3], SectionText::Text).unwrap().ends_with("--B--"));
    assert_eq!(body(&[3, 1]).unwrap(), "part 3.1");
    assert_eq!(body(&[3, 2]).unwrap(), "part 3.2");
    assert_eq!(body(&[4, 1]).unwrap(), "GIF");
    assert!(get(&bytes, &[4, 1], SectionText::Mime).unwrap().starts_with("Content-Type: image"));
    assert!(header(&[4, 2]).unwrap().starts_with("From: inner42@"));
    assert_eq!(body(&[4, 2, 1]).unwrap(), "part 4.2.1");
    assert_eq!(body(&[4, 2, 2, 1]).unwrap(), "part 4.2.2.1");
    assert_eq!(body(&[4, 2, 2, 2]).unwrap(), "part 4.2.2.2");
    for missing in [&[0][..], &[5], &[1, 1], &[3, 3], &[4, 2, 2, 3], &[4, 2, 2, 1, 1]] {
        assert_eq!(body(missing), None, "{missing:?}");
    }
    // HEADER and TEXT only of messages; MIME only of parts.
    assert_eq!(header(&[1]), None);
    assert_eq!(header(&[4]), None);
    assert_eq!(get(&bytes, &[4, 2, 2], SectionText::Text), None);
    assert_eq!(get(&bytes, &[], SectionText::Mime), None);
    let mime = get(&bytes, &[3], SectionText::Mime).unwrap();
    assert_eq!(mime, "Content-Type: message/rfc822\r\nContent-Description: three\r\n\r\n");
}

#[test]
fn a_message_that_is_no_multipart_is_its_own_part_1() {
    let bytes = golden("plain");
    assert_eq!(get(&bytes, &[1], SectionText::All), get(&bytes, &[], SectionText::Text));
    assert_eq!(get(&bytes, &[1], SectionText::Mime), get(&bytes, &[], SectionText::Header));
    assert_eq!(get(&bytes, &[2], SectionText::All), None);
    assert_eq!(get(&bytes, &[1, 1], SectionText::All), None);
    assert_eq!(get(&bytes, &[1], SectionText::Header), None);
    // The same inside of a message/rfc822 that is the message itself.
    let bytes = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody";
    assert_eq!(get(bytes, &[1], SectionText::All).unwrap(), "Subject: in\r\n\r\nbody");
    assert_eq!(get(bytes, &[1], SectionText::Header).unwrap(), "Subject: in\r\n\r\n");
    assert_eq!(get(bytes, &[1, 1], SectionText::All).unwrap(), "body");
    assert_eq!(get(bytes, &[1, 2], SectionText::All), None);
    // Parts of a digest.
    let bytes = golden("digest");
    assert_eq!(get(&bytes, &[1, 1], SectionText::All).unwrap(), "body one");
    assert_eq!(get(&bytes, &[2], SectionText::All).unwrap(), "not a message");
}

#[test]
fn header_and_text_are_the_message() {
    for (name, bytes) in goldens() {
        let of = |text| get(&bytes, &[], text).unwrap();
        assert_eq!(of(SectionText::All), String::from_utf8_lossy(&bytes), "{name}");
        let both = of(SectionText::Header) + &of(SectionText::Text);
        assert_eq!(both, String::from_utf8_lossy(&bytes), "{name}");
    }
}

#[test]
fn header_fields_are_chosen_as_they_stand() {
    let bytes = golden("plain");
    let chosen = |text| get(&bytes, &[], text).unwrap();
    let some = chosen(SectionText::HeaderFields(names(&["RECEIVED", "message-id", "none"])));
    assert_eq!(
        some,
        "Received: from client (localhost [127.0.0.1])\r\n\tby mx.example.org with ESMTP id \
         abc;\r\n\tSun, 22 Nov 2026 00:08:26 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n"
    );
    assert_eq!(chosen(SectionText::HeaderFields(names(&["x-none"]))), "\r\n");
    let all = chosen(SectionText::Header);
    assert_eq!(chosen(SectionText::HeaderFieldsNot(names(&["x-none"]))), all);
    let without = chosen(SectionText::HeaderFieldsNot(names(&["received", "MESSAGE-ID"])));
    assert_eq!(without.len(), all.len() - (some.len() - 2));
    assert!(!without.contains("Received") && without.ends_with("\r\n\r\n"));
    // RFC 3501 §6.4.5: no blank line where the message has none.
    let bytes = golden("only_header");
    let some = get(&bytes, &[], SectionText::HeaderFields(names(&["subject"]))).unwrap();
    assert_eq!(some, "Subject: no body\r\n");
    // Lines that are no fields are kept by NOT.
    let bytes = golden("broken_headers");
    let rest = SectionText::HeaderFieldsNot(names(&["from", "to", "cc", "bcc", "message-id"]));
    let rest = get(&bytes, &[], rest).unwrap();
    assert!(rest.starts_with("From mbox line\r\nno colon here\r\nSubject:\r\n"), "{rest}");
    let bytes = golden("rfc3501");
    let subject = get(&bytes, &[4, 2], SectionText::HeaderFields(names(&["Subject"]))).unwrap();
    assert_eq!(subject, "Subject: four two\r\n\r\n");
}

/// Names in any case, in the order of the header, twice or unknown; few and many of them alike.
#[test]
fn few_and_many_names_choose_alike() {
    let bytes = b"B: 1\r\na: 2\r\nno field\r\nC: 3\r\n 4\r\nA: 5\r\n\r\nbody";
    let more: Vec<String> = (0..100).map(|at| format!("X-{at}")).collect();
    for (asked, chosen, others) in [
        (
            &["A", "b", "A", "X"][..],
            "B: 1\r\na: 2\r\nA: 5\r\n\r\n",
            "no field\r\nC: 3\r\n 4\r\n\r\n",
        ),
        (&["c"], "C: 3\r\n 4\r\n\r\n", "B: 1\r\na: 2\r\nno field\r\nA: 5\r\n\r\n"),
        (&["unknown"], "\r\n", "B: 1\r\na: 2\r\nno field\r\nC: 3\r\n 4\r\nA: 5\r\n\r\n"),
    ] {
        let few = names(asked);
        let many: Vec<&str> =
            more.iter().map(|name| &**name).chain(asked.iter().copied()).collect();
        for asked in [few, names(&many)] {
            let fields = SectionText::HeaderFields(asked.clone());
            assert_eq!(get(bytes, &[], fields).unwrap(), chosen);
            assert_eq!(get(bytes, &[], SectionText::HeaderFieldsNot(asked)).unwrap(), others);
        }
    }
    let header = b"X: y\r\n".repeat(500_000);
    let many: Vec<&str> = more.iter().map(|name| &**name).collect();
    let found = get(&header, &[], SectionText::HeaderFields(names(&many)));
    assert_eq!(found.as_deref(), Some(""));
}

#[test]
fn ranges_alone_are_enough_to_answer() {
    let bytes = golden("rfc3501");
    let structure = structure(&bytes);
    let range = section_range(&structure, &spec(&[2], SectionText::All)).unwrap();
    assert_eq!(bytes[range.octets().clone()], *b"AAEC");
    let range = section_range(&structure, &spec(&[3], SectionText::HeaderFields(names(&["a"]))));
    assert!(matches!(range, Some(SectionRange::Header(_))));
    assert_eq!(part_at(&structure, &[]), Some(0));
}

#[test]
fn specs_are_echoed() {
    let echoed = |part: &[u32], text| {
        let mut out = Vec::new();
        spec(part, text).write(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(echoed(&[], SectionText::All), "");
    assert_eq!(echoed(&[1, 20], SectionText::All), "1.20");
    assert_eq!(echoed(&[1], SectionText::Mime), "1.MIME");
    assert_eq!(echoed(&[], SectionText::Text), "TEXT");
    let fields = SectionText::HeaderFields(names(&["Date", "a b", "x(y"]));
    assert_eq!(echoed(&[2], fields), "2.HEADER.FIELDS (Date \"a b\" \"x(y\")");
    let fields = SectionText::HeaderFieldsNot(names(&["To"]));
    assert_eq!(echoed(&[], fields), "HEADER.FIELDS.NOT (To)");
}
