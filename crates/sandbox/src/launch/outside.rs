//! What the supervisor does to a worker's process and sees of it, without asking it.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use crate::boundary::{Boundaries, Boundary, Held};
use crate::error::SandboxError;

/// Boundaries that need namespaces.
pub(super) const BY_NAMESPACE: [Boundary; 8] = [
    Boundary::UserNamespace,
    Boundary::MountNamespace,
    Boundary::PidNamespace,
    Boundary::NetworkNamespace,
    Boundary::IpcNamespace,
    Boundary::UtsNamespace,
    Boundary::CgroupNamespace,
    Boundary::EmptyRoot,
];

/// The host's user that a worker of root is: nobody.
const NOBODY: u32 = 65_534;

/// Makes the worker's user 0 the host's nobody (where root starts it), or this user.
pub(super) fn map_users(pid: i32) -> io::Result<()> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let of = |id: u32| if user == 0 { NOBODY } else { id };
    // Without this a user who is not root may not map groups; the worker must not gain a group by leaving one.
    fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
    fs::write(format!("/proc/{pid}/gid_map"), format!("0 {} 1\n", of(group)))?;
    fs::write(format!("/proc/{pid}/uid_map"), format!("0 {} 1\n", of(user)))
}

/// Compares what the worker says of its box with what the kernel says of the worker.
pub(super) fn compare(pid: i32, boundaries: &mut Boundaries) -> Result<(), SandboxError> {
    let open = |why: String| SandboxError::Open { why };
    let text = fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| open(error.to_string()))?;
    let status: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim()))
        .collect();
    let is = |name: &str, expected: &str| status.get(name).is_some_and(|value| *value == expected);
    let none = |name: &str| status.get(name).is_some_and(|value| value.bytes().all(|digit| digit == b'0'));
    let seen = [
        (Boundary::SystemCalls, is("Seccomp", "2")),
        (Boundary::NoNewPrivileges, is("NoNewPrivs", "1")),
        (Boundary::NoCapabilities, none("CapEff") && none("CapPrm") && none("CapInh") && none("CapAmb")),
    ];
    for (boundary, seen) in seen {
        if boundaries.holds(boundary) && !seen {
            return Err(open(format!("it says that `{}` holds, the kernel says otherwise", boundary.name())));
        }
    }
    if !is("Threads", "1") {
        return Err(open("it has threads before it has a job".to_owned()));
    }
    for (boundary, name) in [
        (Boundary::UserNamespace, "user"),
        (Boundary::MountNamespace, "mnt"),
        (Boundary::PidNamespace, "pid"),
        (Boundary::NetworkNamespace, "net"),
        (Boundary::IpcNamespace, "ipc"),
        (Boundary::UtsNamespace, "uts"),
        (Boundary::CgroupNamespace, "cgroup"),
    ] {
        if boundaries.holds(boundary) {
            let theirs = fs::read_link(format!("/proc/{pid}/ns/{name}"));
            let ours = fs::read_link(format!("/proc/self/ns/{name}"));
            match (theirs, ours) {
                (Ok(theirs), Ok(ours)) if theirs == ours => {
                    boundaries.set(boundary, Held::NotEnforced("it is the host's".to_owned()));
                }
                // An unprivileged supervisor may not look; it made the namespaces itself, in the call that made the
                // process.
                _ => {}
            }
        }
    }
    Ok(())
}
