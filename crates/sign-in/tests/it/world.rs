//! A store with one account, and a clock.

use std::future::ready;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Thread, current, park};
use std::time::Duration;

use mail_types::{Address, Timestamp};
use sasl::{Answer, Question, Secret};
use sign_in::{Limits, SignIn, credentials};
use store::{Actor, Options, Store};

const START: Timestamp = Timestamp(1_800_000_000_000);

pub struct World {
    pub sign_in: SignIn,
    pub store: Store,
    clock: AtomicI64,
    _root: tempfile::TempDir,
}

pub fn operator() -> Actor {
    Actor::Operator { name: "root".to_owned() }
}

pub fn ann() -> Address {
    Address::parse("ann@example.org").unwrap()
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future that other threads move on.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => park(),
        }
    }
}

impl World {
    /// ann@example.org has the password `swordfish`.
    pub fn new(limits: Limits) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(root.path(), Options::new(Arc::new(|| START))).unwrap();
        store.add_domain(operator(), "example.org".parse().unwrap()).wait().unwrap();
        let kept = credentials("swordfish", &[7; 16]).unwrap();
        store.add_account(operator(), ann(), kept).wait().unwrap();
        let directory = store.clone();
        let remember_for = Duration::from_secs(60);
        let sign_in =
            SignIn::new(move || directory.directory(), [9; 32], remember_for, limits).unwrap();
        Self { sign_in, store, clock: AtomicI64::new(START.0), _root: root }
    }

    pub fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    /// As if the time had not passed.
    pub fn pass_back(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.clock.fetch_sub(millis, Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    /// The answer, and how long was waited for it.
    pub fn answer(&self, question: Question, ip: IpAddr) -> (Answer, Duration) {
        let before = self.now();
        let answer = block_on(self.sign_in.answer(
            question,
            ip,
            || self.now(),
            |wait| {
                self.pass(wait);
                ready(())
            },
        ));
        (answer, self.now().since(before))
    }

    pub fn ask(&self, from: &str, name: &str, password: &str) -> (Answer, Duration) {
        self.answer(question(name, password), ip(from))
    }

    /// Whether it signs in, and after how many milliseconds.
    pub fn tries(&self, from: &str, name: &str, password: &str) -> (bool, u128) {
        let (answer, waited) = self.ask(from, name, password);
        (matches!(answer, Answer::Accepted { .. }), waited.as_millis())
    }

    /// A wrong proof: what a guess costs without Argon2.
    pub fn wrong_proof(&self, from: &str, name: &str, guess: u32) -> Answer {
        let mut octets = [0; 32];
        octets[..4].copy_from_slice(&guess.to_le_bytes());
        let authcid = name.to_owned();
        self.answer(Question::ScramProof { authcid, right: false, guess: octets }, ip(from)).0
    }
}

pub fn question(name: &str, password: &str) -> Question {
    Question::Password {
        authcid: name.to_owned(),
        authzid: None,
        password: Secret::new(password.to_owned()),
    }
}
