//! All sessions at once: nothing is said about the order, only about what holds in any.

use super::Drill;
use super::steps::code;

const COMMANDS: u64 = 5;

/// A command under way.
struct Sent {
    who: usize,
    tag: String,
    command: String,
    /// The subject of what it appends.
    token: Option<String>,
}

impl Drill {
    pub(super) fn storm(&mut self) -> Result<(), String> {
        let mut sent = Vec::new();
        let mut victims = Vec::new();
        for _ in 0..COMMANDS {
            for who in 0..self.sessions.len() {
                self.throw(who, &mut sent, &mut victims)?;
            }
        }
        let mut appended = Vec::new();
        for Sent { who, tag, command, token } in sent {
            let answer = self.sessions[who].hear_out(&tag, &command)?;
            if let Some(token) = token {
                let uid = code(&answer.status, "APPENDUID").pop();
                let uid = uid.and_then(|uid| uid.parse::<u32>().ok());
                let none = || self.sessions[who].fault("APPEND without APPENDUID");
                appended.push((uid.ok_or_else(none)?, token));
            }
        }
        self.after_the_storm(&mut appended, &victims)?;
        // Makes the flags durable that the storm has set.
        self.append(0)
    }

    fn throw(
        &mut self,
        who: usize,
        sent: &mut Vec<Sent>,
        victims: &mut Vec<u32>,
    ) -> Result<(), String> {
        // What the session has not been told of, it cannot change.
        let mut uids = self.sessions[who].uids();
        uids.retain(|uid| self.truth.work.get(*uid).is_some());
        let uid = uids.get(self.random.below(uids.len() as u64) as usize).copied();
        let mut literal = Vec::new();
        let mut token = None;
        let writes = self.sessions[who].writes;
        let commands = match (self.random.below(7), uid) {
            (0 | 1, _) => {
                let (name, text) = self.new_message();
                (token, literal) = (Some(name), text);
                vec![format!("APPEND {}", self.truth.work.name)]
            }
            (2, Some(uid)) if writes => vec![format!("UID STORE {uid} +FLAGS (\\Flagged)")],
            (3, Some(uid)) if writes => vec![format!("UID STORE {uid} -FLAGS (\\Flagged \\Seen)")],
            (4, Some(uid)) if writes && !victims.contains(&uid) => {
                victims.push(uid);
                vec![
                    format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"),
                    format!("UID EXPUNGE {uid}"),
                ]
            }
            (5, Some(_)) => vec!["UID FETCH 1:* (UID FLAGS MODSEQ)".to_owned()],
            _ => vec!["NOOP".to_owned()],
        };
        for command in commands {
            let tag = self.sessions[who].send(&command, &literal)?;
            sent.push(Sent { who, tag, command, token: token.clone() });
        }
        Ok(())
    }

    /// Everybody sees the same; what was there is there, unless someone expunged it; what was
    /// appended is there once, under the UID that was told.
    fn after_the_storm(
        &mut self,
        appended: &mut [(u32, String)],
        victims: &[u32],
    ) -> Result<(), String> {
        let look = self.fresh_look(&self.truth.work.name)?;
        let found = look.messages();
        appended.sort_unstable();
        let mut wanted: Vec<(u32, String)> = self
            .truth
            .work
            .messages
            .iter()
            .filter(|message| !victims.contains(&message.uid))
            .map(|message| (message.uid, message.token.clone()))
            .collect();
        wanted.extend_from_slice(appended);
        let there: Vec<(u32, String)> =
            found.iter().map(|message| (message.uid, message.token.clone())).collect();
        if there != wanted {
            let extra: Vec<_> = there.iter().filter(|each| !wanted.contains(each)).collect();
            let missing: Vec<_> = wanted.iter().filter(|each| !there.contains(each)).collect();
            let why = format!("too much: {extra:?}; not there: {missing:?}; expunged: {victims:?}");
            return Err(look.fault(&why));
        }
        self.truth.work.least_next =
            found.last().map_or(0, |last| last.uid + 1).max(self.truth.work.least_next);
        self.truth.work.messages = found;
        self.all_know()
    }
}
