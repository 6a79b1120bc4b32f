//! Requests that wait for a generating thread: first come, first served, and never more than a limit.
//!
//! Both sides hold the lock for moments only, and the asynchronous side never across an await.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

/// What waits can be given up.
pub(crate) trait Waiting {
    /// Nobody waits for it any more.
    fn given_up(&self) -> bool;
}

/// Why something does not go in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// So many wait.
    Waiting(usize),
    /// Nothing more is taken.
    Closed,
}

/// A bounded queue between asynchronous tasks and threads.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    limit: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

impl<T: Waiting> Queue<T> {
    pub(crate) fn new(limit: usize) -> Self {
        let state = State { waiting: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), limit }
    }

    /// Puts something in, or hands it back.
    pub(crate) fn push(&self, item: T) -> Result<(), (T, Full)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err((item, Full::Closed));
        }
        if state.waiting.len() >= self.limit {
            state.waiting.retain(|waiting| !waiting.given_up());
        }
        if state.waiting.len() >= self.limit {
            return Err((item, Full::Waiting(state.waiting.len())));
        }
        state.waiting.push_back(item);
        self.changed.notify_one();
        Ok(())
    }

    /// The next, when there is one; nothing when the queue is closed.
    pub(crate) fn take(&self) -> Option<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.closed {
                return None;
            }
            if let Some(item) = state.waiting.pop_front() {
                return Some(item);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes nothing more, and hands back what waits.
    pub(crate) fn close(&self) -> Vec<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        self.changed.notify_all();
        state.waiting.drain(..).collect()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Full, Queue, Waiting};

    #[derive(Debug, PartialEq)]
    struct Item(u32, bool);

    impl Waiting for Item {
        fn given_up(&self) -> bool {
            self.1
        }
    }

    #[test]
    fn it_is_bounded_and_those_who_left_make_room() {
        let queue = Queue::new(2);
        queue.push(Item(1, true)).unwrap();
        queue.push(Item(2, false)).unwrap();
        queue.push(Item(3, false)).unwrap();
        assert_eq!(queue.push(Item(4, false)), Err((Item(4, false), Full::Waiting(2))));
        assert_eq!(queue.take(), Some(Item(2, false)));
        assert_eq!(queue.len(), 1);
        assert_eq!(queue.close(), [Item(3, false)]);
        assert_eq!(queue.take(), None);
        assert_eq!(queue.push(Item(5, false)), Err((Item(5, false), Full::Closed)));
    }
}
