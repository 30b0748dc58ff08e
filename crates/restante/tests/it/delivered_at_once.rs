//! After the 250 the message is in the mailbox: no program has to wait for it.

use lettre::Transport as _;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;

use crate::harness::{ALICE, BOB, CAROL, House, PASSWORD, message};

#[test]
fn imaplib_and_poplib_see_what_smtplib_sent() {
    House::new().python("delivered_at_once.py");
}

#[tokio::test(flavor = "multi_thread")]
async fn lettre_sends_and_async_imap_reads() {
    let house = House::new();
    let mail = lettre::Message::builder()
        .from(ALICE.parse().unwrap())
        .to(BOB.parse().unwrap())
        .subject("From lettre, with ümlaut")
        .header(ContentType::TEXT_PLAIN)
        .body("naïve café\r\n".to_owned())
        .unwrap();
    let port = house.address(587).port();
    tokio::task::spawn_blocking(move || {
        let mailer = lettre::SmtpTransport::builder_dangerous("127.0.0.1")
            .port(port)
            .credentials(Credentials::new(ALICE.to_owned(), PASSWORD.to_owned()))
            .build();
        mailer.send(&mail).unwrap();
    })
    .await
    .unwrap();
    let stream = tokio::net::TcpStream::connect(house.address(143)).await.unwrap();
    let mut client = async_imap::Client::new(stream);
    client.read_response().await.unwrap();
    let mut session = client.login(BOB, PASSWORD).await.map_err(|(error, _)| error).unwrap();
    let mailbox = session.select("INBOX").await.unwrap();
    assert_eq!(mailbox.exists, 1);
    let found = session.uid_search("SUBJECT lettre").await.unwrap();
    assert_eq!(found.len(), 1);
    session.logout().await.unwrap();
    tokio::task::block_in_place(|| drop(house));
}

#[test]
fn every_recipient_of_one_message_has_it() {
    let house = House::new();
    house.deliver(&[ALICE, BOB, CAROL], &message("For all", "all-1"));
    for account in [ALICE, BOB, CAROL] {
        let messages = house.mailbox(account, "INBOX");
        assert_eq!(messages.len(), 1, "{account}");
        let text = &messages[0];
        assert!(text.contains("Return-Path: <stranger@outside.test>"), "{text}");
        assert!(text.contains("Received: from outside.test"), "{text}");
        assert!(text.contains("\r\n.a line that begins with a dot\r\n"), "{text}");
        assert!(!text.contains(if account == ALICE { BOB } else { ALICE }), "Bcc leaks: {text}");
    }
}
