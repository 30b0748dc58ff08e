//! Two programs that many people test a mail server with.

use std::process::Command;

use crate::harness::{ALICE, BOB, House, PASSWORD, from_alice, message, tool, tool_output, words};

#[test]
fn swaks_submits_over_starttls_and_over_tls() {
    let house = House::new();
    for (port, how) in [(587, "--tls"), (465, "--tls-on-connect")] {
        tool(
            Command::new("swaks")
                .args(["--server", "127.0.0.1", "--port", &house.address(port).port().to_string()])
                .args([how, "--from", ALICE, "--to", BOB])
                .args(["--auth-user", ALICE, "--auth-password", PASSWORD])
                .args(["--header", &format!("Subject: swaks on {port}")]),
        );
        house.await_message(BOB, &format!("Subject: swaks on {port}"));
    }
}

#[test]
fn swaks_with_a_wrong_password_fails() {
    let house = House::new();
    let port = house.address(587).port().to_string();
    let output = tool_output(
        Command::new("swaks")
            .args(["--server", "127.0.0.1", "--port", &port, "--tls"])
            .args(["--from", ALICE, "--to", BOB])
            .args(["--auth-user", ALICE, "--auth-password", "wrong"]),
    );
    // swaks: 28, authentication failed.
    assert_eq!(output.status.code(), Some(28), "{}", words(&output));
    assert!(words(&output).contains("535 5.7.8"), "{}", words(&output));
    assert!(house.mailbox(BOB, "INBOX").is_empty());
}

#[test]
fn curl_sends_and_reads() {
    let house = House::new();
    let file = house.path().join("mail");
    std::fs::write(&file, from_alice(&message("By curl", "curl-1")).replace('\n', "\r\n")).unwrap();
    let sign_in = format!("{ALICE}:{PASSWORD}");
    tool(
        Command::new("curl")
            .args(["-sS", "--ssl-reqd", "--insecure", "--user", &sign_in])
            .arg(format!("smtp://{}", house.address(587)))
            .args(["--mail-from", ALICE, "--mail-rcpt", ALICE, "--upload-file"])
            .arg(&file),
    );
    for url in [
        format!("imaps://{}/INBOX;MAILINDEX=1", house.address(993)),
        format!("pop3s://{}/1", house.address(995)),
    ] {
        let text = tool(Command::new("curl").args(["-sS", "--insecure", "--user", &sign_in, &url]));
        assert!(text.contains("Subject: By curl"), "{url}: {text}");
        assert!(text.contains("\r\n.a line that begins with a dot"), "{url}: {text}");
    }
}
