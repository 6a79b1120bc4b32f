//! Each way out: open without the box, closed in it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use sandbox::{Boundary, Held, Level, Profile};

use crate::{attempt, run};

/// What the kernel answers without a box (the positive control), and in it. The control of calls that would change this
/// machine is made with arguments that cannot work: it shows that the call is reached.
const WAYS: &[(&str, &[&str], &[&str])] = &[
    ("open-file", &["done"], &["EPERM"]),
    ("open-above", &["done"], &["EPERM"]),
    ("open-process", &["done"], &["EPERM"]),
    ("open-device", &["done"], &["EPERM"]),
    ("open-tmp", &["done"], &["EPERM"]),
    ("write-program", &["done"], &["EPERM"]),
    ("make-file", &["done"], &["EPERM"]),
    ("make-folder", &["done"], &["EPERM"]),
    ("symlink", &["done"], &["EPERM"]),
    ("read-root", &["done"], &["EPERM"]),
    ("truncate-input", &["EBADF"], &["EPERM"]),
    ("chmod-input", &["EBADF"], &["EPERM"]),
    ("write-input", &["EBADF"], &["EBADF"]),
    ("open-by-handle", &["EFAULT"], &["EPERM"]),
    ("file-in-memory", &["done"], &["EPERM"]),
    ("socket-inet", &["done"], &["EPERM"]),
    ("socket-inet6", &["done"], &["EPERM"]),
    ("socket-unix", &["done"], &["EPERM"]),
    ("socket-netlink", &["done"], &["EPERM"]),
    ("socketpair", &["done"], &["EPERM"]),
    ("fork", &["done"], &["EPERM"]),
    ("execute", &["done"], &["EPERM"]),
    ("trace", &["done"], &["EPERM"]),
    ("read-process", &["done", "EINVAL"], &["EPERM"]),
    ("process-handle", &["done"], &["EPERM"]),
    ("signal-parent", &["done"], &["EPERM"]),
    ("namespace-user", &["done"], &["EPERM"]),
    ("namespace-enter", &["EINVAL", "EBADF"], &["EPERM"]),
    ("priority", &["done"], &["EPERM"]),
    ("mount", &["ENOENT"], &["EPERM"]),
    ("unmount", &["ENOENT", "EINVAL"], &["EPERM"]),
    ("open-tree", &["ENOENT"], &["EPERM"]),
    ("pivot-root", &["ENOENT"], &["EPERM"]),
    ("keys", &["done", "errno 126"], &["EPERM"]),
    ("bpf", &["EINVAL", "EFAULT"], &["EPERM"]),
    ("performance", &["EFAULT"], &["EPERM"]),
    ("page-faults", &["done", "EINVAL"], &["EPERM"]),
    ("io-uring", &["done"], &["EPERM"]),
    ("terminal-input", &["errno 25", "errno 5", "EBADF", "done"], &["EPERM"]),
    ("memory-executable", &["done"], &["EPERM"]),
    ("memory-made-executable", &["done"], &["EPERM"]),
    ("filter", &["EFAULT"], &["EPERM"]),
    ("clock", &["EFAULT", "EINVAL"], &["EPERM"]),
    ("x32", &["done", "ENOSYS"], &["EPERM"]),
];

