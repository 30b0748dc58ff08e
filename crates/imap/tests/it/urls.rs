use mail_types::{AccountId, Address};
use store::{Actor, SessionActor, UrlKey, Via};

use crate::world::World;

const MAIL: &str = "Subject: original\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhello\r\n\
    --x\r\nContent-Type: application/octet-stream\r\n\r\nattached\r\n--x--\r\n";

/// RFC 4469 §1: a reply with the original's attachment, which is not sent again.
#[tokio::test]
async fn a_message_is_put_together_from_what_is_here() {
    let world = World::new().await;
    let mut client = world.signed_in().await;
    assert!(client.append("Archive", MAIL).await.starts_with("OK "));
    let head = "Subject: reply\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n";
    let command = format!(
        "APPEND Drafts (\\Draft) CATENATE (TEXT {{{}+}}\r\n{head} URL \"/Archive/;UID=1/;SECTION=2.MIME\" \
         URL \"imap://ann%40example.org@mail.example.org/Archive/;UID=1/;SECTION=2\" TEXT {{9+}}\r\n\r\n--x--\r\n)",
        head.len()
    );
    client.ok(&command).await;
    client.ok("SELECT Drafts").await;
    let whole =
        format!("{head}Content-Type: application/octet-stream\r\n\r\nattached\r\n--x--\r\n");
    let fetched = client.ok("FETCH 1 (FLAGS BODY.PEEK[] BODY.PEEK[1])").await;
    let body = format!("BODY[] {{{}}}\r\n{whole} BODY[1] {{8}}\r\nattached", whole.len());
    assert_eq!(fetched, [format!("* 1 FETCH (FLAGS (\\Draft) {body})")]);
    // By the selected mailbox; header fields chosen; a part of a part.
    client.ok("APPEND Drafts CATENATE (URL \";UID=1/;SECTION=HEADER.FIELDS%20(Subject)\" URL \";UID=1/;SECTION=1/;PARTIAL=2.3\")").await;
    let fetched = client.ok("FETCH 2 BODY.PEEK[]").await;
    assert_eq!(fetched, ["* 2 FETCH (BODY[] {21}\r\nSubject: reply\r\n\r\ntac)"]);
    for wrong in [
        "/Archive/;UID=2",
        "/Archive;UIDVALIDITY=1/;UID=1",
        "/Nowhere/;UID=1",
        "/Archive/;UID=1/;SECTION=3",
        "/Archive/;UID=1/;PARTIAL=9999",
        "imap://mail.example.com/Archive/;UID=1",
    ] {
        let refused = client.no(&format!("APPEND Drafts CATENATE (URL \"{wrong}\")")).await;
        assert!(refused.starts_with(&format!("[BADURL \"{wrong}\"] ")), "{refused}");
    }
    // What is too large together is refused, though no part is.
    let large = "x".repeat(33 << 20);
    assert!(client.append("Archive", &large).await.starts_with("OK "));
    let twice = "APPEND Drafts CATENATE (URL \"/Archive/;UID=2\" URL \"/Archive/;UID=2\")";
    assert!(client.no(twice).await.starts_with("[TOOBIG] "));
    assert!(client.no("APPEND Drafts CATENATE (TEXT {0+}\r\n)").await.starts_with("[CLIENTBUG] "));
    assert_eq!(client.ok("STATUS Drafts (MESSAGES)").await, ["* STATUS Drafts (MESSAGES 2)"]);
    world.stop().await;
}

