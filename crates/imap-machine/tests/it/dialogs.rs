//! Replays `tests/dialogs/*.txt`. Lines: `C:` from the client, `S:` from the server (`<...>` stands
//! for any text), `E:` something that happens elsewhere, `M:` a mailbox's content before the
//! session, `#` a comment. Each dialog is played as it stands, byte by byte, in random pieces, and
//! (if nothing happens elsewhere) with all of the client's lines at once.

use std::fmt::Write as _;
use std::time::Duration;

use imap_machine::grammar::{MailboxName, StoreMode};
use imap_machine::{Config, Limits};
use mail_types::{Machine, Timestamp};

use crate::client::{Client, config};
use crate::service::{Service, flags};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Lines,
    Bytes,
    Random(u64),
    AtOnce,
}

#[test]
fn dialogs() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogs");
    let mut paths: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();

    let only = std::env::var("DIALOG").unwrap_or_default();
    for path in paths.into_iter().filter(|path| path.to_string_lossy().contains(&only)) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut paces = vec![Pace::Lines, Pace::Bytes, Pace::Random(1), Pace::Random(2)];
        if !text.lines().any(|line| line.starts_with("E:")) {
            paces.push(Pace::AtOnce);
        }
        for pace in paces {
            play(&name, &text, pace);
        }
    }
}

fn play(name: &str, text: &str, pace: Pace) {
    let mut service = Service::new();
    let mut config = config();
    for line in text.lines() {
        if let Some(setting) = line.strip_prefix("M: ") {
            set_up(&mut service, &mut config, setting);
        }
    }
    service.changed.clear();
    let mut client = Client::new(config);
    client.run(&mut service);
    if pace == Pace::AtOnce {
        let all: String = text
            .lines()
            .filter_map(|line| line.strip_prefix("C:"))
            .fold(String::new(), |all, line| all + line.strip_prefix(' ').unwrap_or(line) + "\r\n");
        client.feed(&mut service, all.as_bytes());
    }
    let mut transcript = String::new();
    let mut expected_all = String::new();
    let mut seed = match pace {
        Pace::Random(seed) => seed,
        Pace::Lines | Pace::Bytes | Pace::AtOnce => 0,
    };
    for line in text.lines() {
        let (kind, rest) = line.split_at(line.len().min(2));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match kind {
            "C:" => {
                if pace != Pace::AtOnce {
                    send(
                        &mut client,
                        &mut service,
                        format!("{rest}\r\n").as_bytes(),
                        pace,
                        &mut seed,
                    );
                }
                writeln!(transcript, "C: {rest}").unwrap();
                writeln!(expected_all, "C: {rest}").unwrap();
            }
            "E:" => {
                happen(&mut client, &mut service, rest);
                writeln!(transcript, "E: {rest}").unwrap();
                writeln!(expected_all, "E: {rest}").unwrap();
            }
            "S:" => {
                writeln!(expected_all, "S: {rest}").unwrap();
                let line = next_line(&mut client);
                let line = line.unwrap_or_else(|| "(nothing)".to_owned());
                let shown = if matches(rest, &line) { rest } else { &line };
                writeln!(transcript, "S: {shown}").unwrap();
            }
            _ => {}
        }
    }
    while let Some(line) = next_line(&mut client) {
        writeln!(transcript, "S: {line}").unwrap();
    }
    if transcript != expected_all {
        let differs = transcript.lines().zip(expected_all.lines()).position(|(a, b)| a != b);
        let at = differs.unwrap_or(0).saturating_sub(2);
        let part = |text: &str| text.lines().skip(at).take(12).collect::<Vec<_>>().join("\n");
        panic!("{name}: got\n{}\nwanted\n{}", part(&transcript), part(&expected_all));
    }
}

fn send(client: &mut Client, service: &mut Service, bytes: &[u8], pace: Pace, seed: &mut u64) {
    match pace {
        Pace::Lines | Pace::AtOnce => client.feed(service, bytes),
        Pace::Bytes => bytes.iter().for_each(|byte| client.feed(service, &[*byte])),
        Pace::Random(_) => {
            let mut rest = bytes;
            while !rest.is_empty() {
                *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
                let count = (1 + (*seed >> 40) as usize % 9).min(rest.len());
                client.feed(service, &rest[..count]);
                rest = &rest[count..];
            }
        }
    }
}

fn next_line(client: &mut Client) -> Option<String> {
    let end = client.sent.windows(2).position(|pair| pair == b"\r\n")?;
    let line = String::from_utf8_lossy(&client.sent[..end]).into_owned();
    client.sent.drain(..end + 2);
    Some(line)
}

fn matches(pattern: &str, line: &str) -> bool {
    match pattern.split_once("<...>") {
        None => pattern == line,
        Some((before, after)) => {
            line.len() >= before.len() + after.len()
                && line.starts_with(before)
                && line.ends_with(after)
        }
    }
}

