//! How long evidence of a host takes to verify, by kind.

use std::process::Command;

use anyhow::Result;

use super::report::{Table, figure};
use super::{RUNS, Runs, Scratch, example};
use crate::samples;

/// Kinds, with what the sample is.
const KINDS: [(&str, &str, &str); 5] = [
    ("tpm2", "TPM 2.0 quote over three registers, ECDSA P-256", "made here (simulated)"),
    ("tdx", "Intel TDX quote with collateral", "`dcap-qvl` 0.7.1"),
    ("sgx", "Intel SGX quote with collateral", "`dcap-qvl` 0.7.1"),
    ("sev-snp", "AMD SEV-SNP report with its chain", "`sev` 8.0.0"),
    ("nvidia-gpu", "NVIDIA H100 report with its chain", "`nv-local-gpu-verifier` 2.7.3"),
];

pub(super) fn measure(_: &Scratch) -> Result<Table> {
    let mut absent: Vec<(String, String)> = Vec::new();
    for (name, answer) in samples::provide() {
        if let Err(error) = answer {
            absent.push((name.to_owned(), format!("{error:#}")));
        }
    }
    let speed = example("evidence", "verify_speed", &["dcap", "fixture"])?;
    let runs = Runs::of("verifying evidence", || {
        let mut command = Command::new(&speed);
        command.arg(samples::folder());
        Ok(command)
    })?;
    let rows = KINDS.iter().map(|(member, what, source)| {
        vec![(*what).to_owned(), (*source).to_owned(), figure(runs.median(member), 2)]
    });
    Ok(Table {
        text: format!(
            "From bytes in memory to the answer, on one core, all signatures and certificates of the chain every time. \
             Median of 200 verifications, the middle one of {RUNS} runs."
        ),
        head: vec!["", "sample", "ms"],
        rows: rows.collect(),
        absent,
    })
}
