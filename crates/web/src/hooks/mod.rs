//! Hooks: URLs that are told what happens to mail, at least once and in order.
//!
//! The journal is their queue: each hook has its place in it, kept as a record when what lies before
//! it was told. A hook that does not answer holds up nothing but itself: it waits longer and longer,
//! needs no memory meanwhile, and goes on where it stopped, also after a crash.

mod event;
mod sign;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use mail_types::Timestamp;
use net::{Bell, HttpClient, HttpLimits, HttpRequest, Reach, Stop};
use serde_json::{Value, json};
use store::{Hook, HookTry, Store};
use tokio::task::JoinHandle;

use event::Event;
pub use event::KINDS;
pub use sign::secret_text;
use sign::signature;

/// Waits between tries of one event; the last repeats.
const WAITS: [Duration; 7] = [
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(1800),
    Duration::from_secs(3600),
];
/// One try takes no longer.
const TRY_MAX: Duration = Duration::from_secs(30);
/// Octets of an answer that are read.
const ANSWER_OCTETS_MAX: usize = 64 << 10;
/// Records that are read at a time.
const RECORDS_MAX: usize = 256;
/// Records without anything to tell after which a hook's place is kept all the same.
const RECORDS_UNKEPT_MAX: u64 = 10_000;
/// Octets of what a receiver said that are kept.
const SAID_OCTETS_MAX: usize = 200;
/// A hook that is so far behind is told to the operator, once in so long.
const BEHIND_ALARM: Duration = Duration::from_secs(900);

/// All hooks while the server runs.
pub struct Hooks {
    store: Store,
    client: HttpClient,
    /// Rung when something happened.
    happened: Bell,
    /// Rung when waits are to end.
    again: Bell,
    state: Mutex<HashMap<u64, State>>,
    stop: Stop,
}

/// What is known of a hook.
#[derive(Default)]
struct State {
    task: Option<JoinHandle<()>>,
    failing: Option<Failing>,
}

#[derive(Clone, Debug)]
struct Failing {
    since: Timestamp,
    tries: u32,
    why: String,
    next: Timestamp,
    alarmed: Option<Timestamp>,
}

impl Hooks {
    /// Tells every hook what it was not told yet, and goes on with what happens.
    #[must_use]
    pub fn start(store: Store, client: HttpClient, stop: Stop) -> Arc<Self> {
        let (happened, again) = (Bell::default(), Bell::default());
        let bell = happened.clone();
        store.on_event(Box::new(move || bell.ring()));
        let state = Mutex::default();
        let hooks = Arc::new(Self { store, client, happened, again, state, stop });
        hooks.reload();
        hooks
    }

