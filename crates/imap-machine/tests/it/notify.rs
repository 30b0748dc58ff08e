//! NOTIFY (RFC 5465) beside what its dialogs show.

use imap_machine::grammar::{Command, Notify};

use crate::client::{Client, config};
use crate::service::{Service, flags};

fn parse(text: &str) -> Result<Notify, ()> {
    match Command::parse(format!("a {text}\r\n").as_bytes()) {
        Ok((_, Command::Notify(notify))) => Ok(*notify),
        Ok(other) => panic!("{other:?}"),
        Err(_) => Err(()),
    }
}

#[test]
fn events_that_go_together_come_together() {
    for wrong in [
        "NOTIFY",
        "NOTIFY SET",
        "NOTIFY SET STATUS",
        "NOTIFY NONE (personal NONE)",
        "NOTIFY SET (personal (MessageNew))",
        "NOTIFY SET (personal (MessageExpunge))",
        "NOTIFY SET (personal (FlagChange))",
        "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
        "NOTIFY SET (selected (MailboxName))",
        "NOTIFY SET (selected NONE) (selected-delayed NONE)",
        "NOTIFY SET (mailboxes () NONE)",
        "NOTIFY SET (nowhere NONE)",
        "NOTIFY SET (personal NONE",
    ] {
        assert_eq!(parse(wrong), Err(()), "{wrong}");
    }
    assert_eq!(parse("notify none"), Ok(Notify::None));
    assert_eq!(parse("NOTIFY SET (personal (AnnotationChange))"), Ok(Notify::BadEvent));
    assert_eq!(parse("NOTIFY SET (inboxes (MailboxName x-other))"), Ok(Notify::BadEvent));
}

#[test]
fn ten_thousand_changed_mailboxes_are_told_in_pieces() {
    let mut service = Service::new();
    let mut client = Client::signed_in(config(), &mut service);
    client.say(&mut service, "a NOTIFY SET (personal (MailboxName MessageNew MessageExpunge))");
    for number in 0..10_000 {
        let name = format!("Box/{number}");
        service.create(&name, None);
    }
    client.sent.clear();
    client.output_max = 0;
    client.hear(&mut service);
    let told = String::from_utf8(client.sent.clone()).unwrap();
    assert_eq!(told.lines().filter(|line| line.starts_with("* LIST (")).count(), 10_001);
    assert_eq!(told.lines().filter(|line| line.starts_with("* STATUS ")).count(), 10_000);
    assert!(client.output_max <= 160 * 1024, "{}", client.output_max);
}

#[test]
fn a_message_of_its_own_is_not_fetched_for_it() {
    let mut service = Service::new();
    service.deliver("INBOX", b"Subject: 1\r\n\r\n", flags(""), Default::default());
    let mut client = Client::signed_in(config(), &mut service);
    client.say(&mut service, "a SELECT INBOX");
    client.say(&mut service, "b NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge))");
    let copied = client.say(&mut service, "c UID COPY 1 INBOX");
    assert!(copied.contains("* 2 EXISTS") && !copied.contains("FETCH"), "{copied}");
    service.deliver("INBOX", b"Subject: 2\r\n\r\n", flags(""), Default::default());
    client.sent.clear();
    client.hear(&mut service);
    let told = String::from_utf8(client.sent.clone()).unwrap();
    assert!(told.contains("* 3 FETCH (UID 3 FLAGS ("), "{told}");
}
