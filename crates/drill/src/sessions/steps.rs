//! The single commands, each with what must be so afterwards.

use super::Drill;
use super::model::{Change, Flags, Mailbox, Mode, numbers, set};
use super::view::Snapshot;

const FLAGS: [&str; 5] = ["\\Seen", "\\Flagged", "\\Answered", "$Label", "custom"];
/// Above so many messages half of them go.
const MESSAGES_MANY: usize = 40;
/// Messages that one command names at most.
const NAMED_MOST: u64 = 5;

impl Drill {
    pub(super) fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        let who = self.random.below(self.sessions.len() as u64) as usize;
        match self.random.below(100) {
            0..18 => self.append(who),
            18..40 => self.store(who, None),
            40..48 => self.expunge(who),
            48..54 => self.transfer(who, "COPY"),
            54..60 => self.transfer(who, "MOVE"),
            60..76 => self.noop(who),
            76..82 => self.idle(who),
            82..86 => self.search(who),
            86..90 => self.fetch(who),
            90..93 => self.rename(who),
            93..95 => self.reopen(who),
            95..97 => self.remake_other(who),
            _ => self.storm(),
        }?;
        for session in &mut self.sessions {
            session.learn()?;
            self.truth.modseq = self.truth.modseq.max(session.modseq);
        }
        Ok(())
    }

    /// What a new message is called, and its bytes.
    pub(super) fn new_message(&mut self) -> (String, Vec<u8>) {
        self.next_token += 1;
        let token = format!("token-{}", self.next_token);
        let text = format!(
            "From: <a@load.invalid>\r\nSubject: {token}\r\nMessage-ID: <{token}@load.invalid>\r\n\r\n\
             {}",
            "A line of it.\r\n".repeat(self.random.below(100) as usize)
        );
        (token, text.into_bytes())
    }

    fn some_flags(&mut self) -> Flags {
        let bits = self.random.below(1 << FLAGS.len());
        let chosen = FLAGS.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
        chosen.map(|(_, flag)| (*flag).to_owned()).collect()
    }

    /// Places (from 0) of some messages that the session sees, in ascending order.
    fn some_messages(&mut self, who: usize) -> Vec<usize> {
        let count = self.sessions[who].view.len() as u64;
        let wanted = 1 + self.random.below(NAMED_MOST);
        let mut places: Vec<usize> =
            (0..wanted.min(count)).map(|_| self.random.below(count) as usize).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// `… SET …`, named by sequence numbers or by UIDs, and the UIDs.
    fn named(
        &mut self,
        who: usize,
        command: &str,
        rest: &str,
    ) -> Result<Option<(String, Vec<u32>)>, String> {
        self.sessions[who].learn()?;
        let places = self.some_messages(who);
        if places.is_empty() {
            return Ok(None);
        }
        let uids: Vec<u32> =
            places.iter().map(|place| self.sessions[who].view[*place].uid).collect();
        let line = if self.random.below(2) == 0 {
            let numbers: Vec<u32> = places.iter().map(|place| *place as u32 + 1).collect();
            format!("{command} {} {rest}", set(&numbers))
        } else {
            format!("UID {command} {} {rest}", set(&uids))
        };
        Ok(Some((line.trim_end().to_owned(), uids)))
    }

    pub(super) fn append(&mut self, who: usize) -> Result<(), String> {
        if self.truth.work.messages.len() > MESSAGES_MANY {
            self.thin_out(who)?;
        }
        let (token, text) = self.new_message();
        let flags = self.some_flags();
        let words: Vec<&str> = flags.iter().map(String::as_str).collect();
        let command = format!("APPEND {} ({})", self.truth.work.name, words.join(" "));
        let session = &mut self.sessions[who];
        let answer = session.ask(&command, &text)?;
        let code = code(&answer.status, "APPENDUID");
        let [validity, uid] = code.as_slice() else {
            return Err(session.fault("APPEND without APPENDUID"));
        };
        if *validity != self.truth.work.validity.to_string() {
            return Err(session.fault(&format!("UIDVALIDITY was {}", self.truth.work.validity)));
        }
        let uid = uid.parse().unwrap_or(0);
        self.truth.work.add(uid, &token, flags).map_err(|why| session.fault(&why))?;
        self.truth.is_durable();
        Ok(())
    }

    fn thin_out(&mut self, who: usize) -> Result<(), String> {
        if !self.sessions[who].writes {
            return Ok(());
        }
        let uids: Vec<u32> = self.truth.work.uids().into_iter().step_by(2).collect();
        let session = &mut self.sessions[who];
        // What the session has not been told of, it cannot change.
        session.ok("NOOP")?;
        session.learn()?;
        session.ok(&format!("UID STORE {} +FLAGS (\\Deleted)", set(&uids)))?;
        let flags = Flags::from(["\\Deleted".to_owned()]);
        self.truth.store(Change { uids: uids.clone(), mode: Mode::Add, flags });
        self.expunged(who, &format!("UID EXPUNGE {}", set(&uids)), &uids)
    }

    fn store(&mut self, who: usize, flags: Option<&str>) -> Result<(), String> {
        let (mode, sign) = match (flags, self.random.below(3)) {
            (Some(_), _) | (None, 0) => (Mode::Add, "+"),
            (None, 1) => (Mode::Remove, "-"),
            (None, _) => (Mode::Replace, ""),
        };
        let flags = flags.map_or_else(|| self.some_flags(), |flag| Flags::from([flag.to_owned()]));
        let silent = self.random.below(3) == 0;
        let words: Vec<&str> = flags.iter().map(String::as_str).collect();
        let name = if silent { ".SILENT" } else { "" };
        let rest = format!("{sign}FLAGS{name} ({})", words.join(" "));
        let Some((command, uids)) = self.named(who, "STORE", &rest)? else { return Ok(()) };
        let before = self.truth.work.clone();
        let told = self.truth.modseq;
        let session = &mut self.sessions[who];
        let answer = session.ask(&command, b"")?;
        if !session.writes {
            return match answer.status.starts_with("OK") {
                true => Err(session.fault("STORE in EXAMINE")),
                false => Ok(()),
            };
        }
        if !answer.status.starts_with("OK") {
            // RFC 2180 §4.2: NO is right where one of them is expunged; the others have changed.
            if uids.iter().all(|uid| before.get(*uid).is_some()) {
                return Err(session.fault("STORE refused"));
            }
        }
        self.truth.store(Change { uids: uids.clone(), mode, flags });
        if silent {
            // RFC 9051 §6.4.6: it may not have been told what others did to them.
            session.ok(&format!("UID FETCH {} (UID FLAGS MODSEQ)", set(&uids)))?;
        }
        for known in session.view.iter().filter(|known| uids.contains(&known.uid)) {
            let (was, is) = (before.get(known.uid), self.truth.work.get(known.uid));
            if was.map(|was| &was.flags) != is.map(|is| &is.flags) && known.modseq <= told {
                let why = format!("UID {} has MODSEQ {}, told {told}", known.uid, known.modseq);
                return Err(session.fault(&why));
            }
        }
        Ok(())
    }

    fn expunge(&mut self, who: usize) -> Result<(), String> {
        if !self.sessions[who].writes {
            return Ok(());
        }
        self.store(who, Some("\\Deleted"))?;
        if self.random.below(2) == 0 {
            let all = self.truth.work.uids();
            return self.expunged(who, "EXPUNGE", &all);
        }
        match self.named(who, "EXPUNGE", "")? {
            Some((_, uids)) => self.expunged(who, &format!("UID EXPUNGE {}", set(&uids)), &uids),
            None => Ok(()),
        }
    }

    /// Of these UIDs those that are `\Deleted` go, and the session that did it sees that at once.
    fn expunged(&mut self, who: usize, command: &str, uids: &[u32]) -> Result<(), String> {
        self.sessions[who].ok(command)?;
        let gone: Vec<u32> = self
            .truth
            .work
            .messages
            .iter()
            .filter(|each| uids.contains(&each.uid) && each.flags.contains("\\Deleted"))
            .map(|each| each.uid)
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.truth.work.messages.retain(|message| !gone.contains(&message.uid));
        self.truth.is_durable();
        let session = &self.sessions[who];
        match session.view.iter().find(|known| gone.contains(&known.uid)) {
            Some(known) => Err(session.fault(&format!("UID {} is still there", known.uid))),
            None => Ok(()),
        }
    }

    fn transfer(&mut self, who: usize, how: &str) -> Result<(), String> {
        let moves = how == "MOVE";
        if moves && !self.sessions[who].writes {
            return Ok(());
        }
        let other = self.truth.other.name.clone();
        let Some((command, uids)) = self.named(who, how, &other)? else { return Ok(()) };
        let session = &mut self.sessions[who];
        let answer = session.ask(&command, b"")?;
        let there: Vec<u32> =
            uids.iter().copied().filter(|uid| self.truth.work.get(*uid).is_some()).collect();
        if !answer.status.starts_with("OK") {
            let refused = there.len() == uids.len();
            return if refused { Err(session.fault("refused")) } else { Ok(()) };
        }
        let all = format!("{}\n{}", answer.status, answer.text);
        let code = code(&all, "COPYUID");
        let [validity, from, to] = code.as_slice() else {
            let silent = there.is_empty();
            return if silent { Ok(()) } else { Err(session.fault("no COPYUID")) };
        };
        let (from, to) = (numbers(from), numbers(to));
        if *validity != self.truth.other.validity.to_string()
            || from != there
            || to.len() != from.len()
        {
            let validity = self.truth.other.validity;
            return Err(session.fault(&format!("COPYUID: {there:?} were there, {validity}")));
        }
        for (from, to) in from.iter().zip(to) {
            let Some(message) = self.truth.work.get(*from).cloned() else { continue };
            let added = self.truth.other.add(to, &message.token, message.flags);
            added.map_err(|why| session.fault(&why))?;
        }
        if moves {
            self.truth.work.messages.retain(|message| !from.contains(&message.uid));
            if let Some(known) = session.view.iter().find(|known| from.contains(&known.uid)) {
                return Err(session.fault(&format!("UID {} was moved", known.uid)));
            }
        }
        self.truth.is_durable();
        Ok(())
    }

    pub(super) fn noop(&mut self, who: usize) -> Result<(), String> {
        let session = &mut self.sessions[who];
        session.ok("NOOP")?;
        session.learn()?;
        session.knows(&self.truth.work)?;
        let status = session.ok(&format!("STATUS {} (HIGHESTMODSEQ)", self.truth.work.name))?;
        let modseq = status
            .text
            .split_once("HIGHESTMODSEQ ")
            .and_then(|(_, rest)| rest.split([' ', ')']).next()?.parse::<u64>().ok());
        let modseq = modseq.unwrap_or(0);
        if modseq < session.modseq {
            return Err(session.fault(&format!("HIGHESTMODSEQ below {}", session.modseq)));
        }
        session.snapshot =
            Some(Snapshot { validity: session.validity, modseq, messages: session.messages() });
        Ok(())
    }

    /// What others do while it waits reaches it.
    fn idle(&mut self, who: usize) -> Result<(), String> {
        let session = &mut self.sessions[who];
        let tag = session.send("IDLE", b"")?;
        if session.hear_out(&tag, "IDLE")?.status != "+" {
            return Err(session.fault("IDLE refused"));
        }
        for _ in 0..1 + self.random.below(3) {
            let other = (who + 1) % self.sessions.len();
            match self.random.below(3) {
                0 => self.append(other),
                1 => self.store(other, None),
                _ => self.expunge(other),
            }?;
        }
        let session = &mut self.sessions[who];
        session.wire.write(b"DONE\r\n").map_err(|error| session.fault(&error.to_string()))?;
        session.hear_out(&tag, "IDLE")?;
        session.learn()?;
        self.noop(who)
    }

    fn search(&mut self, who: usize) -> Result<(), String> {
        // By numbers, while others may have expunged: it must not hear of that now, and the numbers
        // are those it knows.
        let session = &mut self.sessions[who];
        let text = session.ok("SEARCH ALL")?.text;
        let exists = session.view.len();
        if found(&text).any(|number| number == 0 || number as usize > exists) {
            return Err(session.fault(&format!("SEARCH finds more than {exists} messages")));
        }
        // A search may look at what the session was told last.
        self.noop(who)?;
        let session = &mut self.sessions[who];
        let text = session.ok("UID SEARCH FLAGGED")?.text;
        let found: Vec<u32> = found(&text).collect();
        for known in &session.view {
            let Some(message) = self.truth.work.get(known.uid) else { continue };
            if message.flags.contains("\\Flagged") != found.contains(&message.uid) {
                return Err(session.fault(&format!("UID {}: {:?}", message.uid, message.flags)));
            }
        }
        Ok(())
    }

    fn fetch(&mut self, who: usize) -> Result<(), String> {
        let session = &mut self.sessions[who];
        if session.view.is_empty() {
            return Ok(());
        }
        session.ok("FETCH 1:* (UID FLAGS MODSEQ ENVELOPE)")?;
        for known in &session.view {
            let Some(message) = self.truth.work.get(known.uid) else { continue };
            if known.token != message.token || known.flags.as_ref() != Some(&message.flags) {
                return Err(session.fault(&format!("{known:?} is {message:?}")));
            }
        }
        Ok(())
    }

    /// Who has it open goes on as if nothing were.
    fn rename(&mut self, who: usize) -> Result<(), String> {
        let name = format!("Work{}", self.random.below(1_000));
        if name == self.truth.work.name {
            return Ok(());
        }
        self.sessions[who].ok(&format!("RENAME {} {name}", self.truth.work.name))?;
        self.truth.work.name = name;
        self.truth.is_durable();
        Ok(())
    }

    fn reopen(&mut self, who: usize) -> Result<(), String> {
        let session = &mut self.sessions[who];
        let writes = session.writes;
        if self.random.below(2) == 0 {
            session.ok("UNSELECT")?;
        } else {
            session.ok("CLOSE")?;
            // RFC 9051 §6.4.1: CLOSE expunges where the mailbox may be written.
            let before = self.truth.work.messages.len();
            if writes {
                self.truth.work.messages.retain(|each| !each.flags.contains("\\Deleted"));
            }
            if before > self.truth.work.messages.len() {
                self.truth.is_durable();
            }
        }
        let how = if self.random.below(4) == 0 { "EXAMINE" } else { "SELECT" };
        session.open(how, &self.truth.work.name, "")?;
        if session.validity != self.truth.work.validity {
            return Err(session.fault(&format!("UIDVALIDITY was {}", self.truth.work.validity)));
        }
        session.knows(&self.truth.work)
    }

    /// RFC 9051 §6.3.4: one of the same name has another UIDVALIDITY, or no UID twice.
    fn remake_other(&mut self, who: usize) -> Result<(), String> {
        let name = self.truth.other.name.clone();
        self.sessions[who].ok(&format!("DELETE {name}"))?;
        self.sessions[who].ok(&format!("CREATE {name}"))?;
        let look = self.fresh_look(&name)?;
        if look.validity <= self.truth.other.validity || !look.view.is_empty() {
            return Err(look.fault(&format!("UIDVALIDITY after {}", self.truth.other.validity)));
        }
        self.truth.other = Mailbox { validity: look.validity, ..Mailbox::named(&name) };
        self.truth.is_durable();
        Ok(())
    }
}

/// The words of a response code.
pub(super) fn code(text: &str, name: &str) -> Vec<String> {
    let rest = text.split_once(&format!("[{name} ")).map_or("", |(_, rest)| rest);
    let inside = rest.split_once(']').map_or("", |(inside, _)| inside);
    inside.split_ascii_whitespace().map(str::to_owned).collect()
}

/// The numbers of a SEARCH response.
fn found(text: &str) -> impl Iterator<Item = u32> + '_ {
    let lines = text.lines().filter_map(|line| line.strip_prefix("* SEARCH"));
    lines.flat_map(|line| line.split(' ').filter_map(|word| word.parse().ok()))
}
