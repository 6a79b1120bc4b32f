//! The system calls that a worker may make. Everything else answers `EPERM`; another architecture's calls end it.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::trial;
use crate::boundary::Level;
use crate::limits::Profile;

/// Calls that reading needs, with any arguments.
const PARSE: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_newfstatat,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_write,
    libc::SYS_writev,
];

/// What threads need beside it.
const EXECUTE: &[libc::c_long] = &[
    libc::SYS_clock_nanosleep,
    libc::SYS_futex_waitv,
    libc::SYS_membarrier,
    libc::SYS_nanosleep,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
];

/// Applies the filter of a profile to this thread, and with it to all that it starts.
///
/// At the level `Deep` the boundaries are tried from inside first, while a call that is not listed is refused; after
/// that such a call ends the worker, so that the supervisor learns of it.
pub(super) fn apply(profile: Profile, level: Level) -> io::Result<()> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let refuse = || SeccompAction::Errno(libc::EPERM.cast_unsigned());
    // Of several filters the strictest answer counts. The C library asks for threads with `clone3`, whose flags no
    // filter can read, and goes on with `clone` only where the kernel does not know the first.
    let unknown = compile(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        arch,
    )?;
    let mut listed = rules(profile)?;
    listed.insert(libc::SYS_clone3, Vec::new());
    seccompiler::apply_filter(&unknown).map_err(io::Error::other)?;
    if profile == Profile::Execute && level.is_strict() {
        // Libraries of numerics ask a file how many processors there are, and go on where it cannot be opened. That is
        // refused as everything else, and does not end the worker: of two filters the stricter answer counts.
        let refused = compile(
            BTreeMap::from([(libc::SYS_openat, Vec::new())]),
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM.cast_unsigned()),
            arch,
        )?;
        seccompiler::apply_filter(&refused).map_err(io::Error::other)?;
        listed.insert(libc::SYS_openat, Vec::new());
    }
    let otherwise = match level {
        Level::Standard => refuse(),
        Level::Deep | Level::Gvisor => {
            let mut first = listed.clone();
            // What the next filter is applied with, which then forbids it.
            first.insert(libc::SYS_seccomp, Vec::new());
            first.insert(libc::SYS_prctl, Vec::new());
            let first = compile(first, refuse(), SeccompAction::Allow, arch)?;
            seccompiler::apply_filter(&first).map_err(io::Error::other)?;
            trial::try_boundaries()?;
            SeccompAction::KillProcess
        }
    };
    let listed = compile(listed, otherwise, SeccompAction::Allow, arch)?;
    seccompiler::apply_filter(&listed).map_err(io::Error::other)
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    on_match: SeccompAction,
    arch: TargetArch,
) -> io::Result<BpfProgram> {
    let filter = SeccompFilter::new(rules, otherwise, on_match, arch).map_err(io::Error::other)?;
    BpfProgram::try_from(filter).map_err(io::Error::other)
}

fn rules(profile: Profile) -> io::Result<BTreeMap<i64, Vec<SeccompRule>>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = PARSE.iter().map(|call| (*call, Vec::new())).collect();
    // Memory is never executable and writable in turn: code comes from the program alone.
    let not_executable = || without(2, u64::from(libc::PROT_EXEC.cast_unsigned()));
    rules.insert(libc::SYS_mmap, vec![not_executable()?]);
    rules.insert(libc::SYS_mprotect, vec![not_executable()?]);
    // Asking about a descriptor, and nothing that changes one.
    let asks = [libc::F_GETFD, libc::F_GETFL].map(|command| equals(1, u64::from(command.cast_unsigned())));
    rules.insert(libc::SYS_fcntl, asks.into_iter().collect::<io::Result<_>>()?);
    // Signals to itself: how a program aborts.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![equals(0, own)?]);
    if profile == Profile::Execute {
        rules.extend(EXECUTE.iter().map(|call| (*call, Vec::new())));
        // A thread of this process, and nothing else: no process, no namespace.
        let kinds = [
            libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND,
            libc::CLONE_NEWUSER
                | libc::CLONE_NEWNS
                | libc::CLONE_NEWPID
                | libc::CLONE_NEWNET
                | libc::CLONE_NEWIPC
                | libc::CLONE_NEWUTS
                | libc::CLONE_NEWCGROUP,
        ];
        let needed = kinds.first().copied().unwrap_or_default();
        let mask = kinds.iter().fold(0, |all, flags| all | flags);
        let thread = condition(
            0,
            SeccompCmpOp::MaskedEq(u64::from(mask.cast_unsigned())),
            u64::from(needed.cast_unsigned()),
        )?;
        rules.insert(libc::SYS_clone, vec![rule(thread)?]);
        // A thread's name.
        rules.insert(libc::SYS_prctl, vec![equals(0, u64::from(libc::PR_SET_NAME.cast_unsigned()))?]);
    }
    Ok(rules)
}

fn equals(argument: u8, value: u64) -> io::Result<SeccompRule> {
    rule(condition(argument, SeccompCmpOp::Eq, value)?)
}

fn without(argument: u8, bits: u64) -> io::Result<SeccompRule> {
    rule(condition(argument, SeccompCmpOp::MaskedEq(bits), 0)?)
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> io::Result<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operator, value).map_err(io::Error::other)
}

fn rule(condition: SeccompCondition) -> io::Result<SeccompRule> {
    SeccompRule::new(vec![condition]).map_err(io::Error::other)
}
