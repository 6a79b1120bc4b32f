//! The log as a program holds it: a sequencer thread, a publishing thread, and any number of callers.

mod queue;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use merkle::checkpoint::SignedCheckpoint;
use merkle::note::VerifierKey;
use merkle::{Hash, HashReader};

use crate::config::{Config, Publishing};
use crate::error::LogError;
use crate::open::{Parts, Recovery, create_log, open_log};
use crate::publisher::Publisher;
use crate::sequencer::{Sequencer, Submission};
use crate::state::{Shared, SharedConfig, lock};
use crate::storage::{LockGuard, Storage};
use crate::wal::MAX_ENTRY;

use queue::{Completion, Queue, Reply, Request};
pub use queue::{Ticket, Tickets};

/// An open log. Dropping it finishes what is queued and publishes it; [`Log::close`] also says how that went.
///
/// After any failure to write or to make durable, every call fails with [`LogError::Poisoned`]: end the process.
pub struct Log {
    shared: Arc<Shared>,
    config: SharedConfig,
    queue: Arc<Queue>,
    publisher: Arc<Mutex<Publisher>>,
    alarm: Arc<Alarm>,
    sequencing: Option<JoinHandle<()>>,
    publishing: Option<JoinHandle<()>>,
    recovery: Recovery,
    // Last, so that the lock is given up when nothing writes any more.
    _lock: Box<dyn LockGuard>,
}

impl Log {
    /// Makes a new, empty log and opens it. Publishes the checkpoint of size 0.
    pub fn create(storage: Arc<dyn Storage>, config: Config) -> Result<Self, LogError> {
        create_log(storage, config).and_then(Self::start)
    }

    /// Opens a log for writing: takes the lock and the next epoch, recovers the write-ahead log, compares it
    /// with the published and the cosigned checkpoint, and writes wrong or missing tiles anew.
    pub fn open(storage: Arc<dyn Storage>, config: Config) -> Result<Self, LogError> {
        open_log(storage, config).and_then(Self::start)
    }

    fn start(parts: Parts) -> Result<Self, LogError> {
        let Parts { shared, config, sequencer, publisher, recovery, lock } = parts;
        let queue = Arc::new(Queue::default());
        let alarm = Arc::new(Alarm::default());
        let publisher = Arc::new(Mutex::new(publisher));
        let mut log = Self {
            shared,
            config,
            queue,
            publisher,
            alarm,
            sequencing: None,
            publishing: None,
            recovery,
            _lock: lock,
        };
        log.sequencing = Some(log.spawn_sequencer(sequencer)?);
        if let Publishing::EveryMs(interval_ms) = log.config.publishing {
            log.publishing = Some(log.spawn_publisher(Duration::from_millis(interval_ms))?);
        }
        Ok(log)
    }

    fn spawn_sequencer(&self, mut sequencer: Sequencer) -> Result<JoinHandle<()>, LogError> {
        let (queue, alarm) = (Arc::clone(&self.queue), Arc::clone(&self.alarm));
        let guard = Stopping { queue: Arc::clone(&queue), shared: Arc::clone(&self.shared) };
        let limit = self.config.batch_entries as usize;
        let run = move || {
            let _guard = guard;
            while let Some(requests) = queue.take(limit) {
                commit(&mut sequencer, requests);
                alarm.raise();
            }
        };
        std::thread::Builder::new()
            .name("translog-sequencer".to_owned())
            .spawn(run)
            .map_err(LogError::io("start a thread for", "wal"))
    }

    fn spawn_publisher(&self, interval: Duration) -> Result<JoinHandle<()>, LogError> {
        let (publisher, alarm) = (Arc::clone(&self.publisher), Arc::clone(&self.alarm));
        let run = move || {
            while alarm.wait(interval) {
                // A failure has stopped the log and is told to every caller.
                if lock(&publisher).publish().is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("translog-publisher".to_owned())
            .spawn(run)
            .map_err(LogError::io("start a thread for", "tiles"))
    }

    fn admit(&self, content: &[u8]) -> Result<(), LogError> {
        if content.len() > MAX_ENTRY {
            return Err(LogError::EntryTooLarge { bytes: content.len() });
        }
        (self.config.admission)(content).map_err(LogError::NotAdmitted)
    }

    /// Checks the content (in this thread) and queues it. Waits while the queue is full.
    pub fn submit(&self, content: Vec<u8>) -> Result<Ticket, LogError> {
        self.shared.alive()?;
        self.admit(&content)?;
        let completion = Arc::new(Completion::default());
        let request =
            Request { submissions: vec![Submission::new(content)], reply: Reply(Arc::clone(&completion)) };
        self.push(request)?;
        Ok(Ticket { completion })
    }

    /// Checks the contents (in this thread) and queues together those that pass.
    pub fn submit_many(&self, contents: Vec<Vec<u8>>) -> Result<Tickets, LogError> {
        self.shared.alive()?;
        let refused: Vec<Option<LogError>> =
            contents.iter().map(|content| self.admit(content).err()).collect();
        let admitted = contents.into_iter().zip(&refused).filter(|(_, refused)| refused.is_none());
        let submissions: Vec<Submission> = admitted.map(|(content, _)| Submission::new(content)).collect();
        let completion = Arc::new(Completion::default());
        if submissions.is_empty() {
            completion.resolve(Ok(Vec::new()));
        } else {
            self.push(Request { submissions, reply: Reply(Arc::clone(&completion)) })?;
        }
        Ok(Tickets { completion, refused })
    }

    fn push(&self, request: Request) -> Result<(), LogError> {
        self.queue
            .push(request, self.config.queue_entries)
            .map_err(|closed| self.shared.alive().err().unwrap_or(closed))
    }

    /// What opening found and did.
    pub const fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// How many entries are acknowledged.
    pub fn size(&self) -> u64 {
        self.shared.size()
    }

    /// The acknowledged entry with this index, checked against its leaf hash.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, LogError> {
        self.shared.alive()?;
        self.shared.entry(index)
    }

    /// The acknowledged entries of a range, read one by one.
    pub fn entries(&self, range: Range<u64>) -> impl Iterator<Item = Result<Vec<u8>, LogError>> + '_ {
        range.map(|index| self.entry(index))
    }

