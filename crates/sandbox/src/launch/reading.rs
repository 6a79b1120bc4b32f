//! Reading a worker's answers until it ends, its time is over, or it answers too much.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::watch::{Watch, Watched};
use super::{Run, Worker};
use crate::boundary::{Boundaries, Level};
use crate::error::SandboxError;
use crate::frame::{Frames, unpad};
use crate::raw::Ended;
use crate::setup::Ready;

/// What is kept of a worker's complaints. How much it writes is bounded by its time alone: nothing of it is stored.
const COMPLAINT_BYTES_MAX: usize = 64 * 1024;
/// How long a worker may take to close its box.
const CLOSING: Duration = Duration::from_secs(20);
/// How long a worker may take to end after its last answer.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// What has been read of a worker.
#[derive(Debug)]
pub(crate) struct Reading {
    frames: Frames,
    /// What held, when the worker has told it and the supervisor has checked it.
    pub(crate) ready: Option<Boundaries>,
    answered: u64,
    /// The most bytes it may answer, so far.
    pub(crate) allowance: u64,
    buffer: Vec<u8>,
    /// Looking at it, from the moment that its box is closed.
    watch: Option<Watch>,
}

/// What came of waiting for a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It goes on.
    On,
    /// It has closed its answers.
    Closed,
}

impl Reading {
    pub(crate) fn new(run: &Run) -> Self {
        Self {
            frames: Frames::default(),
            ready: None,
            answered: 0,
            allowance: run.limits.answer_bytes,
            buffer: vec![0; CHUNK],
            watch: None,
        }
    }

    /// What was seen of the worker while it ran.
    pub(crate) fn watched(&self) -> Watched {
        self.watch.as_ref().map(|watch| watch.seen).unwrap_or_default()
    }

    /// Waits once, at most as long as is left, and takes what came.
    pub(crate) fn step(
        &mut self,
        worker: &mut Worker,
        level: Level,
        left: Duration,
        on_frame: &mut impl FnMut(&[u8]),
    ) -> Result<Step, SandboxError> {
        let left = self.watch.as_ref().map_or(left, |watch| watch.until(left));
        let (answers, complaints) = wait(worker, left)?;
        if let Some(watch) = &mut self.watch {
            watch.look()?;
        }
        if complaints {
            complain(worker, &mut self.buffer);
        }
        if !answers {
            return Ok(Step::On);
        }
        let count = match rustix::io::read(&worker.answers, &mut self.buffer) {
            Ok(count) => count,
            Err(Errno::INTR) => return Ok(Step::On),
            Err(error) => return Err(SandboxError::Answer { why: error.to_string() }),
        };
        if count == 0 {
            return Ok(Step::Closed);
        }
        self.answered = self.answered.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        // The first frame is the box's, not the job's.
        if self.answered > self.allowance.saturating_add(COMPLAINT_BYTES_MAX as u64) {
            let why = format!("it has more than {} bytes", self.allowance);
            return Err(SandboxError::Answer { why });
        }
        let mut told = None;
        let mut unpadded = false;
        let ready = self.ready.is_some();
        let taken = self.frames.take(self.buffer.get(..count).unwrap_or_default(), |frame| {
            if !ready && told.is_none() {
                told = Some(serde_json::from_slice::<Ready>(frame));
            } else if level == Level::Standard {
                on_frame(frame);
            } else if let Some(content) = unpad(frame) {
                on_frame(content);
            } else {
                unpadded = true;
            }
        });
        taken.map_err(|length| SandboxError::Answer {
            why: format!("a frame of {length} bytes is announced"),
        })?;
        if unpadded {
            let why = "a frame has not the size that this level demands".to_owned();
            return Err(SandboxError::Answer { why });
        }
        if let Some(told) = told {
            let told = told.map_err(|error| SandboxError::Open { why: error.to_string() })?;
            self.ready = Some(worker.judge(told.boundaries, level)?);
            self.watch = worker.watch(level)?;
            worker.open_gate()?;
        }
        Ok(Step::On)
    }

    /// How long a worker may take that has closed its box, or not yet.
    pub(crate) fn limit(&self, wall: Duration) -> Duration {
        // A program that does not close its box at once is none that belongs here; it waits for something else.
        if self.ready.is_some() { wall } else { wall.min(CLOSING) }
    }

    /// What it is called when the time is over.
    pub(crate) fn late(&self, limit: Duration) -> SandboxError {
        match self.ready {
            Some(_) => SandboxError::WallTime { seconds: limit.as_secs() },
            None => SandboxError::Open { why: format!("it says nothing for {} s", limit.as_secs()) },
        }
    }

