//! What an audit found: every control's population, every change, and what is against the record.
//!
//! The JSON form ([`Report::to_json`]) is stable: members are only ever added. Its schema is
//! `docs/audit-report.schema.json`. Times are milliseconds since the Unix epoch, except witnesses' (seconds).

mod attestation;
mod bound;
mod change;
mod examination;
mod gather;
mod known;
mod realm;
mod remark;
mod render;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use statement::{Digest, PersonId, RealmId, StatementId};

pub use attestation::{AttestationReport, Attested, AttestedHost};
pub use change::{
    ApprovalReport, Audited, BindingNote, Carried, ChangeReport, Counted, FindingReport, OrderReport,
    RejectionReport, RollbackReport, ScoreReport, StageNote, TraceReport, VerdictReport,
};
pub use examination::{Again, ExaminationReport};
pub use realm::{
    AttachmentReport, AttemptReport, Belongs, EmergencyReport, FreezeReport, GrantReport, NoOpReport,
    NotCarriedReport, PurgedReport, ReasonNote, RevokedKeyReport,
};
pub use remark::{Remark, RemarkCode};

/// The report's format, in its member `format`.
pub const FORMAT: &str = "countersign-audit-report/v1";

/// The answer of an audit that could be carried out to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Report {
    /// Always `countersign-audit-report/v1`.
    pub format: String,
    /// Whether anything is against the record.
    pub outcome: Outcome,
    /// What is against it; empty exactly when it is clean.
    pub reasons: Vec<Remark>,
    /// What an auditor should know, though it is not against the record.
    pub warnings: Vec<Remark>,
    /// The realm.
    pub realm: RealmId,
    /// Whose record it is.
    pub trust: Trust,
    /// The log's signed head.
    pub checkpoint: CheckpointReport,
    /// What was looked at: all of it.
    pub population: Population,
    /// Every change, by the leaf of its present proposal.
    pub changes: Vec<ChangeReport>,
    /// Leaves without effect, and why.
    pub noops: Vec<NoOpReport>,
    /// Attempts that were refused before they became statements, as intake recorded them.
    pub attempts: Vec<AttemptReport>,
    /// Grants, and how much of each is used.
    pub grants: Vec<GrantReport>,
    /// Freezes, begun and ended.
    pub freezes: Vec<FreezeReport>,
    /// Keys that were revoked, and from which leaf on they do not count.
    pub revoked_keys: Vec<RevokedKeyReport>,
    /// Content that was destroyed.
    pub purged: Vec<PurgedReport>,
    /// Acts outside the rules.
    pub emergencies: Vec<EmergencyReport>,
    /// Content that the export carries.
    pub attachments: Vec<AttachmentReport>,
    /// Content that belongs into an export, was not destroyed by the record, and is not carried.
    pub not_carried: Vec<NotCarriedReport>,
}

/// Whether anything is against the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing is.
    Clean,
    /// The reasons are.
    NotClean,
}

/// Whether a thing was compared with what the auditor knew from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    /// It is the one expected.
    Same,
    /// The auditor gave nothing to compare with.
    NotCompared,
}

/// Whose record it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Trust {
    /// Every trust root that took effect, in order. The first is what an auditor compares.
    pub roots: Vec<StatementId>,
    /// Whether the first was compared.
    pub first_root: Compared,
    /// The log's key in the trust root in force, as a signed-note verifier key.
    pub log_key: String,
    /// Whether the log's key was compared.
    pub log_key_compared: Compared,
    /// When the trust root in force ends.
    pub expires_ms: u64,
}

/// The log's signed head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckpointReport {
    /// The log's name.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root of the tree.
    pub root: Digest,
    /// The stamp of the last leaf.
    pub last_stamp_ms: u64,
    /// The newest time at which a witness of the trust root says that it cosigned, seconds since the Unix epoch: what
    /// happened since is not in the record. Absent where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_witnessed_s: Option<u64>,
    /// How long before the auditor's clock that is, in milliseconds; absent without clock or witness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// The trust root's witnesses that have cosigned.
    pub witnesses: Vec<WitnessReport>,
    /// How many, run by different persons, the trust root asks for.
    pub witnesses_needed: u32,
}

/// A witness that has cosigned the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WitnessReport {
    /// Its name.
    pub name: String,
    /// Who runs it: two witnesses of one person count once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    /// When it says it did, seconds since the Unix epoch, rising.
    pub times_s: Vec<u64>,
}

/// What was looked at. It is whole, because the root of the tree is computed from every leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Population {
    /// The first leaf that belongs to it.
    pub from: u64,
    /// The leaf after the last: the checkpoint's size.
    pub to: u64,
    /// How many leaves that is.
    pub statements: u64,
    /// How many of them had effect.
    pub effective: u64,
    /// How many had none.
    pub no_ops: u64,
    /// Changes with at least one leaf in it.
    pub changes: u64,
    /// By control, for drawing a sample.
    pub controls: BTreeMap<Control, Count>,
    /// By kind of statement; `unknown` and `malformed` for what this version cannot read.
    pub kinds: BTreeMap<String, Count>,
}

/// A control whose population an auditor draws samples from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// Grants and capability levels: who may propose, and what automation may approve.
    Authorisation,
    /// Findings by persons: compliance, security, external audit, red team.
    Review,
    /// Findings by examiners' code.
    Test,
    /// Approvals and rejections.
    Approval,
    /// Release orders, rollbacks and retirements.
    Deployment,
}

impl Control {
    /// Every control.
    pub const ALL: [Self; 5] =
        [Self::Authorisation, Self::Review, Self::Test, Self::Approval, Self::Deployment];
}

/// How many statements there are, and how many of them had effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Count {
    /// In the record.
    pub statements: u64,
    /// With effect.
    pub effective: u64,
}

impl Report {
    /// The report as JSON, indented, with a final newline. The schema is `docs/audit-report.schema.json`.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The changes whose id begins so, with or without `chg-`.
    pub fn changes_beginning(&self, text: &str) -> impl Iterator<Item = &ChangeReport> {
        let digits = text.strip_prefix("chg-").unwrap_or(text).to_owned();
        let begins = move |change: &&ChangeReport| {
            change.change.as_str().strip_prefix("chg-").is_some_and(|id| id.starts_with(&digits))
        };
        self.changes.iter().filter(begins)
    }

    /// The JSON schema of [`Report::to_json`], indented, with a final newline.
    pub fn json_schema() -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(schemars::schema_for!(Self).as_value())? + "\n")
    }

    /// Whether nothing is against the record.
    pub const fn is_clean(&self) -> bool {
        matches!(self.outcome, Outcome::Clean)
    }
}
