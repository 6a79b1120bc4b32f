//! `cargo xtask gen`: what is made from the sources. Tests compare it with what it should be.
//!
//! The small model takes minutes of training, so it is made when it is asked for: `cargo xtask gen model`.

use anyhow::Result;

use crate::codes;
use crate::process::{cargo, run};
use crate::workspace::{root, write};

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Product {
    /// The documents.
    Documents,
    /// Our own small model, trained from nothing.
    Model,
}

/// Makes it.
pub fn generate(product: Product) -> Result<()> {
    match product {
        Product::Documents => documents(),
        Product::Model => model(),
    }
}

fn model() -> Result<()> {
    let mut train = cargo();
    train.args(["run", "--quiet", "--package", "range", "--example", "train_tiny", "--"]);
    // One thread: sums are then taken in one order.
    train.arg("assets/models/countersign-tiny").env("RAYON_NUM_THREADS", "1").current_dir(root());
    run(&mut train)
}

fn documents() -> Result<()> {
    let mut statements = cargo();
    statements.args(["run", "--quiet", "--package", "statement", "--features", "examples"]);
    run(statements.args(["--example", "generate_docs", "--", "docs/statements"]))?;
    let entries = codes::all()?;
    write(&root().join("docs/errors.md"), &codes::document(&entries))?;
    eprintln!("docs/errors.md: {} codes", entries.len());
    Ok(())
}
