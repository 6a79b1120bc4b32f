//! Why a worker was not run, or did not end as it should.

use crate::boundary::{Boundary, Level};

/// What went wrong around a worker.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The worker's program cannot be read or sealed.
    #[error("the worker `{name}` cannot be loaded")]
    Program {
        /// The program's path.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The process, or what it is to get, cannot be made.
    #[error("a worker cannot be started: `{step}` failed")]
    Start {
        /// What was tried.
        step: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The level demands a boundary that is not enforced on this host.
    #[error("the box lacks `{}`, which the level `{level:?}` demands: {why}", boundary.name())]
    Lacks {
        /// The boundary.
        boundary: Boundary,
        /// The level.
        level: Level,
        /// Why it is not enforced.
        why: String,
    },
    /// The level is gVisor, and this process does not run inside it.
    #[error("this is not gVisor, which was asked for: {why}")]
    Gvisor {
        /// What tells so.
        why: String,
    },
    /// The worker did not close its box, or says something other than what is seen from outside.
    #[error("the worker did not close its box: {why}")]
    Open {
        /// What is wrong.
        why: String,
    },
    /// More inputs than descriptors, or a job that is too large.
    #[error("the job does not fit: {what} is {size}, the limit is {limit}")]
    TooMuch {
        /// What.
        what: &'static str,
        /// How much there is.
        size: u64,
        /// How much there may be.
        limit: u64,
    },
    /// It took too long.
    #[error("the worker was ended after {seconds} s")]
    WallTime {
        /// The limit.
        seconds: u64,
    },
    /// It answered too much, or something that is no frame.
    #[error("the worker's answer is not in order: {why}")]
    Answer {
        /// What is wrong.
        why: String,
    },
    /// It ended by itself, not as it should.
    #[error("the worker ended with {how}: {complaint}")]
    Ended {
        /// The exit status or signal.
        how: String,
        /// The first words it wrote to its error output.
        complaint: String,
    },
    /// It made a system call that is not on its list, and was ended for it.
    #[error("the worker made a system call that is not on its list (signal 31): {complaint}")]
    Forbidden {
        /// The first words it wrote to its error output.
        complaint: String,
    },
    /// Its box is not what it was, or it uses more than it may.
    #[error("the worker was ended while it ran: {why}")]
    Watched {
        /// What was seen.
        why: String,
    },
    /// What it answers has its form, and cannot be true.
    #[error("what the worker says cannot be: {what}")]
    Lie {
        /// What cannot be.
        what: String,
    },
    /// It ended while it was wanted.
    #[error("the worker is gone: {why}")]
    Gone {
        /// What was seen of its end.
        why: String,
    },
}

impl SandboxError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Program { .. } => "CS-BOX-001",
            Self::Start { .. } => "CS-BOX-002",
            Self::Lacks { .. } => "CS-BOX-003",
            Self::Open { .. } => "CS-BOX-004",
            Self::TooMuch { .. } => "CS-BOX-005",
            Self::WallTime { .. } => "CS-BOX-006",
            Self::Answer { .. } => "CS-BOX-007",
            Self::Ended { .. } => "CS-BOX-008",
            Self::Lie { .. } => "CS-BOX-009",
            Self::Gone { .. } => "CS-BOX-010",
            Self::Forbidden { .. } => "CS-BOX-011",
            Self::Watched { .. } => "CS-BOX-012",
            Self::Gvisor { .. } => "CS-BOX-013",
        }
    }

    /// What to do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Program { .. } => "name the worker's program, and check that it can be read",
            Self::Start { .. } => "`countersign doctor` tells what this host allows",
            Self::Lacks { .. } => "`countersign doctor` lists the boundaries; use a host that has this one",
            Self::Gvisor { .. } => {
                "run the station itself inside gVisor (deploy/kubernetes/sandbox), or ask for `deep`"
            }
            Self::Open { .. } => "the worker's program is not the one that belongs to this version",
            Self::TooMuch { .. } => "examine less at once",
            Self::WallTime { .. } => "the input may be made to stall its reader; nothing was signed",
            Self::Answer { .. } => "the input may have taken the worker over; nothing was signed",
            Self::Lie { .. } => {
                "the input may have taken the worker over: keep it as evidence, and do not use it"
            }
            Self::Forbidden { .. } => "the input may have taken the worker over: keep it as evidence",
            Self::Watched { .. } => {
                "its box or its limits did not hold: keep the input as evidence, and look at this host"
            }
            Self::Gone { .. } => "ask again; if it ends again, the model or the input ends it",
            Self::Ended { .. } => {
                "the input may be damaged or hostile, or larger than the limits; nothing was signed"
            }
        }
    }
}
