//! A control group around a worker, where this host lets us make one: version 2, or version 1 for each controller.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::boundary::{Boundaries, Boundary, Held};
use crate::limits::Limits;

const ROOT: &str = "/sys/fs/cgroup";

/// The folders that were made for one worker; they are removed when it has ended.
#[derive(Debug)]
pub(crate) struct Group {
    memory: Result<PathBuf, String>,
    processes: Result<PathBuf, String>,
    processor: Result<PathBuf, String>,
}

/// In which time a group may use its quota, in microseconds: what version 1 has where nobody sets it.
const PERIOD_US: u64 = 100_000;

impl Group {
    /// Bounds a process that has not begun. What cannot be bounded is remembered with the reason.
    pub(crate) fn around(pid: i32, limits: &Limits, mapped: u64) -> Self {
        let memory = limits.memory_bytes.saturating_add(mapped).to_string();
        let threads = limits.threads.to_string();
        // As many processors as it may have threads.
        let quota = limits.threads.saturating_mul(PERIOD_US);
        let (of_period, alone) = (format!("{quota} {PERIOD_US}"), quota.to_string());
        let mut made = BTreeSet::new();
        let mut bound = |controller, settings: &[(&str, &str)]| place(pid, controller, settings, &mut made);
        let placed = Self {
            memory: bound("memory", &[("memory.max", &memory), ("memory.limit_in_bytes", &memory)]),
            processes: bound("pids", &[("pids.max", &threads)]),
            processor: bound("cpu", &[("cpu.max", &of_period), ("cpu.cfs_quota_us", &alone)]),
        };
        placed.seen(pid)
    }

    /// In version 2 a process is in one group: where two controllers are offered in two places, the later move undoes the
    /// earlier one, which then bounds nothing.
    fn seen(mut self, pid: i32) -> Self {
        for placed in [&mut self.memory, &mut self.processes, &mut self.processor] {
            if placed.as_ref().is_ok_and(|folder| !is_in(folder, pid)) {
                *placed = Err("the control group does not hold the worker".to_owned());
            }
        }
        self
    }

    /// What it enforces.
    pub(crate) fn tell(&self, boundaries: &mut Boundaries) {
        for (boundary, folder) in [
            (Boundary::CgroupMemory, &self.memory),
            (Boundary::CgroupProcesses, &self.processes),
            (Boundary::CgroupProcessor, &self.processor),
        ] {
            let held = match folder {
                Ok(_) => Held::Enforced,
                Err(why) => Held::NotEnforced(why.clone()),
            };
            boundaries.set(boundary, held);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in [&self.memory, &self.processes, &self.processor].into_iter().flatten() {
            // The group of a worker that is just ending is busy for a moment; an empty one that stays harms nobody.
            drop(fs::remove_dir(folder));
        }
    }
}

/// Whether a group holds a process.
fn is_in(folder: &Path, pid: i32) -> bool {
    let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    processes.lines().any(|line| line == pid.to_string())
}

/// Makes a group below ours and puts the process into it. `made` are those that were made for this process: in version 2
/// one group has all controllers.
fn place(
    pid: i32,
    controller: &str,
    settings: &[(&str, &str)],
    made: &mut BTreeSet<PathBuf>,
) -> Result<PathBuf, String> {
    let parent = parent(controller).map_err(|error| error.to_string())?;
    place_in(&parent, pid, settings, made).map_err(|error| format!("control group `{controller}`: {error}"))
}

fn place_in(
    parent: &Path,
    pid: i32,
    settings: &[(&str, &str)],
    made: &mut BTreeSet<PathBuf>,
) -> io::Result<PathBuf> {
    let folder = parent.join(format!("countersign-{pid}"));
    let is_new = !made.contains(&folder);
    if is_new {
        fs::create_dir(&folder)?;
    }
    let placed = bound(&folder, pid, settings);
    match placed {
        Ok(()) => {
            made.insert(folder.clone());
            Ok(folder)
        }
        Err(error) => {
            if is_new {
                drop(fs::remove_dir(&folder));
            }
            Err(error)
        }
    }
}

/// Sets the bound and moves the process.
fn bound(folder: &Path, pid: i32, settings: &[(&str, &str)]) -> io::Result<()> {
    let setting = settings.iter().find(|(name, _)| folder.join(name).exists());
    let (name, value) = setting.ok_or_else(|| io::Error::other("the controller has no such setting"))?;
    fs::write(folder.join(name), value)?;
    fs::write(folder.join("cgroup.procs"), pid.to_string())
}

/// Where a group for this controller may be made.
fn parent(controller: &str) -> io::Result<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup")?;
    parent_in(Path::new(ROOT), &own, controller)
}

