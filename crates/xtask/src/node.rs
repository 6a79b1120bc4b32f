//! Node.js packages of the chores' own, below `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::process::{is_there, run_quietly};
use crate::workspace::{read, root, write};

/// Installing is given up after this.
const LIMIT: Duration = Duration::from_mins(8);

/// A folder with one package and what it needs.
#[derive(Debug)]
pub struct Package(PathBuf);

impl Package {
    /// Installs `name` in exactly this version in `target/<folder>`, unless it is there. Scripts that packages bring
    /// are not run.
    pub fn provide(folder: &str, name: &str, version: &str) -> Result<Self> {
        let folder = root().join("target").join(folder);
        let package = Self(folder.join("node_modules").join(name));
        let stamp = folder.join("countersign-packages");
        let wanted = format!("{name}@{version}");
        if read(&stamp).is_ok_and(|found| found == wanted) && package.0.is_dir() {
            return Ok(package);
        }
        if !is_there("npm") || !is_there("node") {
            bail!("no `node` and `npm` to fetch it with");
        }
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
        }
        write(&folder.join("package.json"), "{ \"private\": true }\n")?;
        let mut install = Command::new("npm");
        install
            .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", &wanted])
            .current_dir(&folder);
        run_quietly(&format!("npm install {wanted}"), &mut install, LIMIT)?;
        write(&stamp, &wanted)?;
        Ok(package)
    }

    /// Where the package itself lies.
    pub fn folder(&self) -> &Path {
        &self.0
    }
}