    /// Whether it ended as it should, when it has closed its answers.
    pub(crate) fn check_closed(&self, worker: &mut Worker) -> Result<(), SandboxError> {
        if self.frames.is_open() {
            return Err(SandboxError::Answer { why: "it breaks off within a frame".to_owned() });
        }
        if self.ready.is_some() {
            return Ok(());
        }
        finish(worker)?;
        Err(SandboxError::Open { why: "it answered nothing".to_owned() })
    }
}

/// Reads until the worker closes its answers. Answers what held, as the worker told and the supervisor checked.
pub(super) fn read(
    worker: &mut Worker,
    run: &Run,
    started: Instant,
    on_frame: &mut impl FnMut(&[u8]),
) -> Result<(Boundaries, Watched), SandboxError> {
    let mut reading = Reading::new(run);
    loop {
        let limit = reading.limit(run.limits.wall);
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(reading.late(limit));
        }
        if reading.step(worker, run.level, left, on_frame)? == Step::Closed {
            break;
        }
    }
    reading.check_closed(worker)?;
    let watched = reading.watched();
    let ready = reading.ready.ok_or_else(|| SandboxError::Open { why: "it answered nothing".to_owned() })?;
    Ok((ready, watched))
}

/// Takes the last complaints of a worker that has closed its answers, waits for its end, and says whether that is as it
/// should be. A worker that closes its answers and goes on is ended: it has nothing more to say.
pub(crate) fn finish(worker: &mut Worker) -> Result<Ended, SandboxError> {
    let grace = Instant::now();
    let mut buffer = vec![0; CHUNK];
    while !worker.silent && grace.elapsed() < GRACE {
        let mut complaints = [PollFd::new(&worker.complaints, PollFlags::IN)];
        let limit =
            Timespec::try_from(GRACE).map_err(|_| SandboxError::WallTime { seconds: GRACE.as_secs() })?;
        if poll(&mut complaints, Some(&limit)).is_ok_and(|count| count > 0) {
            complain(worker, &mut buffer);
        }
    }
    let mut handle = [PollFd::new(&worker.child.handle, PollFlags::IN)];
    let limit = Timespec::try_from(GRACE).map_err(|_| SandboxError::WallTime { seconds: GRACE.as_secs() })?;
    if poll(&mut handle, Some(&limit)) == Ok(0) {
        return Err(SandboxError::WallTime { seconds: GRACE.as_secs() });
    }
    let ended = worker.end()?;
    check_end(worker, ended)?;
    Ok(ended)
}

/// Waits for something to read; answers whether there are answers, and complaints.
fn wait(worker: &Worker, left: Duration) -> Result<(bool, bool), SandboxError> {
    // Complaints that are closed would wake the supervisor for ever.
    let mut both =
        [PollFd::new(&worker.answers, PollFlags::IN), PollFd::new(&worker.complaints, PollFlags::IN)];
    let watched = if worker.silent { 1 } else { 2 };
    let limit = Timespec::try_from(left).map_err(|_| SandboxError::WallTime { seconds: left.as_secs() })?;
    let set = both.get_mut(..watched).unwrap_or_default();
    match poll(set, Some(&limit)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(SandboxError::Start { step: "poll", source: error.into() }),
    }
    let mut ready = set.iter().map(|descriptor| !descriptor.revents().is_empty());
    Ok((ready.next().unwrap_or(false), ready.next().unwrap_or(false)))
}

/// Keeps the beginning of what the worker writes to its error output, and takes the rest so that it is not held up.
fn complain(worker: &mut Worker, buffer: &mut [u8]) {
    match rustix::io::read(&worker.complaints, &mut *buffer) {
        Ok(count) if count > 0 => {
            let room = COMPLAINT_BYTES_MAX.saturating_sub(worker.complaint.len());
            worker.complaint.extend_from_slice(buffer.get(..count.min(room)).unwrap_or_default());
        }
        Err(Errno::INTR) => {}
        _ => worker.silent = true,
    }
}

/// Whether the worker ended by itself, with status 0.
fn check_end(worker: &Worker, ended: Ended) -> Result<(), SandboxError> {
    if ended.status == 0 {
        return Ok(());
    }
    // Control characters in what a taken-over worker writes stay out of terminals and records.
    let text: String = String::from_utf8_lossy(&worker.complaint)
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(400)
        .collect();
    let complaint = text.trim().to_owned();
    if ended.status == -libc::SIGSYS {
        return Err(SandboxError::Forbidden { complaint });
    }
    let how = if ended.status < 0 {
        format!("signal {}", ended.status.unsigned_abs())
    } else {
        format!("status {}", ended.status)
    };
    Err(SandboxError::Ended { how, complaint })
}