fn outside(name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_sandbox-probe")).arg(name).current_dir(&folder).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn every_way_out_is_open_without_the_box_and_closed_in_it() {
    let names: Vec<&str> = WAYS.iter().map(|(name, ..)| *name).collect();
    let (answers, outcome) = attempt(run(Level::Standard, Profile::Execute), &names).unwrap();
    assert_eq!(answers.len(), WAYS.len());
    let mut wrong = Vec::new();
    for ((name, control, boxed), answer) in WAYS.iter().zip(&answers) {
        let answer = answer.strip_prefix(name).unwrap().trim();
        if !boxed.contains(&answer) {
            wrong.push(format!("{name} in the box: {answer}"));
        }
        let without = outside(name);
        if !control.contains(&without.as_str()) {
            wrong.push(format!("{name} without a box: {without}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{:#?}", outcome.boundaries);
}

#[test]
fn no_way_is_left_out() {
    let output = Command::new(env!("CARGO_BIN_EXE_sandbox-probe")).arg("--list").output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(listed.lines().collect::<Vec<_>>(), WAYS.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
}

#[test]
fn nothing_is_inherited() {
    let (answers, _) =
        attempt(run(Level::Standard, Profile::Parse), &["environment", "descriptors"]).unwrap();
    assert_eq!(answers, ["environment none", "descriptors none"]);
}

#[test]
fn what_is_not_enforced_is_told() {
    let (_, outcome) = attempt(run(Level::Standard, Profile::Parse), &["nothing"]).unwrap();
    for boundary in
        [Boundary::SystemCalls, Boundary::NoNewPrivileges, Boundary::NoCapabilities, Boundary::Memory]
    {
        assert!(outcome.boundaries.holds(boundary), "{boundary:?}");
    }
    for (boundary, held) in outcome.boundaries.each() {
        match held {
            Held::Enforced => {}
            Held::NotEnforced(why) => eprintln!("SKIPPED boundary {}: {why}", boundary.name()),
        }
    }
}

#[test]
fn another_architectures_calls_end_the_worker() {
    let error = attempt(run(Level::Standard, Profile::Parse), &["i386"]).unwrap_err();
    assert_eq!(error.code(), "CS-BOX-008", "{error}");
    assert!(error.to_string().contains("signal 31"), "{error}");
}

#[test]
fn the_list_of_system_calls_holds_alone() {
    let mut open = Vec::new();
    for (name, _, boxed) in WAYS {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_sandbox-probe"))
            .args(["--alone", "system-calls", name])
            .current_dir(&folder)
            .output()
            .unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        if !boxed.contains(&answer.trim()) {
            open.push(format!("{name}: {answer}"));
        }
    }
    assert!(open.is_empty(), "{open:#?}");
}

#[test]
fn the_deep_box_ends_a_worker_at_its_first_forbidden_call() {
    let (answers, outcome) = attempt(run(Level::Deep, Profile::Parse), &["nothing"]).unwrap();
    assert_eq!(answers, ["nothing done"]);
    assert!(outcome.boundaries.lacks(Level::Deep).is_empty());
    for name in ["open-file", "socket-inet", "x32", "fork"] {
        let error = attempt(run(Level::Deep, Profile::Parse), &[name]).unwrap_err();
        assert_eq!(error.code(), "CS-BOX-008", "{error}");
        assert!(error.to_string().contains("signal 31"), "{error}");
    }
}

#[test]
fn somebody_without_rights_gets_the_same_box() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED unprivileged-supervisor: the tests run without rights already");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("sandbox-probe");
    std::fs::copy(env!("CARGO_BIN_EXE_sandbox-probe"), &program).unwrap();
    let output = Command::new(&program)
        .args(["--supervise", "open-file socket-inet execute"])
        .current_dir("/")
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for line in [
        "open-file EPERM",
        "socket-inet EPERM",
        "execute EPERM",
        "system-calls: Enforced",
        "memory: Enforced",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_worker_dies_with_its_supervisor() {
    let mut supervisor = Command::new(env!("CARGO_BIN_EXE_sandbox-probe"))
        .args(["--supervise", "nothing sleep"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The first answer: the worker is in its box and goes to sleep next.
    let mut line = String::new();
    BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "nothing done\n");
    let id = supervisor.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let worker: i32 = children.split_whitespace().next().unwrap().parse().unwrap();
    let worker = rustix::process::Pid::from_raw(worker).unwrap();
    let handle = rustix::process::pidfd_open(worker, rustix::process::PidfdFlags::empty()).unwrap();
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    let mut ended = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
    assert_eq!(
        rustix::event::poll(&mut ended, Some(&limit)).unwrap(),
        1,
        "the worker outlived its supervisor"
    );
}
