use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::proto::rr::{RData, RecordType};
use sender_auth::{Answer, Answers, Query, QueryKind, Step};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::{Lookup, Resolver, Turn};

/// Look-ups for one message, all its checks together: what a hostile sender's records may cost.
/// SPF's, DMARC's and DKIM's own limits come to less.
const LOOKUPS_MAX: usize = 200;
/// What a round that begins past the deadline still gets, and how many do. A name that never
/// answers may use up all the time before; the look-ups behind it, mostly in the resolver's memory
/// or near, must not be unknown for that.
const LATE_ROUND: Duration = Duration::from_millis(300);
const LATE_ROUNDS_MAX: usize = 4;
/// RFC 1035 §2.3.4: octets in a label.
const LABEL_OCTETS_MAX: usize = 63;
/// RFC 1035 §2.3.4: octets in a name, in its usual writing.
const NAME_OCTETS_MAX: usize = 253;

/// Answers what the checks of `sender-auth` ask for one message, from one [`Resolver`], all that is
/// asked at once in parallel, each question once, until a deadline; whatever is not known then is
/// [`Answer::Trouble`], so that every check comes to an end.
///
/// A round ends with the slowest of its look-ups, and one that never ends uses up the time of all
/// behind it. So what different people decide about (the client's name, the reverse-path, keys,
/// each author) has an authority of its own, or one of them could silence the others.
#[derive(Debug)]
pub struct Authority {
    resolver: Arc<Resolver>,
    answers: Answers,
    asked: HashSet<Query>,
    late_rounds: usize,
    turn: Option<Turn>,
    starved: bool,
    end: watch::Receiver<Instant>,
    /// Whoever may change the end; without one nobody waits any more.
    _fixed: Option<watch::Sender<Instant>>,
}

/// How the checks of a message went, beside their results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Driven {
    /// Look-ups made, those from the resolver's memory counted.
    pub lookups: usize,
}

impl Authority {
    /// For one message; all its look-ups together end after `patience`. Must run within tokio.
    #[must_use]
    pub fn new(resolver: Arc<Resolver>, patience: Duration) -> Self {
        let (fixed, end) = watch::channel(Instant::now() + patience);
        Self { _fixed: Some(fixed), ..Self::until(resolver, end) }
    }

    /// The same with an end that may change meanwhile: far away while the message comes in, near
    /// once it is whole. It ends at once when the sender of `end` is gone.
    #[must_use]
    pub fn until(resolver: Arc<Resolver>, end: watch::Receiver<Instant>) -> Self {
        Self {
            resolver,
            answers: Answers::default(),
            asked: HashSet::new(),
            late_rounds: 0,
            turn: None,
            starved: false,
            end,
            _fixed: None,
        }
    }

    /// The same, each look-up once it is its turn.
    #[must_use]
    pub fn in_turn(self, turn: Turn) -> Self {
        Self { turn: Some(turn), ..self }
    }

    /// The same, knowing what others have found out.
    #[must_use]
    pub fn knowing(mut self, others: &[Self]) -> Self {
        for other in others {
            self.answers.learn(&other.answers);
            self.starved |= other.starved;
        }
        self
    }

    /// Whether something is not known only because its turn never came: no word of the DNS, but
    /// trouble of ours.
    #[must_use]
    pub const fn is_starved(&self) -> bool {
        self.starved
    }

    /// What is known by now.
    #[must_use]
    pub const fn answers(&self) -> &Answers {
        &self.answers
    }

    /// How it went so far.
    #[must_use]
    pub fn driven(&self) -> Driven {
        Driven { lookups: self.asked.len() }
    }

    /// Runs a check to its result. To run several side by side, let `check` step each of them and
    /// ask for what all of them lack ([`both`](Step::both)).
    pub async fn drive<T>(&mut self, mut check: impl FnMut(&Answers) -> Step<T>) -> T {
        // Ends: each round adds an answer to a question that had none, and after LOOKUPS_MAX of
        // them every further one is answered at once; each check's own limits bound those.
        loop {
            match check(&self.answers) {
                Step::Done(result) => return result,
                Step::Ask(queries) => self.answer(queries).await,
            }
        }
    }

