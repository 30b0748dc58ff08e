//! One connection that believes what it is told, and notices when that cannot be.

use std::net::SocketAddr;
use std::time::Duration;

use super::model::{Flags, Mailbox, Message, numbers};
use crate::imap::ImapError;
use crate::imap_wire::{Answer, ImapWire};

const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// Lines of a session's talk that are kept for the report.
const TALK_MAX: usize = 60;

/// What a session knows of a message. A UID of 0 is not known yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub uid: u32,
    pub flags: Option<Flags>,
    pub modseq: u64,
    pub token: String,
}

/// Whether EXPUNGE may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expunge {
    Allowed,
    /// RFC 9051 §7.5.1: not while answering FETCH, STORE or SEARCH.
    Forbidden,
}

/// What can be caught up from: RFC 7162 §3.2.5.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub validity: u32,
    pub modseq: u64,
    pub messages: Vec<Message>,
}

pub(super) struct Session {
    pub name: usize,
    pub wire: ImapWire,
    pub view: Vec<Known>,
    pub writes: bool,
    pub snapshot: Option<Snapshot>,
    /// The highest MODSEQ it was told.
    pub modseq: u64,
    pub validity: u32,
    talk: Vec<String>,
}

impl Session {
    pub(super) fn sign_in(
        name: usize,
        server: SocketAddr,
        account: &str,
        password: &str,
    ) -> Result<Self, ImapError> {
        let wire = ImapWire::sign_in(server, account, password, ANSWER_WAIT)?;
        Ok(Self {
            name,
            wire,
            view: Vec::new(),
            writes: false,
            snapshot: None,
            modseq: 0,
            validity: 0,
            talk: Vec::new(),
        })
    }

    /// SELECT or EXAMINE with these parameters, and UIDs and flags of all messages.
    pub(super) fn open(
        &mut self,
        command: &str,
        mailbox: &str,
        more: &str,
    ) -> Result<String, String> {
        self.view.clear();
        let answer = self.ok(&format!("{command} {mailbox}{more}"))?;
        self.writes = command == "SELECT";
        let number = |name: &str| {
            let rest = answer.text.split_once(name).map_or("", |(_, rest)| rest);
            rest.split(']').next().unwrap_or_default().trim().parse::<u64>().unwrap_or(0)
        };
        self.validity = number("[UIDVALIDITY") as u32;
        self.modseq = number("[HIGHESTMODSEQ");
        self.learn()?;
        Ok(answer.text)
    }

    /// A command that must be answered OK.
    pub(super) fn ok(&mut self, command: &str) -> Result<Answer, String> {
        let answer = self.ask(command, b"")?;
        if answer.status.starts_with("OK") {
            Ok(answer)
        } else {
            Err(self.fault(&format!("{command} is answered {}", answer.status)))
        }
    }

    /// A command, heard out.
    pub(super) fn ask(&mut self, command: &str, literal: &[u8]) -> Result<Answer, String> {
        let tag = self.send(command, literal)?;
        self.hear_out(&tag, command)
    }

    pub(super) fn send(&mut self, command: &str, literal: &[u8]) -> Result<String, String> {
        self.note(format!("C: {command}"));
        self.wire.send(command, literal).map_err(|error| self.fault(&error.to_string()))
    }

    pub(super) fn hear_out(&mut self, tag: &str, command: &str) -> Result<Answer, String> {
        let answer = self.wire.answer(tag).map_err(|error| self.fault(&error.to_string()))?;
        let forbidden = ["FETCH", "STORE", "SEARCH"].iter().any(|name| command.starts_with(name));
        let expunge = if forbidden { Expunge::Forbidden } else { Expunge::Allowed };
        for line in answer.text.lines() {
            self.note(format!("S: {line}"));
            self.hear(line, expunge).map_err(|why| self.fault(&why))?;
        }
        self.note(format!("S: {}", answer.status));
        Ok(answer)
    }

    /// Asks for what it does not know yet, until it knows everything.
    pub(super) fn learn(&mut self) -> Result<(), String> {
        while let Some(first) = self.view.iter().position(|known| known.uid == 0) {
            let command = format!("FETCH {}:* (UID FLAGS MODSEQ)", first + 1);
            self.ok(&command)?;
            if self.view.get(first).is_some_and(|known| known.uid == 0) {
                return Err(self.fault(&format!("no UID for {}", first + 1)));
            }
        }
        Ok(())
    }

    pub(super) fn uids(&self) -> Vec<u32> {
        self.view.iter().map(|known| known.uid).collect()
    }

    /// The place in its view of some message that it knows.
    pub(super) fn messages(&self) -> Vec<Message> {
        let all = self.view.iter().map(|known| Message {
            uid: known.uid,
            token: known.token.clone(),
            flags: known.flags.clone().unwrap_or_default(),
        });
        all.collect()
    }

