use std::collections::{BTreeMap, VecDeque};

use mail_types::{Priority, Turns};

use crate::desk::Job;

/// Jobs that wait for a connection: those of one priority in the order they came, the priorities in
/// turn, the higher the more turns.
#[derive(Default)]
pub(crate) struct Lineup {
    jobs: BTreeMap<Priority, VecDeque<Job>>,
    turns: Turns,
}

impl Lineup {
    pub(crate) fn push(&mut self, job: Job) {
        self.jobs.entry(job.priority()).or_default().push_back(job);
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.values().map(VecDeque::len).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether one of them is such.
    pub(crate) fn any(&self, is_such: impl Fn(&Job) -> bool) -> bool {
        self.jobs.values().flatten().any(is_such)
    }

    /// The job whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<Job> {
        let priority = self.turns.take(self.jobs.keys().copied())?;
        let jobs = self.jobs.get_mut(&priority)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.jobs.remove(&priority);
        }
        job
    }

    /// All of them, the most urgent first.
    pub(crate) fn take_all(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.jobs).into_values().rev().flatten().collect()
    }
}
