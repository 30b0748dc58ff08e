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

#[tokio::test]
async fn pipelined_appends_are_answered_in_order_each_when_it_is_kept() {
    let world = World::new().await;
    let mut client = world.signed_in().await;
    // More than are under way at a time, one in the middle refused, a command behind them.
    let mut all = String::new();
    for number in 0..600 {
        let mailbox = if number == 300 { "Elsewhere" } else { "Drafts" };
        let text = format!("Subject: {number}\r\n\r\n{}", "x".repeat(number));
        all.push_str(&format!("p{number} APPEND {mailbox} {{{}+}}\r\n{text}\r\n", text.len()));
    }
    client.send(&all).await;
    let status = client.begin("STATUS Drafts (MESSAGES)").await;
    for number in 0..600 {
        let response = client.response().await;
        let wanted = match number {
            300 => "p300 NO [TRYCREATE] ".to_owned(),
            _ => format!("p{number} OK [APPENDUID "),
        };
        assert!(response.starts_with(&wanted), "{response}");
        let uid = number + usize::from(number < 300);
        assert!(number == 300 || response.contains(&format!(" {uid}] Kept as ")), "{response}");
    }
    assert_eq!(client.until(&status).await[0], "* STATUS Drafts (MESSAGES 599)");
    world.stop().await;
}

#[tokio::test]
async fn several_messages_of_one_append_are_kept_together_or_not_at_all() {
    let world = World::new().await;
    let mut client = world.signed_in().await;
    let mut command = "APPEND Archive".to_owned();
    for number in 0..100 {
        let text = format!("Subject: {number}\r\n\r\ntext {number}\r\n");
        command.push_str(&format!(" ($N{number}) {{{}+}}\r\n{text}", text.len()));
    }
    let appended = client.ok_text(&command).await;
    assert!(appended.starts_with("[APPENDUID ") && appended.contains(" 1:100] "), "{appended}");
    client.ok("SELECT Archive").await;
    let fetched = client.ok("FETCH 42 (FLAGS BODY.PEEK[TEXT])").await;
    assert_eq!(fetched, ["* 42 FETCH (FLAGS ($N41) BODY[TEXT] {9}\r\ntext 41\r\n)"]);
    // A second one that is empty, a mailbox that is not there, a connection that breaks.
    assert!(client.no("APPEND Archive {3+}\r\nabc {0+}\r\n").await.starts_with("[CLIENTBUG] "));
    assert!(client.no("APPEND No {3+}\r\nabc {3+}\r\ndef").await.starts_with("[TRYCREATE] "));
    let mut lost = world.signed_in().await;
    lost.send("a APPEND Archive {3+}\r\nabc {3+}\r\ndef {3+}\r\nde").await;
    drop(lost);
    let mut again = world.signed_in().await;
    assert_eq!(
        again.ok("STATUS Archive (MESSAGES UIDNEXT)").await,
        ["* STATUS Archive (MESSAGES 100 UIDNEXT 101)"]
    );
    assert_eq!(client.ok("NOOP").await, [""; 0]);
    world.stop().await;
}

#[tokio::test]
async fn a_message_is_replaced_in_one_step() {
    let world = World::new().await;
    let mut client = world.signed_in().await;
    client.append("Drafts (\\Draft $Forwarded)", MAIL).await;
    client.ok("SELECT Drafts").await;
    let mut other = world.signed_in().await;
    other.ok("SELECT Drafts").await;
    let newer = MAIL.replace("text", "newer text");
    let command = format!("UID REPLACE 1 Drafts (\\Draft) {{{}+}}\r\n{newer}", newer.len());
    let responses = client.say(&command).await;
    assert!(responses[0].starts_with("* OK [APPENDUID "), "{responses:?}");
    assert_eq!(responses[1..3], ["* 1 EXPUNGE", "* 1 EXISTS"]);
    assert!(responses.last().unwrap().starts_with("OK Kept as "), "{responses:?}");
    assert!(other.ok("NOOP").await.contains(&"* 1 EXPUNGE".to_owned()));
    let fetched = client.ok("FETCH 1:* (UID BODY.PEEK[])").await;
    assert_eq!(fetched, [format!("* 1 FETCH (UID 2 BODY[] {{{}}}\r\n{newer})", newer.len())]);
    // Gone meanwhile, unknown to this session: nothing is kept.
    other.ok("STORE 1 +FLAGS.SILENT \\Deleted").await;
    other.ok("EXPUNGE").await;
    let command = format!("REPLACE 1 Drafts {{{}+}}\r\n{newer}", newer.len());
    assert!(client.no(&command).await.starts_with("[EXPUNGEISSUED] "));
    assert_eq!(client.ok("STATUS Drafts (MESSAGES)").await, ["* STATUS Drafts (MESSAGES 0)"]);
    world.stop().await;
}

/// RFC 3516 §4.4, RFC 6855 §4: octets that text has not are kept as they are.
#[tokio::test]
async fn binary_messages_are_kept_as_they_are() {
    let world = World::new().await;
    let mut client = world.signed_in().await;
    let mail = "Subject: b\u{f6}se\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b\rc\nd\0";
    client.ok(&format!("APPEND Drafts ~{{{}+}}\r\n{mail}", mail.len())).await;
    client.ok(&format!("APPEND Drafts UTF8 (~{{{}+}}\r\n{mail})", mail.len())).await;
    let id = world.store.mailbox(world.ann, "Drafts").unwrap().unwrap().id;
    let (_, rows) = world.store.snapshot(id).unwrap().unwrap();
    let mails: Vec<_> = rows.iter().map(|row| row.mail).collect();
    for facts in world.store.mail_facts(&mails).unwrap() {
        assert_eq!(world.store.body(&facts).unwrap(), mail.as_bytes());
    }
    assert_eq!(mails.len(), 2);
    world.stop().await;
}

/// What waits in memory for the end of its command is bounded: the rest goes to files, and all of it
/// is one commit all the same.
#[tokio::test]
async fn many_messages_of_one_append_do_not_all_wait_in_memory() {
    let world = World::new().await;
    let mut client = world.signed_in().await;
    let text = |number: usize| format!("Subject: {number}\r\n\r\n{}", "0123456789".repeat(25_000));
    let mut command = "APPEND Archive".to_owned();
    for number in 0..75 {
        let text = text(number);
        command.push_str(&format!(" {{{}+}}\r\n{text}", text.len()));
    }
    let appended = client.ok_text(&command).await;
    assert!(appended.contains(" 1:75] "), "{appended}");
    let id = world.store.mailbox(world.ann, "Archive").unwrap().unwrap().id;
    let (_, rows) = world.store.snapshot(id).unwrap().unwrap();
    let mails: Vec<_> = rows.iter().map(|row| row.mail).collect();
    for (number, facts) in world.store.mail_facts(&mails).unwrap().iter().enumerate() {
        assert_eq!(world.store.body(facts).unwrap(), text(number).as_bytes());
    }
    let files = world.body_files();
    assert!((1..20).contains(&files), "{files} files");
    world.stop().await;
}
