//! What a worker calls first: it closes the box around itself, and only then gets its job.
//!
//! Until [`enter`] answers, the process has read nothing that anybody else wrote but its supervisor.

#[cfg(feature = "probe")]
mod alone;
mod confine;
mod filter;
mod trial;

#[cfg(feature = "probe")]
pub use alone::{Layer, enforce_alone, forbid_namespaces};

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;

use crate::boundary::{Boundaries, Level};
use crate::frame::{Frames, Messages, pad, part_bytes, parts, write_frame};
use crate::raw;
use crate::setup::{ANSWERS, GATE, INPUTS, JOB, MARK, OPEN, Ready, Setup};

/// The largest setup, which names the inputs.
const SETUP_BYTES_MAX: u32 = 4 << 20;
/// The largest job.
const JOB_BYTES_MAX: u64 = 16 << 20;
/// The largest thing that is asked after the job.
pub(crate) const REQUEST_BYTES_MAX: usize = 16 << 20;

/// What a worker has: its job, its inputs, a way to answer.
#[derive(Debug)]
pub struct Inside {
    /// The job, as the supervisor wrote it.
    pub job: Vec<u8>,
    /// The inputs by the names the supervisor gave them, open for reading.
    pub inputs: Vec<(String, File)>,
    /// The way to answer.
    pub answers: Answers,
    /// What is asked after the job, where the supervisor goes on asking.
    pub requests: Requests,
}

impl Inside {
    /// Answers one frame.
    pub fn answer(&mut self, frame: &[u8]) -> io::Result<()> {
        self.answers.frame(frame)
    }
}

/// Where a worker answers.
#[derive(Debug)]
pub struct Answers {
    pipe: File,
    level: Level,
}

impl Answers {
    /// Answers one frame.
    pub fn frame(&mut self, frame: &[u8]) -> io::Result<()> {
        match self.level {
            Level::Standard => write_frame(&mut self.pipe, frame),
            Level::Deep | Level::Gvisor => write_frame(&mut self.pipe, &pad(frame)?),
        }
    }

    /// Answers one message, in as many frames as it needs.
    pub fn message(&mut self, message: &[u8]) -> io::Result<()> {
        parts(message, part_bytes(self.level)).try_for_each(|part| self.frame(&part))
    }

    /// How well this worker is boxed.
    pub const fn level(&self) -> Level {
        self.level
    }
}

/// Where a worker is asked.
#[derive(Debug)]
pub struct Requests {
    pipe: File,
    frames: Frames,
    messages: Messages,
    whole: VecDeque<Vec<u8>>,
}

impl Requests {
    /// The next thing that is asked; none when the supervisor asks nothing more.
    ///
    /// # Errors
    /// Where the supervisor breaks off within a message, or sends what is none.
    pub fn wait(&mut self) -> io::Result<Option<Vec<u8>>> {
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(message) = self.whole.pop_front() {
                return Ok(Some(message));
            }
            let count = self.pipe.read(&mut buffer)?;
            if count == 0 && (self.frames.is_open() || self.messages.is_open()) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if count == 0 {
                return Ok(None);
            }
            let mut broken = None;
            let (messages, whole) = (&mut self.messages, &mut self.whole);
            let taken = self.frames.take(buffer.get(..count).unwrap_or_default(), |frame| {
                match messages.take(frame) {
                    Ok(message) => whole.extend(message),
                    Err(error) => broken = Some(error),
                }
            });
            taken.map_err(|length| wrong(format!("a frame of {length} bytes is announced")))?;
            if let Some(error) = broken {
                return Err(wrong(error.to_string()));
            }
        }
    }
}

/// Why the box could not be closed.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// Nobody prepared descriptors for this process.
    #[error("this program is started by `countersign`, not by hand")]
    NotSupervised,
    /// What the supervisor wrote cannot be read.
    #[error("the setup cannot be read")]
    Setup(#[source] io::Error),
    /// The supervisor went away or refused.
    #[error("the supervisor did not hand over the job")]
    Refused(#[source] io::Error),
}

/// Closes the box, tells what held, and takes the job. Call it before anything else, on the only thread.
///
/// # Errors
/// Where this process was not started by [`crate::launch`]. A boundary that cannot be enforced is no error here: it is
/// told, and the supervisor decides.
pub fn enter() -> Result<Inside, EnterError> {
    if std::env::args_os().nth(1).is_none_or(|argument| argument != MARK) {
        return Err(EnterError::NotSupervised);
    }
    let take = |number| raw::inherited(number).map(File::from).ok_or(EnterError::NotSupervised);
    let (mut gate, mut answers, mut job) = (take(GATE)?, take(ANSWERS)?, take(JOB)?);
    let setup = read_setup(&mut job).map_err(EnterError::Setup)?;
    let mut inputs = Vec::with_capacity(setup.inputs.len());
    let mut number = INPUTS;
    for name in &setup.inputs {
        let input: OwnedFd = raw::inherited(number).ok_or(EnterError::NotSupervised)?;
        inputs.push((name.clone(), File::from(input)));
        number += 1;
    }
    let mut boundaries = Boundaries::default();
    confine::confine(&setup, number, &mut boundaries);
    let ready = serde_json::to_vec(&Ready { boundaries }).map_err(|error| EnterError::Setup(error.into()))?;
    write_frame(&mut answers, &ready).map_err(EnterError::Refused)?;
    // The supervisor looks at the box from outside before it lets the job be read.
    let mut byte = [0];
    gate.read_exact(&mut byte).map_err(EnterError::Refused)?;
    if byte != [OPEN] {
        return Err(EnterError::Refused(io::ErrorKind::InvalidData.into()));
    }
    let mut text = Vec::new();
    job.take(JOB_BYTES_MAX).read_to_end(&mut text).map_err(EnterError::Setup)?;
    let answers = Answers { pipe: answers, level: setup.level };
    let messages = Messages::new(REQUEST_BYTES_MAX);
    let requests = Requests { pipe: gate, frames: Frames::default(), messages, whole: VecDeque::new() };
    Ok(Inside { job: text, inputs, answers, requests })
}

/// The setup stands before the job: four bytes of length, then JSON.
fn read_setup(job: &mut File) -> io::Result<Setup> {
    let mut length = [0; 4];
    job.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > SETUP_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the setup is too large"));
    }
    let mut text = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    job.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// The setup and the job, as [`enter`] reads them.
pub(crate) fn write_job(setup: &Setup, job: &[u8]) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec(setup)?;
    let length = u32::try_from(text.len()).ok().filter(|length| *length <= SETUP_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the inputs' names"))?;
    let mut bytes = Vec::with_capacity(4 + text.len() + job.len());
    bytes.write_all(&length.to_le_bytes())?;
    bytes.extend_from_slice(&text);
    bytes.extend_from_slice(job);
    Ok(bytes)
}
