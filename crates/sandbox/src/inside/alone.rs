//! One layer without the others, for the escape table: what each would hold by itself.

use std::fs;
use std::io;

use rustix::process::Resource;
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
    /// What a process may use (`setrlimit(2)`): memory, processor time, threads, no files.
    Limits,
    /// The list of system calls.
    SystemCalls,
}

impl Layer {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Namespaces, Self::Landlock, Self::Capabilities, Self::Limits, Self::SystemCalls];

    /// The name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Landlock => "landlock",
            Self::Capabilities => "capabilities",
            Self::Limits => "limits",
            Self::SystemCalls => "system-calls",
        }
    }
}

/// Enforces one layer on this process, which has one thread.
pub fn enforce_alone(layer: Layer) -> io::Result<()> {
    match layer {
        Layer::Namespaces => {
            unshare(crate::raw::NAMESPACES & !libc::CLONE_NEWPID)?;
            confine::empty_root()
        }
        Layer::Landlock => {
            set_no_new_privs(true)?;
            confine::landlock()
        }
        Layer::Capabilities => confine::drop_capabilities(true),
        Layer::Limits => {
            confine::limit(Resource::As, 256 << 20)?;
            confine::limit(Resource::Cpu, 5)?;
            confine::limit(Resource::Nproc, 4)?;
            confine::no_files()
        }
        Layer::SystemCalls => {
            set_no_new_privs(true)?;
            filter::apply(Profile::Execute, Level::Standard)
        }
    }
}

/// Makes this process one that may have no namespaces, as on a host that refuses them to its users.
pub fn forbid_namespaces() -> io::Result<()> {
    unshare(libc::CLONE_NEWUSER)?;
    fs::write("/proc/sys/user/max_user_namespaces", "0")
}

/// New namespaces, that of users among them, in which this user is 0.
fn unshare(flags: i32) -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    crate::raw::unshare(flags)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1\n"))?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1\n"))
}
