//! Threads that serve, each with a runtime and connections to engines of its own.
//!
//! What a request wakes, up to the engine's answer, is on its own thread: waking another one costs more than most requests
//! do. Nothing is moved from a busy thread to an idle one, so connections are dealt out in turn.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

use crate::Error;

/// Threads that have something of their own; further ones share.
const OWN_MAX: usize = 64;

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

/// The threads. They end where this is dropped; [`Workers::end`] waits for it.
#[derive(Debug)]
pub(crate) struct Workers {
    handles: Vec<Handle>,
    next: usize,
    /// Tells them to end.
    alive: watch::Sender<()>,
    /// Hears that all have ended.
    ended: mpsc::Receiver<()>,
}

impl Workers {
    /// Starts them.
    pub(crate) fn start(count: usize) -> Result<Self, Error> {
        let failed = |source| Error::System { what: "runtime", source };
        let (running, ended) = mpsc::channel();
        let mut workers = Self { handles: Vec::new(), next: 0, alive: watch::Sender::new(()), ended };
        for number in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
            workers.handles.push(runtime.handle().clone());
            let (alive, running) = (workers.alive.subscribe(), running.clone());
            let thread = std::thread::Builder::new().name(format!("serving-{number}"));
            let work = move || {
                work(number, runtime, alive);
                drop(running);
            };
            thread.spawn(work).map_err(failed)?;
        }
        Ok(workers)
    }

    /// The one whose turn it is.
    pub(crate) fn next(&mut self) -> Option<&Handle> {
        let at = self.next % self.handles.len().max(1);
        self.next = at + 1;
        self.handles.get(at)
    }

    /// Ends them, whatever is under way on them. It is waited for so long.
    pub(crate) fn end(self, patience: Duration) {
        let Self { alive, ended, .. } = self;
        drop(alive);
        // Nobody sends: it is answered by the last one's end.
        if ended.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("what is under way does not end; it is left");
        }
    }
}

/// Drives what is spawned on a runtime, until nobody keeps it alive.
fn work(number: usize, runtime: Runtime, mut alive: watch::Receiver<()>) {
    NUMBER.set(number);
    runtime.block_on(async { while alive.changed().await.is_ok() {} });
    runtime.shutdown_background();
}

/// Something that each of the threads has one of.
pub(crate) struct Each<T>(Box<[OnceLock<T>]>);

impl<T: Clone> Each<T> {
    pub(crate) fn new() -> Self {
        Self((0..OWN_MAX).map(|_| OnceLock::new()).collect())
    }

    /// This thread's, made now where it has none yet.
    pub(crate) fn own(&self, make: impl FnOnce() -> T) -> T {
        match self.0.get(NUMBER.get() % OWN_MAX) {
            Some(own) => own.get_or_init(make).clone(),
            None => make(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn threads_take_turns_and_have_their_own() {
        let mut workers = Workers::start(3).unwrap();
        let each = Arc::new(Each::new());
        let (tell, told) = mpsc::channel();
        for _ in 0..6 {
            let (each, tell) = (Arc::clone(&each), tell.clone());
            workers.next().unwrap().spawn(async move {
                tell.send(each.own(|| std::thread::current().name().map(str::to_owned))).unwrap();
            });
        }
        let mut names: Vec<_> = (0..6).map(|_| told.recv().unwrap().unwrap()).collect();
        names.sort();
        let two_of = |number: usize| [format!("serving-{number}"), format!("serving-{number}")];
        assert_eq!(names, [two_of(0), two_of(1), two_of(2)].concat());
        workers.end(Duration::from_secs(10));
    }

    #[test]
    fn what_is_under_way_at_the_end_is_dropped() {
        let mut workers = Workers::start(2).unwrap();
        let (held, ended) = mpsc::channel::<()>();
        for _ in 0..2 {
            let held = held.clone();
            workers.next().unwrap().spawn(async move {
                std::future::pending::<()>().await;
                drop(held);
            });
        }
        drop(held);
        workers.end(Duration::from_secs(10));
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
