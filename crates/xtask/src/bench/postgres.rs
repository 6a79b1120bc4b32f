//! A PostgreSQL cluster of the benchmark's own, from Debian's package, gone when the benchmark ends.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::process::{is_there, run_quietly, succeeds};
use crate::test::install_packages;

const LIMIT: Duration = Duration::from_mins(1);
/// The user that Debian's package makes. The server does not run as root.
const USER: &str = "postgres";
/// More room than by default, so that the peer is not measured while it checkpoints; syncs stay on.
const SETTINGS: &str = "-c fsync=on -c synchronous_commit=on -c full_page_writes=on -c max_wal_size=4GB \
    -c shared_buffers=256MB -c wal_buffers=16MB -c listen_addresses=";

/// A running server. Stopped when dropped.
#[derive(Debug)]
pub(super) struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
}

impl Cluster {
    /// Makes and starts a cluster in `folder`, which is empty.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        if programs().is_none() {
            install_packages(&["postgresql"])?;
        }
        let programs = programs().context("`postgresql` is installed, and `initdb` is not there")?;
        let cluster = Self { programs, folder: folder.to_path_buf() };
        if is_root() {
            run_quietly("chown", Command::new("chown").arg(USER).arg(folder), LIMIT)?;
        }
        let data = cluster.data();
        let mut make = cluster.program("initdb");
        make.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(&data);
        run_quietly("initdb", &mut make, LIMIT)?;
        let mut start = cluster.program("pg_ctl");
        start.args(["--wait", "--silent", "--pgdata"]).arg(&data).arg("--log").arg(folder.join("server.log"));
        start.args(["--options", &format!("{SETTINGS} -k {}", folder.display()), "start"]);
        // The server inherits the pipes of a quiet run and keeps them open; so it gets none.
        anyhow::ensure!(
            succeeds(&mut start),
            "the server does not start: see `{}/server.log`",
            folder.display()
        );
        Ok(cluster)
    }

    /// The folder of the server's socket.
    pub(super) fn host(&self) -> &Path {
        &self.folder
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn program(&self, name: &str) -> Command {
        as_server(&self.programs.join(name))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.program("pg_ctl");
        stop.args(["--mode=immediate", "--silent", "--pgdata"]).arg(self.data()).arg("stop");
        if !succeeds(&mut stop) {
            eprintln!("the benchmark's PostgreSQL in `{}` did not stop", self.folder.display());
        }
    }
}

/// Whether the server's user can get to a folder. True where there is no such user yet.
pub(super) fn can_reach(folder: &Path) -> bool {
    let known = succeeds(Command::new("id").arg(USER));
    !is_root() || !known || succeeds(as_server(Path::new("test")).arg("-x").arg(folder))
}

fn as_server(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", USER, "--"]).arg(program).current_dir("/");
    command
}

fn is_root() -> bool {
    succeeds(Command::new("sh").args(["-c", "test \"$(id -u)\" = 0"]))
}

/// Where Debian keeps the server's programs: the newest version's folder.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> =
        versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect();
    found.retain(|folder| folder.join("initdb").is_file());
    found.sort();
    let on_path = || is_there("initdb").then(PathBuf::new);
    found.pop().or_else(on_path)
}
