//! Starting a worker, checking its box from outside, reading what it answers, ending it.

mod outside;
pub(crate) mod reading;
mod watch;

pub use watch::Watched;

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use crate::boundary::{Boundaries, Boundary, Held, Level};
use crate::cgroup::Group;
use crate::error::SandboxError;
use crate::gvisor;
use crate::inside::write_job;
use crate::limits::{Limits, Profile};
use crate::program::{Program, seal};
use crate::raw::{self, Child, Ended, NAMESPACES};
use crate::setup::{INPUTS, MARK, OPEN, Setup};
use watch::{Bounds, Watch};

/// The most inputs of one worker.
pub const INPUTS_MAX: usize = 4096;
/// The largest job.
pub const JOB_BYTES_MAX: usize = 16 << 20;

/// One input: a file, open for reading, and the name the worker knows it by.
#[derive(Debug)]
pub struct Input {
    /// The name. It is a word of the supervisor's; the worker cannot open it.
    pub name: String,
    /// The file.
    pub file: File,
}

impl Input {
    /// Bytes that are in no file: a copy in memory that nobody can change any more.
    ///
    /// # Errors
    /// Where the copy cannot be made.
    pub fn sealed(name: &str, bytes: &[u8]) -> std::io::Result<Self> {
        Ok(Self { name: name.to_owned(), file: File::from(seal("countersign-input", bytes)?) })
    }
}

/// How a worker is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How well it is boxed.
    pub level: Level,
    /// Which system calls it needs.
    pub profile: Profile,
    /// How much it may use.
    pub limits: Limits,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What held around the worker.
    pub boundaries: Boundaries,
    /// Processor time it used, in milliseconds.
    pub processor_ms: u64,
    /// The most memory it had, in bytes.
    pub memory_peak_bytes: u64,
    /// How long it took, in milliseconds.
    pub wall_ms: u64,
    /// What was seen of it while it ran.
    pub watched: Watched,
}

impl Outcome {
    pub(crate) fn of(boundaries: Boundaries, ended: Ended, started: Instant, watched: Watched) -> Self {
        Self {
            boundaries,
            processor_ms: ended.processor_ms,
            memory_peak_bytes: ended.memory_peak_bytes,
            wall_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            watched,
        }
    }
}

impl Run {
    /// Runs a worker on its inputs; calls `on_frame` with each answer as it comes.
    ///
    /// # Errors
    /// Where the box is not what the level demands, the worker does not end by itself with status 0, or does not keep to
    /// its limits. Frames that came before are then worth nothing.
    pub fn run(
        &self,
        program: &Program,
        inputs: &[Input],
        job: &[u8],
        mut on_frame: impl FnMut(&[u8]),
    ) -> Result<Outcome, SandboxError> {
        let started = Instant::now();
        let mut worker = self.launch(program, inputs, job)?;
        let (boundaries, watched) = reading::read(&mut worker, self, started, &mut on_frame)?;
        let ended = reading::finish(&mut worker)?;
        Ok(Outcome::of(boundaries, ended, started, watched))
    }

    /// Starts a worker, with namespaces where this user may have them.
    pub(crate) fn launch(
        &self,
        program: &Program,
        inputs: &[Input],
        job: &[u8],
    ) -> Result<Worker, SandboxError> {
        let too_much = |what, size: usize, limit: usize| {
            let (size, limit) =
                (u64::try_from(size).unwrap_or(u64::MAX), u64::try_from(limit).unwrap_or(u64::MAX));
            SandboxError::TooMuch { what, size, limit }
        };
        if inputs.len() > INPUTS_MAX {
            return Err(too_much("the number of inputs", inputs.len(), INPUTS_MAX));
        }
        if job.len() > JOB_BYTES_MAX {
            return Err(too_much("the job, in bytes,", job.len(), JOB_BYTES_MAX));
        }
        if self.level == Level::Gvisor {
            gvisor::inside().map_err(|why| SandboxError::Gvisor { why })?;
        }
        match self.start(program, inputs, job, NAMESPACES) {
            // A host that forbids namespaces to this user: the other layers must do, if the level lets them.
            Err(SandboxError::Start { step: "clone3", source }) if refuses(&source) => {
                let mut worker = self.start(program, inputs, job, 0)?;
                worker.without = Some(source.to_string());
                Ok(worker)
            }
            other => other,
        }
    }

