//! Who is signed in. In memory alone: a restart ends every session.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mail_types::Timestamp;
use serde_json::{Value, json};
use store::{Directory, Operator};

/// Sessions at a time; the one not used for longest makes room.
const SESSIONS_MAX: usize = 10_000;
/// Characters of a browser's word for itself that are kept.
const AGENT_CHARS_MAX: usize = 200;

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Unused.
    pub idle: Duration,
    /// Since the sign-in.
    pub whole: Duration,
    /// For so long a password that was given counts for what weighs much.
    pub confirm_after: Duration,
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    limits: SessionLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    /// By the hash of what the browser has: whoever reads this memory has no session by it.
    all: HashMap<[u8; 32], Session>,
}

/// One of them.
#[derive(Clone, Debug)]
struct Session {
    number: u64,
    operator: u64,
    /// A hash of the operator's password and second factor: it ends where they change.
    standing: [u8; 32],
    form_key: String,
    began: Timestamp,
    used: Timestamp,
    confirmed: Timestamp,
    ip: IpAddr,
    agent: String,
    notice: Option<Notice>,
    /// What an authenticator is being set up with.
    totp: Option<Vec<u8>>,
}

/// What is told on the next page, once.
#[derive(Clone, Debug)]
pub struct Notice {
    /// It went well.
    pub good: bool,
    /// What.
    pub text: String,
    /// Something that is shown this once alone, as a password.
    pub secret: Option<String>,
    /// The change of the queue that can be undone.
    pub undo: Option<u64>,
    /// The acts of an undo, which can be taken back itself.
    pub redo: Option<String>,
}

/// A session as one request sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its number.
    pub number: u64,
    /// Whose.
    pub operator: u64,
    /// What forms of this session carry (against requests forged by other sites).
    pub form_key: String,
    /// The password was given a moment ago.
    pub is_confirmed: bool,
}

/// What is between the browser and the table.
pub(crate) struct Key([u8; 32]);

impl Key {
    /// From what the browser's cookie says.
    pub(crate) fn of(text: &str) -> Self {
        Self(*blake3::hash(text.as_bytes()).as_bytes())
    }
}

impl Sessions {
    /// None yet.
    #[must_use]
    pub fn new(limits: SessionLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new one. `text` is what the browser gets, `form_key` what its forms carry: both random.
    pub(crate) fn begin(
        &self,
        text: &str,
        form_key: String,
        operator: &Operator,
        (ip, agent): (IpAddr, &str),
        now: Timestamp,
    ) {
        let mut state = self.state();
        self.forget_old(&mut state, now);
        if state.all.len() >= SESSIONS_MAX {
            let oldest = state.all.iter().min_by_key(|(_, session)| session.used);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                state.all.remove(&key);
            }
        }
        state.last += 1;
        let session = Session {
            number: state.last,
            operator: operator.id,
            standing: standing(operator),
            form_key,
            began: now,
            used: now,
            confirmed: now,
            ip,
            agent: agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX).collect(),
            notice: None,
            totp: None,
        };
        state.all.insert(Key::of(text).0, session);
    }

    fn forget_old(&self, state: &mut State, now: Timestamp) {
        state.all.retain(|_, session| self.lasts(session, now));
    }

    fn lasts(&self, session: &Session, now: Timestamp) -> bool {
        now.since(session.used) < self.limits.idle && now.since(session.began) < self.limits.whole
    }

    /// The session of a browser, where it still lasts. A request that a person made (`ip`: from
    /// where) counts as its use; those that a page makes by itself do not.
    pub(crate) fn find(
        &self,
        key: &Key,
        directory: &Directory,
        by_person: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<Seen> {
        let mut state = self.state();
        let session = state.all.get_mut(&key.0)?;
        let operator = directory.operator_of(session.operator);
        let stands = operator.is_some_and(|operator| standing(operator) == session.standing);
        if !stands || !self.lasts(session, now) {
            state.all.remove(&key.0);
            return None;
        }
        if let Some(ip) = by_person {
            (session.used, session.ip) = (now, ip);
        }
        Some(Seen {
            number: session.number,
            operator: session.operator,
            form_key: session.form_key.clone(),
            is_confirmed: now.since(session.confirmed) < self.limits.confirm_after,
        })
    }

    fn with<T>(&self, number: u64, change: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let mut state = self.state();
        state.all.values_mut().find(|session| session.number == number).map(change)
    }

    /// The password was given once more.
    pub(crate) fn confirm(&self, number: u64, now: Timestamp) {
        self.with(number, |session| session.confirmed = now);
    }

    /// It goes on, although its operator proves itself otherwise from now on.
    pub(crate) fn go_on(&self, number: u64, operator: &Operator) {
        self.with(number, |session| session.standing = standing(operator));
    }

    /// Tells something on its next page.
    pub(crate) fn tell(&self, number: u64, notice: Notice) {
        self.with(number, |session| session.notice = Some(notice));
    }

    /// What is to be told; once.
    pub(crate) fn told(&self, number: u64) -> Option<Notice> {
        self.with(number, |session| session.notice.take()).flatten()
    }

    /// What an authenticator is being set up with; made by `new` where there is nothing.
    pub(crate) fn totp(&self, number: u64, new: Vec<u8>) -> Vec<u8> {
        let of = |session: &mut Session| session.totp.get_or_insert(new).clone();
        self.with(number, of).unwrap_or_default()
    }

    /// The authenticator is set up.
    pub(crate) fn totp_done(&self, number: u64) {
        self.with(number, |session| session.totp = None);
    }

    /// Ends one; answers which operator's it was.
    #[must_use]
    pub fn end(&self, number: u64) -> Option<(u64, IpAddr)> {
        let mut state = self.state();
        let found = state.all.iter().find(|(_, session)| session.number == number);
        let (key, ended) = found.map(|(key, one)| (*key, (one.operator, one.ip)))?;
        state.all.remove(&key);
        Some(ended)
    }

    /// Ends all of an operator; answers from where each was used.
    pub fn end_all_of(&self, operator: u64) -> Vec<IpAddr> {
        let mut state = self.state();
        let ended = state.all.extract_if(|_, session| session.operator == operator);
        ended.map(|(_, session)| session.ip).collect()
    }

    /// All that last, as a list for people.
    #[must_use]
    pub fn view(&self, directory: &Directory, now: Timestamp) -> Value {
        let mut state = self.state();
        self.forget_old(&mut state, now);
        let mut all: Vec<&Session> = state.all.values().collect();
        all.sort_by_key(|session| session.number);
        let view = |session: &Session| {
            let operator = directory.operator_of(session.operator)?;
            if standing(operator) != session.standing {
                return None;
            }
            let idle = session.used.after(self.limits.idle);
            let ends = idle.min(session.began.after(self.limits.whole));
            Some(json!({
                "session": session.number,
                "operator": operator.name,
                "ip": session.ip.to_string(),
                "agent": session.agent,
                "began": session.began.to_string(),
                "used": session.used.to_string(),
                "ends": ends.to_string(),
            }))
        };
        all.into_iter().filter_map(view).collect()
    }
}

fn standing(operator: &Operator) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(operator.password.argon2id.as_bytes());
    let secret = operator.second_factor.as_ref().map_or(&[][..], |secret| &secret.0);
    hasher.update(&[0]).update(secret);
    *hasher.finalize().as_bytes()
}
