//! What the supervisor tells a worker before anything else, and where the descriptors are.

use serde::{Deserialize, Serialize};

use crate::boundary::{Boundaries, Level};
use crate::limits::Profile;

/// The worker reads one byte from here before it starts, and one before it reads its job.
pub(crate) const GATE: i32 = 0;
/// The worker answers frames here.
pub(crate) const ANSWERS: i32 = 3;
/// The setup and the job, sealed.
pub(crate) const JOB: i32 = 4;
/// The first input; the others follow.
pub(crate) const INPUTS: i32 = 5;

/// The gate opens: the supervisor has prepared the process, or checked the box.
pub(crate) const OPEN: u8 = b'+';

/// Argument that says that the program was started by a supervisor.
pub(crate) const MARK: &str = "--boxed";

/// How the box is to be closed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    pub(crate) level: Level,
    pub(crate) profile: Profile,
    /// Whether the process is in namespaces of its own.
    pub(crate) namespaces: bool,
    /// Bytes of address space.
    pub(crate) memory_bytes: u64,
    pub(crate) processor_s: u64,
    pub(crate) threads: u64,
    /// The names of the inputs, in the order of their descriptors.
    pub(crate) inputs: Vec<String>,
}

/// The worker's first frame.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ready {
    pub(crate) boundaries: Boundaries,
}
