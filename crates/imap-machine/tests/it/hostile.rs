//! What a hostile or broken client sends costs little and holds nothing up.

use std::time::{Duration, Instant};

use imap_machine::{Limits, Pattern};
use mail_types::{Flags, Machine, Timestamp};

use crate::client::{Client, config};
use crate::service::Service;

/// Generous for a slow machine and an unoptimised build; what is exponential or quadratic in the
/// wrong thing takes far longer.
const PATIENCE: Duration = Duration::from_secs(20);

fn within_patience(what: &str, act: impl FnOnce()) {
    let begin = Instant::now();
    act();
    assert!(begin.elapsed() < PATIENCE, "{what} took {:?}", begin.elapsed());
}

fn full_mailbox(count: u32) -> Service {
    let mut service = Service::new();
    service.batch_max = 64;
    for number in 0..count {
        let flags = if number % 3 == 0 { "\\Seen" } else { "$Work \\Answered" };
        let flags = crate::service::flags(flags);
        service.deliver("INBOX", b"Subject: x\r\n\r\ntext\r\n", flags, Timestamp::default());
    }
    service.changed.clear();
    service
}

#[test]
fn wildcards_do_not_explode() {
    let stars = "*%".repeat(500);
    let pattern = Pattern::new(&format!("{stars}{}", "*a%".repeat(300))).unwrap();
    let name = "a".repeat(990);
    within_patience("LIST", || {
        for _ in 0..1000 {
            assert!(pattern.matches(&name));
            assert!(!pattern.matches(&"a/".repeat(20)));
        }
    });
    assert!(Pattern::new(&"*".repeat(1_000_000)).is_none());
}

#[test]
fn patterns_match_as_a_plain_reader_would() {
    /// Whether the rest of the pattern from each place matches the rest of the name from each.
    fn plain(pattern: &[u8], name: &[u8]) -> bool {
        let mut behind = vec![false; name.len() + 1];
        behind[name.len()] = true;
        for place in pattern.iter().rev() {
            let mut here = vec![false; name.len() + 1];
            for at in (0..=name.len()).rev() {
                here[at] = match (place, name.get(at)) {
                    (b'*' | b'%', None) => behind[at],
                    (b'*', Some(_)) => behind[at] || here[at + 1],
                    (b'%', Some(octet)) => behind[at] || *octet != b'/' && here[at + 1],
                    (octet, Some(other)) => octet == other && behind[at + 1],
                    (_, None) => false,
                };
            }
            behind = here;
        }
        behind[0]
    }
    let mut seed = 7_u64;
    let mut text = |alphabet: &[u8], count_max: u64| {
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            seed >> 33
        };
        let count = next() % count_max;
        (0..count)
            .map(|_| char::from(alphabet[next() as usize % alphabet.len()]))
            .collect::<String>()
    };
    let mut matched = 0;
    for round in 0..20_000 {
        // Every tenth reaches over several words of 64 places.
        let (places, octets) = if round % 10 == 0 { (400, 200) } else { (8, 10) };
        let wildcards: &[u8] = if round % 20 == 0 { b"a*a*a%" } else { b"ab/*%" };
        let (pattern, name) = (text(wildcards, places), text(b"aaaaaaaaaaaaab/", octets));
        let wanted = plain(pattern.as_bytes(), name.as_bytes());
        assert_eq!(Pattern::new(&pattern).unwrap().matches(&name), wanted, "{pattern} {name}");
        matched += u32::from(wanted);
    }
    assert!(matched > 500, "{matched}");
    // Across the 64-bit border.
    let long = format!("{}%b", "a".repeat(63));
    assert!(Pattern::new(&long).unwrap().matches(&format!("{}xyzb", "a".repeat(63))));
    assert!(!Pattern::new(&long).unwrap().matches(&format!("{}x/zb", "a".repeat(63))));
}

#[test]
fn ten_thousand_folders_are_listed() {
    let mut service = Service::new();
    for number in 0..10_000 {
        service.create(&format!("a/b{}/c{number}", number % 100), None);
    }
    let mut client = Client::signed_in(config(), &mut service);
    within_patience("LIST", || {
        let answer = client.say(&mut service, &format!("1 LIST \"\" \"{}\"", "*%".repeat(200)));
        assert_eq!(answer.lines().count(), 10_000 + 101 + 5 + 1);
    });
    assert!(client.output_max <= Limits::default().output_octets_max + 4096);
}

