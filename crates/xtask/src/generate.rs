//! `cargo xtask gen`: the documents that are made from the sources. Tests compare them with what they should be.

use anyhow::Result;

use crate::codes;
use crate::process::{cargo, run};
use crate::workspace::{root, write};

/// Makes them all.
pub fn generate() -> Result<()> {
    let mut statements = cargo();
    statements.args(["run", "--quiet", "--package", "statement", "--features", "examples"]);
    run(statements.args(["--example", "generate_docs", "--", "docs/statements"]))?;
    let entries = codes::all()?;
    write(&root().join("docs/errors.md"), &codes::document(&entries))?;
    eprintln!("docs/errors.md: {} codes", entries.len());
    Ok(())
}