/// Where a group for this controller may be made, by the groups that this process is in. In version 1 below its own; in
/// version 2 there or beside its own, for there a group that holds processes hands no controller down (`cgroups(7)`, "no
/// internal processes").
fn parent_in(root: &Path, own: &str, controller: &str) -> io::Result<PathBuf> {
    let offers = |folder: &Path| {
        let offered = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
        offered.split_whitespace().any(|name| name == controller)
    };
    // Version 2, alone or beside version 1.
    let unified = [root.to_owned(), root.join("unified")]
        .into_iter()
        .find(|place| place.join("cgroup.controllers").exists());
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            let Some(unified) = &unified else { continue };
            let folder = unified.join(path);
            let beside = folder.parent().filter(|beside| beside.starts_with(unified));
            let found = [Some(folder.as_path()), beside].into_iter().flatten().find(|folder| offers(folder));
            if let Some(found) = found {
                return Ok(found.to_owned());
            }
        } else if controllers.split(',').any(|name| name == controller) {
            // Controllers that are mounted together have a folder by both names, `cpu,cpuacct`.
            let places = [root.join(controller), root.join(controllers)];
            if let Some(place) = places.iter().find(|place| place.is_dir()) {
                let folder = place.join(path);
                return Ok(if folder.join("cgroup.procs").exists() { folder } else { place.clone() });
            }
        }
    }
    Err(io::Error::other(format!("this host offers no control group `{controller}` here")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[track_caller]
    fn check(files: &[(&str, &str)], own: &str, controller: &str, expected: Option<&str>) {
        let root = folder(files);
        let found = parent_in(root.path(), own, controller).ok();
        assert_eq!(found, expected.map(|expected| root.path().join(expected)));
    }

    /// A process that waits for its input, in the groups that this host offers.
    #[test]
    fn a_group_bounds_the_processors_or_says_why_not() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let limits = Limits {
            memory_bytes: 64 << 20,
            processor_s: 1,
            wall: std::time::Duration::from_secs(1),
            threads: 3,
            answer_bytes: 1,
        };
        let group = Group::around(pid, &limits, 0);
        let mut boundaries = Boundaries::default();
        group.tell(&mut boundaries);
        match &group.processor {
            Ok(folder) => {
                let read = |name: &str| fs::read_to_string(folder.join(name));
                let quota = read("cpu.max").or_else(|_| read("cpu.cfs_quota_us")).unwrap();
                assert_eq!(quota.split_whitespace().next(), Some("300000"));
                assert!(is_in(folder, pid) && boundaries.holds(Boundary::CgroupProcessor));
            }
            Err(why) => assert!(!why.is_empty() && !boundaries.holds(Boundary::CgroupProcessor)),
        }
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_group_without_the_setting_or_the_process_bounds_nothing() {
        let root = tempfile::tempdir().unwrap();
        let mut made = BTreeSet::new();
        place_in(root.path(), 7, &[("cpu.max", "100000 100000")], &mut made).unwrap_err();
        assert!(made.is_empty() && !root.path().join("countersign-7").exists());
        // Moved on by a later controller: the folder is there, the process is not in it.
        let folder = root.path().to_owned();
        fs::write(folder.join("cgroup.procs"), "70\n").unwrap();
        let no = || Err("none".to_owned());
        let group = Group { memory: no(), processes: no(), processor: Ok(folder.clone()) }.seen(7);
        group.processor.clone().unwrap_err();
        assert!(Group { memory: no(), processes: no(), processor: Ok(folder) }.seen(70).processor.is_ok());
    }

    #[test]
    fn version_2_makes_groups_where_the_controller_is_handed_down() {
        let files = [
            ("cgroup.controllers", "memory pids"),
            ("cgroup.subtree_control", "memory pids"),
            ("user/cgroup.subtree_control", "memory\n"),
            ("user/shell/cgroup.subtree_control", ""),
        ];
        // A shell's own group holds the shell, so the worker's is made beside it.
        check(&files, "0::/user/shell\n", "memory", Some("user"));
        check(&files, "0::/user\n", "pids", Some(""));
        check(&files, "0::/\n", "pids", Some(""));
        // Not handed down to there: a group further up would leave the bounds of whoever rules this one.
        check(&files, "0::/user/shell\n", "pids", None);
        check(&files, "0::/\n", "cpu", None);
    }

    #[test]
    fn version_1_makes_groups_below_its_own() {
        let files = [
            ("memory/cgroup.procs", ""),
            ("memory/job/cgroup.procs", ""),
            ("cpu,cpuacct/cgroup.procs", ""),
            ("unified/cgroup.controllers", "hugetlb"),
            ("unified/cgroup.subtree_control", "hugetlb"),
        ];
        let own = "5:memory:/job\n4:cpu,cpuacct:/gone\n0::/\n";
        check(&files, own, "memory", Some("memory/job"));
        check(&files, own, "cpu", Some("cpu,cpuacct"));
        check(&files, own, "pids", None);
        check(&files, own, "hugetlb", Some("unified/"));
    }
}