    /// The stamp of an acknowledged entry, in milliseconds since 1970.
    pub fn stamp_ms(&self, index: u64) -> Result<u64, LogError> {
        self.shared.stamp_ms(index)
    }

    /// The leaf hash of an acknowledged entry.
    pub fn leaf_hash(&self, index: u64) -> Result<Hash, LogError> {
        self.shared.leaf_hash(index)
    }

    /// The root of the tree of the first `size` entries.
    pub fn root(&self, size: u64) -> Result<Hash, LogError> {
        self.shared.check_size(size)?;
        self.shared.root(size)
    }

    /// The proof that entry `index` is in the tree of the first `size` entries. From memory.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        self.shared.alive()?;
        self.shared.inclusion_proof(index, size)
    }

    /// The proof that the tree of `old` entries is a prefix of that of `new` entries. From memory.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, LogError> {
        self.shared.alive()?;
        self.shared.consistency_proof(old, new)
    }

    /// The published checkpoint with its cosignatures, as served.
    pub fn checkpoint(&self) -> Vec<u8> {
        lock(&self.publisher).checkpoint().to_bytes()
    }

    /// Signs the head of all acknowledged entries, for a proof that need not wait for the next publication.
    pub fn sign_head(&self) -> Result<SignedCheckpoint, LogError> {
        self.shared.alive()?;
        crate::publisher::sign_head(&self.config, &self.shared, self.size())
    }

    /// Writes the tiles of all acknowledged entries and then publishes their checkpoint, which it answers.
    pub fn publish(&self) -> Result<Vec<u8>, LogError> {
        let mut publisher = lock(&self.publisher);
        publisher.publish()?;
        Ok(publisher.checkpoint().to_bytes())
    }

    /// What to ask a witness that knows this log at size `old`: the body of C2SP tlog-witness's add-checkpoint.
    pub fn witness_request(&self, old: u64) -> Result<Vec<u8>, LogError> {
        lock(&self.publisher).witness_request(old)
    }

    /// Adds a witness's answer (signature lines) to the published checkpoint, if it verifies under one of
    /// `witnesses`' keys. Answers the checkpoint as it now stands.
    pub fn add_cosignatures(&self, lines: &[u8], witnesses: &[VerifierKey]) -> Result<Vec<u8>, LogError> {
        let mut publisher = lock(&self.publisher);
        publisher.add_cosignatures(lines, witnesses)?;
        Ok(publisher.checkpoint().to_bytes())
    }

    /// Finishes what is queued, publishes it and gives the log up.
    pub fn close(mut self) -> Result<(), LogError> {
        self.stop()
    }

    fn stop(&mut self) -> Result<(), LogError> {
        self.queue.close();
        self.alarm.close();
        let threads = [self.sequencing.take(), self.publishing.take()];
        if threads.iter().all(Option::is_none) {
            return Ok(());
        }
        for thread in threads.into_iter().flatten() {
            if thread.join().is_err() {
                // The thread's guard has stopped the log; `publish` below says so.
                tracing::error!("a thread of the log has panicked");
            }
        }
        lock(&self.publisher).publish()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(code = error.code(), %error, "the log was not published on closing");
        }
    }
}

impl HashReader for Log {
    type Error = LogError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, LogError> {
        self.shared.node(level, index)
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("config", &self.config)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

fn commit(sequencer: &mut Sequencer, requests: Vec<Request>) {
    let mut submissions = Vec::with_capacity(requests.len());
    let mut replies = Vec::with_capacity(requests.len());
    for request in requests {
        replies.push((request.submissions.len(), request.reply));
        submissions.extend(request.submissions);
    }
    match sequencer.commit(&submissions) {
        Ok(outcomes) => {
            let mut outcomes = outcomes.into_iter();
            for (count, reply) in replies {
                reply.resolve(Ok(outcomes.by_ref().take(count).collect()));
            }
        }
        Err(error) => {
            for (_, reply) in replies {
                reply.resolve(Err(error.clone()));
            }
        }
    }
}

/// When the sequencer's thread ends, by whatever cause, nobody is left waiting.
struct Stopping {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
}

impl Drop for Stopping {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.poison(LogError::Closed);
        }
        self.queue.abandon(&LogError::Closed);
    }
}

/// Tells the publishing thread that there is something to publish.
#[derive(Debug, Default)]
struct Alarm {
    state: Mutex<AlarmState>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum AlarmState {
    #[default]
    Quiet,
    Raised,
    Closed,
}

impl Alarm {
    fn raise(&self) {
        let mut state = lock(&self.state);
        if *state == AlarmState::Quiet {
            *state = AlarmState::Raised;
            self.changed.notify_all();
        }
    }

    fn close(&self) {
        *lock(&self.state) = AlarmState::Closed;
        self.changed.notify_all();
    }

    /// Waits until raised and then for `interval`. False when closed.
    fn wait(&self, interval: Duration) -> bool {
        let state = self
            .changed
            .wait_while(lock(&self.state), |state| *state == AlarmState::Quiet)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, interval, |state| *state == AlarmState::Raised)
            .unwrap_or_else(PoisonError::into_inner);
        if *state == AlarmState::Closed {
            return false;
        }
        *state = AlarmState::Quiet;
        true
    }
}
