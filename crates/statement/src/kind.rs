//! The kinds of statement: one documented type each, with who may sign it.
//!
//! Lists that are sets are sorted and without repetition in signed bytes; absent members are left out, never `null`.
//! Times are milliseconds since the Unix epoch, UTC. Rates are parts per million. There are no floating-point numbers.

mod change;
mod governance;
mod live;
mod record;

use serde::Serialize;

use crate::digest::Digest;
use crate::header::Header;
use crate::json::{self, EncodeError, ShapeError, Value};

pub use change::{
    Approval, Artefact, AttestedBy, AttestingHost, Capacity, Component, ComponentRole, EvidenceKind, Finding,
    Isolation, Level, Manifest, ModificationKind, Outcome, Proposal, Proposer, Rejection, Score, ScoreTerm,
    ServedState, Tier, TraceRoot, Verdict, Violation,
};
pub use governance::{
    Assurance, CalibrationStep, CapabilityLevel, DirectoryEntry, Freeze, FreezeAction, FreezeTarget, Grant,
    GrantPurpose, ImpactRules, LevelFloor, Limits, LogIdentity, Policy, PolicyRules, Revocation,
    RevocationTarget, Role, RoleRule, RootKey, Slot, TierRule, TrustRoot, ValueFloor, WitnessKey, Witnesses,
    WorkerRule,
};
pub use live::{
    BindingLevel, BreakGlass, EngineBinding, GateDecision, GateResult, Incident, Observation, ReleaseOrder,
    Response, RollbackOrder, Severity, SignOff, Stage, StageReport,
};
pub use record::{Attempt, Hold, HoldAction, Purge, Retirement};

/// Shows words as statements write them: `compliance-review`, not Rust's name.
macro_rules! shown_as_written {
    ($($word:ty),+) => {
        $(impl std::fmt::Display for $word {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match json::to_value(self) {
                    Ok(Value::String(text)) => f.write_str(&text),
                    _ => Err(std::fmt::Error),
                }
            }
        })+
    };
}

shown_as_written!(
    Assurance,
    Capacity,
    ComponentRole,
    EvidenceKind,
    Isolation,
    Level,
    ModificationKind,
    Outcome,
    Role,
    Tier
);

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)+) => {
        /// A statement's content, by kind.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Body {
            $($(#[$doc])* $variant(Box<$variant>),)+
        }

        /// The kinds of statement that this version knows, all at version 1.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $variant,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The kind's name, as in the header and the predicate type.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The kind of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Reads a body of this kind.
            pub(crate) fn read(self, value: &Value) -> Result<Body, ShapeError> {
                Ok(match self {
                    $(Self::$variant => Body::$variant(Box::new(json::from_value(value)?)),)+
                })
            }

            /// The JSON schema of the body.
            pub fn schema(self) -> schemars::Schema {
                match self {
                    $(Self::$variant => schemars::schema_for!($variant),)+
                }
            }
        }

        impl Body {
            /// Which kind it is.
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$variant(_) => Kind::$variant,)+
                }
            }
        }

        $(impl From<$variant> for Body {
            fn from(body: $variant) -> Self {
                Self::$variant(Box::new(body))
            }
        })+
    };
}

kinds! {
    /// Roles, keys, thresholds and expiry; rotated by old and new quorum.
    TrustRoot "trust-root",
    /// A key bound to a person, roles and clearance.
    DirectoryEntry "directory-entry",
    /// The rules by which gates decide.
    Policy "policy",
    /// A place in production and what may happen to it.
    Slot "slot",
    /// A change somebody or some model asks for.
    Proposal "proposal",
    /// What an examiner found out about a change.
    Finding "finding",
    /// The score and decision that follow from findings and policy.
    Verdict "verdict",
    /// A person's yes, to exactly this.
    Approval "approval",
    /// A person's no.
    Rejection "rejection",
    /// A time-limited authorisation.
    Grant "grant",
    /// The end of a key, a grant or an order.
    Revocation "revocation",
    /// What a proposer may do without a person.
    CapabilityLevel "capability-level",
    /// A halt of changes, or its end.
    Freeze "freeze",
    /// The order to serve a state.
    ReleaseOrder "release-order",
    /// Which engine process serves which state.
    EngineBinding "engine-binding",
    /// What a rollout stage showed.
    StageReport "stage-report",
    /// A person's yes to leaving a rollout stage.
    SignOff "sign-off",
    /// What a monitor saw.
    Observation "observation",
    /// Something went wrong.
    Incident "incident",
    /// The order to go back.
    RollbackOrder "rollback-order",
    /// An emergency act outside the rules, to be reviewed.
    BreakGlass "break-glass",
    /// What a state consists of and where it comes from.
    ServedState "served-state",
    /// A legal hold, or its end.
    Hold "hold",
    /// The destruction of content.
    Purge "purge",
    /// The end of a state's service.
    Retirement "retirement",
    /// Something asked for and refused.
    Attempt "attempt",
}

/// Whose word a kind of statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Voice {
    /// One key's own: two who say the same have said two things. The header names the key, and it alone signs.
    Own,
    /// Several sign one and the same statement, and the header names none of them.
    Joint,
    /// Either: who says it alone names their key, several together name none. Saying it twice changes nothing.
    Either,
}