/// Names as long and deep as they may be, none of whose levels above exists, against as many
/// wildcards as a pattern may have.
#[test]
fn deep_names_that_nothing_is_above_are_listed() {
    let mut service = Service::new();
    for number in 0..1_000 {
        let levels: Vec<String> = (0..31).map(|level| format!("{level}a{number:0>26}")).collect();
        service.create(&format!("{}/x", levels.join("/")), None);
    }
    let mut client = Client::signed_in(config(), &mut service);
    within_patience("LIST", || {
        let pattern = "*%a".repeat(600);
        let answer = client.say(&mut service, &format!("1 LIST \"\" \"{pattern}*\""));
        assert_eq!(answer.lines().count(), 1);
        let select = "(SUBSCRIBED RECURSIVEMATCH)";
        let answer = client.say(&mut service, &format!("2 LIST {select} \"\" (\"*0\" \"*%*9\")"));
        assert_eq!(answer.lines().count(), 1 + 1_000 / 5 * 31);
    });
    assert!(client.output_max <= Limits::default().output_octets_max + 4096);
}

#[test]
fn searches_of_thousands_of_keys() {
    let mut service = full_mailbox(2000);
    let mut client = Client::signed_in(config(), &mut service);
    client.say(&mut service, "1 SELECT INBOX");
    within_patience("SEARCH", || {
        let answer = client.say(&mut service, &format!("2 SEARCH{}", " SEEN".repeat(10_000)));
        assert!(answer.starts_with("* SEARCH 1 4 7 "), "{answer:.80}");
    });
    within_patience("SEARCH OR", || {
        let chain = "OR DRAFT ".repeat(5_000);
        let answer = client.say(&mut service, &format!("3 SEARCH {chain}SEEN SEEN"));
        assert!(answer.starts_with("* SEARCH 1 4 7 "), "{answer:.80}");
    });
    let answer = client.say(&mut service, &format!("5 SEARCH {}SEEN", "NOT ".repeat(1000)));
    assert_eq!(answer, "5 BAD search keys nest too deep\r\n");
    let answer = client.say(&mut service, &format!("6 SEARCH {}SEEN", "(".repeat(50_000)));
    assert_eq!(answer, "6 BAD search keys nest too deep\r\n");
}

/// Every term is its own, and looks into messages.
#[test]
fn a_search_of_ten_thousand_texts() {
    let mut service = full_mailbox(20);
    let mut client = Client::signed_in(config(), &mut service);
    client.say(&mut service, "1 SELECT INBOX");
    within_patience("SEARCH texts", || {
        let chain: String = (0..10_000).map(|number| format!("OR SUBJECT s{number} ")).collect();
        let answer = client.say(&mut service, &format!("4 SEARCH {chain}SEEN"));
        assert_eq!(answer, "* SEARCH 1 4 7 10 13 16 19\r\n4 OK Done\r\n");
    });
}

#[test]
fn a_command_without_end_is_dropped_as_it_comes() {
    let mut service = Service::new();
    let mut client = Client::signed_in(config(), &mut service);
    client.feed(&mut service, b"1 LOGIN ");
    for _ in 0..1000 {
        client.feed(&mut service, &[b'x'; 8192]);
    }
    client.feed(&mut service, b"\r\n2 NOOP\r\n");
    let sent = String::from_utf8_lossy(&client.sent).into_owned();
    assert_eq!(sent, "1 BAD [TOOBIG] The command is too long\r\n2 OK Done\r\n");
}

#[test]
fn literals_that_are_too_large() {
    let mut service = Service::new();
    let mut client = Client::signed_in(config(), &mut service);
    let answer = client.say(&mut service, "1 SELECT {99999999}");
    assert_eq!(answer, "1 BAD [TOOBIG] The command is too long\r\n");
    // One that does not wait is read over; nothing in it is a command, nor behind it on its line.
    client.sent.clear();
    client.feed(&mut service, b"2 SELECT {1000000+}\r\n");
    for _ in 0..100_000 {
        client.feed(&mut service, b"X LOGOUT\r\n");
    }
    client.feed(&mut service, b" {12+}\r\nZ LOGOUT\r\n\r\n\r\n3 NOOP\r\n");
    let sent = String::from_utf8_lossy(&client.sent).into_owned();
    assert_eq!(sent, "2 BAD [TOOBIG] The command is too long\r\n3 OK Done\r\n");
}

