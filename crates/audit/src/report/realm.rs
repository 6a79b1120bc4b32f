//! What the record says about the realm as a whole.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use statement::kind::{FreezeAction, FreezeTarget, GrantPurpose, Level, Tier};
use statement::{ChangeId, Digest, KeyId, Name, PersonId, SlotId, StatementId};

/// One thing that stood against a leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReasonNote {
    /// The stable code.
    pub code: String,
    /// What it means.
    pub text: String,
    /// What it is about.
    pub about: String,
}

/// A leaf without effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NoOpReport {
    /// The leaf.
    pub index: u64,
    /// Its kind; `unknown` or `malformed` where this version cannot read it.
    pub kind: String,
    /// The change it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeId>,
    /// Why it has none; at least one.
    pub reasons: Vec<ReasonNote>,
}

/// Something asked for and refused before it became a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AttemptReport {
    /// The leaf.
    pub index: u64,
    /// What was asked for.
    pub action: Name,
    /// The change it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeId>,
    /// The key that asked, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester: Option<KeyId>,
    /// Codes of the reasons.
    pub reasons: BTreeSet<Name>,
}

/// A time-limited authorisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GrantReport {
    /// The statement.
    pub id: StatementId,
    /// Its leaf.
    pub index: u64,
    /// Who granted.
    pub persons: BTreeSet<PersonId>,
    /// The key that got it.
    pub grantee: KeyId,
    /// What for.
    pub purpose: GrantPurpose,
    /// The highest level it covers.
    pub level_max: Level,
    /// The highest tier it covers.
    pub tier_max: Tier,
    /// Slots it covers.
    pub slots: BTreeSet<SlotId>,
    /// When it begins.
    pub not_before_ms: u64,
    /// When it ends.
    pub expires_ms: u64,
    /// How many changes it is good for.
    pub changes_max: u32,
    /// How many have used it.
    pub used: u64,
    /// The leaf that revoked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<u64>,
}

/// A freeze, begun or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FreezeReport {
    /// The leaf.
    pub index: u64,
    /// Begun or ended.
    pub action: FreezeAction,
    /// What is frozen.
    pub target: FreezeTarget,
    /// Why, as a code.
    pub reason: Name,
}

/// A key that was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RevokedKeyReport {
    /// The key.
    pub key: KeyId,
    /// Whose it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    /// The first leaf at which its signatures do not count.
    pub since: u64,
}

/// Content that was destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PurgedReport {
    /// What.
    pub digest: Digest,
    /// The leaf that says so.
    pub index: u64,
}

/// What a content that belongs into an export is to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Belongs {
    /// A scope that a slot names.
    Scope,
    /// The steps that a finding signs.
    Trace,
    /// The evidence of the hosts that a finding names.
    Attestation,
    /// What an examination that a finding states was judged by.
    Examination,
}

/// Content that belongs into an export and is not carried: what rests on it cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NotCarriedReport {
    /// The content.
    pub digest: Digest,
    /// What it is.
    pub what: Belongs,
    /// The leaf that names it first.
    pub named_by: u64,
    /// Whose it is: the slot, or the change.
    pub of: String,
}

/// An act outside the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EmergencyReport {
    /// The leaf.
    pub index: u64,
    /// What was done.
    pub action: Name,
    /// Where.
    pub slot: SlotId,
    /// Who would have had to sign.
    pub skipped: BTreeSet<PersonId>,
    /// When the review is due.
    pub review_by_ms: u64,
}

/// Content that the export carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AttachmentReport {
    /// The digest by which statements name it.
    pub digest: Digest,
    /// Its length in bytes, without the salt.
    pub bytes: u64,
    /// The first leaf that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named_by: Option<u64>,
}