    /// Begins to tell hooks that are new and ends telling those that are gone.
    pub fn reload(self: &Arc<Self>) {
        let known = match self.store.hooks() {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(%error, "the hooks cannot be read");
                return;
            }
        };
        let mut state = self.state();
        state.retain(|id, state| {
            let stays = known.iter().any(|hook| hook.id == *id);
            if let Some(task) = state.task.as_ref().filter(|_| !stays) {
                task.abort();
            }
            stays
        });
        for hook in known {
            let entry = state.entry(hook.id).or_default();
            if entry.task.is_none() {
                let hooks = Arc::clone(self);
                entry.task = Some(tokio::spawn(async move { hooks.tell_for_ever(hook).await }));
            }
        }
    }

    /// Ends all waits.
    pub fn retry(&self) {
        self.again.ring();
    }

    /// How each hook is, by id.
    #[must_use]
    pub fn states(&self) -> HashMap<u64, Value> {
        let state = self.state();
        let told = state.iter().map(|(id, state)| {
            let shown = match &state.failing {
                None => json!({ "state": "right" }),
                Some(failing) => json!({
                    "state": "failing", "since": failing.since.to_string(),
                    "tries": failing.tries, "why": failing.why,
                    "next_try": failing.next.to_string(),
                }),
            };
            (*id, shown)
        });
        told.collect()
    }

    /// Tells a hook an event of no consequence, once; what it said.
    ///
    /// # Errors
    /// Why it was not told.
    pub async fn test(&self, hook: &Hook) -> Result<String, String> {
        let at = net::now();
        let payload = json!({ "type": "mail.test", "timestamp": at.to_string(), "data": {} });
        let id = format!("evt_test_{}", at.millis());
        self.post(hook, &Event { id, kind: "test", payload }).await
    }

    async fn tell_for_ever(self: Arc<Self>, mut hook: Hook) {
        let (mut stop, mut ear) = (self.stop.clone(), self.happened.listen());
        let mut kept = hook.head.last_seq.0;
        loop {
            tokio::select! {
                () = stop.requested() => return,
                more = self.tell_next(&mut hook, &mut kept) => {
                    if more {
                        continue;
                    }
                }
            }
            tokio::select! {
                () = stop.requested() => return,
                () = ear.rung() => {}
            }
        }
    }

    /// Tells what comes next; whether there is more at once.
    async fn tell_next(&self, hook: &mut Hook, kept: &mut u64) -> bool {
        let (store, head, kinds) = (self.store.clone(), hook.head, hook.kinds.clone());
        let read = tokio::task::spawn_blocking(move || {
            let happened = store.happened(&head, RECORDS_MAX)?;
            let mut told = Vec::new();
            for happening in &happened.happenings {
                let events = event::events(&store, happening)?;
                told.extend(events.into_iter().filter(|event| {
                    kinds.is_empty() || kinds.iter().any(|kind| kind == event.kind)
                }));
            }
            Ok::<_, store::StoreError>((told, happened.head, happened.more))
        });
        let (events, head, more) = match read.await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => {
                tracing::error!(%error, hook = hook.id, "ALARM: what happened cannot be read");
                return self.wait(WAITS[2]).await;
            }
            Err(error) => {
                tracing::error!(%error, hook = hook.id, "a hook failed by a bug");
                return self.wait(WAITS[2]).await;
            }
        };
        let told = !events.is_empty();
        let mut tries = Vec::with_capacity(events.len());
        for event in events {
            tries.push(self.tell(hook, &event).await);
        }
        hook.head = head;
        // Only now: what is told twice is better than what is never told.
        if told || head.last_seq.0 > *kept + RECORDS_UNKEPT_MAX {
            match self.store.hook_reached(hook.id, &head, tries).await {
                Ok(()) => *kept = head.last_seq.0,
                Err(refused) => tracing::warn!(%refused, hook = hook.id, "its place is not kept"),
            }
        }
        more
    }

    /// Tells one event, as often as it takes; the try by which it was told. Those before it are kept
    /// at once: the next may be an hour away.
    async fn tell(&self, hook: &Hook, event: &Event) -> HookTry {
        let mut tries: usize = 0;
        loop {
            let said = self.post(hook, event).await;
            let (told, mut said) = match said {
                Ok(said) => (true, said),
                Err(why) => (false, why),
            };
            let end = (0..=SAID_OCTETS_MAX).rev().find(|&end| said.is_char_boundary(end));
            said.truncate(end.unwrap_or(0));
            let (at, kind) = (net::now(), event.kind.to_owned());
            let one = HookTry { at, event: event.id.clone(), kind, said, told };
            let wait = WAITS[tries.min(WAITS.len() - 1)];
            self.note(hook, &one, wait);
            if told {
                return one;
            }
            if let Err(refused) = self.store.hook_tried(hook.id, vec![one]).await {
                tracing::warn!(%refused, hook = hook.id, "a try of a hook is not kept");
            }
            tries += 1;
            self.wait(wait).await;
        }
    }

    fn note(&self, hook: &Hook, one: &HookTry, wait: Duration) {
        let now = one.at;
        let mut all = self.state();
        let Some(state) = all.get_mut(&hook.id) else { return };
        if one.told {
            state.failing = None;
            return;
        }
        let failing = state.failing.get_or_insert_with(|| Failing {
            since: now,
            tries: 0,
            why: String::new(),
            next: now,
            alarmed: None,
        });
        failing.tries += 1;
        failing.next = now.after(wait);
        failing.why.clone_from(&one.said);
        let due = failing.alarmed.unwrap_or(failing.since);
        if now.since(due) >= BEHIND_ALARM {
            failing.alarmed = Some(now);
            tracing::error!(
                hook = hook.id, url = hook.url, since = %failing.since, why = failing.why,
                "ALARM: a hook is behind; mail is not held up by it"
            );
        }
    }

    /// Waits, or until somebody wants no more waiting; more is there to do then.
    async fn wait(&self, wait: Duration) -> bool {
        let mut ear = self.again.listen();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = ear.rung() => {}
        }
        true
    }

    /// One try. Any 2xx says that it was told.
    async fn post(&self, hook: &Hook, event: &Event) -> Result<String, String> {
        let body = event.payload.to_string().into_bytes();
        let secs = net::now().secs();
        let mut request = HttpRequest::post(hook.url.clone(), "application/json", body);
        let signed = signature(&hook.secret.0, &event.id, secs, &request.body);
        for (name, value) in [
            ("webhook-id", event.id.clone()),
            ("webhook-timestamp", secs.to_string()),
            ("webhook-signature", signed),
        ] {
            let value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
            request.headers.insert(name, value);
        }
        let limits = HttpLimits {
            time: TRY_MAX,
            body_octets_max: ANSWER_OCTETS_MAX,
            redirects_max: 0,
            // The operator wrote the URL.
            reach: Reach::Anywhere,
            may_be_plain: hook.url.starts_with("http://"),
        };
        match self.client.send(request, &limits).await {
            Ok(response) if response.status.is_success() => Ok(words(response.status)),
            Ok(response) => Err(words(response.status)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn state(&self) -> MutexGuard<'_, HashMap<u64, State>> {
        // What is guarded here is whole at every moment, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn words(status: StatusCode) -> String {
    status.to_string()
}
