//! What this host can enforce: found out by starting a worker that has nothing to do, not by reading versions.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::boundary::{Boundaries, Level};
use crate::error::SandboxError;
use crate::launch::Run;
use crate::limits::{Limits, Profile};
use crate::program::Program;

/// What a worker needs that has nothing to do.
const NOTHING: Limits = Limits {
    memory_bytes: 512 << 20,
    processor_s: 5,
    wall: Duration::from_secs(10),
    threads: 1,
    answer_bytes: 64 * 1024,
};

/// What holds around a worker on this host, at the least level. `job` is one that the worker answers at once.
pub fn enforced(program: &Program, job: &[u8]) -> Result<Boundaries, SandboxError> {
    let run = Run { level: Level::Standard, profile: Profile::Parse, limits: NOTHING };
    run.run(program, &[], job, |_| {}).map(|outcome| outcome.boundaries)
}

/// How many descriptors this process may have open, after it asked for as many as it may ask for.
pub fn descriptors() -> u64 {
    let own = getrlimit(Resource::Nofile);
    let most = Rlimit { current: own.maximum, maximum: own.maximum };
    match setrlimit(Resource::Nofile, most) {
        Ok(()) => own.maximum.unwrap_or(u64::MAX),
        Err(_) => own.current.unwrap_or(u64::MAX),
    }
}
