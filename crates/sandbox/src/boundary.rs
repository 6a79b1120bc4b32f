//! The boundaries of the box, each by name; whether it held; what each level demands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One boundary around a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Boundary {
    /// The worker's users are not the host's (`user_namespaces(7)`).
    UserNamespace,
    /// Its mounts are its own.
    MountNamespace,
    /// It sees no process but its own.
    PidNamespace,
    /// It has no network interface.
    NetworkNamespace,
    /// It shares no System V or POSIX queue or memory.
    IpcNamespace,
    /// The host's name is not its to change.
    UtsNamespace,
    /// It sees no control group but its own.
    CgroupNamespace,
    /// Its root is an empty file system that cannot be written.
    EmptyRoot,
    /// It has no capability, and can get none.
    NoCapabilities,
    /// No program that it would start gains rights (`PR_SET_NO_NEW_PRIVS`).
    NoNewPrivileges,
    /// Landlock allows it no file, no port, and no signal or socket outside.
    Landlock,
    /// Only the system calls on the profile's list (seccomp).
    SystemCalls,
    /// Memory beyond the limit is refused (`RLIMIT_AS`).
    Memory,
    /// Processor time beyond the limit ends it (`RLIMIT_CPU`).
    ProcessorTime,
    /// It starts no more threads than the limit (`RLIMIT_NPROC`).
    Threads,
    /// It writes no file (`RLIMIT_FSIZE`) and leaves no core.
    NoFiles,
    /// It is ended when its time is over.
    WallTime,
    /// It is ended when it answers more than the limit.
    Answers,
    /// The kernel's control group bounds the memory of all its processes together.
    CgroupMemory,
    /// The kernel's control group bounds how many processes there are.
    CgroupProcesses,
    /// The kernel's control group bounds how many processors they use at once.
    CgroupProcessor,
}

impl Boundary {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::UserNamespace,
        Self::MountNamespace,
        Self::PidNamespace,
        Self::NetworkNamespace,
        Self::IpcNamespace,
        Self::UtsNamespace,
        Self::CgroupNamespace,
        Self::EmptyRoot,
        Self::NoCapabilities,
        Self::NoNewPrivileges,
        Self::Landlock,
        Self::SystemCalls,
        Self::Memory,
        Self::ProcessorTime,
        Self::Threads,
        Self::NoFiles,
        Self::WallTime,
        Self::Answers,
        Self::CgroupMemory,
        Self::CgroupProcesses,
        Self::CgroupProcessor,
    ];

    /// The name, as findings and `countersign doctor` write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserNamespace => "user-namespace",
            Self::MountNamespace => "mount-namespace",
            Self::PidNamespace => "pid-namespace",
            Self::NetworkNamespace => "network-namespace",
            Self::IpcNamespace => "ipc-namespace",
            Self::UtsNamespace => "uts-namespace",
            Self::CgroupNamespace => "cgroup-namespace",
            Self::EmptyRoot => "empty-root",
            Self::NoCapabilities => "no-capabilities",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::Landlock => "landlock",
            Self::SystemCalls => "system-calls",
            Self::Memory => "memory",
            Self::ProcessorTime => "processor-time",
            Self::Threads => "threads",
            Self::NoFiles => "no-files",
            Self::WallTime => "wall-time",
            Self::Answers => "answers",
            Self::CgroupMemory => "cgroup-memory",
            Self::CgroupProcesses => "cgroup-processes",
            Self::CgroupProcessor => "cgroup-processor",
        }
    }
}

/// Whether a boundary held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// The kernel enforces it.
    Enforced,
    /// It is not enforced, for this reason.
    NotEnforced(String),
}

/// How well a worker is to be boxed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// What any Linux since 5.13 offers to anybody: the system call filter, no new rights, limits.
    Standard,
    /// Every boundary but the control groups, checked from inside and outside before the job is handed over; what is
    /// refused by the filter is counted; answers have one fixed size.
    Deep,
    /// The deep box without Landlock, which gVisor does not have, in a process that runs inside gVisor.
    Gvisor,
}

impl Level {
    /// Whether a worker is checked from inside, looked at while it runs, and answers in frames of one size.
    pub const fn is_strict(self) -> bool {
        matches!(self, Self::Deep | Self::Gvisor)
    }

    /// What must be enforced at this level.
    pub const fn demands(self, boundary: Boundary) -> bool {
        match boundary {
            Boundary::NoCapabilities
            | Boundary::NoNewPrivileges
            | Boundary::SystemCalls
            | Boundary::Memory
            | Boundary::ProcessorTime
            | Boundary::Threads
            | Boundary::NoFiles
            | Boundary::WallTime
            | Boundary::Answers => true,
            Boundary::UserNamespace
            | Boundary::MountNamespace
            | Boundary::PidNamespace
            | Boundary::NetworkNamespace
            | Boundary::IpcNamespace
            | Boundary::UtsNamespace
            | Boundary::CgroupNamespace
            | Boundary::EmptyRoot => self.is_strict(),
            Boundary::Landlock => matches!(self, Self::Deep),
            Boundary::CgroupMemory | Boundary::CgroupProcesses | Boundary::CgroupProcessor => false,
        }
    }
}

/// What held, boundary by boundary. What is not listed did not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Boundaries(BTreeMap<Boundary, Held>);

impl Boundaries {
    /// Records one.
    pub fn set(&mut self, boundary: Boundary, held: Held) {
        self.0.insert(boundary, held);
    }

    /// Records what came of enforcing one.
    pub fn record<E: std::fmt::Display>(&mut self, boundary: Boundary, result: Result<(), E>) {
        self.set(
            boundary,
            result.map_or_else(|error| Held::NotEnforced(error.to_string()), |()| Held::Enforced),
        );
    }

    /// Whether one is enforced.
    pub fn holds(&self, boundary: Boundary) -> bool {
        matches!(self.0.get(&boundary), Some(Held::Enforced))
    }

    /// Each boundary there is, with what came of it.
    pub fn each(&self) -> impl Iterator<Item = (Boundary, Held)> + '_ {
        Boundary::ALL.into_iter().map(|boundary| {
            let held = self.0.get(&boundary).cloned();
            (boundary, held.unwrap_or_else(|| Held::NotEnforced("not tried".to_owned())))
        })
    }

    /// What a level demands and this box does not have, with the reasons.
    pub fn lacks(&self, level: Level) -> Vec<(Boundary, String)> {
        let lacking = self.each().filter(|(boundary, _)| level.demands(*boundary));
        lacking
            .filter_map(|(boundary, held)| match held {
                Held::Enforced => None,
                Held::NotEnforced(why) => Some((boundary, why)),
            })
            .collect()
    }
}
