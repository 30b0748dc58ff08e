//! Replays `tests/dialogs/*.txt` against the real server, and sees that everything it announces is
//! in some dialog, here or in `imap-machine`.
//!
//! Lines: `C:` from the client, `S:` from the server (`<...>` stands for any text), `M:` a mailbox
//! and what it holds before, `R:` words for `restante`, `#` a comment.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use crate::harness::{ALICE, House, LIMIT, PASSWORD};

/// How a dialog shows a capability, where it does not name it: any of these in any of its lines.
const SHOWN_BY: &[(&str, &[&str])] = &[
    ("IMAP4rev1", &[" SELECT "]),
    ("LITERAL+", &["+}"]),
    ("LITERAL-", &["+}"]),
    ("SASL-IR", &["AUTHENTICATE PLAIN "]),
    ("AUTH=PLAIN", &["AUTHENTICATE PLAIN"]),
    ("AUTH=SCRAM-SHA-256", &["AUTHENTICATE SCRAM-SHA-256"]),
    ("AUTH=SCRAM-SHA-256-PLUS", &["AUTHENTICATE SCRAM-SHA-256-PLUS"]),
    ("AUTH=OAUTHBEARER", &["AUTHENTICATE OAUTHBEARER"]),
    ("COMPRESS=DEFLATE", &["COMPRESS DEFLATE"]),
    ("UIDPLUS", &["UID EXPUNGE "]),
    ("CHILDREN", &["\\HasChildren"]),
    ("SPECIAL-USE", &["\\Sent"]),
    ("CREATE-SPECIAL-USE", &["(USE ("]),
    ("CONDSTORE", &["UNCHANGEDSINCE"]),
    ("QRESYNC", &["(QRESYNC ("]),
    ("ESEARCH", &["SEARCH RETURN ("]),
    ("SEARCHRES", &["(SAVE"]),
    ("WITHIN", &["YOUNGER ", "OLDER "]),
    ("SORT=DISPLAY", &["DISPLAYFROM", "DISPLAYTO"]),
    ("ESORT", &["SORT RETURN ("]),
    ("THREAD=ORDEREDSUBJECT", &["THREAD ORDEREDSUBJECT"]),
    ("THREAD=REFERENCES", &["THREAD REFERENCES"]),
    ("CONTEXT=SEARCH", &["(UPDATE", "(CONTEXT"]),
    ("CONTEXT=SORT", &["SORT RETURN (ALL UPDATE", "SORT RETURN (UPDATE"]),
    ("MULTISEARCH", &["ESEARCH IN ("]),
    ("OBJECTID", &["EMAILID"]),
    ("LIST-EXTENDED", &["LIST (SUBSCRIBED", "RETURN (CHILDREN"]),
    ("LIST-STATUS", &["RETURN (STATUS ("]),
    ("LIST-MYRIGHTS", &["RETURN (MYRIGHTS"]),
    ("LIST-METADATA", &["RETURN (METADATA"]),
    ("STATUS=SIZE", &["SIZE"]),
    ("ACL", &["SETACL"]),
    ("RIGHTS=", &["LISTRIGHTS"]),
    ("MULTIAPPEND", &["APPEND"]),
    ("QUOTA", &["GETQUOTA"]),
    ("QUOTA=RES-STORAGE", &["(STORAGE"]),
    ("QUOTA=RES-MESSAGE", &["MESSAGE 1 10"]),
    ("QUOTA=RES-MAILBOX", &["MAILBOX 6 "]),
    ("QUOTASET", &["SETQUOTA"]),
    ("METADATA", &["SETMETADATA"]),
    ("METADATA-SERVER", &["GETMETADATA \"\""]),
    ("NOTIFY", &["NOTIFY SET"]),
    ("URLAUTH", &["GENURLAUTH"]),
    ("UIDONLY", &["ENABLE UIDONLY"]),
    ("URL-PARTIAL", &["/;PARTIAL="]),
    ("URLAUTH=BINARY", &["URLFETCH ("]),
    ("UTF8=ACCEPT", &["ENABLE UTF8=ACCEPT"]),
];

/// What a dialog cannot show, and the machine's test that does.
const SHOWN_IN: &[(&str, &str)] = &[("INPROGRESS", "fn progress_is_told_every_ten_seconds")];

#[test]
fn the_examples_of_the_rfcs() {
    let files = dialogs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogs"));
    assert!(!files.is_empty());
    for (path, text) in files {
        play(&path.display().to_string(), &text);
    }
}

