use mail_types::{Address, Domain, ReversePath, Timestamp, TlsFacts};
use message::{
    HeaderFacts, Limits, MailDate, ProtocolKind, Received, WithProtocol, delivered_to,
    missing_fields, return_path,
};

use crate::support::golden;

const AT: MailDate = MailDate { at: Timestamp(1_795_306_106_000), offset_minutes: 60 };

#[test]
fn received_fields() {
    let by = Domain::new("mx.example.org").unwrap();
    let name = Domain::new("client.example.net").unwrap();
    let recipient = Address::parse("ann@example.org").unwrap();
    let tls = TlsFacts {
        bindings: mail_types::ChannelBindings::default(),
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        server_name: None,
    };
    let with = WithProtocol { tls: true, authenticated: true, ..WithProtocol::default() };
    let mut received = Received {
        greeting: "client.example.net",
        ip: "192.0.2.1".parse().unwrap(),
        reverse_name: Some(&name),
        by: &by,
        with,
        tls: Some(&tls),
        id: "r2k-9f86d081",
        recipient: Some(&recipient),
        priority: mail_types::Priority::new(-3),
        at: AT,
    };
    assert_eq!(
        received.field(),
        "Received: from client.example.net (client.example.net [192.0.2.1])\r\n\tby \
         mx.example.org (Restante) with ESMTPSA\r\n\t(TLSv1.3 TLS_AES_256_GCM_SHA384) id \
         r2k-9f86d081\r\n\tfor <ann@example.org>\r\n\tPRIORITY -3;\r\n\tSun, 22 Nov 2026 01:08:26 +0100\r\n"
    );
    // A greeting that is no name cannot forge the field.
    received.greeting = "x\r\nX-Evil: (yes";
    received.id = "a b\r\n;c";
    received.ip = "2001:db8::1".parse().unwrap();
    received.reverse_name = None;
    received.recipient = None;
    received.priority = None;
    received.tls = None;
    received.with = WithProtocol { kind: ProtocolKind::Smtp, ..WithProtocol::default() };
    assert_eq!(
        received.field(),
        "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n\t(greeted as x??X-Evil: \
         yes)\r\n\tby mx.example.org (Restante) with SMTP id abc;\r\n\tSun, 22 Nov 2026 01:08:26 \
         +0100\r\n"
    );
}

#[test]
fn with_keywords() {
    let keyword =
        |kind, tls, authenticated, utf8| WithProtocol { kind, tls, authenticated, utf8 }.keyword();
    assert_eq!(keyword(ProtocolKind::Esmtp, false, false, false), "ESMTP");
    assert_eq!(keyword(ProtocolKind::Esmtp, true, false, false), "ESMTPS");
    assert_eq!(keyword(ProtocolKind::Esmtp, false, true, true), "UTF8SMTPA");
    assert_eq!(keyword(ProtocolKind::Lmtp, true, true, false), "LMTPSA");
    assert_eq!(keyword(ProtocolKind::Lmtp, false, false, true), "UTF8LMTP");
}

#[test]
fn paths() {
    let address = Address::parse("ann@example.org").unwrap();
    assert_eq!(return_path(&ReversePath::Null), "Return-Path: <>\r\n");
    let path = ReversePath::Address(address.clone());
    assert_eq!(return_path(&path), "Return-Path: <ann@example.org>\r\n");
    assert_eq!(delivered_to(&address), "Delivered-To: ann@example.org\r\n");
}

#[test]
fn facts_of_a_header() {
    let facts = HeaderFacts::read(&golden("plain"), &Limits::default());
    assert_eq!(facts.message_id.as_deref(), Some(&b"<1@example.org>"[..]));
    assert_eq!(facts.subject.as_deref(), Some("Grüße aus Köln"));
    assert_eq!(facts.date, Some(AT));
    assert_eq!(facts.received_count, 1);
    assert!(!facts.is_auto_submitted && !facts.is_bulk);
    assert_eq!(facts.from[0].address_text().unwrap(), "ann@example.org");
    let header = b"Received: a\r\nDelivered-To: x@y\r\nReceived: b\r\nDelivered-To: z@y\r\n\
        Auto-Submitted: auto-generated (cron)\r\nList-Id: <l>\r\nMessage-Id: junk <a@b> junk\r\n\r\n\
        Received: in the body\r\nDate: x\r\n";
    let facts = HeaderFacts::read(header, &Limits::default());
    assert_eq!(facts.received_count, 2);
    assert_eq!(facts.delivered_to, [(*b"x@y").into(), (*b"z@y").into()] as [message::Bytes; 2]);
    assert!(facts.is_auto_submitted && facts.is_bulk && !facts.has_date);
    assert_eq!(facts.message_id.as_deref(), Some(&b"<a@b>"[..]));
    let facts = HeaderFacts::read(b"Auto-Submitted: no\r\n", &Limits::default());
    assert!(!facts.is_auto_submitted);
}

#[test]
fn only_what_is_missing_is_added() {
    let added = |header: &[u8]| {
        let facts = HeaderFacts::read(header, &Limits::default());
        String::from_utf8(missing_fields(&facts, AT, "<new@example.org>")).unwrap()
    };
    let date = "Date: Sun, 22 Nov 2026 01:08:26 +0100\r\n";
    let id = "Message-ID: <new@example.org>\r\n";
    assert_eq!(added(b"Subject: x\r\n\r\n"), format!("{date}{id}"));
    assert_eq!(added(b"date: not understood\r\n\r\n"), id);
    assert_eq!(added(b"MESSAGE-ID: <a@b>\r\n\r\n"), date);
    assert_eq!(added(&golden("plain")), "");
}
