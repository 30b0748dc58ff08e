use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tls_report::{
    FailureDetail, PolicyKind, PolicyResult, TlsReport, TlsReportError, TlsReportSummary,
};

/// The report of RFC 8460 appendix B.
const EXAMPLE: &str = r#"{
  "organization-name": "Company-X",
  "date-range": {
    "start-datetime": "2016-04-01T00:00:00Z",
    "end-datetime": "2016-04-01T23:59:59Z"
  },
  "contact-info": "sts-reporting@company-x.example",
  "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
  "policies": [{
    "policy": {
      "policy-type": "sts",
      "policy-string": ["version: STSv1","mode: testing", "mx: *.mail.company-y.example","max_age: 86400"],
      "policy-domain": "company-y.example",
      "mx-host": ["*.mail.company-y.example"]
    },
    "summary": {
      "total-successful-session-count": 5326,
      "total-failure-session-count": 303
    },
    "failure-details": [{
      "result-type": "certificate-expired",
      "sending-mta-ip": "2001:db8:abcd:0012::1",
      "receiving-mx-hostname": "mx1.mail.company-y.example",
      "failed-session-count": 100
    }, {
      "result-type": "starttls-not-supported",
      "sending-mta-ip": "2001:db8:abcd:0013::1",
      "receiving-mx-hostname": "mx2.mail.company-y.example",
      "receiving-ip": "203.0.113.56",
      "failed-session-count": 200,
      "additional-information": "https://reports.company-x.example/report_info?id=5065427c-23d3#StarttlsNotSupported"
    }, {
      "result-type": "validation-failure",
      "sending-mta-ip": "198.51.100.62",
      "receiving-ip": "203.0.113.58",
      "receiving-mx-hostname": "mx-backup.mail.company-y.example",
      "failed-session-count": 3,
      "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"
    }]
  }]
}"#;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_rfcs_example_is_read_and_written_again() {
    let report = TlsReport::parse_packed(EXAMPLE.as_bytes()).unwrap();
    assert_eq!((report.begin_secs, report.end_secs), (1_459_468_800, 1_459_555_199));
    let policy = &report.policies[0];
    assert_eq!((policy.kind, policy.successes, policy.failures), (PolicyKind::Sts, 5326, 303));
    assert_eq!(policy.details.iter().map(|one| one.sessions).sum::<u64>(), 303);
    assert_eq!(policy.mx, ["*.mail.company-y.example"]);
    assert_eq!(TlsReport::parse_packed(&report.to_gzip()), Ok(report.clone()));
    let theirs: serde_json::Value = serde_json::from_str(EXAMPLE).unwrap();
    let mut ours: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    // The same address, written shorter.
    for (place, ip) in [(0, "2001:db8:abcd:0012::1"), (1, "2001:db8:abcd:0013::1")] {
        ours["policies"][0]["failure-details"][place]["sending-mta-ip"] = ip.into();
    }
    assert_eq!(ours, theirs);
    assert_eq!(
        report.file_name("mail.sender.example.com", "example.com"),
        "mail.sender.example.com!example.com!1459468800!1459555199!\
         5065427c23d347cab6e0946ea0e8c4be.json.gz"
    );
    assert_eq!(
        report.subject("sender.example", "example.com"),
        "Report Domain: example.com Submitter: sender.example Report-ID: \
         <5065427c-23d3-47ca-b6e0-946ea0e8c4be>"
    );
}

#[test]
fn a_message_is_known_by_what_is_in_it() {
    let packed = {
        use std::fmt::Write as _;
        let bytes = gzip(EXAMPLE.as_bytes());
        let mut out = String::new();
        // Quoted-printable of any octets is ASCII.
        for (at, byte) in bytes.iter().enumerate() {
            write!(out, "={byte:02X}{}", if at % 20 == 19 { "=\r\n" } else { "" }).unwrap();
        }
        out
    };
    let message = |media_type: &str, body: &str| {
        format!(
            "Subject: Report Domain: a.test\r\nContent-Type: multipart/report; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\n{{\"not\": \"this\"}}\r\n--b\r\n\
             Content-Type: {media_type}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
             {body}\r\n--b--\r\n"
        )
    };
    for media_type in ["application/tlsrpt+gzip", "application/octet-stream", "application/gzip"] {
        let found = TlsReport::of_message(message(media_type, &packed).as_bytes());
        assert_eq!(found.len(), 1, "{media_type}");
        assert_eq!(found[0].as_ref().unwrap().organization, "Company-X");
    }
    // One that says to be a report and is none is told; other files are not.
    let broken = TlsReport::of_message(message("application/tlsrpt+json", "no").as_bytes());
    assert_eq!(broken, [Err(TlsReportError::Format)]);
    assert!(TlsReport::of_message(message("application/zip", "no").as_bytes()).is_empty());
}

