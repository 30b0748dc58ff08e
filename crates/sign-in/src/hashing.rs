use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use sasl::Secret;

/// Passwords that wait for their turn, of known networks and of others: so many of each.
const WAITING_MAX: usize = 256;

/// The thread that verifies passwords. Argon2 takes 19 MiB: one at a time is what a small machine
/// can stand, and a slow start for whoever guesses. Those who come from where their account is at
/// home go first.
#[derive(Debug)]
pub(crate) struct Hashing(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queues: Mutex<Queues>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Queues {
    known: VecDeque<Job>,
    others: VecDeque<Job>,
    closed: bool,
}

#[derive(Debug)]
struct Job {
    /// The PHC string to verify against.
    hash: String,
    password: Secret,
    answer: oneshot::Sender<bool>,
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        // What is guarded here is whole at every moment, so a panic elsewhere does not spoil it.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; `None` at the end.
    fn next(&self) -> Option<Job> {
        let mut queues = self.queues();
        loop {
            if queues.closed {
                return None;
            }
            if let Some(job) = queues.known.pop_front().or_else(|| queues.others.pop_front()) {
                return Some(job);
            }
            queues = self.more.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Hashing {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name("passwords".to_owned()).spawn(move || {
            // Kept for the next: taken and given back each time, the allocator spreads it over
            // 120 MiB before it finds the same place again.
            let mut memory = Vec::new();
            while let Some(job) = of_thread.next() {
                let right = is_password(&job, &mut memory).unwrap_or(false);
                // Who asked may be gone.
                job.answer.send(right).ok();
            }
        })?;
        Ok(Self(shared))
    }

    /// Whether this is the password; `None` where too many wait already, or the thread is gone.
    pub(crate) async fn verify(&self, hash: String, password: Secret, known: bool) -> Option<bool> {
        let (answer, answered) = oneshot::channel();
        {
            let mut queues = self.0.queues();
            let queue = if known { &mut queues.known } else { &mut queues.others };
            if queue.len() >= WAITING_MAX {
                return None;
            }
            queue.push_back(Job { hash, password, answer });
        }
        self.0.more.notify_one();
        answered.await.ok()
    }
}

/// Whether the password is the one that was hashed; `None` where the hash is none.
fn is_password(job: &Job, memory: &mut Vec<Block>) -> Option<bool> {
    let hash = PasswordHash::new(&job.hash).ok()?;
    let (salt, wanted) = (hash.salt?, hash.hash?);
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let params = Params::try_from(&hash).ok()?;
    let blocks = params.block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::default());
    }
    let mut found = vec![0; wanted.len()];
    let password = job.password.expose().as_bytes();
    let argon2 = Argon2::new(algorithm, version, params);
    let blocks = memory.get_mut(..blocks)?;
    argon2.hash_password_into_with_memory(password, salt.as_ref(), &mut found, blocks).ok()?;
    // `Output` compares in constant time.
    Some(Output::new(&found).ok()? == wanted)
}

impl Drop for Hashing {
    fn drop(&mut self) {
        self.0.queues().closed = true;
        self.0.more.notify_all();
    }
}