/// RFC 4467: what one account gives away another fetches, as long as the key is the same.
#[tokio::test]
async fn an_authorized_url_leads_somebody_else_to_a_message() {
    let world = World::new().await;
    let credentials = sign_in::credentials(crate::world::PASSWORD, &[8; 16]).unwrap();
    let operator = Actor::Operator { name: "root".to_owned() };
    for name in ["bob@example.org", "submit@example.org"] {
        let address = Address::parse(name).unwrap();
        world.store.add_account(operator.clone(), address, credentials.clone()).await.unwrap();
    }
    let mut ann = world.signed_in().await;
    assert!(ann.append("Archive", MAIL).await.starts_with("OK "));
    let mut bob = world.client().await;
    bob.ok(&format!("LOGIN bob@example.org \"{}\"", crate::world::PASSWORD)).await;
    let base = "imap://ann%40example.org@imap.example.org/Archive/;UID=1/;SECTION=2";
    let mut urls = Vec::new();
    for rest in [
        ";URLAUTH=anonymous",
        ";EXPIRE=2100-01-01T00:00:00Z;URLAUTH=authuser",
        ";URLAUTH=user+bob%40example.org",
        ";URLAUTH=user+ann%40example.org",
        ";URLAUTH=submit+bob%40example.org",
        ";EXPIRE=2020-01-01T00:00:00+01:00;URLAUTH=authuser",
    ] {
        let response = ann.ok(&format!("GENURLAUTH \"{base}{rest}\" INTERNAL")).await;
        let url = response[0].strip_prefix("* GENURLAUTH \"").unwrap().trim_end_matches('"');
        assert!(url.starts_with(&format!("{base}{rest}:INTERNAL:01")), "{url}");
        urls.push(url.to_owned());
    }
    let attached = |url: &str| format!("* URLFETCH \"{url}\" {{8}}\r\nattached");
    let nothing = |url: &str| format!("* URLFETCH \"{url}\" NIL");
    for (index, url) in urls.iter().enumerate() {
        let wanted = if index < 3 { attached(url) } else { nothing(url) };
        assert_eq!(bob.ok(&format!("URLFETCH \"{url}\"")).await, [wanted], "{url}");
    }
    assert_eq!(ann.ok(&format!("URLFETCH \"{}\"", urls[3])).await, [attached(&urls[3])]);
    // RFC 4467 §3: the fifth is for submission servers, whose accounts the settings name.
    let mut submit = world.client().await;
    submit.ok(&format!("LOGIN submit@example.org \"{}\"", crate::world::PASSWORD)).await;
    assert_eq!(submit.ok(&format!("URLFETCH \"{}\"", urls[4])).await, [attached(&urls[4])]);
    assert_eq!(submit.ok(&format!("URLFETCH \"{}\"", urls[2])).await, [nothing(&urls[2])]);
    // Nothing in it may be changed.
    let other_part = urls[0].replace("SECTION=2", "SECTION=1");
    let other_access = urls[3].replace("user+ann", "user+bob");
    let other_token = format!("{}0", &urls[0][..urls[0].len() - 1]);
    let other_token =
        if other_token == urls[0] { other_token.replace("01", "02") } else { other_token };
    for url in [other_part, other_access, other_token] {
        assert_eq!(bob.ok(&format!("URLFETCH \"{url}\"")).await, [nothing(&url)], "{url}");
    }
    // A key is the account's and the mailbox's own, and of no use once it is taken back.
    ann.ok("RESETKEY INBOX").await;
    assert_eq!(bob.ok(&format!("URLFETCH \"{}\"", urls[0])).await, [attached(&urls[0])]);
    ann.ok("RESETKEY Archive INTERNAL").await;
    assert_eq!(bob.ok(&format!("URLFETCH \"{}\"", urls[0])).await, [nothing(&urls[0])]);
    let again = ann.ok(&format!("GENURLAUTH \"{base};URLAUTH=anonymous\" INTERNAL")).await;
    assert!(!again[0].contains(&urls[0]));
    ann.ok("RESETKEY").await;
    assert!(ann.no("RESETKEY Nowhere").await.starts_with("[NONEXISTENT] "));
    world.stop().await;
}

