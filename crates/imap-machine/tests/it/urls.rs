//! IMAP URLs (RFC 5092).

use imap_machine::grammar::{ImapUrl, MailboxName, UrlAccess};
use mail_types::Timestamp;
use message::SectionText;

fn url(text: &str) -> ImapUrl {
    ImapUrl::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn urls_of_the_rfcs() {
    // RFC 5092 §9 and RFC 4467 §6.
    let whole = url("imap://psicorp.example.org/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/;UID=20");
    assert_eq!(whole.mailbox.unwrap().as_str(), "~peter/日本語");
    let server = whole.server.unwrap();
    assert_eq!((server.user, server.port), (None, None));
    assert_eq!(server.host, "psicorp.example.org");
    let full = url("imap://minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;\
                    PARTIAL=0.1024");
    assert_eq!(full.uid_validity.unwrap().get(), 385_759_045);
    assert_eq!((full.uid.get(), full.partial), (20, Some((0, Some(1024)))));
    let text = "imap://joe@Example.COM:1143/INBOX/;uid=20/;section=1.2;expire=2006-12-19T16:39:57\
                -08:00;urlauth=submit+fred:internal:91354a473744909de610943775f92038";
    let auth = url(text).auth.unwrap();
    assert_eq!(auth.access, UrlAccess::Submit("fred".to_owned()));
    assert_eq!(auth.expire, Some(Timestamp::from_secs(1_166_575_197)));
    assert!(text[..auth.rump_octets].ends_with("submit+fred"));
    let verifier = auth.verifier.unwrap();
    assert_eq!(verifier.mechanism, "INTERNAL");
    assert_eq!(verifier.token, "91354a473744909de610943775f92038");
    let server = url(text).server.unwrap();
    assert_eq!(server.user.as_deref(), Some("joe"));
    assert_eq!((&*server.host, server.port), ("example.com", Some(1143)));
    assert_eq!(url(text).section.part, [1, 2]);
    assert_eq!(url("imap://h/m/;uid=1;urlauth=authuser").auth.unwrap().access, UrlAccess::AuthUser);
    let server = url("imap://;AUTH=*@[2001:db8::1]:143/m/;UID=1").server.unwrap();
    assert_eq!((server.user, &*server.host, server.port), (None, "[2001:db8::1]", Some(143)));
}

#[test]
fn relative_urls() {
    let of_selected = url(";UID=20/;SECTION=HEADER.FIELDS%20(To%20Cc)/;PARTIAL=5");
    assert_eq!((of_selected.server, of_selected.mailbox), (None, None));
    assert_eq!(of_selected.partial, Some((5, None)));
    assert!(
        matches!(of_selected.section.text, SectionText::HeaderFields(names) if names.len() == 2)
    );
    let absolute = url("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER");
    assert_eq!(absolute.mailbox.unwrap().as_str(), "Drafts");
    assert_eq!(absolute.section.text, SectionText::Header);
    assert_eq!(url("//h/inbox/;UID=1").mailbox.unwrap().as_str(), "INBOX");
}

/// RFC 3986 §5.2.4, the selected mailbox being a directory.
#[test]
fn paths_relative_to_a_mailbox() {
    let selected = MailboxName::new("Work/2026").unwrap();
    let named = |text: &str| {
        let url = ImapUrl::parse_in(text.as_bytes(), Some(&selected)).ok()?;
        Some(url.mailbox.map_or("the selected one".to_owned(), |name| name.as_str().to_owned()))
    };
    for (text, name) in [
        ("Caf%C3%A9/;UID=1", Some("Work/2026/Café")),
        ("a/b;UIDVALIDITY=7/;UID=1", None),
        ("a/b/;UID=1", Some("Work/2026/a/b")),
        ("./;UID=1", Some("Work/2026")),
        ("../;UID=1", Some("Work")),
        ("../2025/;UID=1/;SECTION=TEXT", Some("Work/2025")),
        ("../../../INBOX/;UID=1", Some("INBOX")),
        ("../../;UID=1", None),
        ("a;UID=1", None),
        (";UID=1", Some("the selected one")),
        ("/a/;UID=1", Some("a")),
    ] {
        assert_eq!(named(text).as_deref(), name, "{text}");
    }
    assert!(ImapUrl::parse(b"a/;UID=1").is_err());
}

#[test]
fn what_is_no_url_of_a_message() {
    for wrong in [
        "",
        "imap://",
        "imap://host",
        "imap://host/",
        "imap://host/INBOX",
        "imap://host/INBOX?SUBJECT%20x",
        "imap:///INBOX/;UID=1",
        "http://host/INBOX/;UID=1",
        "imap://host/INBOX/;UID=0",
        "imap://host/INBOX/;UID=4294967296",
        "imap://host/INBOX;UID=1",
        "imap://host:99999/INBOX/;UID=1",
        "/INBOX/;UID=1/",
        "/INBOX/;UID=1/;SECTION=",
        "/INBOX/;UID=1/;SECTION=1..2",
        "/INBOX/;UID=1/;SECTION=%",
        "/INBOX/;UID=1/;SECTION=%4",
        "/INBOX/;UID=1/;SECTION=%zz",
        "/IN%FFBOX/;UID=1",
        "/%00/;UID=1",
        "/a//b/;UID=1",
        "//;UID=1",
        "/;UID=1",
        "/INBOX/;UID=1;EXPIRE=2020-01-01T00:00:00Z",
        "/INBOX/;UID=1;EXPIRE=2020-13-01T00:00:00Z;URLAUTH=authuser",
        "/INBOX/;UID=1;EXPIRE=2020-02-30T00:00:00Z;URLAUTH=authuser",
        "/INBOX/;UID=1;URLAUTH=user+",
        "/INBOX/;UID=1;URLAUTH=everybody",
        "/INBOX/;UID=1;URLAUTH=authuser:INTERNAL:0123",
        "/INBOX/;UID=1;URLAUTH=authuser:INTERNAL:0123456789abcdef0123456789abcdef;x",
        "/INBOX/;UID=1 ",
        "/IN\rBOX/;UID=1",
    ] {
        assert!(ImapUrl::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
    assert!(ImapUrl::parse(format!("/{}/;UID=1", "a".repeat(20_000)).as_bytes()).is_err());
}

/// Any octets: no panic, and what is proved is the begin of the URL.
#[test]
fn no_url_makes_the_parser_panic() {
    let full = b"imap://joe@example.com/IN%20BOX;UIDVALIDITY=3/;uid=20/;section=1.2/;partial=1.2;\
                 expire=2006-12-19T16:39:57-08:00;urlauth=user+fred:internal:\
                 91354a473744909de610943775f92038";
    assert!(ImapUrl::parse(full).is_ok());
    let mut seed = 1_u64;
    for _ in 0..100_000 {
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            (seed >> 33) as usize
        };
        let mut mutant = full[next() % full.len()..].to_vec();
        for _ in 0..next() % 4 {
            let at = next() % mutant.len();
            mutant[at] = b"/;:@%=+.0aZ\0\xff["[next() % 14];
        }
        if let Ok(url) = ImapUrl::parse(&mutant)
            && let Some(auth) = url.auth
        {
            assert!(auth.rump_octets <= mutant.len());
        }
    }
}
