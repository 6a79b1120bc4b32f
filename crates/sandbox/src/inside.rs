//! What a worker calls first: it closes the box around itself, and only then gets its job.
//!
//! Until [`enter`] answers, the process has read nothing that anybody else wrote but its supervisor.

#[cfg(feature = "probe")]
mod alone;
mod confine;
mod filter;
mod trial;

#[cfg(feature = "probe")]
pub use alone::{Layer, enforce_alone};

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;

use crate::boundary::{Boundaries, Level};
use crate::frame::{pad, write_frame};
use crate::raw;
use crate::setup::{ANSWERS, GATE, INPUTS, JOB, MARK, OPEN, Ready, Setup};

/// The largest setup, which names the inputs.
const SETUP_BYTES_MAX: u32 = 4 << 20;
/// The largest job.
const JOB_BYTES_MAX: u64 = 16 << 20;

/// What a worker has: its job, its inputs, a way to answer.
#[derive(Debug)]
pub struct Inside {
    /// The job, as the supervisor wrote it.
    pub job: Vec<u8>,
    /// The inputs by the names the supervisor gave them, open for reading.
    pub inputs: Vec<(String, File)>,
    answers: File,
    level: Level,
}

impl Inside {
    /// Answers one frame.
    pub fn answer(&mut self, frame: &[u8]) -> io::Result<()> {
        match self.level {
            Level::Standard => write_frame(&mut self.answers, frame),
            Level::Deep => write_frame(&mut self.answers, &pad(frame)?),
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
    Ok(Inside { job: text, inputs, answers, level: setup.level })
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
