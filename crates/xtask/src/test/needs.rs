//! Programs and data that some tests use, fetched where they are missing and can be had.
//!
//! Nothing here is needed to build. A test whose need is not met says so by name and passes; what could not be
//! fetched is named here as well.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::Skipped;
use crate::process::{is_there, run_quietly, succeeds};
use crate::python::Venv;
use crate::workspace::root;

/// Fetching is given up after this.
const LIMIT: Duration = Duration::from_mins(5);

/// What the tests' Python peers import. The versions are those that the tests were written against.
const PYTHON_PEERS: &[&str] = &[
    "securesystemslib==1.6.0",
    "cryptography==50.0.2",
    "model-signing==1.1.1",
    "pyOpenSSL==26.4.0",
    "numpy==2.4.6",
    "openai==3.54.0",
    "kubernetes-validate==1.37.0",
    "PyYAML==6.0.3",
];

/// A need that Debian packages meet.
struct Need {
    name: &'static str,
    packages: &'static [&'static str],
    met: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need { name: "openssl", packages: &["openssl"], met: || is_there("openssl") },
    Need {
        name: "python3-venv",
        packages: &["python3", "python3-venv"],
        met: || succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])),
    },
    Need { name: "valgrind", packages: &["valgrind"], met: || is_there("valgrind") },
    Need {
        name: "swtpm",
        packages: &["swtpm", "tpm2-tools", "libtss2-tcti-swtpm0"],
        met: || is_there("swtpm") && is_there("tpm2_checkquote"),
    },
    Need {
        name: "go-sumdb",
        packages: &["golang-go", "golang-golang-x-mod-dev"],
        met: || is_there("go") && Path::new("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog").is_dir(),
    },
];

/// Fetches what is missing. Answers what could not be had.
pub(super) fn provide() -> Vec<Skipped> {
    let mut skipped = Vec::new();
    for need in NEEDS {
        if (need.met)() {
            eprintln!("  {}: there", need.name);
        } else if let Err(error) = install(need) {
            eprintln!("  {}: cannot be had", need.name);
            skipped.push(Skipped::new(need.name, first_line(&error)));
        }
    }
    match Venv::provide("test-venv", PYTHON_PEERS) {
        Ok(_) => eprintln!("  python peers: there ({})", PYTHON_PEERS.join(", ")),
        Err(error) => skipped.push(Skipped::new("python-peers", first_line(&error))),
    }
    for model in crate::models::ALL {
        match model.provide() {
            Ok(_) => eprintln!("  model `{}` {}: there", model.package, model.version),
            Err(error) => {
                eprintln!("  model `{}` {}: cannot be had", model.package, model.version);
                skipped.push(Skipped::new(model.package, first_line(&error)));
            }
        }
    }
    for (name, answer) in crate::samples::provide() {
        match answer {
            Ok(()) => eprintln!("  samples `{name}`: there"),
            Err(error) => {
                eprintln!("  samples `{name}`: cannot be had");
                skipped.push(Skipped::new(name, first_line(&error)));
            }
        }
    }
    match shared_data() {
        Some(path) => eprintln!("  peers' test vectors: {path}"),
        None => skipped
            .push(Skipped::new("shared-data", "no `../shared/data`, and `COUNTERSIGN_DATA` is not set")),
    }
    skipped
}

/// Installs Debian packages, where this user may.
pub fn install_packages(packages: &[&str]) -> Result<()> {
    if !is_there("apt-get") {
        bail!("no `apt-get`; install {} by hand", packages.join(" "));
    }
    let root = succeeds(Command::new("sh").args(["-c", "test \"$(id -u)\" = 0"]));
    if !root && !succeeds(Command::new("sudo").args(["-n", "true"])) {
        bail!("not root and no `sudo` without a password; run `apt-get install {}`", packages.join(" "));
    }
    let apt = || {
        let mut command = if root { Command::new("apt-get") } else { Command::new("sudo") };
        if !root {
            command.args(["-n", "apt-get"]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let mut install = apt();
    install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    let what = format!("apt-get install {}", packages.join(" "));
    if run_quietly(&what, &mut install, LIMIT).is_ok() {
        return Ok(());
    }
    run_quietly("apt-get update", apt().arg("update"), LIMIT)?;
    run_quietly(&what, &mut install, LIMIT).map(drop)
}

fn install(need: &Need) -> Result<()> {
    install_packages(need.packages)?;
    if !(need.met)() {
        bail!("{} installed, and still not usable", need.packages.join(" "));
    }
    Ok(())
}

/// Where the peers' test vectors are, if they are.
fn shared_data() -> Option<String> {
    let beside = || Some(root().join("../shared/data")).filter(|path| path.is_dir());
    let named = std::env::var_os("COUNTERSIGN_DATA").map(std::path::PathBuf::from);
    named.or_else(beside).map(|path| path.display().to_string())
}

fn first_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().to_owned()
}
