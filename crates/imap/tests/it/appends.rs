use crate::world::World;

const MAIL: &str = "Subject: draft\r\nMessage-ID: <d@example.org>\r\n\r\ntext\r\n";

#[tokio::test]
async fn what_is_appended_is_kept_octet_by_octet() {
    let world = World::new().await;
    let mut client = world.in_inbox().await;
    let arguments = "Drafts (\\Draft \\Seen) \"01-Feb-2020 03:04:05 +0100\"";
    let appended = client.append(arguments, MAIL).await;
    assert!(appended.starts_with("OK [APPENDUID "), "{appended}");
    assert!(appended.contains(" 1] Kept as "), "{appended}");
    assert!(client.append("Elsewhere", MAIL).await.starts_with("NO [TRYCREATE] "));
    client.ok("SELECT Drafts").await;
    let fetched = client.ok("FETCH 1 (FLAGS INTERNALDATE BODY[])").await;
    let date = "INTERNALDATE \" 1-Feb-2020 02:04:05 +0000\"";
    let body = format!("BODY[] {{{}}}\r\n{MAIL}", MAIL.len());
    assert_eq!(fetched, [format!("* 1 FETCH (FLAGS (\\Seen \\Draft) {date} {body})")]);
    // Into the selected mailbox: told at once.
    let tag = client.begin(&format!("APPEND Drafts {{{}+}}\r\n{MAIL}", MAIL.len())).await;
    let responses = client.until(&tag).await;
    assert_eq!(responses[0], "* 2 EXISTS");
}

#[tokio::test]
async fn a_large_message_is_appended_and_one_cut_off_is_not() {
    let world = World::new().await;
    let large = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(200_000));
    let mut client = world.signed_in().await;
    let appended = client.append("Archive", &large).await;
    assert!(appended.starts_with("OK [APPENDUID "), "{appended}");
    client.ok("SELECT Archive").await;
    let fetched = client.ok("FETCH 1 BODY[]").await;
    assert_eq!(fetched[0], format!("* 1 FETCH (BODY[] {{{}}}\r\n{large})", large.len()));
    let mut lost = world.signed_in().await;
    lost.send(&format!("a APPEND Archive {{{}+}}\r\n{}", large.len(), &large[..100_000])).await;
    drop(lost);
    let mut again = world.signed_in().await;
    let status = again.ok("STATUS Archive (MESSAGES)").await;
    assert_eq!(status, ["* STATUS Archive (MESSAGES 1)"]);
}

#[tokio::test]
async fn a_wrong_password_opens_nothing() {
    let world = World::new().await;
    let mut client = world.client().await;
    assert!(client.no("LOGIN ann@example.org wrong").await.starts_with("[AUTHENTICATIONFAILED] "));
    assert!(client.say("SELECT INBOX").await[0].starts_with("BAD "));
    // SASL PLAIN: NUL ann@example.org NUL correct horse.
    client.ok("AUTHENTICATE PLAIN AGFubkBleGFtcGxlLm9yZwBjb3JyZWN0IGhvcnNl").await;
    client.ok("SELECT INBOX").await;
}
