//! The load and fault harness, for a short while: what `cargo xtask live` runs for ten minutes.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The example, beside this test; where only the test was built, it is built now.
fn harness() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().unwrap().parent().unwrap();
    let program = folder.join("examples/live");
    if !program.exists() {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "gateway", "--example", "live", "--target-dir"])
            .arg(folder.parent().unwrap())
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .status()
            .unwrap();
        assert!(status.success(), "`live` cannot be built");
    }
    program
}

#[test]
fn faults_are_contained_and_nobody_notices() {
    let output = Command::new(harness())
        .args(["--rate", "150", "--seconds", "1", "--stage-ms", "1000"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["dropped"], 0, "{found}");
    assert_eq!(found["moved_forward"], 0, "{found}");
    // Seven faults, a good release, the log out of reach, a restart.
    assert_eq!(found["events"].as_array().unwrap().len(), 10, "{found}");
    assert!(found["requests"].as_u64().unwrap() > 1_000, "{found}");
}
