//! Statements about the record itself.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{KeyId, Name, SlotId, StateId, StatementId};

/// Whether a hold begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HoldAction {
    /// It begins.
    Place,
    /// It ends.
    Lift,
}

/// A legal hold on content, or its end. Held content is not purged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Place or lift.
    pub action: HoldAction,
    /// The matter, as a code.
    pub matter: Name,
    /// What is held.
    pub targets: BTreeSet<Digest>,
}

/// The destruction of content. Its digests stay; evidence that rests on it audits as purged, never as passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// The basis, as a code.
    pub basis: Name,
    /// What was destroyed.
    pub targets: BTreeSet<Digest>,
}

/// The end of a state's service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retirement {
    /// Why, as a code.
    pub reason: Name,
    /// The slot.
    pub slot: SlotId,
    /// The state.
    pub state: StateId,
}

/// Something asked for and refused, with who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// What was asked for, as a code: `propose`, `approve`, `order`.
    pub action: Name,
    /// Codes of the reasons.
    pub reasons: BTreeSet<Name>,
    /// SHA-256 of what was submitted, where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// The key that asked, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<KeyId>,
    /// The statement it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<StatementId>,
}
