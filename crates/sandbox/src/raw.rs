//! The few things that the safe libraries do not offer: a process in new namespaces, descriptors by number, what a
//! child used, closing what was inherited.
#![allow(
    unsafe_code,
    reason = "clone3, execveat, wait4, maps of files and descriptors that a supervisor placed have no safe interface"
)]

use std::ffi::{CStr, c_char, c_int, c_long, c_uint};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// The namespaces of a box.
pub(crate) const NAMESPACES: c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    pub(crate) handle: OwnedFd,
}

/// What a process used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The exit status, or the signal as a negative number.
    pub(crate) status: i32,
    pub(crate) processor_ms: u64,
    pub(crate) memory_peak_bytes: u64,
}

/// Starts `program` with `placed` as its descriptors 0, 1, 2, ..., and none other that closes on execution.
///
/// The child waits for one byte from descriptor 0 first, which gives the parent time to write its user map; with
/// namespaces it then becomes user 0 of its own. All of `placed` must be numbered above `placed.len()`, so that placing
/// one overwrites none that is still to be placed. `parent` is a handle of this process: a child that finds it ended ends
/// too, so that none waits at its gate for ever.
pub(crate) fn start(
    parent: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    arguments: &[&CStr],
    placed: &[BorrowedFd<'_>],
    namespaces: c_int,
) -> io::Result<Child> {
    let mut argv: Vec<*const c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    argv.push(std::ptr::null());
    let envp: [*const c_char; 1] = [std::ptr::null()];
    let sources: Vec<RawFd> = placed.iter().map(std::os::fd::AsRawFd::as_raw_fd).collect();
    let (parent, program) = (parent.as_raw_fd(), program.as_raw_fd());
    let mut handle: c_int = -1;
    let flags = namespaces | libc::CLONE_PIDFD;
    let arguments = libc::clone_args {
        flags: u64::from(flags.cast_unsigned()),
        pidfd: std::ptr::from_mut(&mut handle) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    // SAFETY: without CLONE_VM the child has a copy of this memory, as after `fork`; until it executes the program it
    // calls nothing but system calls, on values that were made before.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>()) };
    if pid == 0 {
        // SAFETY: this is the child, alone in its memory.
        unsafe { become_worker(parent, program, &argv, &envp, &sources, namespaces != 0) }
    }
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: the kernel made this descriptor for us and nobody else knows it.
    let handle = unsafe { OwnedFd::from_raw_fd(handle) };
    Ok(Child { pid, handle })
}

/// The child's way from its birth to the program: system calls only.
///
/// # Safety
/// Must be called in a child that shares no memory with its parent. `argv` and `envp` end with null.
unsafe fn become_worker(
    parent: RawFd,
    program: RawFd,
    argv: &[*const c_char],
    envp: &[*const c_char],
    sources: &[RawFd],
    namespaces: bool,
) -> ! {
    // SAFETY: each call takes numbers and pointers to memory that is there; a failure ends the child.
    unsafe {
        // The gate alone would not do: this child, and others that are born at this moment, hold copies of the end
        // that opens it, so that it does not close when the supervisor dies.
        die_with_parent();
        let mut ended = libc::pollfd { fd: parent, events: libc::POLLIN, revents: 0 };
        if libc::poll(&raw mut ended, 1, 0) != 0 {
            libc::_exit(126);
        }
        let mut byte = 0_u8;
        let Some(gate) = sources.first() else { libc::_exit(120) };
        if libc::read(*gate, (&raw mut byte).cast(), 1) != 1 || byte != crate::setup::OPEN {
            libc::_exit(121);
        }
        // Before the program is executed: it keeps its capabilities only as user 0 of its namespace.
        if namespaces
            && (libc::syscall(libc::SYS_setresgid, 0, 0, 0) != 0
                || libc::syscall(libc::SYS_setresuid, 0, 0, 0) != 0)
        {
            libc::_exit(122);
        }
        // After the change of user, which clears it.
        die_with_parent();
        for (place, source) in (0..).zip(sources) {
            if libc::dup2(*source, place) != place {
                libc::_exit(124);
            }
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        libc::_exit(125)
    }
}

/// Has the kernel end this process when the thread that started it ends, or ends it now.
///
/// # Safety
/// Must be called in a child before it executes its program.
unsafe fn die_with_parent() {
    // SAFETY: numbers only.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, c_long::from(libc::SIGKILL), 0, 0, 0) != 0 {
            libc::_exit(123);
        }
    }
}

/// The kernel's log, as much as it keeps.
pub(crate) fn kernel_log() -> io::Result<Vec<u8>> {
    const READ_ALL: c_int = 3;
    let mut log = vec![0_u8; 1 << 20];
    let room = c_int::try_from(log.len()).map_err(io::Error::other)?;
    // SAFETY: the kernel writes at most as many bytes as there is room for.
    let count = unsafe { libc::klogctl(READ_ALL, log.as_mut_ptr().cast(), room) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    log.truncate(count);
    Ok(log)
}

/// Takes over a descriptor by its number.
///
/// Answers none where there is no such descriptor. A descriptor that is taken over twice would be closed twice; the
/// module [`crate::inside`] takes each once.
pub(crate) fn inherited(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: asks whether the number is a descriptor, and changes nothing.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: it is open, and the supervisor placed it for us.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Maps a file, to be read.
///
/// Whoever shortens the file while it is read ends this process with a signal. In a worker that is told as the worker's
/// end, and nothing else follows from it.
pub(crate) fn map(file: &std::fs::File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the map is only read, and lives as long as what reads it; what may happen to the file is said above.
    unsafe { memmap2::Mmap::map(file) }
}

/// Maps a file in memory that was sealed, to be read.
pub(crate) fn map_sealed(file: &OwnedFd) -> io::Result<memmap2::Mmap> {
    // SAFETY: nobody can change or shorten it any more. A private map, since kernels before 6.7 refuse shared ones.
    unsafe { memmap2::MmapOptions::new().map_copy_read_only(file) }
}

/// Closes every descriptor from `first` on.
pub(crate) fn close_from(first: RawFd) -> io::Result<()> {
    let first = c_uint::try_from(first).map_err(io::Error::other)?;
    // SAFETY: the worker's only thread has opened nothing yet; what it inherited beyond its inputs is nobody's.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, c_uint::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits for a child that was started here, and says what it used.
pub(crate) fn wait(pid: i32) -> io::Result<Ended> {
    let mut status: c_int = 0;
    // SAFETY: a structure of numbers, for which zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to memory of ours.
        let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
        if waited == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let ms = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        seconds.saturating_mul(1000).saturating_add(u64::try_from(time.tv_usec).unwrap_or(0) / 1000)
    };
    let status = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) };
    Ok(Ended {
        status,
        processor_ms: ms(usage.ru_utime).saturating_add(ms(usage.ru_stime)),
        memory_peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024),
    })
}

