//! The dialogs of `tests/dialogs`: each is run line by line, and then with its input cut into
//! octets, at random, and not at all.
//!
//! `#` comment · `O:` options · `M:` UID and message (with escapes) · `C:` line from the client ·
//! `c:` octets from it (with escapes) · `S:` line from the server (with escapes) · `T:` TLS handshake ·
//! `R:` numbers of the messages whose removal was committed · `X:` the server closes.

use std::fs;
use std::path::Path;

use pop3_machine::{TlsOffer, TroubleCode};

use crate::service::{Maildrop, Run, RunState};

#[derive(Debug)]
enum Turn {
    Client(Vec<u8>),
    Server(String),
    Tls,
    Removed(Vec<usize>),
    Closed,
}

struct Dialog {
    name: String,
    tls: TlsOffer,
    without_tls: bool,
    maildrop: Maildrop,
    turns: Vec<Turn>,
}

fn unescape(text: &str) -> Vec<u8> {
    text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0").into_bytes()
}

fn parse(path: &Path) -> Dialog {
    let mut dialog = Dialog {
        name: path.file_name().unwrap().to_str().unwrap().to_owned(),
        tls: TlsOffer::Stls,
        without_tls: true,
        maildrop: Maildrop::default(),
        turns: Vec::new(),
    };
    for line in fs::read_to_string(path).unwrap().lines() {
        let (tag, rest) = line.split_at(line.len().min(2));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match tag {
            "" | "# " | "#" => {}
            "O:" => rest.split(' ').for_each(|option| set(&mut dialog, option)),
            "M:" => {
                let (uid, body) = rest.split_once(' ').unwrap();
                dialog.maildrop.messages.push((uid.parse().unwrap(), unescape(body)));
            }
            "C:" => dialog.turns.push(Turn::Client(format!("{rest}\r\n").into_bytes())),
            "c:" => dialog.turns.push(Turn::Client(unescape(rest))),
            "S:" => {
                dialog.turns.push(Turn::Server(String::from_utf8(unescape(rest)).unwrap() + "\r\n"))
            }
            "T:" => dialog.turns.push(Turn::Tls),
            "X:" => dialog.turns.push(Turn::Closed),
            "R:" => {
                let number = |number: &str| number.parse::<usize>().unwrap() - 1;
                dialog.turns.push(Turn::Removed(rest.split_whitespace().map(number).collect()));
            }
            other => panic!("{}: what is {other}?", dialog.name),
        }
    }
    dialog
}

fn set(dialog: &mut Dialog, option: &str) {
    match option {
        "tls=none" => dialog.tls = TlsOffer::None,
        "tls=implicit" => dialog.tls = TlsOffer::Implicit,
        "strict" => dialog.without_tls = false,
        "open=in-use" => dialog.maildrop.open_fails = Some(TroubleCode::InUse),
        "open=temporary" => dialog.maildrop.open_fails = Some(TroubleCode::Temporary),
        "open=delay" => dialog.maildrop.open_fails = Some(TroubleCode::LoginDelay),
        "tokens" => dialog.maildrop.tokens = true,
        "sign-in=down" => dialog.maildrop.sign_in_down = true,
        "remove=fails" => dialog.maildrop.remove_fails = true,
        "parts=1" => dialog.maildrop.part_octets = 1,
        other => {
            let octet = other.strip_prefix("read-fails-from=").expect("an option");
            dialog.maildrop.read_fails_from = Some(octet.parse().unwrap());
        }
    }
}

impl Dialog {
    fn run(&self) -> Run {
        Run::new(self.tls, self.without_tls, self.maildrop.clone())
    }

    fn end(&self, run: &Run, how: &str) {
        let closed = self.turns.iter().any(|turn| matches!(turn, Turn::Closed));
        assert_eq!(run.state == RunState::Closed, closed, "{}, {how}", self.name);
        let removed = self.turns.iter().find_map(|turn| match turn {
            Turn::Removed(numbers) => Some(numbers.clone()),
            _ => None,
        });
        assert_eq!(run.maildrop.removed, removed, "{}, {how}", self.name);
    }

    /// Each reply must come upon its line, not later.
    fn by_line(&self) {
        let mut run = self.run();
        let mut expected = String::new();
        for turn in &self.turns {
            match turn {
                Turn::Client(_) | Turn::Tls => {
                    assert_eq!(run.text(), expected, "{}", self.name);
                }
                Turn::Server(_) | Turn::Removed(_) | Turn::Closed => {}
            }
            match turn {
                Turn::Client(bytes) => run.feed(bytes),
                Turn::Server(line) => expected.push_str(line),
                Turn::Tls if self.tls == TlsOffer::Implicit => run.start_tls(),
                Turn::Tls => run.tls(),
                Turn::Removed(_) | Turn::Closed => {}
            }
        }
        assert_eq!(run.text(), expected, "{}", self.name);
        self.end(&run, "by line");
    }

    /// All input up to the next handshake in pieces of these sizes, over and over.
    fn in_pieces(&self, sizes: &[usize]) {
        let mut run = self.run();
        let mut sizes = sizes.iter().cycle();
        let mut waiting: Vec<u8> = Vec::new();
        let mut expected = String::new();
        let mut send = |waiting: &mut Vec<u8>, run: &mut Run| {
            while !waiting.is_empty() {
                let size = waiting.len().min(*sizes.next().unwrap());
                let piece: Vec<u8> = waiting.drain(..size).collect();
                run.feed(&piece);
            }
        };
        for turn in &self.turns {
            match turn {
                Turn::Client(bytes) => waiting.extend_from_slice(bytes),
                Turn::Server(line) => expected.push_str(line),
                Turn::Tls if self.tls == TlsOffer::Implicit => run.start_tls(),
                Turn::Tls => {
                    send(&mut waiting, &mut run);
                    run.tls();
                }
                Turn::Removed(_) | Turn::Closed => {}
            }
        }
        send(&mut waiting, &mut run);
        assert_eq!(run.text(), expected, "{}, pieces", self.name);
        self.end(&run, "in pieces");
    }
}

#[test]
fn dialogs_go_as_written_however_they_are_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogs");
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let dialog = parse(&file.unwrap().path());
        dialog.by_line();
        dialog.in_pieces(&[usize::MAX]);
        dialog.in_pieces(&[1]);
        // Sizes as from a generator, so that a failure comes again.
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..50 {
            let sizes: Vec<usize> = (0..17)
                .map(|_| {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    1 + usize::try_from(seed % 23).unwrap()
                })
                .collect();
            dialog.in_pieces(&sizes);
        }
        count += 1;
    }
    assert!(count >= 15, "only {count} dialogs were found");
}
