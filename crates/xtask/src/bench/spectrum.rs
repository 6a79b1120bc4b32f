//! The singular values of a low-rank change, which never becomes a matrix of its own.

use std::process::Command;

use anyhow::Result;

use super::report::{Table, figure};
use super::{Runs, Scratch, example};

pub(super) fn measure(_scratch: &Scratch) -> Result<Table> {
    let pace = example("tensor", "spectrum_pace", &["tensor/spectrum"])?;
    let runs = Runs::of("spectra", || {
        let mut command = Command::new(&pace);
        command.args(["4096", "16", "8", "9"]).env("RAYON_NUM_THREADS", "1");
        Ok(command)
    })?;
    let row = |what: &str, member: &str| vec![what.to_owned(), figure(runs.median(member), 2)];
    Ok(Table {
        text: "Changes of 4096 × 4096 with factors of rank 16, one thread: milliseconds a module, medians of 9 rounds over 8 \
               modules and of 3 runs."
            .to_owned(),
        head: vec!["", "ms a module"],
        rows: vec![
            row("the singular values", "singular_values_ms"),
            row("with norms, entropy, kurtosis and Hoyer's sparsity, as `diff` and `scan` ask for them", "statistics_ms"),
        ],
        absent: Vec::new(),
    })
}
