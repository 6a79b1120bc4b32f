//! Looking at a deep worker again and again while it runs: that its box is still what it was when the job was handed over, and
//! that it uses no more than it may. What is looked at is the kernel's word (`proc_pid_status(5)`), not the worker's.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::error::SandboxError;

/// How long nobody looks.
const EVERY: Duration = Duration::from_millis(100);

/// What was seen of a worker while it ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watched {
    /// How often it was looked at; never at the level `Standard`.
    pub looks: u64,
    /// The most threads that were seen.
    pub threads_most: u64,
    /// The most bytes that it had mapped when it was looked at.
    pub mapped_most_bytes: u64,
}

/// How much a worker may be seen to use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) threads: u64,
    pub(super) mapped_bytes: u64,
}

/// Looking at one worker.
#[derive(Debug)]
pub(super) struct Watch {
    process: i32,
    bounds: Bounds,
    due: Instant,
    /// At the last look its first thread had ended, and others had not.
    headless: bool,
    pub(super) seen: Watched,
}

impl Watch {
    /// Looks for the first time: before the worker may read its job.
    pub(super) fn begin(process: i32, bounds: Bounds) -> Result<Self, SandboxError> {
        let mut watch =
            Self { process, bounds, due: Instant::now(), headless: false, seen: Watched::default() };
        watch.look()?;
        Ok(watch)
    }

    /// The time until the next look, where less is not left anyway.
    pub(super) fn until(&self, left: Duration) -> Duration {
        left.min(self.due.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)))
    }

    /// Looks, where it is time to.
    pub(super) fn look(&mut self) -> Result<(), SandboxError> {
        let now = Instant::now();
        if now < self.due {
            return Ok(());
        }
        self.due = now + EVERY;
        let watched = |why: String| SandboxError::Watched { why };
        let status = fs::read_to_string(format!("/proc/{}/status", self.process))
            .map_err(|error| watched(format!("it cannot be looked at: {error}")))?;
        // One that ends is so for a moment. One that goes on so would be seen no more: its first thread's facts are gone.
        let headless = is_headless(&status);
        if headless && self.headless {
            return Err(watched("its first thread has ended, and others go on".to_owned()));
        }
        self.headless = headless;
        if let Some((threads, mapped)) = seen(&status, self.bounds).map_err(watched)? {
            self.seen.threads_most = self.seen.threads_most.max(threads);
            self.seen.mapped_most_bytes = self.seen.mapped_most_bytes.max(mapped);
        }
        self.seen.looks += 1;
        Ok(())
    }
}

/// Whether the first thread of a worker has ended and others have not.
fn is_headless(status: &str) -> bool {
    let value = |name: &str| {
        let of_name =
            |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(|value| value.trim().to_owned());
        status.lines().find_map(of_name)
    };
    value("State").is_some_and(|state| state.starts_with(['Z', 'X']))
        && value("Threads").is_some_and(|threads| threads != "0" && threads != "1")
}

/// The threads and the mapped bytes of a worker; none of one that has ended and waits to be told.
///
/// # Errors
/// What is not as it was, or more than it may be.
fn seen(status: &str, bounds: Bounds) -> Result<Option<(u64, u64)>, String> {
    let status: BTreeMap<&str, &str> = status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim()))
        .collect();
    if status.get("State").is_some_and(|state| state.starts_with(['Z', 'X'])) {
        return Ok(None);
    }
    let is = |name: &str, expected: &str| status.get(name).is_some_and(|value| *value == expected);
    if !is("Seccomp", "2") {
        return Err("its list of system calls is no longer in force".to_owned());
    }
    if !is("NoNewPrivs", "1") {
        return Err("it may gain rights again".to_owned());
    }
    for name in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        let none = |value: &&str| !value.is_empty() && value.bytes().all(|digit| digit == b'0');
        if !status.get(name).is_some_and(none) {
            return Err(format!("it has capabilities (`{name}`)"));
        }
    }
    if !is("TracerPid", "0") {
        return Err("another process traces it".to_owned());
    }
    let number = |name: &str| {
        let first = status.get(name).and_then(|value| value.split_whitespace().next());
        first
            .and_then(|first| first.parse::<u64>().ok())
            .ok_or_else(|| format!("the kernel says no `{name}`"))
    };
    let threads = number("Threads")?;
    if threads > bounds.threads {
        return Err(format!("it has {threads} threads, the limit is {}", bounds.threads));
    }
    // One that is just ending has given its memory back.
    let Ok(mapped) = number("VmSize").map(|kib| kib.saturating_mul(1024)) else { return Ok(None) };
    if mapped > bounds.mapped_bytes {
        return Err(format!("it has mapped {mapped} bytes, the limit is {}", bounds.mapped_bytes));
    }
    Ok(Some((threads, mapped)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { threads: 4, mapped_bytes: 8 << 20 };
    const STATUS: &str = "Name:\tcountersign-wor\nState:\tR (running)\nTracerPid:\t0\nVmSize:\t    4096 kB\nThreads:\t2\n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
        CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";

    #[test]
    fn a_worker_whose_first_thread_has_ended_is_told_from_one_that_has_ended() {
        let ended = STATUS.replace("R (running)", "Z (zombie)");
        assert!(is_headless(&ended));
        assert!(!is_headless(STATUS) && !is_headless(&ended.replace("Threads:\t2", "Threads:\t1")));
    }

    #[test]
    fn a_worker_in_its_box_is_seen_as_it_is() {
        assert_eq!(seen(STATUS, BOUNDS), Ok(Some((2, 4 << 20))));
        let ended = STATUS.replace("R (running)", "Z (zombie)").replace("Seccomp:\t2", "Seccomp:\t0");
        assert_eq!(seen(&ended, BOUNDS), Ok(None));
    }

    #[test]
    fn whatever_changes_under_way_is_seen() {
        for (from, to) in [
            ("Seccomp:\t2", "Seccomp:\t0"),
            ("Seccomp:\t2\n", ""),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
            ("CapEff:\t0000000000000000", "CapEff:\t0000000000000400"),
            ("CapPrm:\t0000000000000000", "CapPrm:\t"),
            ("CapAmb:\t0000000000000000\n", ""),
            ("TracerPid:\t0", "TracerPid:\t17"),
            ("Threads:\t2", "Threads:\t5"),
            ("Threads:\t2", "Threads:\tmany"),
            ("VmSize:\t    4096 kB", "VmSize:\t    8193 kB"),
        ] {
            let changed = STATUS.replace(from, to);
            assert_ne!(changed, STATUS);
            assert!(seen(&changed, BOUNDS).is_err(), "{to}");
        }
    }
}
