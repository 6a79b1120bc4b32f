//! Each way out: open without the box, closed in it.

use std::process::Command;

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
    ("filter", &["done"], &["EPERM"]),
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