/// Moves this process into new namespaces, for the escape table. It must have one thread.
#[cfg(feature = "probe")]
pub(crate) fn unshare(flags: c_int) -> io::Result<()> {
    // SAFETY: no descriptor table or memory is unshared.
    if unsafe { libc::unshare(flags) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Tries system calls that a worker never needs, and answers the name of one that the filter let through.
///
/// Their arguments make them harmless where they are reached.
pub(crate) fn reached() -> Option<&'static str> {
    let attempts: [(&str, c_long, [c_long; 3]); 8] = [
        ("socket", libc::SYS_socket, [c_long::from(libc::AF_INET), c_long::from(libc::SOCK_STREAM), 0]),
        ("openat", libc::SYS_openat, [-1, 0, 0]),
        ("ptrace", libc::SYS_ptrace, [-1, 0, 0]),
        ("unshare", libc::SYS_unshare, [0, 0, 0]),
        ("mount", libc::SYS_mount, [0, 0, 0]),
        ("execve", libc::SYS_execve, [0, 0, 0]),
        ("keyctl", libc::SYS_keyctl, [-1, 0, 0]),
        ("memfd_create", libc::SYS_memfd_create, [0, 0, 0]),
    ];
    attempts.into_iter().find_map(|(name, call, [a, b, c])| {
        // SAFETY: null pointers and impossible numbers; a call that gets through fails or makes an unused descriptor.
        let result = unsafe { libc::syscall(call, a, b, c, 0, 0, 0) };
        let refused = result < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
        (!refused).then_some(name)
    })
}