#[test]
fn everything_announced_is_in_a_dialog() {
    let house = House::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let dialogs: Vec<String> = ["restante", "imap-machine"]
        .iter()
        .flat_map(|name| dialogs(&crates.join(name).join("tests/dialogs")))
        .map(|(_, text)| text.to_ascii_uppercase())
        .collect();
    let shown = |needle: &str| {
        let needle = needle.to_ascii_uppercase();
        let lines = dialogs.iter().flat_map(|text| text.lines());
        let mut spoken = lines.filter(|line| line.starts_with("C:") || line.starts_with("S:"));
        // A list of capabilities shows none of them.
        spoken.any(|line| line.contains(&needle) && !line.contains("CAPABILITY "))
    };
    let missing: Vec<String> = announced(&house)
        .into_iter()
        .filter(|name| !SHOWN_IN.iter().any(|(shown, _)| shown == name))
        .filter(|name| {
            let found = SHOWN_BY.iter().find(|(capability, _)| {
                name == capability || (capability.ends_with('=') && name.starts_with(capability))
            });
            let stem = name.split('=').next().unwrap();
            match found {
                Some((_, needles)) => !needles.iter().any(|needle| shown(needle)),
                None => !shown(name) && (stem != "APPENDLIMIT" || !shown(stem)),
            }
        })
        .collect();
    let tests = fs::read_dir(crates.join("imap-machine/tests/it")).unwrap();
    let tests: String =
        tests.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    for (capability, test) in SHOWN_IN {
        assert!(tests.contains(test), "{capability}: {test} is gone");
    }
    assert!(missing.is_empty(), "announced, and in no dialog of tests/dialogs: {missing:?}");
}

/// Before and after the sign-in.
fn announced(house: &House) -> BTreeSet<String> {
    let mut talk = Talk::with(house);
    let greeting = talk.line();
    let before = greeting.split_once("[CAPABILITY ").unwrap().1.split_once(']').unwrap().0;
    let mut all: BTreeSet<String> = before.split(' ').map(str::to_owned).collect();
    all.extend(house.wire(ALICE).capabilities.split_whitespace().skip(2).map(str::to_owned));
    all
}

fn dialogs(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut paths: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

/// One connection, line by line.
struct Talk {
    reader: BufReader<TcpStream>,
}

impl Talk {
    fn with(house: &House) -> Self {
        let stream = TcpStream::connect(house.address(143)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).unwrap();
        let line = String::from_utf8_lossy(&line);
        line.strip_suffix("\r\n").map_or_else(|| format!("(closed) {line}"), str::to_owned)
    }

    fn say(&mut self, line: &str) {
        self.reader.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }
}

fn play(name: &str, text: &str) {
    let house = House::new();
    for setting in text.lines().filter_map(|line| line.strip_prefix("M: ")) {
        set_up(&house, setting);
    }
    for words in text.lines().filter_map(|line| line.strip_prefix("R: ")) {
        let words = words.replace("{ALICE}", ALICE);
        house.restante(&words.split(' ').collect::<Vec<_>>());
    }
    let mut talk = Talk::with(&house);
    let mut heard = String::new();
    for line in text.lines() {
        let line = line.replace("{ALICE}", ALICE).replace("{PASSWORD}", PASSWORD);
        if let Some(said) = line.strip_prefix("C:") {
            talk.say(said.strip_prefix(' ').unwrap_or(said));
            heard.push_str(&format!("{line}\n"));
        } else if let Some(wanted) = line.strip_prefix("S:") {
            let wanted = wanted.strip_prefix(' ').unwrap_or(wanted);
            let got = talk.line();
            heard.push_str(&format!("S: {got}\n"));
            assert!(matches(wanted, &got), "{name}: wanted\nS: {wanted}\nafter\n{heard}");
        }
    }
}

/// Each `<...>` stands for any text.
fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("<...>");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    rest.ends_with(last)
}

/// `MAILBOX (FLAGS) COUNT`: so many small messages; `MAILBOX (FLAGS) rfc3501`: the message of
/// RFC 3501 §8; `MAILBOX`: it is made.
fn set_up(house: &House, setting: &str) {
    let mut wire = house.wire(ALICE);
    let Some((mailbox, rest)) = setting.split_once(" (") else {
        wire.command(&format!("CREATE {setting}"), drill::imap_wire::Keep::Nothing).unwrap();
        return;
    };
    let (flags, what) = rest.split_once(") ").unwrap();
    let message = |number: usize| match what {
        "rfc3501" => rfc3501(),
        _ => format!(
            "From: Fred <fred@example.org>\r\nSubject: {number}\r\n\
             Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\nHello {number}\r\n"
        ),
    };
    for number in 1..=what.parse().unwrap_or(1) {
        let text = message(number);
        let command = format!("APPEND {mailbox} ({flags}) \"17-Jul-1996 02:44:25 -0700\"");
        let tag = wire.send(&command, text.as_bytes()).unwrap();
        assert!(wire.answer(&tag).unwrap().status.starts_with("OK"));
    }
}

/// With a body as long as the example's BODY says: 3028 octets, 92 lines.
fn rfc3501() -> String {
    let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
        From: Terry Gray <gray@cac.washington.edu>\r\n\
        Subject: IMAP4rev1 WG mtg summary and minutes\r\n\
        To: imap@cac.washington.edu\r\n\
        cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
        Message-Id: <B27397-0100000@cac.washington.edu>\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n";
    format!("{header}{}{}\r\n", "x\r\n".repeat(91), "y".repeat(3028 - 91 * 3 - 2))
}
