//! Between the submitting threads and the sequencer: a bounded queue, and the tickets that are waited on.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::LogError;
use crate::sequencer::{Appended, Outcome, Submission};
use crate::state::lock;

/// What the sequencer takes at a time.
pub(super) struct Request {
    pub(super) submissions: Vec<Submission>,
    pub(super) reply: Reply,
}

/// Requests in the order in which they came.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    filled: Condvar,
    drained: Condvar,
}

#[derive(Default)]
struct QueueState {
    requests: VecDeque<Request>,
    entries: usize,
    is_closed: bool,
}

impl Queue {
    /// Adds a request; waits while the queue holds `limit` entries or more.
    pub(super) fn push(&self, request: Request, limit: usize) -> Result<(), LogError> {
        let mut state = self
            .drained
            .wait_while(lock(&self.state), |state| state.entries >= limit && !state.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        if state.is_closed {
            return Err(LogError::Closed);
        }
        state.entries += request.submissions.len();
        state.requests.push_back(request);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// All that is queued, up to about `limit` entries; waits for the first. `None` when closed and empty.
    pub(super) fn take(&self, limit: usize) -> Option<Vec<Request>> {
        let mut state = self
            .filled
            .wait_while(lock(&self.state), |state| state.requests.is_empty() && !state.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        let mut entries = 0;
        while entries < limit
            && let Some(request) = state.requests.pop_front()
        {
            entries += request.submissions.len();
            taken.push(request);
        }
        state.entries -= entries;
        drop(state);
        self.drained.notify_all();
        (!taken.is_empty()).then_some(taken)
    }

    /// Takes no more requests.
    pub(super) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }

    /// Closes, and fails what is still queued.
    pub(super) fn abandon(&self, error: &LogError) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        state.entries = 0;
        let left = std::mem::take(&mut state.requests);
        drop(state);
        self.filled.notify_all();
        self.drained.notify_all();
        for request in left {
            request.reply.resolve(Err(error.clone()));
        }
    }
}

/// The sequencer's end of a completion. Dropped unused, as when its thread unwinds, it fails the waiters.
pub(super) struct Reply(pub(super) Arc<Completion>);

impl Reply {
    pub(super) fn resolve(self, outcomes: Result<Vec<Outcome>, LogError>) {
        self.0.resolve(outcomes);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Where the sequencer leaves the outcomes of a request.
#[derive(Debug, Default)]
pub(super) struct Completion {
    state: Mutex<CompletionState>,
    ready: Condvar,
}

#[derive(Debug, Default)]
enum CompletionState {
    #[default]
    Pending,
    /// Somebody sleeps; waking nobody would cost a system call for each entry.
    Awaited,
    Done(Result<Vec<Outcome>, LogError>),
}

impl Completion {
    pub(super) fn resolve(&self, outcomes: Result<Vec<Outcome>, LogError>) {
        let before = std::mem::replace(&mut *lock(&self.state), CompletionState::Done(outcomes));
        if matches!(before, CompletionState::Awaited) {
            self.ready.notify_all();
        }
    }

    fn abandon(&self) {
        let mut state = lock(&self.state);
        if !matches!(*state, CompletionState::Done(_)) {
            *state = CompletionState::Done(Err(LogError::Closed));
            self.ready.notify_all();
        }
    }

    fn is_done(&self) -> bool {
        matches!(*lock(&self.state), CompletionState::Done(_))
    }

    fn wait(&self) -> Result<Vec<Outcome>, LogError> {
        let mut state = lock(&self.state);
        loop {
            match std::mem::replace(&mut *state, CompletionState::Awaited) {
                CompletionState::Done(outcomes) => return outcomes,
                CompletionState::Pending | CompletionState::Awaited => {
                    state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

/// A submission that is on its way.
#[derive(Debug)]
#[must_use = "a submission is in the log only when its ticket says so"]
pub struct Ticket {
    pub(super) completion: Arc<Completion>,
}

impl Ticket {
    /// Whether [`Ticket::wait`] would answer at once.
    pub fn is_ready(&self) -> bool {
        self.completion.is_done()
    }

    /// Waits until the entry is durable, and answers where it is.
    ///
    /// An error other than [`LogError::EntryTooLarge`] leaves open whether the entry will be in the log when it
    /// is opened again.
    pub fn wait(self) -> Result<Appended, LogError> {
        self.completion.wait()?.pop().unwrap_or(Err(LogError::Closed))
    }
}

/// Several submissions that are on their way together.
#[derive(Debug)]
#[must_use = "submissions are in the log only when their ticket says so"]
pub struct Tickets {
    pub(super) completion: Arc<Completion>,
    /// For each submission, why it was not queued, if it was not.
    pub(super) refused: Vec<Option<LogError>>,
}

impl Tickets {
    /// Waits until all that were admitted are durable; answers for each submission, in order.
    pub fn wait(self) -> Result<Vec<Result<Appended, LogError>>, LogError> {
        let mut outcomes = self.completion.wait()?.into_iter();
        let answers = self.refused.into_iter().map(|refused| match refused {
            Some(error) => Err(error),
            None => outcomes.next().unwrap_or(Err(LogError::Closed)),
        });
        Ok(answers.collect())
    }
}
