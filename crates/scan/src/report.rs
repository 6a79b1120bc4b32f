//! What a scan answers.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Severity};
use crate::kind::Kind;

/// The form of the report, with its version.
pub const FORM: &str = "countersign-scan/1";

/// What follows from the findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing above `info`.
    Clean,
    /// A person should look at a warning before the files are used.
    Review,
    /// There is an error: the files are not to be used as they are.
    Block,
}

impl Verdict {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Review => "review",
            Self::Block => "block",
        }
    }
}

/// How much of a file was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Examined {
    /// Read to the end as what it is.
    Whole,
    /// Read in part; `not_examined` says what was left.
    Part,
    /// Known by its first bytes and its name alone.
    Kind,
    /// Not at all.
    No,
}

/// What was around the program that read the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Nothing: the files were read in the program itself, because that was asked for.
    None,
    /// A worker in the standard box.
    Standard,
    /// Workers in the deep box.
    Deep,
    /// Workers in the deep box but for Landlock, in a program that itself ran inside gVisor, as it says.
    Gvisor,
}

impl Isolation {
    /// The name in reports and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Standard => "standard",
            Self::Deep => "deep",
            Self::Gvisor => "gvisor",
        }
    }
}

/// Where the files were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadIn {
    /// The level of the box.
    pub isolation: Isolation,
    /// Boundaries of the box that this host does not enforce, by name.
    pub not_enforced: BTreeSet<String>,
    /// SHA-256 of the worker's code, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

impl ReadIn {
    /// In the program itself, without a box.
    pub const fn the_program() -> Self {
        Self { isolation: Isolation::None, not_enforced: BTreeSet::new(), worker: None }
    }
}

/// A file of the scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Its path, as the scan was given it; a member of an archive after `!`.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// How much of it was looked at.
    pub examined: Examined,
}

/// Something that was not looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unexamined {
    /// The file.
    pub path: String,
    /// What of it, and why not.
    pub why: String,
}

/// A rule's findings that do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ignored {
    /// The rule.
    pub rule: String,
    /// Why, in the words of whoever asked for it.
    pub reason: String,
    /// How many findings.
    pub findings: u64,
}

/// Findings of one rule in one file beyond those that are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct More {
    /// The rule.
    pub rule: String,
    /// The file.
    pub path: String,
    /// How many are not listed.
    pub findings: u64,
}

/// What a scan answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`FORM`].
    pub form: String,
    /// What follows.
    pub verdict: Verdict,
    /// Every file, in the order of paths.
    pub files: Vec<Seen>,
    /// What was found, gravest first, then by rule, path and place.
    pub findings: Vec<Finding>,
    /// Findings beyond those that are listed.
    pub more: Vec<More>,
    /// What was found and does not count.
    pub ignored: Vec<Ignored>,
    /// What was not looked at.
    pub not_examined: Vec<Unexamined>,
    /// Where the files were read.
    pub read_in: ReadIn,
    /// How many rules were in force.
    pub rules: u64,
}

impl Report {
    /// How many findings weigh this much, those not listed among them.
    pub fn count(&self, severity: Severity) -> u64 {
        let of_rule = |more: &&More| {
            let listed = self.findings.iter().find(|finding| finding.rule == more.rule);
            listed.is_some_and(|finding| finding.severity == severity)
        };
        let unlisted: u64 = self.more.iter().filter(of_rule).map(|more| more.findings).sum();
        self.findings.iter().filter(|finding| finding.severity == severity).count() as u64 + unlisted
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().filter(|seen| !seen.path.contains('!')).map(|seen| seen.bytes).sum()
    }

    /// Whether there is a finding of this weight or more.
    pub fn reaches(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity >= severity)
    }

    /// The JSON schema of the report, as `docs/scan-report.schema.json` has it.
    ///
    /// # Errors
    /// A schema that cannot be written as JSON, which a test would see.
    pub fn json_schema() -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(schemars::schema_for!(Self).as_value())? + "\n")
    }
}
