//! `cargo xtask golden`: what peers in Python say, written down for tests that then need no Python.

use anyhow::Result;

use crate::process::run;
use crate::python::Venv;
use crate::workspace::root;

/// The peers whose answers are committed, in the versions that gave them.
const STATISTICS: &[&str] = &["numpy==2.4.6", "scipy==1.17.1", "statsmodels==0.15.0", "ville==0.1.0"];

/// Makes the golden files again. The same versions make the same files.
pub fn golden() -> Result<()> {
    let folder = root().join("crates/stats/tests/golden");
    let venv = Venv::provide("golden-statistics", STATISTICS)?;
    run(venv.python().arg(folder.join("golden.py")).arg(folder.join("golden.json")))
}