#[test]
fn what_is_odd_is_read_and_what_is_none_is_not() {
    let odd = r#"{"report-id":"1","date-range":{"start-datetime":"x","end-datetime":"2016-04-01T01:00:00+01:00"},
        "policies":[{"policy":{"policy-type":"new","policy-string":"one","mx-host":"mx.a.test"},
        "summary":{"total-successful-session-count":1},"more":[],
        "failure-details":[{"result-type":"x","sending-mta-ip":"nowhere"}]}],"extra":{}}"#;
    let report = TlsReport::parse_packed(odd.as_bytes()).unwrap();
    assert_eq!((report.begin_secs, report.end_secs), (0, 1_459_468_800));
    let policy = &report.policies[0];
    assert_eq!(policy.kind, PolicyKind::NoPolicyFound);
    assert_eq!((policy.strings.len(), policy.mx.len(), policy.failures), (1, 1, 0));
    assert_eq!(policy.details[0].sending_ip, None);
    for none in ["{}", "{\"policies\":[]}", "{\"report-id\":\"\"", "[]", "<feedback/>"] {
        assert!(TlsReport::parse_packed(none.as_bytes()).is_err(), "{none}");
    }
    assert_eq!(TlsReport::parse_packed(&[0x1f, 0x8b, 8, 0]), Err(TlsReportError::Archive));
    let bomb = gzip(&vec![b' '; tls_report::REPORT_OCTETS_MAX + 1]);
    assert_eq!(TlsReport::parse_packed(&bomb), Err(TlsReportError::TooLarge));
    let many = vec![r#"{"policy":{"policy-type":"sts"},"summary":{}}"#; 100_001].join(",");
    let head =
        r#"{"report-id":"1","date-range":{"start-datetime":"","end-datetime":""},"policies":["#;
    let many = TlsReport::parse_packed(format!("{head}{many}]}}").as_bytes());
    assert!(matches!(many, Err(TlsReportError::NoReport(_))), "{many:?}");
}

#[test]
fn reports_add_up() {
    let report = TlsReport::parse_packed(EXAMPLE.as_bytes()).unwrap();
    let mut summary = TlsReportSummary::default();
    summary.add(&report, None);
    summary.add(&report, Some("company-y.example"));
    summary.add(&report, Some("other.example"));
    assert_eq!((summary.reports, summary.successes, summary.failures), (3, 10_652, 606));
    let domain = &summary.domains["company-y.example"];
    assert_eq!(domain.policies[&PolicyKind::Sts], (10_652, 606));
    let expired = ("certificate-expired".to_owned(), "mx1.mail.company-y.example".to_owned());
    assert_eq!(domain.results[&expired], 200);
}

fn text() -> impl Strategy<Value = String> {
    "[ -~é✉\\n]{0,40}"
}

fn detail() -> impl Strategy<Value = FailureDetail> {
    let ip = proptest::option::of(any::<[u8; 4]>().prop_map(|ip| ip.into()));
    (text(), ip, proptest::option::of(text()), 0_u64..1 << 50, proptest::option::of(text()))
        .prop_map(|(result, sending_ip, mx, sessions, reason)| FailureDetail {
            result,
            sending_ip,
            mx,
            sessions,
            reason,
            ..FailureDetail::default()
        })
}

fn policy() -> impl Strategy<Value = PolicyResult> {
    let kind =
        prop_oneof![Just(PolicyKind::Tlsa), Just(PolicyKind::Sts), Just(PolicyKind::NoPolicyFound)];
    let texts = || proptest::collection::vec(text(), 0..4);
    let details = proptest::collection::vec(detail(), 0..4);
    (kind, texts(), "[a-z.]{0,20}", texts(), 0_u64..1 << 50, details).prop_map(
        |(kind, strings, domain, mx, successes, details)| PolicyResult {
            kind,
            strings,
            domain,
            mx,
            successes,
            failures: details.iter().map(|one| one.sessions).sum(),
            details,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        id in "[a-z0-9]{1,20}",
        organization in text(),
        begin in 0_i64..4_000_000_000,
        policies in proptest::collection::vec(policy(), 0..4),
    ) {
        let report = TlsReport {
            organization, begin_secs: begin, end_secs: begin + 86_399,
            contact: "a@a.test".to_owned(), id, policies,
        };
        prop_assert_eq!(TlsReport::parse_packed(&report.to_gzip()), Ok(report));
    }

    #[test]
    fn any_octets_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        TlsReport::parse_packed(&bytes).ok();
        drop(TlsReport::of_message(&bytes));
    }
}
