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
    ("open-keys", &["done"], &["EPERM"]),
    ("open-symbols", &["done"], &["EPERM"]),
    ("open-system", &["done"], &["EPERM"]),
    // The control is refused for what it is: a program that runs cannot be written (ETXTBSY).
    ("write-program", &["errno 26"], &["EPERM"]),
    ("make-file", &["done"], &["EPERM"]),
    ("make-folder", &["done"], &["EPERM"]),
    ("flood-file", &["done"], &["EPERM"]),
    // Of another file system, where the tests' folder is on one (EXDEV).
    ("link", &["done", "errno 18"], &["EPERM"]),
    ("symlink", &["done"], &["EPERM"]),
    ("read-root", &["done"], &["EPERM"]),
    ("reopen-input", &["done"], &["EPERM"]),
    ("truncate-input", &["EINVAL"], &["EPERM"]),
    ("chmod-input", &["done"], &["EPERM"]),
    ("write-input", &["EBADF"], &["EBADF"]),
    ("open-by-handle", &["EFAULT"], &["EPERM"]),
    ("file-in-memory", &["done"], &["EPERM"]),
    ("socket-inet", &["done"], &["EPERM"]),
    ("socket-inet6", &["done"], &["EPERM"]),
    ("socket-unix", &["done"], &["EPERM"]),
    ("socket-netlink", &["done"], &["EPERM"]),
    ("socket-packet", &["done"], &["EPERM"]),
    // A kernel without it says so (EAFNOSUPPORT).
    ("socket-machine", &["done", "errno 97"], &["EPERM"]),
    ("socketpair", &["done"], &["EPERM"]),
    ("fork", &["done"], &["EPERM"]),
    ("flood-processes", &["done"], &["EPERM"]),
    ("execute", &["done"], &["EPERM"]),
    ("trace", &["done"], &["EPERM"]),
    ("read-process", &["done", "EINVAL"], &["EPERM"]),
    ("write-process", &["done"], &["EPERM"]),
    ("process-handle", &["done"], &["EPERM"]),
    ("take-descriptor", &["EBADF"], &["EPERM"]),
    ("signal-parent", &["done"], &["EPERM"]),
    ("signal-all", &["done"], &["EPERM"]),
    ("namespace-user", &["done"], &["EPERM"]),
    ("namespace-enter", &["EINVAL", "EBADF"], &["EPERM"]),
    ("priority", &["done"], &["EPERM"]),
    ("limits", &["done"], &["EPERM"]),
    ("user", &["done"], &["EPERM"]),
    ("capabilities", &["done"], &["EPERM"]),
    ("dumpable", &["done"], &["EPERM"]),
    ("host-name", &["EINVAL"], &["EPERM"]),
    ("mount", &["ENOENT"], &["EPERM"]),
    ("unmount", &["ENOENT", "EINVAL"], &["EPERM"]),
    ("open-tree", &["ENOENT"], &["EPERM"]),
    ("open-file-system", &["done"], &["EPERM"]),
    ("pivot-root", &["ENOENT"], &["EPERM"]),
    ("chroot", &["done"], &["EPERM"]),
    ("keys", &["done", "errno 126"], &["EPERM"]),
    ("bpf", &["EINVAL", "EFAULT"], &["EPERM"]),
    ("performance", &["EFAULT"], &["EPERM"]),
    ("page-faults", &["done", "EINVAL"], &["EPERM"]),
    ("io-uring", &["done"], &["EPERM"]),
    // A kernel without modules, or without `kexec_load`, says so (ENOEXEC of one with them).
    ("module", &["errno 8", "EFAULT", "ENOSYS"], &["EPERM"]),
    ("kexec", &["EINVAL", "ENOSYS"], &["EPERM"]),
    ("reboot", &["EINVAL"], &["EPERM"]),
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
    // The control: without the box both are seen.
    for name in ["environment", "descriptors"] {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("exec \"$0\" {name} 7</dev/null");
        let probe = env!("CARGO_BIN_EXE_sandbox-probe");
        let output =
            Command::new("sh").args(["-c", &line, probe]).env("A", "b").current_dir(&folder).output();
        let answer = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(answer.ends_with(" there\n"), "{name}: {answer}");
    }
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
            Held::NotEnforced(why) => {
                assert!(!why.is_empty() && why != "not tried", "{}: {why}", boundary.name());
                eprintln!("SKIPPED boundary {}: {why}", boundary.name());
            }
        }
    }
}