    /// Looks up what is not known yet of these, all at once.
    pub async fn answer(&mut self, queries: Vec<Query>) {
        let mut asking = JoinSet::new();
        let mut open: HashSet<Query> = HashSet::new();
        // Look-ups whose turn has not come.
        let waiting = Arc::new(AtomicUsize::new(0));
        for query in queries {
            if self.answers.get(&query).is_some() || !open.insert(query.clone()) {
                continue;
            }
            if self.asked.len() >= LOOKUPS_MAX {
                open.remove(&query);
                let why = format!("more than {LOOKUPS_MAX} look-ups for one message");
                self.answers.insert(query, Answer::Trouble(why));
                continue;
            }
            self.asked.insert(query.clone());
            self.ask(query, &mut asking, &waiting);
        }
        let late = Instant::now() + LATE_ROUND;
        let mut least = None;
        if !asking.is_empty() && *self.end.borrow() < late && self.late_rounds < LATE_ROUNDS_MAX {
            self.late_rounds += 1;
            least = Some(late);
        }
        while !asking.is_empty() {
            let end = *self.end.borrow_and_update();
            let until = least.map_or(end, |least| end.max(least));
            tokio::select! {
                biased;
                answered = asking.join_next() => match answered {
                    Some(Ok((query, answer))) => {
                        open.remove(&query);
                        self.answers.insert(query, answer);
                    }
                    // A look-up that panicked is among those still open below.
                    Some(Err(_)) => {}
                    None => break,
                },
                changed = self.end.changed() => if changed.is_err() { break },
                () = sleep_until(until) => break,
            }
        }
        self.starved |= !open.is_empty() && waiting.load(Ordering::Relaxed) > 0;
        for query in open {
            let why = "no answer before the deadline for this message".to_owned();
            self.answers.insert(query, Answer::Trouble(why));
        }
    }

    fn ask(&self, query: Query, asking: &mut JoinSet<(Query, Answer)>, waiting: &Arc<AtomicUsize>) {
        let resolver = Arc::clone(&self.resolver);
        let passed = self.turn.as_ref().map(Turn::try_pass);
        let waits = match (&self.turn, &passed) {
            (Some(turn), Some(None)) => Some((turn.clone(), Arc::clone(waiting))),
            (Some(_) | None, _) => None,
        };
        if waits.is_some() {
            waiting.fetch_add(1, Ordering::Relaxed);
        }
        asking.spawn(async move {
            let mut passed = passed.flatten();
            if let Some((turn, waiting)) = waits {
                passed = Some(turn.pass().await);
                waiting.fetch_sub(1, Ordering::Relaxed);
            }
            let answer = resolver.answer(&query).await;
            drop(passed);
            (query, answer)
        });
    }
}

impl Resolver {
    /// Asks one question of the checks of senders.
    pub async fn answer(&self, query: &Query) -> Answer {
        let name = query.name();
        let label_fits = |label: &str| (1..=LABEL_OCTETS_MAX).contains(&label.len());
        if name.len() > NAME_OCTETS_MAX || !name.split('.').all(label_fits) {
            // Cannot be in the DNS, and so is not.
            return Answer::NxDomain;
        }
        match query.kind() {
            QueryKind::Txt => {
                let txt = |rdata: &RData| match rdata {
                    RData::TXT(txt) => Some(txt.txt_data.concat()),
                    _ => None,
                };
                found(self.records(name, RecordType::TXT, txt).await, Answer::Txt)
            }
            QueryKind::A => {
                let a = |rdata: &RData| match rdata {
                    RData::A(a) => Some(IpAddr::V4(a.0)),
                    _ => None,
                };
                found(self.records(name, RecordType::A, a).await, Answer::Ips)
            }
            QueryKind::Aaaa => {
                let aaaa = |rdata: &RData| match rdata {
                    RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                    _ => None,
                };
                found(self.records(name, RecordType::AAAA, aaaa).await, Answer::Ips)
            }
            QueryKind::Mx => {
                let mx = |rdata: &RData| match rdata {
                    RData::MX(mx) => Some((mx.preference, presented(&mx.exchange))),
                    _ => None,
                };
                found(self.records(name, RecordType::MX, mx).await, Answer::Mx)
            }
            QueryKind::Ptr => {
                let ptr = |rdata: &RData| match rdata {
                    RData::PTR(name) => Some(presented(&name.0)),
                    _ => None,
                };
                found(self.records(name, RecordType::PTR, ptr).await, Answer::Names)
            }
        }
    }
}

/// Without the dot at its end; the root is empty.
fn presented(name: &hickory_resolver::proto::rr::Name) -> String {
    name.to_ascii().trim_end_matches('.').to_owned()
}

fn found<T>(lookup: Lookup<T>, answer: impl FnOnce(Vec<T>) -> Answer) -> Answer {
    match lookup {
        Lookup::Found { records, .. } => answer(records),
        Lookup::NoData => Answer::NoData,
        Lookup::NxDomain => Answer::NxDomain,
        Lookup::Temporary(why) => Answer::Trouble(why.to_string()),
    }
}