    fn start(
        &self,
        program: &Program,
        inputs: &[Input],
        job: &[u8],
        namespaces: i32,
    ) -> Result<Worker, SandboxError> {
        let failed = |step| move |error: Errno| SandboxError::Start { step, source: error.into() };
        let (gate_out, gate) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
        let (answers, answers_in) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
        let (complaints, complaints_in) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
        let nothing = File::options()
            .write(true)
            .open("/dev/null")
            .map_err(|source| SandboxError::Start { step: "/dev/null", source })?;
        let mapped = inputs.iter().try_fold(0_u64, |sum, input| {
            Ok::<_, std::io::Error>(sum.saturating_add(input.file.metadata()?.len()))
        });
        let mapped = mapped.map_err(|source| SandboxError::Start { step: "fstat of an input", source })?;
        let setup = Setup {
            level: self.level,
            profile: self.profile,
            namespaces: namespaces != 0,
            memory_bytes: self.limits.memory_bytes.saturating_add(mapped),
            processor_s: self.limits.processor_s,
            threads: self.limits.threads,
            inputs: inputs.iter().map(|input| input.name.clone()).collect(),
        };
        let job = write_job(&setup, job)
            .and_then(|bytes| seal("countersign-job", &bytes))
            .map_err(|source| SandboxError::Start { step: "sealing the job", source })?;
        let mut descriptors: Vec<BorrowedFd<'_>> =
            vec![gate_out.as_fd(), nothing.as_fd(), complaints_in.as_fd(), answers_in.as_fd(), job.as_fd()];
        descriptors.extend(inputs.iter().map(|input| input.file.as_fd()));
        let placed = raised(&descriptors, descriptors.len()).map_err(failed("fcntl"))?;
        // The program's own descriptor stays out of the places too; it closes when the program is executed.
        let above = INPUTS.saturating_add(i32::try_from(descriptors.len()).unwrap_or(i32::MAX / 2));
        let code = fcntl_dupfd_cloexec(program.descriptor(), above).map_err(failed("fcntl"))?;
        let program_name = c"countersign-worker".to_owned();
        let mark = CString::new(MARK).unwrap_or_default();
        let borrowed: Vec<BorrowedFd<'_>> = placed.iter().map(|descriptor| descriptor.as_fd()).collect();
        let arguments = [program_name.as_c_str(), mark.as_c_str()];
        let this = pidfd_open(getpid(), PidfdFlags::empty()).map_err(failed("pidfd_open"))?;
        let child = raw::start(this.as_fd(), code.as_fd(), &arguments, &borrowed, namespaces)
            .map_err(|source| SandboxError::Start { step: "clone3", source })?;
        let mut worker = Worker {
            child,
            gate: Some(gate),
            answers,
            complaints,
            complaint: Vec::new(),
            silent: false,
            group: None,
            without: None,
            waited: false,
            bounds: Bounds { threads: self.limits.threads, mapped_bytes: setup.memory_bytes },
        };
        if namespaces != 0 {
            outside::map_users(worker.child.pid)
                .map_err(|source| SandboxError::Start { step: "mapping users", source })?;
        }
        worker.open_gate()?;
        // Moving a process waits for every processor; meanwhile the worker closes its box. The gate before the job opens
        // after both, so that no input is read outside of the group.
        worker.group = Some(Group::around(worker.child.pid, &self.limits, mapped));
        Ok(worker)
    }
}

/// Copies of descriptors with numbers above all places in the child, of which there are `places`.
fn raised(descriptors: &[BorrowedFd<'_>], places: usize) -> Result<Vec<OwnedFd>, Errno> {
    let above = INPUTS.saturating_add(i32::try_from(places).unwrap_or(i32::MAX / 2));
    descriptors.iter().map(|descriptor| fcntl_dupfd_cloexec(descriptor, above)).collect()
}

/// Whether the host does not let this user have namespaces.
fn refuses(error: &std::io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EPERM | libc::ENOSPC | libc::EINVAL | libc::EUSERS | libc::ENOSYS)
    )
}

/// A worker that runs, and the ends of its pipes.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    pub(crate) gate: Option<OwnedFd>,
    answers: OwnedFd,
    complaints: OwnedFd,
    complaint: Vec<u8>,
    /// It has closed its error output.
    silent: bool,
    group: Option<Group>,
    /// Why it has no namespaces of its own.
    without: Option<String>,
    waited: bool,
    /// How much it may be seen to use.
    bounds: Bounds,
}

impl Worker {
    pub(crate) const fn process(&self) -> i32 {
        self.child.pid
    }

    /// Begins to look at it, where the level asks for that.
    fn watch(&self, level: Level) -> Result<Option<Watch>, SandboxError> {
        match level {
            Level::Standard => Ok(None),
            Level::Deep | Level::Gvisor => Watch::begin(self.child.pid, self.bounds).map(Some),
        }
    }

    fn open_gate(&mut self) -> Result<(), SandboxError> {
        let Some(gate) = &self.gate else { return Ok(()) };
        let written = rustix::io::write(gate, &[OPEN]);
        written
            .map(drop)
            .map_err(|error| SandboxError::Start { step: "opening the gate", source: error.into() })
    }

    /// What the kernel says of the box, beside what the worker says.
    fn judge(&self, mut boundaries: Boundaries, level: Level) -> Result<Boundaries, SandboxError> {
        if let Some(why) = &self.without {
            for boundary in outside::BY_NAMESPACE {
                boundaries.set(boundary, Held::NotEnforced(format!("namespaces are refused: {why}")));
            }
        }
        outside::compare(self.child.pid, &mut boundaries)?;
        boundaries.set(Boundary::WallTime, Held::Enforced);
        boundaries.set(Boundary::Answers, Held::Enforced);
        if let Some(group) = &self.group {
            group.tell(&mut boundaries);
        }
        match boundaries.lacks(level).into_iter().next() {
            Some((boundary, why)) => Err(SandboxError::Lacks { boundary, level, why }),
            None => Ok(boundaries),
        }
    }

    fn end(&mut self) -> Result<Ended, SandboxError> {
        let ended =
            raw::wait(self.child.pid).map_err(|source| SandboxError::Start { step: "wait4", source })?;
        self.waited = true;
        Ok(ended)
    }
}

impl Drop for Worker {
    /// However this ends, no worker is left behind.
    fn drop(&mut self) {
        if !self.waited {
            let killed = pidfd_send_signal(&self.child.handle, Signal::KILL);
            if killed.is_ok() || killed == Err(Errno::SRCH) {
                // What it used is of no interest any more.
                drop(raw::wait(self.child.pid));
            }
        }
    }
}