/// `MAILBOX [FLAGS] SECONDS TEXT`, or a setting.
fn set_up(service: &mut Service, config: &mut Config, setting: &str) {
    let mut words = setting.splitn(2, ' ');
    match (words.next().unwrap(), words.next()) {
        ("create", Some(name)) => {
            service.create(name, None);
        }
        ("rights", Some(rest)) => {
            let (name, letters) = rest.split_once(' ').unwrap();
            service.mailbox(name).rights = mail_types::Rights::parse(letters).unwrap();
        }
        ("no-plain-sign-in", None) => config.plain_sign_in = false,
        ("pieces", Some(octets)) => {
            config.limits =
                Limits { fetch_octets_max: octets.parse().unwrap(), ..Limits::default() };
        }
        ("message-limit", Some(count)) => {
            config.limits.command_messages_max = Some(count.parse().unwrap());
        }
        ("save-limit", Some(count)) => {
            config.limits.saved_messages_max = Some(count.parse().unwrap());
        }
        ("fill", Some(count)) => {
            for number in 1..=count.parse().unwrap() {
                let text = format!("Subject: {number}\r\n\r\nx\r\n");
                let date = Timestamp::from_secs(1_000_000_000 + number);
                service.deliver("INBOX", text.as_bytes(), flags(""), date);
            }
        }
        ("rfc3501", None) => rfc3501(service),
        (name, Some(rest)) => {
            let (list, rest) = rest.strip_prefix('(').unwrap().split_once(") ").unwrap();
            let (secs, text) = rest.split_once(' ').unwrap();
            let text = text.replace("\\r\\n", "\r\n");
            let date = Timestamp::from_secs(secs.parse().unwrap());
            service.deliver(name, text.as_bytes(), flags(list), date);
        }
        (other, None) => panic!("unknown setting {other}"),
    }
}

/// The mailbox of RFC 3501 §8.
fn rfc3501(service: &mut Service) {
    let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
        From: Terry Gray <gray@cac.washington.edu>\r\n\
        Subject: IMAP4rev1 WG mtg summary and minutes\r\n\
        To: imap@cac.washington.edu\r\n\
        cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
        Message-Id: <B27397-0100000@cac.washington.edu>\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n";
    let body = format!("{}{}\r\n", "x\r\n".repeat(91), "y".repeat(3028 - 91 * 3 - 2));
    for number in 1..=18 {
        let text = if number == 12 {
            format!("{header}{body}")
        } else {
            format!("Subject: {number}\r\n\r\n")
        };
        let list = if number < 17 { "\\Seen" } else { "" };
        let date = Timestamp::from_secs(837_596_665);
        service.deliver("INBOX", text.as_bytes(), flags(list), date);
    }
    let inbox = service.mailbox("INBOX");
    inbox.recent_from = 17;
    inbox.uid_validity = 3_857_529_045;
}

fn happen(client: &mut Client, service: &mut Service, what: &str) {
    let words: Vec<&str> = what.split(' ').collect();
    match &*words {
        ["deliver", name] => {
            service.deliver(name, b"Subject: new\r\n\r\nnew\r\n", flags(""), Timestamp::default());
        }
        ["flag", name, uid, flag] => {
            service.store(name, uid.parse().unwrap(), StoreMode::Add, &flags(flag));
        }
        ["expunge", name, uid] => service.expunge(name, uid.parse().unwrap()),
        ["remove", name] => {
            let mailbox = service.mailbox(name);
            mailbox.exists = false;
            let id = mailbox.id;
            service.changed.push(id);
        }
        ["refuse", code, ..] => {
            let code = match *code {
                "NOPERM" => imap_machine::Code::NoPerm,
                "OVERQUOTA" => imap_machine::Code::OverQuota,
                "UNAVAILABLE" => imap_machine::Code::Unavailable,
                other => panic!("unknown code {other}"),
            };
            service.refuse_next = Some(imap_machine::Refusal::new(code, "Refused"));
        }
        ["unavailable"] => service.unavailable = true,
        ["overflow"] => service.overflow = true,
        ["create", name] => service.create(name, None).subscribed = false,
        ["rename", from, to] => service.mailbox(from).name = MailboxName::new(to).unwrap(),
        ["unsubscribe", name] => service.mailbox(name).subscribed = false,
        ["subscribe", name] => service.mailbox(name).subscribed = true,
        ["rights", name, letters] => {
            service.mailbox(name).rights = mail_types::Rights::parse(letters).unwrap();
        }
        ["annotate", entry] => service.metadata_news.push((None, (*entry).to_owned())),
        ["annotate", name, entry] => {
            let name = Some(MailboxName::new(name).unwrap());
            service.metadata_news.push((name, (*entry).to_owned()));
        }
        ["wait", secs] => {
            client.now = client.now.after(Duration::from_secs(secs.parse().unwrap()));
            if client.session.deadline().is_some_and(|deadline| deadline <= client.now) {
                client.session.deadline_passed(client.now);
            }
        }
        ["shutdown"] => client.session.shut_down(client.now),
        ["closed"] => assert!(client.closed, "the session should have been closed"),
        ["open"] => assert!(!client.closed, "the session should be open"),
        ["peer-closes"] => client.session.peer_closed(client.now),
        other => panic!("unknown event {other:?}"),
    }
    if !client.closed {
        client.hear(service);
    }
}