impl Kind {
    /// Whose word it is.
    pub const fn voice(self) -> Voice {
        match self {
            Self::TrustRoot | Self::DirectoryEntry | Self::Policy | Self::Slot | Self::CapabilityLevel => {
                Voice::Joint
            }
            Self::Proposal
            | Self::Finding
            | Self::Verdict
            | Self::Approval
            | Self::Rejection
            | Self::Grant
            | Self::EngineBinding
            | Self::StageReport
            | Self::SignOff
            | Self::Observation
            | Self::Incident
            | Self::BreakGlass
            | Self::Attempt => Voice::Own,
            Self::Revocation
            | Self::Freeze
            | Self::ReleaseOrder
            | Self::RollbackOrder
            | Self::ServedState
            | Self::Hold
            | Self::Purge
            | Self::Retirement => Voice::Either,
        }
    }

    /// The version of the kind's body that this crate reads and writes.
    pub const fn version(self) -> u32 {
        1
    }

    /// The kind's name, as headers hold it.
    pub fn to_name(self) -> crate::id::Name {
        crate::id::Name::of_kind(self)
    }

    /// The predicate type: a URN of kind and version.
    pub fn predicate_type(self) -> String {
        format!("urn:countersign:{}:v{}", self.name(), self.version())
    }

    /// Whether a reader that does not know this kind must stop: where overlooking it would leave authority where it
    /// should not be. Who overlooks a grant or an approval only withholds.
    pub const fn critical(self) -> bool {
        match self {
            Self::TrustRoot
            | Self::DirectoryEntry
            | Self::Policy
            | Self::Slot
            | Self::Rejection
            | Self::Revocation
            | Self::CapabilityLevel
            | Self::Freeze
            | Self::ReleaseOrder
            | Self::RollbackOrder
            | Self::BreakGlass
            | Self::Hold
            | Self::Purge
            | Self::Retirement => true,
            Self::Proposal
            | Self::Finding
            | Self::Verdict
            | Self::Approval
            | Self::Grant
            | Self::EngineBinding
            | Self::StageReport
            | Self::SignOff
            | Self::Observation
            | Self::Incident
            | Self::ServedState
            | Self::Attempt => false,
        }
    }

    /// The roles whose keys may sign this kind.
    pub const fn signers(self) -> &'static [Role] {
        match self {
            Self::TrustRoot => &[Role::Root],
            Self::DirectoryEntry => &[Role::DirectoryOfficer],
            Self::Policy | Self::Slot | Self::CapabilityLevel => &[Role::PolicyOfficer],
            Self::Proposal => &[Role::Proposer],
            Self::Finding => &[Role::Examiner, Role::Compliance],
            Self::Verdict | Self::Attempt => &[Role::Automation],
            Self::Approval => &[Role::Approver, Role::Automation],
            Self::Rejection => &[Role::Approver, Role::Compliance],
            Self::Grant => &[Role::Approver],
            Self::Revocation => &[Role::DirectoryOfficer, Role::Approver, Role::Operator],
            Self::Freeze => &[Role::Operator, Role::Compliance, Role::Monitor, Role::PolicyOfficer],
            Self::ReleaseOrder | Self::BreakGlass | Self::Retirement => &[Role::Operator],
            Self::EngineBinding => &[Role::Engine],
            Self::StageReport => &[Role::Rollout],
            Self::SignOff => &[Role::Operator, Role::Approver, Role::Compliance],
            Self::Observation | Self::Incident => &[Role::Monitor],
            Self::RollbackOrder => &[Role::Operator, Role::Monitor],
            Self::ServedState => &[Role::Proposer, Role::Operator, Role::PolicyOfficer],
            Self::Hold | Self::Purge => &[Role::Compliance],
        }
    }
}

impl Body {
    /// What the statement is about, as in-toto subjects: names and digests, sorted.
    ///
    /// A statement that names no artefact is about its realm or its change.
    pub fn subjects(&self, header: &Header) -> Result<Vec<(String, Digest)>, EncodeError> {
        let mut subjects: Vec<(String, Digest)> = match self {
            Self::Proposal(body) => {
                body.artefacts.iter().map(|artefact| (artefact.name.to_string(), artefact.digest)).collect()
            }
            Self::Finding(body) => vec![("proposal".to_owned(), *body.proposal.digest())],
            Self::Verdict(body) => vec![("proposal".to_owned(), *body.proposal.digest())],
            Self::Approval(body) => body
                .artefacts
                .iter()
                .map(|digest| (format!("artefact:{}", digest.short()), *digest))
                .collect(),
            Self::ReleaseOrder(body) => vec![("state".to_owned(), *body.to_state.digest())],
            Self::RollbackOrder(body) => vec![("state".to_owned(), *body.to_state.digest())],
            Self::EngineBinding(body) => vec![("state".to_owned(), *body.state.digest())],
            Self::ServedState(body) => vec![("state".to_owned(), *body.manifest.id()?.digest())],
            Self::TrustRoot(_)
            | Self::DirectoryEntry(_)
            | Self::Policy(_)
            | Self::Slot(_)
            | Self::Rejection(_)
            | Self::Grant(_)
            | Self::Revocation(_)
            | Self::CapabilityLevel(_)
            | Self::Freeze(_)
            | Self::StageReport(_)
            | Self::SignOff(_)
            | Self::Observation(_)
            | Self::Incident(_)
            | Self::BreakGlass(_)
            | Self::Hold(_)
            | Self::Purge(_)
            | Self::Retirement(_)
            | Self::Attempt(_) => Vec::new(),
        };
        if subjects.is_empty() {
            let name = match header.change.change() {
                Some(change) => change.to_string(),
                None => header.realm.to_string(),
            };
            let digest = Digest::of(name.as_bytes());
            subjects.push((name, digest));
        }
        subjects.sort();
        subjects.dedup();
        Ok(subjects)
    }
}

#[cfg(test)]
mod tests;
