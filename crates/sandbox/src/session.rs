//! A worker that is asked several things: one process, one box, messages both ways.
//!
//! Opening a large model takes seconds, so a worker that runs one is kept and asked again and again. Each thing that is
//! asked allows so many bytes of answers ([`Limits::answer_bytes`](crate::Limits::answer_bytes)); how long an answer may
//! take is the caller's to say, each time it waits. A worker that keeps to neither is ended.
//!
//! The thread that opens a session is the worker's parent: when it ends, the worker is ended with it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::boundary::{Boundaries, Level};
use crate::error::SandboxError;
use crate::frame::{Messages, part_bytes, parts};
use crate::inside::REQUEST_BYTES_MAX;
use crate::launch::reading::{Reading, Step, finish};
use crate::launch::{Input, Outcome, Run, Worker};
use crate::program::Program;

/// The largest message that a worker answers.
pub const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// A worker under way.
#[derive(Debug)]
pub struct Session {
    worker: Worker,
    reading: Reading,
    boundaries: Boundaries,
    messages: Messages,
    whole: VecDeque<Vec<u8>>,
    level: Level,
    answer_bytes: u64,
    asked: Arc<AtomicU64>,
    started: Instant,
    closed: bool,
}

/// Where a worker is asked. It may be used by another thread than the one that reads.
#[derive(Debug)]
pub struct Asking {
    pipe: OwnedFd,
    level: Level,
    asked: Arc<AtomicU64>,
}

impl Run {
    /// Starts a worker, checks its box, and hands over the job. The worker's first answers wait to be read.
    ///
    /// # Errors
    /// As [`Run::run`]; a box that is not closed after [`Limits::wall`](crate::Limits::wall) is one.
    pub fn open(
        &self,
        program: &Program,
        inputs: &[Input],
        job: &[u8],
    ) -> Result<(Session, Asking), SandboxError> {
        let started = Instant::now();
        let mut worker = self.launch(program, inputs, job)?;
        let mut reading = Reading::new(self);
        let mut messages = Messages::new(MESSAGE_BYTES_MAX);
        let mut whole = VecDeque::new();
        let boundaries = loop {
            let limit = reading.limit(self.limits.wall);
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(reading.late(limit));
            }
            let step = collect(&mut reading, &mut worker, self.level, left, &mut messages, &mut whole)?;
            if let Some(boundaries) = &reading.ready {
                break boundaries.clone();
            }
            if step == Step::Closed {
                reading.check_closed(&mut worker)?;
            }
        };
        let pipe =
            worker.gate.take().ok_or_else(|| SandboxError::Open { why: "its gate is gone".to_owned() })?;
        rustix::io::ioctl_fionbio(&pipe, true)
            .map_err(|error| SandboxError::Start { step: "fcntl", source: error.into() })?;
        let asked = Arc::new(AtomicU64::new(0));
        let asking = Asking { pipe, level: self.level, asked: Arc::clone(&asked) };
        let session = Session {
            worker,
            reading,
            boundaries,
            messages,
            whole,
            level: self.level,
            answer_bytes: self.limits.answer_bytes,
            asked,
            started,
            closed: false,
        };
        Ok((session, asking))
    }
}

impl Session {
    /// What holds around the worker.
    pub const fn boundaries(&self) -> &Boundaries {
        &self.boundaries
    }

    /// The next message; none where none came in time, or the worker has closed its answers.
    ///
    /// # Errors
    /// Where the worker answers what is no message, or more than it may. It must then be dropped, which ends it.
    pub fn next(&mut self, within: Duration) -> Result<Option<Vec<u8>>, SandboxError> {
        let began = Instant::now();
        loop {
            if let Some(message) = self.whole.pop_front() {
                return Ok(Some(message));
            }
            let left = within.saturating_sub(began.elapsed());
            if self.closed || left.is_zero() {
                return Ok(None);
            }
            let asked = self.asked.load(Ordering::Relaxed).saturating_add(1);
            self.reading.allowance = self.answer_bytes.saturating_mul(asked);
            let step = collect(
                &mut self.reading,
                &mut self.worker,
                self.level,
                left,
                &mut self.messages,
                &mut self.whole,
            )?;
            if step == Step::Closed {
                self.closed = true;
                if self.messages.is_open() {
                    return Err(SandboxError::Answer { why: "it breaks off within a message".to_owned() });
                }
            }
        }
    }

    /// The number of the worker's process, as this process sees it.
    pub const fn process(&self) -> i32 {
        self.worker.process()
    }

    /// Whether the worker has closed its answers: nothing more comes.
    pub fn is_closed(&self) -> bool {
        self.closed && self.whole.is_empty()
    }

    /// Waits for the end of a worker that is asked nothing more: drop its [`Asking`] before.
    ///
    /// # Errors
    /// Where it does not end by itself, with status 0, within the time.
    pub fn finish(mut self, within: Duration) -> Result<Outcome, SandboxError> {
        while !self.closed {
            if self.next(within)?.is_none() && !self.closed {
                return Err(SandboxError::WallTime { seconds: within.as_secs() });
            }
        }
        self.reading.check_closed(&mut self.worker)?;
        let ended = finish(&mut self.worker)?;
        Ok(Outcome::of(self.boundaries.clone(), ended, self.started, self.reading.watched()))
    }
}

impl Asking {
    /// Asks something.
    ///
    /// # Errors
    /// Where it is too long, the worker does not take it in time, or is gone.
    pub fn ask(&self, message: &[u8], within: Duration) -> Result<(), SandboxError> {
        if message.len() > REQUEST_BYTES_MAX {
            return Err(SandboxError::TooMuch {
                what: "what is asked, in bytes,",
                size: u64::try_from(message.len()).unwrap_or(u64::MAX),
                limit: REQUEST_BYTES_MAX as u64,
            });
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        for part in parts(message, part_bytes(self.level)) {
            let mut bytes = u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
            bytes.extend_from_slice(&part);
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                match rustix::io::write(&self.pipe, rest) {
                    Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => self.wait(within.saturating_sub(began.elapsed()), within)?,
                    Err(error) => {
                        return Err(SandboxError::Gone { why: error.to_string() });
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until the worker has taken something.
    fn wait(&self, left: Duration, within: Duration) -> Result<(), SandboxError> {
        let late = || SandboxError::WallTime { seconds: within.as_secs() };
        if left.is_zero() {
            return Err(late());
        }
        let limit = Timespec::try_from(left).map_err(|_| late())?;
        match poll(&mut [PollFd::new(&self.pipe, PollFlags::OUT)], Some(&limit)) {
            Ok(0) => Err(late()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(SandboxError::Start { step: "poll", source: error.into() }),
        }
    }
}

/// Waits once, and joins what came to messages.
fn collect(
    reading: &mut Reading,
    worker: &mut Worker,
    level: Level,
    left: Duration,
    messages: &mut Messages,
    whole: &mut VecDeque<Vec<u8>>,
) -> Result<Step, SandboxError> {
    let mut broken = None;
    let step = reading.step(worker, level, left, &mut |frame| match messages.take(frame) {
        Ok(message) => whole.extend(message),
        Err(error) => broken = Some(error),
    })?;
    match broken {
        Some(error) => Err(SandboxError::Answer { why: error.to_string() }),
        None => Ok(step),
    }
}
