//! One layer without the others, for the escape table: what each would hold by itself.

use std::fs;
use std::io;

use rustix::thread::set_no_new_privs;

use super::{confine, filter};
use crate::boundary::Level;
use crate::limits::Profile;

/// A layer of the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Namespaces (but for that of processes, which begins with a child) and the empty root.
    Namespaces,
    /// Landlock.
    Landlock,
    /// Giving up capabilities.
    Capabilities,
    /// The list of system calls.
    SystemCalls,
}

impl Layer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Namespaces, Self::Landlock, Self::Capabilities, Self::SystemCalls];

    /// The name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Landlock => "landlock",
            Self::Capabilities => "capabilities",
            Self::SystemCalls => "system-calls",
        }
    }
}

/// Enforces one layer on this process, which has one thread.
pub fn enforce_alone(layer: Layer) -> io::Result<()> {
    match layer {
        Layer::Namespaces => {
            crate::raw::unshare(crate::raw::NAMESPACES & !libc::CLONE_NEWPID)?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/gid_map", "0 0 1\n")?;
            fs::write("/proc/self/uid_map", "0 0 1\n")?;
            confine::empty_root()
        }
        Layer::Landlock => {
            set_no_new_privs(true)?;
            confine::landlock()
        }
        Layer::Capabilities => confine::drop_capabilities(true),
        Layer::SystemCalls => {
            set_no_new_privs(true)?;
            filter::apply(Profile::Execute, Level::Standard)
        }
    }
}
