//! SMTP smuggling: whatever a sender takes for the end of a message, here only `<CRLF>.<CRLF>` is
//! one. Each variant stands between two halves of a message; the second half begins with commands.

use crate::dialog::{Connection, Pieces, config};

/// What looks like an end, and whether content that holds it is broken (refused) or merely odd.
const VARIANTS: [(&str, bool); 22] = [
    ("\n.\n", true),
    ("\n.\r\n", true),
    ("\r\n.\n", true),
    ("\r.\r", true),
    ("\r.\r\n", true),
    ("\r\n.\r", true),
    ("\r.\n", true),
    ("\n.\r", true),
    ("\r\r\n.\r\r\n", true),
    ("\r\n\0.\r\n", true),
    ("\r\n.\0\r\n", true),
    ("\r\0\n.\r\n", true),
    ("\n\n.\n\n", true),
    ("\r\n.\r\r\n", true),
    ("\n\r\n.\n\r\n", true),
    ("\r\n.\n\r\n", true),
    ("\n\r.\n\r", true),
    ("\r\n. \r\n", false),
    ("\r\n .\r\n", false),
    ("\r\n..\r\n", false),
    ("\r\n.\t\r\n", false),
    ("\u{2028}.\u{2028}", false),
];

const SMUGGLED: &str = "MAIL FROM:<smuggled@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n";

#[test]
fn only_crlf_dot_crlf_ends_a_message() {
    for (variant, broken) in VARIANTS {
        for pieces in [Pieces::Whole, Pieces::Octets, Pieces::Random(1), Pieces::Random(2)] {
            let mut connection = Connection::new(config());
            connection.run();
            connection.feed(b"EHLO client.example\r\n", pieces);
            let begin = "MAIL FROM:<carl@example.com>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n";
            connection.feed(begin.as_bytes(), pieces);
            let content = format!("first{variant}{SMUGGLED}second\r\n.\r\n");
            let said = connection.feed(content.as_bytes(), pieces);
            let replies: Vec<_> = said.lines().filter(|line| line.starts_with("S:")).collect();
            let [reply] = replies[..] else {
                panic!("{variant:?} ({pieces:?}) made {} replies: {said}", replies.len());
            };
            if broken {
                assert!(reply.starts_with("S: 550 5.6.0 "), "{variant:?}: {reply}");
                assert!(connection.service.kept.is_empty());
            } else {
                assert!(reply.starts_with("S: 250 2.0.0 r1-"), "{variant:?}: {reply}");
                let (envelope, kept) = &connection.service.kept[0];
                assert_eq!(envelope.recipients.len(), 1);
                assert!(String::from_utf8_lossy(kept).contains("smuggled"));
            }
            // The connection is in step.
            assert_eq!(connection.feed(b"NOOP\r\n", pieces), "S: 250 2.0.0 OK\n");
        }
    }
}

#[test]
fn chunks_are_measured_not_searched() {
    for (variant, broken) in VARIANTS {
        let mut connection = Connection::new(config());
        connection.run();
        connection.feed(b"EHLO client.example\r\n", Pieces::Whole);
        let content = format!("first{variant}{SMUGGLED}second\r\n.\r\n");
        let group = format!(
            "MAIL FROM:<carl@example.com>\r\nRCPT TO:<ann@example.org>\r\nBDAT {} LAST\r\n{content}",
            content.len()
        );
        let said = connection.feed(group.as_bytes(), Pieces::Random(3));
        let reply = said.lines().rfind(|line| line.starts_with("S:")).unwrap();
        let expected = if broken { "S: 550 5.6.0 " } else { "S: 250 2.0.0 r1-" };
        assert!(reply.starts_with(expected), "{variant:?}: {reply}");
        assert_eq!(connection.service.kept.len(), usize::from(!broken));
    }
}
