//! Arguments of the commands on model files: they need no realm.

use std::path::PathBuf;

use clap::Args;

/// What is scanned, and how the answer is given.
#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// Files, and folders with everything in them.
    #[arg(required_unless_present = "list_rules")]
    pub(crate) paths: Vec<PathBuf>,
    /// The least severity that fails (exit code 1): info, warning or error.
    #[arg(long, default_value = "warning")]
    pub(crate) fail_on: String,
    /// Only this rule; may be given several times.
    #[arg(long)]
    pub(crate) rule: Vec<String>,
    /// Do not count this rule's findings: `RULE=REASON`. The reason stands in the report.
    #[arg(long, value_name = "RULE=REASON")]
    pub(crate) ignore: Vec<String>,
    /// Write the findings as SARIF 2.1.0, for code hosts and editors.
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,
    /// Write a bill of materials (CycloneDX 1.6) with the SHA-256 of every file.
    #[arg(long, value_name = "FILE")]
    pub(crate) bom: Option<PathBuf>,
    /// Print every rule: what it finds, what it does not see, where it comes from.
    #[arg(long)]
    pub(crate) list_rules: bool,
}
