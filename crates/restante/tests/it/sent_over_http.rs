//! `POST /api/v1/send` with curl and Python: the message is delivered, a repeated request is not done
//! twice, and what is wrong is said.

use std::process::Command;

use serde_json::Value;

use crate::harness::{ALICE, BOB, CAROL, House, PASSWORD, tool};

/// The status and the document.
fn curl(house: &House, path: &str, more: &[&str]) -> (u16, Value) {
    let url = format!("https://{}/api/v1/{path}", house.address(443));
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-k", "-w", "\n%{http_code}", &url]).args(more);
    let said = tool(&mut curl);
    let (body, code) = said.rsplit_once('\n').unwrap();
    (code.parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| panic!("{said}")))
}

fn send(house: &House, document: &str, more: &[&str]) -> (u16, Value) {
    let user = format!("{ALICE}:{PASSWORD}");
    let own = ["-u", &user, "-H", "Content-Type: application/json", "-d", document];
    curl(house, "send", &[&own[..], more].concat())
}

fn letter(subject: &str) -> String {
    format!(
        r#"{{"from": "Alice <{ALICE}>", "to": [{{"name": "Böb", "email": "{BOB}"}}],
            "bcc": "{CAROL}", "subject": "{subject}", "text": "Grüße\\nFrom me", "html": "<p>x</p>",
            "headers": {{"X-Kind": "test"}},
            "attachments": [{{"filename": "ä.txt", "content": "aGVsbG8="}}]}}"#
    )
    .replace("\\\\", "\\")
}

#[test]
fn a_letter_is_delivered_with_all_its_parts() {
    let house = House::new();
    let (status, answer) = send(&house, &letter("Über HTTP"), &[]);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["recipients"][0]["state"], "delivered", "{answer}");
    assert_eq!(answer["recipients"].as_array().unwrap().len(), 2);
    let message = house.await_message(BOB, "X-Kind: test");
    assert!(!message.to_lowercase().contains("bcc:"), "{message}");
    assert!(message.contains("with HTTP"), "{message}");
    for wanted in ["multipart/mixed", "multipart/alternative", "filename*=utf-8''%C3%A4.txt"] {
        assert!(message.contains(wanted), "{wanted} in {message}");
    }
    house.await_message(CAROL, "X-Kind: test");
    let receipt = answer["receipt"].as_str().unwrap();
    // What he does with his copy is his own affair.
    let script = format!(
        "import imaplib\nc = imaplib.IMAP4('127.0.0.1', {})\nc.login('{BOB}', '{PASSWORD}')\n\
         c.create('Lawyer')\nc.select()\nc.uid('MOVE', '1', 'Lawyer')\nc.logout()",
        house.address(143).port()
    );
    tool(Command::new("python3").args(["-c", &script]));
    let user = format!("{ALICE}:{PASSWORD}");
    let (status, story) = curl(&house, &format!("messages/{receipt}"), &["-u", &user]);
    assert_eq!((status, &story["receipt"]), (200, &answer["receipt"]), "{story}");
    assert!(!story.to_string().contains("Lawyer"), "{story}");
    assert!(house.restante(&["trace", receipt]).contains("Lawyer"), "operators are told");
    let other = format!("{BOB}:{PASSWORD}");
    let (status, _) = curl(&house, &format!("messages/{receipt}"), &["-u", &other]);
    assert_eq!(status, 404, "others' messages are not told of");
}

#[test]
fn a_request_is_done_once() {
    let mut house = House::new();
    let key = ["-H", "Idempotency-Key: order-1"];
    let (_, first) = send(&house, &letter("once"), &key);
    let (status, second) = send(&house, &letter("once"), &key);
    assert_eq!((status, &second["receipt"]), (200, &first["receipt"]), "{second}");
    house.kill();
    house.start();
    let (_, third) = send(&house, &letter("once"), &key);
    assert_eq!(third["receipt"], first["receipt"], "a restart forgets nothing");
    let (status, other) = send(&house, &letter("another"), &key);
    assert_eq!(status, 422, "{other}");
    assert_eq!(house.mailbox(BOB, "INBOX").len(), 1);
    send(&house, &letter("once"), &["-H", "Idempotency-Key: order-2"]);
    assert_eq!(house.mailbox(BOB, "INBOX").len(), 2);
}

