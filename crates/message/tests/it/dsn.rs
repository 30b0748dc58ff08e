use std::io::Write;
use std::process::{Command, Stdio};

use mail_types::{Address, Domain, EnhancedStatus, Timestamp};
use mailparse::{MailHeaderMap, parse_mail};
use message::MailDate;
use message::check::check_structure;
use message::dsn::{Action, Reader, Recipient, Report, Returned};

use crate::support::golden;

const AT: MailDate = MailDate { at: Timestamp(1_795_306_106_000), offset_minutes: 0 };
const LATER: MailDate = MailDate { at: Timestamp(1_795_738_106_000), offset_minutes: 0 };
const REPLY: &str = "550-5.1.1 <bob@example.net>: Recipient address rejected:\n\
                     550 5.1.1 User unknown in virtual mailbox table (in reply to RCPT TO)";

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// Builds a report about these recipients.
fn build(
    kind: Action,
    recipients: &[Recipient<'_>],
    original: &[u8],
    returned: Returned,
) -> Vec<u8> {
    let report = Report {
        kind,
        reporting_mta: &Domain::new("mx.example.org").unwrap(),
        from: &address("MAILER-DAEMON@mx.example.org"),
        to: &address("ann@example.org"),
        reader: Reader::Sender,
        at: AT,
        message_id: "<dsn1@mx.example.org>",
        boundary: "restante4711",
        future_release: Some("for;3600"),
        deliver_by: None,
        envelope_id: Some("env 1"),
        receipt: Some("r2k-9f86d081"),
        arrival: Some(AT),
        recipients,
        original,
        returned,
    }
    .build();
    check_structure(&report).unwrap();
    assert!(report.split(|&byte| byte == b'\n').all(|line| line.len() <= 999));
    report
}

fn recipient<'a>(address: &'a Address, action: Action) -> Recipient<'a> {
    Recipient {
        meant: None,
        address,
        original: Some("rfc822;robert@example.net"),
        action,
        status: EnhancedStatus::new(5, 1, 1),
        remote_mta: Some("mx.example.net"),
        diagnostic: Some(REPLY),
        reason: None,
        last_attempt: Some(AT),
        will_retry_until: Some(LATER),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_failure_word_for_word() {
    let bob = address("bob@example.net");
    let built = build(
        Action::Failed,
        &[recipient(&bob, Action::Failed)],
        b"Subject: hello\r\nMessage-ID: <1@example.org>\r\n\r\nbody\r\n",
        Returned::Full,
    );
    assert_eq!(text(&built), include_str!("dsn_failed.txt").replace('\n', "\r\n"));
}

#[test]
fn mailparse_and_ours_read_it() {
    let bob = address("bob@example.net");
    let original = golden("alternative");
    let built =
        build(Action::Failed, &[recipient(&bob, Action::Failed)], &original, Returned::Full);
    let parsed = parse_mail(&built).unwrap();
    assert_eq!(parsed.ctype.mimetype, "multipart/report");
    assert_eq!(parsed.ctype.params["report-type"], "delivery-status");
    let types: Vec<_> = parsed.subparts.iter().map(|part| &*part.ctype.mimetype).collect();
    assert_eq!(types, ["text/plain", "message/delivery-status", "message/rfc822"]);
    assert_eq!(parsed.subparts[2].get_body_raw().unwrap(), original);
    let header = |name| parsed.headers.get_first_value(name).unwrap();
    assert_eq!(header("Auto-Submitted"), "auto-replied");
    assert_eq!(header("Subject"), "Not delivered: your message to bob@example.net");
    let human = parsed.subparts[0].get_body().unwrap();
    for line in REPLY.lines() {
        assert!(human.contains(line), "{human}");
    }
    assert!(human.contains("There is no such mailbox."), "{human}");
}

#[test]
fn a_delay_says_until_when() {
    let bob = address("bob@example.net");
    let mut late = recipient(&bob, Action::Delayed);
    late.status = EnhancedStatus::new(4, 4, 1);
    late.diagnostic = None;
    late.remote_mta = None;
    late.reason = Some("The connection to mx.example.net [192.0.2.9] timed out.");
    let built = text(&build(Action::Delayed, &[late], &golden("plain"), Returned::Headers));
    assert!(built.contains("Subject: Not yet delivered: your message to bob@example.net\r\n"));
    assert!(built.contains("Action: delayed\r\nStatus: 4.4.1\r\n"));
    assert!(built.contains("Will-Retry-Until: Fri, 27 Nov 2026 00:08:26 +0000\r\n"));
    assert!(built.contains("You need not send it again"));
    assert!(built.contains("timed out."));
    assert!(built.contains("Content-Type: text/rfc822-headers\r\n"));
    assert!(built.contains("In-Reply-To: <1@example.org>\r\nReferences: <1@example.org>\r\n"));
    assert!(!built.contains("this is text."), "the body does not go back");
}

#[test]
fn international_addresses_take_the_global_types() {
    let bob = address("jörg@例え.example");
    let mut failed = recipient(&bob, Action::Failed);
    failed.original = None;
    failed.diagnostic = Some("550 5.1.1 nö such üser");
    let built = build(Action::Failed, &[failed], &golden("global"), Returned::Full);
    let parsed = parse_mail(&built).unwrap();
    let types: Vec<_> = parsed.subparts.iter().map(|part| &*part.ctype.mimetype).collect();
    // The header of the message itself is ASCII; only a part of it is not.
    assert_eq!(types, ["text/plain", "message/global-delivery-status", "message/rfc822"]);
    let built = text(&built);
    assert!(built.contains("Final-Recipient: utf-8; jörg@xn--r8jz45g.example\r\n"), "{built}");
    assert!(built.contains("Diagnostic-Code: smtp; 550 5.1.1 nö such üser\r\n"));
    assert!(parsed.subparts[0].get_body().unwrap().contains("550 5.1.1 nö such üser"));
    let subject = parsed.headers.get_first_value("Subject").unwrap();
    assert_eq!(subject, "Not delivered: your message to jörg@xn--r8jz45g.example");

    let ascii = address("bob@example.net");
    let mut failed = recipient(&ascii, Action::Failed);
    failed.diagnostic = Some("550 nö");
    let original = "Subject: ünï\r\n\r\nx".as_bytes();
    let built = text(&build(Action::Failed, &[failed], original, Returned::Headers));
    assert!(built.contains("Content-Type: message/global-headers\r\n"));
    assert!(built.contains("Diagnostic-Code: smtp; 550 n?\r\n"));
}

#[test]
fn remote_words_cannot_forge_fields_or_parts() {
    let bob = address("bob@example.net");
    let mut failed = recipient(&bob, Action::Failed);
    let evil = format!("550 x\r\nStatus: 2.0.0\r\n\r\n--restante4711--\r\n\0{}", "y".repeat(5000));
    failed.diagnostic = Some(&evil);
    failed.remote_mta = Some("mx\r\nAction: delivered");
    failed.original = Some("rfc822;x\r\nAction: relayed");
    let built = build(
        Action::Failed,
        &[failed],
        b"Subject: x\r\nMessage-ID: <a\r\n b>\r\n\r\n--restante4711x0x\r\n--restante4711--\r\n",
        Returned::Full,
    );
    let parsed = parse_mail(&built).unwrap();
    assert_eq!(parsed.subparts.len(), 3);
    let status = parsed.subparts[1].get_body().unwrap();
    assert!(!status.contains("\r\nStatus: 2.0.0") && !status.contains("\r\nAction: relayed"));
    assert!(!status.contains("\r\nAction: delivered"));
    assert!(!status.contains(|c: char| c.is_control() && c != '\r' && c != '\n'));
    assert!(parsed.subparts[2].get_body().unwrap().ends_with("--restante4711--\r\n"));
    assert_eq!(parsed.ctype.params["boundary"], "restante4711x1x");
    assert_eq!(parsed.headers.get_first_value("References"), None);
}

#[test]
fn success_reports_name_each_recipient() {
    let (bob, carol) = (address("bob@example.net"), address("carol@example.net"));
    let mut delivered = recipient(&bob, Action::Delivered);
    delivered.status = EnhancedStatus::new(2, 0, 0);
    let mut relayed = recipient(&carol, Action::Relayed);
    relayed.status = EnhancedStatus::new(2, 0, 0);
    let built =
        text(&build(Action::Delivered, &[delivered, relayed], &golden("plain"), Returned::Headers));
    assert!(built.contains("Subject: Delivered: your message to 2 recipients\r\n"));
    assert!(built.contains("Action: delivered\r\n") && built.contains("Action: relayed\r\n"));
    assert!(!built.contains("Will-Retry-Until"));
}

/// Python's email package, as an independent reader.
#[test]
fn python_reads_it() {
    const SCRIPT: &str = "
import email, email.policy, sys
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
assert m.get_content_type() == 'multipart/report' and not m.defects, m.defects
human, status, original = m.iter_parts()
print(human.get_content_type(), status.get_content_type(), original.get_content_type())
groups = status.get_payload()
print(groups[0]['Reporting-MTA'], '|', groups[1]['Final-Recipient'], groups[1]['Action'])
print(original.get_payload()[0]['Subject'], '|', 'User unknown' in human.get_content())
";
    let bob = address("bob@example.net");
    let failed = [recipient(&bob, Action::Failed)];
    let built = build(Action::Failed, &failed, &golden("plain"), Returned::Full);
    let mut python = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(&built).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        text(&output.stdout),
        "text/plain message/delivery-status message/rfc822\n\
         dns; mx.example.org | rfc822; bob@example.net failed\n\
         Grüße aus Köln | True\n"
    );
}