/// A host that refuses namespaces is told from one that has them: what needs them is not enforced, with the kernel's words;
/// everything else holds, and every way out that the test tries is closed all the same.
#[test]
fn a_host_without_namespaces_is_told_and_the_rest_holds() {
    let folder = folder_of_anybody();
    let ways = "open-file socket-inet fork flood-file signal-all";
    let supervise = |how: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_sandbox-probe"))
            .args([how, ways])
            .current_dir(&folder)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        text
    };
    let with = supervise("--supervise");
    let without = supervise("--supervise-without-namespaces");
    for name in ways.split(' ') {
        assert!(without.contains(&format!("{name} EPERM")), "{without}");
    }
    for boundary in [Boundary::UserNamespace, Boundary::NetworkNamespace, Boundary::EmptyRoot] {
        let name = boundary.name();
        assert!(with.contains(&format!("{name}: Enforced")), "{with}");
        assert!(without.contains(&format!("{name}: NotEnforced(\"namespaces are refused: ")), "{without}");
    }
    for boundary in [Boundary::SystemCalls, Boundary::NoCapabilities, Boundary::Landlock, Boundary::NoFiles] {
        assert!(without.contains(&format!("{}: Enforced", boundary.name())), "{without}");
    }
}

#[test]
fn another_architectures_calls_end_the_worker() {
    let error = attempt(run(Level::Standard, Profile::Parse), &["i386"]).unwrap_err();
    assert_eq!(error.code(), "CS-BOX-011", "{error}");
    // The control: a kernel that has such calls answers, one that has none ends the program otherwise.
    match outside("i386").as_str() {
        "done" => {}
        other => eprintln!("SKIPPED i386-control: this kernel has no calls of 32 bits: {other}"),
    }
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
    assert!(outcome.watched.looks >= 1 && outcome.watched.threads_most == 1, "{:?}", outcome.watched);
    assert!(outcome.watched.mapped_most_bytes > 0, "{:?}", outcome.watched);
    // Writing by a descriptor that is open for reading is a call that is listed, and fails for what it is.
    for (name, ..) in WAYS.iter().filter(|(name, ..)| *name != "write-input") {
        let error = attempt(run(Level::Deep, Profile::Parse), &[name]).unwrap_err();
        assert_eq!(error.code(), "CS-BOX-011", "{name}: {error}");
    }
}

/// What each layer closes by itself, with the other layers away; a layer that is taken out of the box fails here.
const BY_LAYER: &[(&str, &[(&str, &str)])] = &[
    (
        "namespaces",
        &[
            ("open-file", "ENOENT"),
            ("open-above", "ENOENT"),
            ("open-process", "ENOENT"),
            ("open-device", "ENOENT"),
            ("open-tmp", "ENOENT"),
            ("open-keys", "ENOENT"),
            ("open-symbols", "ENOENT"),
            ("open-system", "ENOENT"),
            ("write-program", "ENOENT"),
            ("make-file", "EROFS"),
            ("make-folder", "EROFS"),
            ("flood-file", "EROFS"),
            ("link", "ENOENT"),
            ("symlink", "EROFS"),
            ("reopen-input", "ENOENT"),
            ("execute", "ENOENT"),
            ("reboot", "EPERM"),
        ],
    ),
    (
        "landlock",
        &[
            ("open-file", "EACCES"),
            ("open-above", "EACCES"),
            ("open-process", "EACCES"),
            ("open-device", "EACCES"),
            ("open-tmp", "EACCES"),
            ("open-keys", "EACCES"),
            ("open-symbols", "EACCES"),
            ("open-system", "EACCES"),
            ("make-file", "EACCES"),
            ("make-folder", "EACCES"),
            ("flood-file", "EACCES"),
            ("link", "EACCES"),
            ("symlink", "EACCES"),
            ("read-root", "EACCES"),
            ("reopen-input", "EACCES"),
            ("execute", "EACCES"),
            ("signal-parent", "EPERM"),
        ],
    ),
    (
        "capabilities",
        &[
            ("socket-packet", "EPERM"),
            ("host-name", "EPERM"),
            ("open-file-system", "EPERM"),
            ("pivot-root", "EPERM"),
            ("chroot", "EPERM"),
            ("reboot", "EPERM"),
        ],
    ),
    ("limits", &[("flood-file", "EFBIG")]),
];

#[test]
fn each_layer_closes_by_itself_what_it_is_for() {
    let mut wrong = Vec::new();
    for (layer, ways) in BY_LAYER {
        for (name, expected) in *ways {
            let folder = folder_of_anybody();
            let output = Command::new(env!("CARGO_BIN_EXE_sandbox-probe"))
                .args(["--alone", layer, name])
                .current_dir(&folder)
                .output()
                .unwrap();
            let answer = String::from_utf8(output.stdout).unwrap();
            if let Some(why) = answer.strip_prefix("not enforced: ") {
                eprintln!("SKIPPED layer {layer} alone: {}", why.trim());
            } else if answer.trim() != *expected {
                wrong.push(format!("{name} with {layer}: {answer}"));
            }
            assert!(WAYS.iter().any(|(known, ..)| known == name), "{name}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Only the deep level is looked at while it runs.
#[test]
fn a_standard_worker_is_not_watched() {
    let (_, outcome) = attempt(run(Level::Standard, Profile::Parse), &["nothing"]).unwrap();
    assert_eq!(outcome.watched, sandbox::launch::Watched::default());
}

/// A folder that anybody may enter and write.
fn folder_of_anybody() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    folder
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
