use message::{Envelope, EnvelopeAddress, Limits, envelope};

use crate::support::golden;

/// `name|route|mailbox|host`, `-` for NIL.
fn shown(list: &[EnvelopeAddress]) -> Vec<String> {
    list.iter()
        .map(|address| {
            [&address.name, &address.route, &address.mailbox, &address.host]
                .map(|text| text.as_ref().map_or("-".into(), |text| String::from_utf8_lossy(text)))
                .join("|")
        })
        .collect()
}

fn addresses(value: &str) -> Vec<String> {
    shown(&envelope(format!("To: {value}\r\n").as_bytes()).to)
}

fn text(value: &Option<message::Bytes>) -> Option<&str> {
    value.as_deref().map(|value| std::str::from_utf8(value).unwrap())
}

#[test]
fn a_plain_header() {
    let read = envelope(&golden("plain"));
    assert_eq!(shown(&read.from), ["Ann A. Author|-|ann|example.org"]);
    assert_eq!(read.sender(), &read.from[..]);
    assert_eq!(read.reply_to(), &read.from[..]);
    assert_eq!(shown(&read.to), ["-|-|bob|example.net", "Carol|-|carol|example.com"]);
    let cc = [
        "-|-|Undisclosed|-",
        "-|-|dave|example.org",
        "E, F|-|ef|example.org",
        "-|-|-|-",
        "-|-|last|example.org",
    ];
    assert_eq!(shown(&read.cc), cc);
    assert_eq!(text(&read.message_id), Some("<1@example.org>"));
    assert_eq!(text(&read.in_reply_to), Some("<0@example.net>"));
    let subject = "=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?B?IGF1cyBLw7Zsbg==?=";
    assert_eq!(text(&read.subject), Some(subject));
    assert_eq!(read.sent().unwrap().at.secs(), 1_795_306_106);
}

#[test]
fn broken_headers_still_say_what_they_can() {
    let read = envelope(&golden("broken_headers"));
    assert_eq!(shown(&read.from), ["broken|-|a|b", "Comment (nested) name|-|c|d"]);
    let to = ["-|-|no-at-sign|", "-|-||", "-|-||nodomain", "\"unclosed quote|-|x|y"];
    assert_eq!(shown(&read.to), to);
    assert_eq!(shown(&read.cc), ["-|@route.example,@two.example|user|host.example"]);
    assert_eq!(shown(&read.bcc), ["-|-|café|example.org", "J\u{fffd}rg|-|joerg|example.org"]);
    let reply_to = ["Quoted \"inner\" name|-|q|[192.0.2.1]", "from a comment|-|plain|example.org"];
    assert_eq!(shown(&read.reply_to), reply_to);
    assert_eq!(text(&read.subject), Some(""));
    assert_eq!(text(&read.date), Some("yesterday"));
    assert_eq!(read.sent(), None);
    assert_eq!(text(&read.message_id), Some("<spaced@example.org>"));
}

#[test]
fn address_lists_of_rfc_5322_appendix_a() {
    assert_eq!(
        addresses("\"Joe Q. Public\" <john.q.public@example.com>"),
        ["Joe Q. Public|-|john.q.public|example.com"]
    );
    assert_eq!(
        addresses("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>"),
        ["Mary Smith|-|mary|x.test", "-|-|jdoe|example.org", "Who?|-|one|y.test"]
    );
    assert_eq!(
        addresses("<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>"),
        ["-|-|boss|nil.test", "Giant; \"Big\" Box|-|sysservices|example.net"]
    );
    // A.1.3 and A.5: groups, comments everywhere.
    assert_eq!(
        addresses("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;"),
        [
            "-|-|A Group|-",
            "Ed Jones|-|c|a.test",
            "-|-|joe|where.test",
            "John|-|jdoe|one.test",
            "-|-|-|-"
        ]
    );
    assert_eq!(addresses("Undisclosed recipients:;"), ["-|-|Undisclosed recipients|-", "-|-|-|-"]);
    assert_eq!(
        addresses("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
        ["Pete|-|pete|silly.test"]
    );
    assert_eq!(
        addresses("Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example"),
        ["Mary Smith|@node.test|mary|example.net", "-|-|jdoe|test.example"]
    );
    assert_eq!(addresses("\"a b\"@example.org"), ["-|-|a b|example.org"]);
}

/// Programs differ in which of them they show, so that each is one.
#[test]
fn addresses_without_a_comma_between_them_are_all_there() {
    let both = ["-|-|ceo|corp.example", "-|-|me|corp.example"];
    assert_eq!(addresses("<ceo@corp.example> <me@corp.example>"), both);
    assert_eq!(addresses("<ceo@corp.example><me@corp.example>"), both);
    assert_eq!(addresses("<ceo@corp.example <me@corp.example>"), both);
    assert_eq!(addresses("<ceo@corp.example> me@corp.example"), both);
    assert_eq!(
        addresses("A <a@x.test> B <b@y.test> (c), d@z.test"),
        ["A|-|a|x.test", "B|-|b|y.test", "-|-|d|z.test"]
    );
    // A bracket too many, words behind.
    assert_eq!(addresses("A <<a@x.test>> and more"), ["A|-|a|x.test"]);
    assert_eq!(addresses("<@r.test:a@x.test>"), ["-|@r.test|a|x.test"]);
    let limits = Limits { addresses_max: 10, ..Limits::default() };
    for value in
        ["<a@x>".repeat(1000), "<a@x".repeat(1000), format!("<a@x>{}", " b@y".repeat(1000))]
    {
        assert_eq!(Envelope::read(format!("To: {value}").as_bytes(), &limits).to.len(), 9);
    }
}

#[test]
fn addresses_become_words_of_mail() {
    let read = envelope(b"To: \"a b\"@Example.ORG, x@[192.0.2.1], y\r\n");
    let all: Vec<_> = read.to.iter().map(|one| one.address().map(|one| one.to_string())).collect();
    let expected = [Some("\"a b\"@example.org"), Some("x@[192.0.2.1]"), None];
    assert_eq!(all, expected.map(|one| one.map(str::to_owned)));
    assert_eq!(read.to[2].address_text().unwrap(), "y");
}

#[test]
fn several_fields_of_one_name() {
    let header =
        b"To: a@x\r\nSubject: one\r\nTo: b@x\r\nSubject: two\r\nFrom: c@x\r\nFrom: d@x\r\n";
    let read = envelope(header);
    assert_eq!(read.to.len(), 2);
    assert_eq!(text(&read.subject), Some("one"));
    assert_eq!(shown(&read.from), ["-|-|c|x"]);
}

#[test]
fn lists_are_bounded_and_groups_closed() {
    let limits = Limits { addresses_max: 10, ..Limits::default() };
    let header = format!("To: group: {}", "a@x, ".repeat(1000));
    let read = Envelope::read(header.as_bytes(), &limits);
    assert_eq!(read.to.len(), 10);
    assert_eq!(read.to[9], EnvelopeAddress::default());
}
