use mail_types::{Address, Timestamp};
use mailparse::MailHeaderMap;
use message::{MailDate, ReportLetter};

fn letter(report_type: Option<&str>, organization: &str, file: &[u8]) -> Vec<u8> {
    let from = Address::parse("noreply@example.org").unwrap();
    let to = Address::parse("reports@example.net").unwrap();
    ReportLetter {
        from: (organization, &from),
        to: &to,
        subject: "Report Domain: a.rather.long.domain.example.net Submitter: \
                  another.rather.long.domain.example.org Report-ID: <0123456789abcdef>",
        at: MailDate { at: Timestamp(1_795_219_200_000), offset_minutes: 0 },
        message_id: "<1@example.org>",
        fields: &[("TLS-Report-Domain", "example.net"), ("TLS-Required", "No")],
        report_type,
        text: "What people read.\nGr\u{fc}\u{df}e\n",
        file: ("application/gzip", "a!b!1!2!3.xml.gz", file),
    }
    .build()
}

/// Another parser finds in it what was put in.
#[test]
fn a_file_and_words_for_people() {
    let file: Vec<u8> = (0..=255).cycle().take(1000).collect();
    for (report_type, media_type) in
        [(None, "multipart/mixed"), (Some("tlsrpt"), "multipart/report")]
    {
        let bytes = letter(report_type, "The \"Example\" \\ House", &file);
        assert!(bytes.is_ascii());
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.split("\r\n").all(|line| line.len() <= 78 && !line.contains('\n')), "{text}");
        let mail = mailparse::parse_mail(&bytes).unwrap();
        assert_eq!(mail.ctype.mimetype, media_type);
        assert_eq!(mail.ctype.params.get("report-type").map(String::as_str), report_type);
        let field = |name: &str| mail.headers.get_first_value(name).unwrap();
        assert_eq!(field("From"), "\"The \\\"Example\\\" \\\\ House\" <noreply@example.org>");
        assert_eq!(field("Date"), "Sat, 21 Nov 2026 00:00:00 +0000");
        assert_eq!(field("Auto-Submitted"), "auto-generated");
        assert_eq!(
            (field("TLS-Report-Domain"), field("TLS-Required")),
            ("example.net".into(), "No".into())
        );
        assert_eq!(
            field("Subject"),
            "Report Domain: a.rather.long.domain.example.net Submitter: \
             another.rather.long.domain.example.org Report-ID: <0123456789abcdef>"
        );
        let [words, part] = mail.subparts.as_slice() else { panic!("{text}") };
        assert!(words.get_body().unwrap().contains("Gr\u{fc}\u{df}e"));
        assert_eq!(part.ctype.mimetype, "application/gzip");
        assert_eq!(
            part.get_content_disposition().params.get("filename").unwrap(),
            "a!b!1!2!3.xml.gz"
        );
        assert_eq!(part.get_body_raw().unwrap(), file);
    }
}

#[test]
fn a_name_beyond_ascii_is_encoded() {
    let bytes = letter(None, "B\u{fc}ro", b"x");
    let mail = mailparse::parse_mail(&bytes).unwrap();
    assert!(bytes.is_ascii());
    assert_eq!(mail.headers.get_first_value("From").unwrap(), "B\u{fc}ro <noreply@example.org>");
}