#[test]
fn strangers_may_send_little() {
    let mut service = Service::new();
    let mut client = Client::new(config());
    for _ in 0..100_000 {
        client.feed(&mut service, b"1 NOOP\r\n");
        client.sent.drain(..client.sent.len().saturating_sub(200));
    }
    assert!(client.closed);
    assert!(String::from_utf8_lossy(&client.sent).contains("* BYE Too much input before sign-in"));

    let mut client = Client::new(config());
    let answer = client.say(&mut service, &format!("1 LOGIN a {}", "x".repeat(20_000)));
    assert!(answer.contains("1 BAD [TOOBIG]"), "{answer}");
}

#[test]
fn garbage_ends_the_session() {
    let mut service = Service::new();
    let mut client = Client::signed_in(config(), &mut service);
    for _ in 0..20 {
        client.feed(&mut service, b"x GARBAGE\r\n");
    }
    assert!(client.closed);
}

#[test]
fn large_answers_stay_small_in_memory() {
    let mut service = full_mailbox(10_000);
    let mut client = Client::signed_in(config(), &mut service);
    client.say(&mut service, "1 SELECT INBOX");
    let limits = Limits::default();
    let answer = client.say(&mut service, "2 FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)");
    assert_eq!(answer.lines().count(), 10_001);
    let answer = client.say(&mut service, "3 FETCH 1:* BODY.PEEK[]");
    assert_eq!(answer.lines().filter(|line| line.starts_with("* ")).count(), 10_000);
    assert!(answer.ends_with("3 OK Fetched\r\n"));
    let answer = client.say(&mut service, "4 STORE 1:* +FLAGS \\Flagged");
    assert_eq!(answer.lines().count(), 10_001);
    let answer = client.say(&mut service, "5 SEARCH ALL");
    assert_eq!(answer.split(' ').count(), 10_000 + 4);
    // All at once of one message, again and again.
    let sections: String =
        (0..200).map(|number| format!(" BODY.PEEK[]<0.{}>", 1_000_000 - number)).collect();
    let large = vec![b'x'; limits.fetch_octets_max as usize];
    service.deliver("INBOX", &large, Flags::default(), Timestamp::default());
    client.say(&mut service, "6 NOOP");
    client.say(&mut service, &format!("7 FETCH 10001 (UID{sections})"));
    assert!(client.sent.len() > 150_000_000, "{}", client.sent.len());
    let max = limits.output_octets_max + limits.fetch_octets_max as usize + 4096;
    assert!(client.output_max <= max, "{} > {max}", client.output_max);
}

#[test]
fn an_idle_session_is_small() {
    let mut service = full_mailbox(10);
    let mut client = Client::signed_in(config(), &mut service);
    client.say(&mut service, "1 SELECT INBOX");
    client.say(&mut service, &format!("2 FETCH 1 FLAGS{}", " ".repeat(100_000)));
    client.say(&mut service, "3 IDLE");
    client.run(&mut service);
    assert!(client.session.output().capacity() <= 4096);
}

#[test]
fn many_expunges_and_changes_come_in_rounds() {
    let mut service = full_mailbox(10_000);
    let mut client = Client::signed_in(config(), &mut service);
    client.say(&mut service, "1 SELECT INBOX");
    let answer = client.say(&mut service, "2 STORE 1:9999 +FLAGS.SILENT \\Deleted");
    assert_eq!(answer, "2 OK Stored\r\n");
    let answer = client.say(&mut service, "3 EXPUNGE");
    assert_eq!(answer.lines().filter(|line| *line == "* 1 EXPUNGE").count(), 9999);
    assert!(client.output_max <= Limits::default().output_octets_max + 128 * 1024);
    assert_eq!(client.session.view().unwrap().exists(), 1);
}
