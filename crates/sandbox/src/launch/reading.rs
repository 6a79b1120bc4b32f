//! Reading a worker's answers until it ends, its time is over, or it answers too much.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

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

/// Reads until the worker closes its answers. Answers what held, as the worker told and the supervisor checked.
pub(super) fn read(
    worker: &mut Worker,
    run: &Run,
    started: Instant,
    on_frame: &mut impl FnMut(&[u8]),
) -> Result<Boundaries, SandboxError> {
    let mut frames = Frames::default();
    let mut ready: Option<Boundaries> = None;
    let mut answered = 0_u64;
    let mut buffer = vec![0; CHUNK];
    loop {
        // A program that does not close its box at once is none that belongs here; it waits for something else.
        let limit = if ready.is_some() { run.limits.wall } else { run.limits.wall.min(CLOSING) };
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(match ready {
                Some(_) => SandboxError::WallTime { seconds: limit.as_secs() },
                None => SandboxError::Open { why: format!("it says nothing for {} s", limit.as_secs()) },
            });
        }
        let (answers, complaints) = wait(worker, left)?;
        if complaints {
            complain(worker, &mut buffer);
        }
        if !answers {
            continue;
        }
        let count = match rustix::io::read(&worker.answers, &mut buffer) {
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(SandboxError::Answer { why: error.to_string() }),
        };
        if count == 0 {
            break;
        }
        answered = answered.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        // The first frame is the box's, not the job's.
        if answered > run.limits.answer_bytes.saturating_add(COMPLAINT_BYTES_MAX as u64) {
            let why = format!("it has more than {} bytes", run.limits.answer_bytes);
            return Err(SandboxError::Answer { why });
        }
        let mut told = None;
        let mut unpadded = false;
        frames
            .take(buffer.get(..count).unwrap_or_default(), |frame| {
                if ready.is_none() && told.is_none() {
                    told = Some(serde_json::from_slice::<Ready>(frame));
                } else if run.level == Level::Standard {
                    on_frame(frame);
                } else if let Some(content) = unpad(frame) {
                    on_frame(content);
                } else {
                    unpadded = true;
                }
            })
            .map_err(|length| SandboxError::Answer {
                why: format!("a frame of {length} bytes is announced"),
            })?;
        if unpadded {
            return Err(SandboxError::Answer {
                why: "a frame has not the size that this level demands".to_owned(),
            });
        }
        if let Some(told) = told {
            let told = told.map_err(|error| SandboxError::Open { why: error.to_string() })?;
            ready = Some(worker.judge(told.boundaries, run.level)?);
            worker.open_gate()?;
        }
    }
    if frames.is_open() {
        return Err(SandboxError::Answer { why: "it breaks off within a frame".to_owned() });
    }
    if let Some(boundaries) = ready {
        return Ok(boundaries);
    }
    finish(worker)?;
    Err(SandboxError::Open { why: "it answered nothing".to_owned() })
}

/// Takes the last complaints of a worker that has closed its answers, waits for its end, and says whether that is as it
/// should be. A worker that closes its answers and goes on is ended: it has nothing more to say.
pub(super) fn finish(worker: &mut Worker) -> Result<Ended, SandboxError> {
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
    let how = if ended.status < 0 {
        format!("signal {}", ended.status.unsigned_abs())
    } else {
        format!("status {}", ended.status)
    };
    // Control characters in what a taken-over worker writes stay out of terminals and records.
    let text: String = String::from_utf8_lossy(&worker.complaint)
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(400)
        .collect();
    Err(SandboxError::Ended { how, complaint: text.trim().to_owned() })
}