/// RFC 5524 §3.2: without the transfer encoding, and what it then is.
#[tokio::test]
async fn a_part_is_fetched_without_its_encoding() {
    let world = World::new().await;
    let mut client = world.signed_in().await;
    let mail = "Subject: parts\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\
        \r\nGr=C3=BC=C3=9Fe\r\nzwei\r\n\
        --x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAVAATkc=\r\n\
        --x\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: x-mine\r\n\r\nabc\r\n\
        --x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nside\r\n--x--\r\n";
    assert!(client.append("Archive", mail).await.starts_with("OK "));
    let base = "imap://ann%40example.org@imap.example.org/Archive/;UID=1";
    let utf8 = "\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\") NIL NIL";
    for (part, wanted, answer) in [
        (
            "/;SECTION=1",
            "BODYPARTSTRUCTURE BINARY",
            format!(
                "(BODYPARTSTRUCTURE ({utf8} \"8BIT\" 13 1 NIL NIL NIL NIL)) (BINARY {{13}}\r\nGrüße\r\nzwei)"
            ),
        ),
        (
            "/;SECTION=1",
            "BODY BODYPARTSTRUCTURE",
            format!(
                "(BODYPARTSTRUCTURE ({utf8} \"QUOTED-PRINTABLE\" 21 1 NIL NIL NIL NIL)) \
                 (BODY {{21}}\r\nGr=C3=BC=C3=9Fe\r\nzwei)"
            ),
        ),
        (
            "/;SECTION=2",
            "BINARY BODYPARTSTRUCTURE",
            "(BODYPARTSTRUCTURE (\"IMAGE\" \"PNG\" NIL NIL NIL \"BINARY\" 5 NIL NIL NIL NIL)) \
             (BINARY ~{5}\r\n\u{1}P\0NG)"
                .to_owned(),
        ),
        // A partial is one of what it is without the encoding (URL-PARTIAL of RFC 5550).
        ("/;SECTION=2/;PARTIAL=3.1", "BINARY", "(BINARY {1}\r\nN)".to_owned()),
        ("/;SECTION=3", "BINARY", "(BINARY NIL)".to_owned()),
        ("/;SECTION=4", "BINARY", "(BINARY {19}\r\nSubject: in\r\n\r\nside)".to_owned()),
        ("/;SECTION=2.MIME", "BINARY BODYPARTSTRUCTURE", {
            let mime = "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n";
            format!("(BINARY {{{}}}\r\n{mime})", mime.len())
        }),
        ("/;SECTION=TEXT", "BINARY", "(BINARY NIL)".to_owned()),
        ("/;SECTION=TEXT", "BODYPARTSTRUCTURE", "NIL".to_owned()),
        ("/;SECTION=9", "BINARY", "NIL".to_owned()),
        ("", "BINARY", format!("(BINARY {{{}}}\r\n{mail})", mail.len())),
    ] {
        let response =
            client.ok(&format!("GENURLAUTH \"{base}{part};URLAUTH=anonymous\" INTERNAL")).await;
        let url = response[0].strip_prefix("* GENURLAUTH \"").unwrap().trim_end_matches('"');
        let fetched = client.ok(&format!("URLFETCH (\"{url}\" {wanted})")).await;
        assert_eq!(fetched, [format!("* URLFETCH \"{url}\" {answer}")], "{part}");
    }
    world.stop().await;
}

/// A large part is sent in pieces, and whole.
#[tokio::test]
async fn a_large_message_is_fetched_by_its_url() {
    let world = World::new().await;
    let large = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(200_000));
    let mut client = world.signed_in().await;
    assert!(client.append("Archive", &large).await.starts_with("OK "));
    let url = "imap://ann@mail.example.org/Archive/;UID=1;URLAUTH=anonymous";
    let bad = client.say(&format!("GENURLAUTH \"{url}\" INTERNAL")).await;
    assert!(bad[0].starts_with("BAD "), "{bad:?}");
    let url = url.replace("ann@", "ann%40example.org@");
    let response = client.ok(&format!("GENURLAUTH \"{url}\" INTERNAL")).await;
    let url = response[0].strip_prefix("* GENURLAUTH \"").unwrap().trim_end_matches('"');
    let fetched = client.ok(&format!("URLFETCH \"{url}\"")).await;
    assert_eq!(fetched, [format!("* URLFETCH \"{url}\" {{{}}}\r\n{large}", large.len())]);
    world.stop().await;
}

/// Keys are kept, and go with their mailbox.
#[tokio::test]
async fn keys_are_records() {
    let world = World::new().await;
    let actor = SessionActor { account: world.ann, ip: None, via: Via::Imap, session: None };
    let (one, two) = (UrlKey::new([1; 32]), UrlKey::new([2; 32]));
    assert_eq!(world.store.url_key(actor, "Drafts", one.clone()).await.unwrap(), one);
    assert_eq!(world.store.url_key(actor, "Drafts", two.clone()).await.unwrap(), one);
    let drafts = world.store.mailbox(world.ann, "Drafts").unwrap().unwrap().id;
    assert_eq!(world.store.known_url_key(world.ann, drafts).unwrap(), Some(one.clone()));
    assert_eq!(world.store.known_url_key(AccountId(99), drafts).unwrap(), None);
    let token = one.token(b"rump");
    assert!(one.proves(b"rump", &token) && one.proves(b"rump", &token.to_uppercase()));
    assert!(!one.proves(b"rump!", &token) && !two.proves(b"rump", &token));
    assert!(!one.proves(b"rump", "") && !one.proves(b"rump", &token[2..]));
    world.store.delete_mailbox(actor, "Drafts").await.unwrap();
    assert_eq!(world.store.known_url_key(world.ann, drafts).unwrap(), None);
    world.stop().await;
}
