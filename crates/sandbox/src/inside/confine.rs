//! Closing the box, from the outermost layer in: mounts, limits, descriptors, Landlock, capabilities, system calls.

use std::io;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetStatus, Scope,
};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, mount_remount, unmount,
};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, chdir, pivot_root, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits, set_no_new_privs,
};

use crate::boundary::{Boundaries, Boundary, Held};
use crate::inside::filter;
use crate::raw;
use crate::setup::Setup;

/// Closes everything that can be closed, and records what held.
pub(super) fn confine(setup: &Setup, first_unused: i32, boundaries: &mut Boundaries) {
    // A worker whose supervisor dies has nobody to answer to.
    let dies = set_parent_process_death_signal(Some(Signal::KILL));
    if setup.namespaces {
        for boundary in [
            Boundary::UserNamespace,
            Boundary::MountNamespace,
            Boundary::PidNamespace,
            Boundary::NetworkNamespace,
            Boundary::IpcNamespace,
            Boundary::UtsNamespace,
            Boundary::CgroupNamespace,
        ] {
            boundaries.set(boundary, Held::Enforced);
        }
        boundaries.record(Boundary::EmptyRoot, empty_root());
    }
    boundaries.record(Boundary::Memory, limit(Resource::As, setup.memory_bytes));
    boundaries.record(Boundary::ProcessorTime, limit(Resource::Cpu, setup.processor_s));
    boundaries.record(Boundary::Threads, limit(Resource::Nproc, setup.threads));
    boundaries.record(Boundary::NoFiles, no_files());
    let closed = raw::close_from(first_unused);
    boundaries.record(Boundary::NoNewPrivileges, set_no_new_privs(true));
    boundaries.record(Boundary::Landlock, landlock());
    let dropped = drop_capabilities(setup.namespaces)
        .and_then(|()| Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?));
    boundaries.record(Boundary::NoCapabilities, dropped);
    // Last: the filter forbids most of what stands above. It counts only if the ground it stands on is firm.
    let filtered = closed.and_then(|()| Ok(dies?)).and_then(|()| filter::apply(setup.profile, setup.level));
    boundaries.record(Boundary::SystemCalls, filtered);
}

/// An empty file system in memory becomes the root, and cannot be written; the host's is detached.
pub(super) fn empty_root() -> io::Result<()> {
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    // Any folder that every Linux has; what was below it is detached with the rest.
    let place = "/proc";
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("none", place, "tmpfs", flags, Some(c"size=4k,nr_inodes=2,mode=500"))?;
    chdir(place)?;
    // The new root over the old one: then the old one is what `.` unmounts.
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")?;
    mount_remount("/", flags | MountFlags::RDONLY, c"size=4k,nr_inodes=2,mode=500")?;
    Ok(())
}

pub(super) fn limit(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

pub(super) fn no_files() -> io::Result<()> {
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Memlock, 0)?;
    limit(Resource::Msgqueue, 0)
}

/// A ruleset that handles everything this kernel knows of and allows nothing.
pub(super) fn landlock() -> io::Result<()> {
    let abi = ABI::V6;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(abi)))
        .and_then(|rules| rules.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(io::Error::other)?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced => Err(io::Error::other(
            "this kernel's Landlock does not cover files, ports, signals and sockets together",
        )),
        RulesetStatus::NotEnforced => Err(io::Error::other("this kernel has no Landlock")),
    }
}

/// Gives up every capability, and every way to one.
pub(super) fn drop_capabilities(namespaces: bool) -> io::Result<()> {
    if namespaces {
        clear_ambient_capability_set()?;
        for capability in CapabilitySet::all().iter() {
            match remove_capability_from_bounding_set(capability) {
                // A capability that this kernel does not know.
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let locked = CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
        set_capabilities_secure_bits(locked)?;
    }
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}