/// As with FUTURERELEASE and MT-PRIORITY on the submission port.
#[test]
fn a_letter_leaves_later_and_sooner_than_others() {
    let house = House::new();
    let with = |more: &str| letter("later").replacen('{', &format!("{{{more}, "), 1);
    for (wrong, why) in [
        (r#""hold_seconds": 0"#, "hold_seconds is 1 to"),
        (r#""priority": 10"#, "priority is -9 to 9"),
        (r#""release_at": "tomorrow""#, "not a time"),
        (r#""hold_seconds": 5, "release_at": "2027-01-31T08:00:00Z""#, "not both"),
    ] {
        let (status, answer) = send(&house, &with(wrong), &[]);
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(status == 400 && detail.contains(why), "{wrong}: {answer}");
    }
    let (status, answer) = send(&house, &with(r#""hold_seconds": 999999999"#), &[]);
    assert_eq!((status, &answer["enhanced_status"]), (422, &"5.5.4".into()), "{answer}");
    let (status, answer) = send(&house, &with(r#""hold_seconds": 4, "priority": 9"#), &[]);
    assert_eq!((status, &answer["recipients"][0]["state"]), (202, &"held".into()), "{answer}");
    let id = answer["receipt"].as_str().unwrap();
    assert!(house.mailbox(BOB, "INBOX").is_empty());
    let story = house.restante(&["trace", id]);
    // More than an account gets is lowered.
    for part in ["4 seconds after it came", "it has priority 4"] {
        assert!(story.contains(part), "{part} in {story}");
    }
    house.await_message(BOB, "X-Kind: test");
    // A message as it is has its envelope, and this, in the query.
    let user = format!("{ALICE}:{PASSWORD}");
    let raw = format!("From: <{ALICE}>\r\nSubject: raw\r\n\r\nraw\r\n");
    let more = ["-u", &user, "-H", "Content-Type: message/rfc822", "--data-binary", &raw];
    let path = format!("send?to={BOB}&release_at=2099-01-01T00:00:00Z");
    let (status, answer) = curl(&house, &path, &more);
    assert_eq!(status, 422, "{answer}");
    let path = format!("send?to={BOB}&hold_seconds=86400&priority=-3");
    let (status, answer) = curl(&house, &path, &more);
    assert_eq!((status, &answer["recipients"][0]["state"]), (202, &"held".into()), "{answer}");
    house.restante(&["queue", "release", answer["receipt"].as_str().unwrap()]);
    house.await_message(BOB, "Subject: raw");
}

#[test]
fn a_token_signs_in_until_it_is_taken_away() {
    let house = House::new();
    let made = house.restante_json(&["token", "add", ALICE, "--label", "shop"]);
    let bearer = format!("Authorization: Bearer {}", made["token"].as_str().unwrap());
    let raw = format!("From: {ALICE}\nTo: {BOB}\nSubject: raw\n\nraw body\n");
    let raw = ["-H", &bearer, "-H", "Content-Type: message/rfc822", "--data-binary", &raw];
    let (status, answer) = curl(&house, "send", &raw);
    assert_eq!(status, 200, "{answer}");
    house.await_message(BOB, "raw body");
    let broken = format!("From: {ALICE}\nTo: {BOB}\n\nhalf a\rline\n");
    let broken = ["-H", &bearer, "-H", "Content-Type: message/rfc822", "--data-binary", &broken];
    assert_eq!(curl(&house, "send", &broken).0, 422, "as over SMTP");
    assert!(house.restante(&["token", "list"]).contains("shop"));
    house.restante(&["token", "remove", "1"]);
    let (status, answer) = curl(&house, "send", &raw);
    assert_eq!((status, &answer["status"]), (401, &Value::from(401)), "{answer}");
}

/// A bare CR would leave as a line end, and what stands behind it as a field that nobody has looked
/// at.
#[test]
fn no_field_is_smuggled_past_the_checks() {
    let house = House::new();
    let user = format!("{ALICE}:{PASSWORD}");
    let path = house.path().join("smuggled.eml");
    let front = format!("To: {BOB}\r\nSubject: hi");
    for (message, status, wanted) in [
        (format!("{front}\rFrom: CEO <{BOB}>\r\n\r\nPay\r\n"), "5.6.0", "a bare CR"),
        (format!("{front}\r\nFrom: {ALICE}\r\n\r\nPay\r.\rMAIL"), "5.6.0", "a bare CR"),
        (format!("{front}\r\nFrom: {ALICE}\r\n\r\nPay\r"), "5.6.0", "a bare CR"),
        (format!("{front}\r\nFrom: {ALICE}\0\r\n\r\nPay\r\n"), "5.6.0", "a NUL"),
        (format!("{}From: {BOB}\r\n\r\n", "a:\r\n".repeat(10_001)), "5.6.0", "fields"),
        (format!("{front}\r\nFrom: <{BOB}> <{ALICE}>\r\n\r\nPay\r\n"), "5.7.1", BOB),
    ] {
        std::fs::write(&path, &message).unwrap();
        let data = format!("@{}", path.display());
        let raw = ["-u", &user, "-H", "Content-Type: message/rfc822", "--data-binary", &data];
        let to = format!("send?from={ALICE}&to={BOB}");
        let (code, answer) = curl(&house, &to, &raw);
        assert_eq!(code, 422, "{message:.80}: {answer}");
        assert_eq!(answer["enhanced_status"], status, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(wanted), "{answer}");
    }
    // Text has line ends, whatever they were.
    let text =
        format!(r#"{{"from": "{ALICE}", "to": "{BOB}", "text": "one\rtwo\r\nthree\nfour"}}"#);
    let (code, answer) = send(&house, &text, &[]);
    assert_eq!(code, 200, "{answer}");
    house.await_message(BOB, "one\r\ntwo\r\nthree\r\nfour\r\n");
    assert_eq!(house.mailbox(BOB, "INBOX").len(), 1);
}

#[test]
fn what_is_wrong_is_said() {
    let house = House::new();
    let wrong = [
        (401, format!(r#"{{"from": "{ALICE}", "to": "{BOB}"}}"#), "-uwrong:wrong"),
        (422, format!(r#"{{"from": "{BOB}", "to": "{BOB}"}}"#), ""),
        (422, format!(r#"{{"from": "{ALICE}", "to": "nobody@example.test"}}"#), ""),
        (400, format!(r#"{{"from": "{ALICE}", "to": []}}"#), ""),
        (400, format!(r#"{{"from": "{ALICE}", "to": "{BOB}", "sbuject": "x"}}"#), ""),
        (400, "no json".to_owned(), ""),
        (415, letter("x"), "-HContent-Type: text/plain"),
    ];
    for (wanted, document, more) in wrong {
        let user = format!("{ALICE}:{PASSWORD}");
        let mut args = vec!["-d", &document];
        args.extend((!more.starts_with("-u")).then_some(["-u", &user]).into_iter().flatten());
        if !more.contains("text/plain") {
            args.extend(["-H", "Content-Type: application/json"]);
        }
        args.extend(Some(more).filter(|more| !more.is_empty()));
        let (status, answer) = curl(&house, "send", &args);
        assert_eq!(status, wanted, "{document}: {answer}");
        assert!(answer["detail"].is_string(), "{answer}");
    }
    assert!(house.mailbox(BOB, "INBOX").is_empty());
    let (status, document) = curl(&house, "openapi.json", &[]);
    assert_eq!((status, &document["openapi"]), (200, &Value::from("3.1.0")));
}

#[test]
fn who_sends_too_much_waits_and_its_key_is_not_used_up() {
    let mut house = House::made("127.0.0.1:1");
    house.set("web", "sends_per_account = 3");
    house.start();
    let key = ["-H", "Idempotency-Key: order-9"];
    let taken = (0..10).take_while(|n| send(&house, &letter(&n.to_string()), &[]).0 == 200).count();
    assert!((3..10).contains(&taken), "{taken}");
    let (status, problem) = send(&house, &letter("third"), &key);
    assert_eq!((status, &problem["status"]), (429, &429.into()), "{problem}");
    assert_eq!(house.mailbox(BOB, "INBOX").len(), taken);
    // Twenty seconds later there is room for one; what came by then is not done again.
    let (_, answer) = crate::harness::until("room for one more", || {
        let (status, answer) = send(&house, &letter("third"), &key);
        (status == 200).then_some((status, answer))
    });
    let (status, again) = send(&house, &letter("third"), &key);
    assert_eq!((status, &again["receipt"]), (200, &answer["receipt"]), "{again}");
    assert_eq!(house.mailbox(BOB, "INBOX").len(), taken + 1);
}
