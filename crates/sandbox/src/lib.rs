//! Starts a worker that has its inputs and nothing else, and tells which boundaries held.
//!
//! A *supervisor* (this process) runs a *worker* (another program, from a sealed copy in memory) on inputs that nobody
//! trusts. The worker gets descriptors: its job, its inputs opened for reading, one pipe to answer through. It gets no
//! file system, no network, no capabilities, no environment and no key. What it answers is unsigned and bounded.
//!
//! | module | what it is for |
//! |---|---|
//! | [`program`] | the worker's code, sealed in memory and named by its digest |
//! | [`launch`] | starting it, checking the box from outside, reading frames, ending it |
//! | [`session`] | a worker that is asked several things, one after the other or at once |
//! | [`inside`] | what a worker calls first: it closes the box around itself before it looks at an input |
//! | [`content`] | what an input holds, read or mapped |
//! | [`boundary`] | each boundary by name, whether it held, what a level demands |
//! | [`gvisor`] | whether this process runs inside gVisor |
//! | [`host`] | what this host can enforce, found out by starting an empty worker |
//!
//! A boundary that the host cannot enforce is reported as not enforced, with the reason, and a level that demands it is
//! refused. The layers overlap on purpose: the system call filter alone must hold where namespaces are not to be had.
//!
//! This crate decides nothing about findings and knows nothing of models.
//!
//! `unsafe` is needed to create a process in new namespaces, to take over inherited descriptors by number and to read
//! what a child used; all of it is in the module `raw`.

pub mod boundary;
mod cgroup;
pub mod content;
pub mod error;
pub mod frame;
pub mod gvisor;
pub mod host;
pub mod inside;
pub mod launch;
pub mod limits;
pub mod program;
mod raw;
pub mod session;
mod setup;

pub use boundary::{Boundaries, Boundary, Held, Level};
pub use content::Content;
pub use error::SandboxError;
pub use launch::{Input, Outcome, Run};
pub use limits::{Limits, Profile};
pub use program::Program;
pub use session::{Asking, Session};