    /// After NOOP it must know the truth: these messages, and their flags as they are.
    pub(super) fn knows(&mut self, mailbox: &Mailbox) -> Result<(), String> {
        if self.uids() != mailbox.uids() {
            let why = format!("it sees UIDs {:?}, there are {:?}", self.uids(), mailbox.uids());
            return Err(self.fault(&why));
        }
        for (known, message) in self.view.iter().zip(&mailbox.messages) {
            if known.flags.as_ref().is_some_and(|flags| *flags != message.flags) {
                let why = format!(
                    "it believes {:?} of UID {}, which has {:?}",
                    known.flags, message.uid, message.flags
                );
                return Err(self.fault(&why));
            }
        }
        Ok(())
    }

    fn hear(&mut self, line: &str, expunge: Expunge) -> Result<(), String> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["*", number, "EXISTS"] => {
                let number: usize = number.parse().map_err(|_| line.to_owned())?;
                if number < self.view.len() {
                    return Err(format!("EXISTS {number} after {}", self.view.len()));
                }
                self.view.resize(number, Known::default());
            }
            ["*", number, "EXPUNGE"] => {
                if expunge == Expunge::Forbidden {
                    return Err("EXPUNGE where it must not come".to_owned());
                }
                let place = number.parse::<usize>().unwrap_or(0).wrapping_sub(1);
                if place >= self.view.len() {
                    return Err(format!("EXPUNGE {number} of {}", self.view.len()));
                }
                self.view.remove(place);
            }
            ["*", "VANISHED", uids] => {
                if expunge == Expunge::Forbidden {
                    return Err("VANISHED where it must not come".to_owned());
                }
                numbers(uids).into_iter().try_for_each(|uid| self.vanished(uid))?;
            }
            ["*", number, "FETCH", ..] => {
                let place = number.parse::<usize>().unwrap_or(0).wrapping_sub(1);
                let count = self.view.len();
                let Some(known) = self.view.get_mut(place) else {
                    return Err(format!("FETCH of {number}, there are {count}"));
                };
                let modseq = heard(known, line)?;
                self.modseq = self.modseq.max(modseq);
            }
            _ => {}
        }
        Ok(())
    }

    /// Its place is known by its UID, or by its neighbours where EXISTS has announced it and nobody
    /// has asked for its UID yet.
    fn vanished(&mut self, uid: u32) -> Result<(), String> {
        let named = self.view.iter().position(|known| known.uid == uid);
        let place = named.or_else(|| {
            let behind = self.view.iter().position(|known| known.uid > uid);
            let until = behind.unwrap_or(self.view.len());
            let before = self.view[..until].iter().rposition(|known| (1..uid).contains(&known.uid));
            let place = before.map_or(0, |place| place + 1);
            (place < until).then_some(place)
        });
        let Some(place) = place else {
            return Err(format!("VANISHED {uid}, which was not there"));
        };
        self.view.remove(place);
        Ok(())
    }

    fn note(&mut self, line: String) {
        if self.talk.len() == TALK_MAX {
            self.talk.remove(0);
        }
        self.talk.push(line);
    }

    pub(super) fn fault(&self, why: &str) -> String {
        format!("session {}: {why}\n{}", self.name, self.talk.join("\n"))
    }
}

/// Takes over what a FETCH says of a message; its MODSEQ, or 0.
fn heard(known: &mut Known, line: &str) -> Result<u64, String> {
    let after = |name: &str| line.split_once(name).map(|(_, rest)| rest);
    if let Some(uid) = after("UID ") {
        let uid = uid.split([' ', ')']).next().and_then(|uid| uid.parse().ok()).unwrap_or(0);
        if known.uid != 0 && known.uid != uid {
            return Err(format!("UID {uid} where {} was", known.uid));
        }
        known.uid = uid;
    }
    if let Some((_, rest)) = after("ENVELOPE (").and_then(|rest| rest.split_once("\"token-")) {
        known.token = format!("token-{}", rest.split('"').next().unwrap_or_default());
    }
    let modseq = after("MODSEQ (").and_then(|rest| rest.split(')').next()?.parse().ok());
    let modseq: u64 = modseq.unwrap_or(0);
    if modseq != 0 && modseq < known.modseq {
        return Err(format!("MODSEQ {modseq} after {}", known.modseq));
    }
    if let Some((flags, _)) = after("FLAGS (").and_then(|rest| rest.split_once(')')) {
        let flags = flags.split(' ').filter(|flag| !flag.is_empty() && *flag != "\\Recent");
        let flags: Flags = flags.map(str::to_owned).collect();
        let changed = known.flags.as_ref().is_some_and(|before| *before != flags);
        if changed && modseq != 0 && modseq == known.modseq {
            return Err(format!("other flags with the same MODSEQ {modseq}: {line}"));
        }
        known.flags = Some(flags);
    } else if modseq > known.modseq {
        // After a silent STORE only this is told; what the flags are is asked next.
        known.flags = None;
    }
    known.modseq = known.modseq.max(modseq);
    Ok(modseq)
}
