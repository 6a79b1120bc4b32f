//! A control group around a worker, where this host lets us make one: version 2, or version 1 for each controller.

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
}

impl Group {
    /// Bounds a process that has not begun. What cannot be bounded is remembered with the reason.
    pub(crate) fn around(pid: i32, limits: &Limits, mapped: u64) -> Self {
        let memory = limits.memory_bytes.saturating_add(mapped).to_string();
        let threads = limits.threads.to_string();
        Self {
            memory: place(pid, "memory", &[("memory.max", &memory), ("memory.limit_in_bytes", &memory)]),
            processes: place(pid, "pids", &[("pids.max", &threads)]),
        }
    }

    /// What it enforces.
    pub(crate) fn tell(&self, boundaries: &mut Boundaries) {
        for (boundary, folder) in
            [(Boundary::CgroupMemory, &self.memory), (Boundary::CgroupProcesses, &self.processes)]
        {
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
        for folder in [&self.memory, &self.processes].into_iter().flatten() {
            // The group of a worker that is just ending is busy for a moment; an empty one that stays harms nobody.
            drop(fs::remove_dir(folder));
        }
    }
}

/// Makes a group below ours and puts the process into it.
fn place(pid: i32, controller: &str, settings: &[(&str, &str)]) -> Result<PathBuf, String> {
    let parent = parent(controller).map_err(|error| error.to_string())?;
    let folder = parent.join(format!("countersign-{pid}"));
    let made = fs::create_dir(&folder).and_then(|()| {
        let setting = settings.iter().find(|(name, _)| folder.join(name).exists());
        let (name, value) = setting.ok_or_else(|| io::Error::other("the controller has no such setting"))?;
        fs::write(folder.join(name), value)?;
        fs::write(folder.join("cgroup.procs"), pid.to_string())
    });
    match made {
        Ok(()) => Ok(folder),
        Err(error) => {
            drop(fs::remove_dir(&folder));
            Err(format!("control group `{controller}`: {error}"))
        }
    }
}

/// Where a group for this controller may be made: beside our own.
fn parent(controller: &str) -> io::Result<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let unified = Path::new(ROOT).join("cgroup.controllers").exists();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let path = path.trim_start_matches('/');
        if unified && controllers.is_empty() {
            let folder = Path::new(ROOT).join(path);
            let offered = fs::read_to_string(folder.join("cgroup.subtree_control"))?;
            if offered.split_whitespace().any(|name| name == controller) {
                return Ok(folder);
            }
        } else if controllers.split(',').any(|name| name == controller) {
            let folder = Path::new(ROOT).join(controller).join(path);
            if folder.join("cgroup.procs").exists() {
                return Ok(folder);
            }
            return Ok(Path::new(ROOT).join(controller));
        }
    }
    Err(io::Error::other(format!("this host offers no control group `{controller}` here")))
}
