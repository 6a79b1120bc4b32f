//! Who may do what on which change: Cedar policies, checked strictly against a schema that is built in.
//!
//! Separation of duties goes by person, not by key or account. Counts and sets come in as [`Facts`]; whoever makes
//! them counts independent signers with [`crate::quorum`]. Forbid wins over permit, no permit is a deny, and anything
//! that cannot be evaluated is a deny.
//!
//! What this module does not do: verify signatures, look anything up, or keep state between decisions.

mod load;
mod request;
mod shape;
#[cfg(test)]
mod tests;
mod written;

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{AuthorizationError, Authorizer, PolicyId, PolicySet, Schema};
use statement::kind::{Assurance, EvidenceKind, Level, Role, Tier};
use statement::{Digest, KeyId, Name, PersonId};

use crate::error::PolicyError;
use request::Vocabulary;
pub(crate) use request::evidence_name;
pub(crate) use written::{Literals, Written};

/// The schema that duties are validated against.
pub const SCHEMA_TEXT: &str = include_str!("../../../policies/schema.cedarschema");

/// The default duties.
pub const DEFAULT_TEXT: &str = include_str!("../../../policies/default.cedar");

/// Bytes of a Cedar text at most: with the tables of a policy it must fit an entry of the log.
pub const TEXT_MAX_BYTES: usize = 24 * 1024;

/// Policies in a set at most.
pub const POLICIES_MAX: usize = 128;

/// Why a decision is a deny without a policy that forbids. No policy may have one of these as its `@id`.
pub mod reserved {
    /// No policy permits the act.
    pub const NO_PERMIT: &str = "no-permit";
    /// The schema does not open the act to this kind of key.
    pub const KEY_KIND: &str = "key-kind";
    /// A policy could not be evaluated, or the request could not be made.
    pub const NOT_EVALUATED: &str = "not-evaluated";
}

/// SHA-256 of [`SCHEMA_TEXT`], as policy statements name it.
pub fn schema_digest() -> Digest {
    Digest::of(SCHEMA_TEXT.as_bytes())
}

/// Whether a person or a machine holds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActorKind {
    /// A person acts.
    Person,
    /// A machine acts, and a person answers for it.
    Automation,
}

impl ActorKind {
    /// The kind that goes with a key's roles: a machine's where the automation role is among them.
    pub fn of_roles(roles: &BTreeSet<Role>) -> Self {
        if roles.contains(&Role::Automation) { Self::Automation } else { Self::Person }
    }
}

/// Who acts, as the directory has them at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The key that signed.
    pub key: KeyId,
    /// The human who has the key or answers for it.
    pub person: PersonId,
    /// What the key may speak as.
    pub roles: BTreeSet<Role>,
    /// The highest tier the person may approve.
    pub clearance: Tier,
    /// How well the key is kept.
    pub assurance: Assurance,
    /// Whether a person or a machine holds it.
    pub kind: ActorKind,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Propose a change.
    Propose,
    /// Sign a finding.
    Examine,
    /// Sign a compliance review.
    ReviewCompliance,
    /// Approve as a person.
    Approve,
    /// Approve as the automation key, under a human's grant.
    AutoApprove,
    /// Order a release.
    Order,
    /// Go back.
    Rollback,
    /// Give an authorisation; the facts' proposers are the persons who would get it, `authorised_until_ms` is its end.
    Grant,
    /// Begin a freeze.
    Freeze,
    /// End a freeze.
    Unfreeze,
    /// Destroy content.
    Purge,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 11] = [
        Self::Propose,
        Self::Examine,
        Self::ReviewCompliance,
        Self::Approve,
        Self::AutoApprove,
        Self::Order,
        Self::Rollback,
        Self::Grant,
        Self::Freeze,
        Self::Unfreeze,
        Self::Purge,
    ];

    /// The action as policies write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Propose => "propose",
            Self::Examine => "examine",
            Self::ReviewCompliance => "reviewCompliance",
            Self::Approve => "approve",
            Self::AutoApprove => "autoApprove",
            Self::Order => "order",
            Self::Rollback => "rollback",
            Self::Grant => "grant",
            Self::Freeze => "freeze",
            Self::Unfreeze => "unfreeze",
            Self::Purge => "purge",
        }
    }
}

/// A change as it stands in the record at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Who proposed it: the signer's person, and the sponsor of a model that proposes.
    pub proposers: BTreeSet<PersonId>,
    /// Who signed findings.
    pub examiners: BTreeSet<PersonId>,
    /// Who signed compliance reviews.
    pub compliance: BTreeSet<PersonId>,
    /// Who approved, the human behind the automation key among them.
    pub approvers: BTreeSet<PersonId>,
    /// Who ordered its release. Going back puts nobody in here.
    pub operators: BTreeSet<PersonId>,
    /// Its risk tier.
    pub tier: Tier,
    /// The capability level it claims.
    pub level: Level,
    /// Independent signers of valid approvals, the automation key's as one ([`crate::quorum::count`]).
    pub approvals: i64,
    /// Independent persons among them who signed as persons.
    pub human_approvals: i64,
    /// Evidence that is there, fresh, from workers and persons that count, and passed.
    pub evidence: BTreeSet<EvidenceKind>,
    /// Whether bytes and cumulative drift are within bounds.
    pub in_bounds: bool,
    /// Whether the realm, the slot or the change is frozen.
    pub frozen: bool,
    /// Whether the content to be purged is held.
    pub on_hold: bool,
    /// When the authorisation ends that the act rests on (the earliest, where it rests on several); `u64::MAX` where
    /// it needs none.
    pub authorised_until_ms: u64,
}

/// What the duties say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Permit {
        /// The policies that permit, sorted.
        policies: Vec<Name>,
    },
    /// No.
    Deny {
        /// The policies that forbid, sorted; where there are none, one of [`reserved`].
        policies: Vec<Name>,
        /// The controls that those policies serve, as `SCHEME:ID`, sorted.
        controls: Vec<Name>,
    },
}

impl Decision {
    /// Whether it is a yes.
    pub const fn is_permit(&self) -> bool {
        match self {
            Self::Permit { .. } => true,
            Self::Deny { .. } => false,
        }
    }
}

/// The facts of a change as Cedar has them; none where they cannot be said in it.
#[derive(Debug)]
pub(crate) struct Change(Option<cedar_policy::Entity>);

/// Duties that were read, validated against the schema, and are ready to decide.
pub struct Duties {
    all: PolicySet,
    authorizer: Authorizer,
    by_action: BTreeMap<Action, PolicySet>,
    controls: BTreeMap<Name, BTreeSet<Name>>,
    schema: Schema,
    vocabulary: Vocabulary,
}

impl std::fmt::Debug for Duties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Duties").field("policies", &self.controls).finish_non_exhaustive()
    }
}

impl Duties {
    /// Reads and validates duties. `schema_digest` is the one that the policy statement names.
    ///
    /// Validation is strict, and what the validator merely warns of is refused too: a policy that can never apply,
    /// or one with look-alike letters, is not what its reader thinks it is.
    ///
    /// # Errors
    /// The first fault, with the policy's id and place: too large, another schema, no Cedar, a template, an `@id`
    /// that is missing, unfit or repeated, a malformed `@control`, or a policy that does not fit the schema.
    pub fn load(cedar_text: &str, schema_digest: &Digest) -> Result<Self, PolicyError> {
        load::load(cedar_text, schema_digest)
    }

    /// The ids of the policies and the controls that each serves.
    pub const fn controls(&self) -> &BTreeMap<Name, BTreeSet<Name>> {
        &self.controls
    }

    /// Whether the actor may do this on a change of which these are the facts, at that time.
    ///
    /// `now_ms` is the log's stamp. Evaluation takes no time limit: the policies have no loops, and sets are as large
    /// as the persons on one change.
    pub fn decide(&self, actor: &Actor, action: Action, facts: &Facts, now_ms: u64) -> Decision {
        self.decide_on(actor, action, &self.change(facts), now_ms)
    }

    /// The facts of a change, made ready to be asked about more than once.
    pub(crate) fn change(&self, facts: &Facts) -> Change {
        Change(self.vocabulary.change(facts))
    }

    /// As [`Duties::decide`], on facts that were made ready.
    pub(crate) fn decide_on(&self, actor: &Actor, action: Action, change: &Change, now_ms: u64) -> Decision {
        if !self.vocabulary.open_to(action, actor.kind) {
            return deny([reserved::KEY_KIND], BTreeSet::new());
        }
        let asked = change
            .0
            .clone()
            .and_then(|change| self.vocabulary.request(&self.schema, actor, action, change, now_ms));
        let Some((request, entities)) = asked else {
            return deny([reserved::NOT_EVALUATED], BTreeSet::new());
        };
        let Some(policies) = self.by_action.get(&action) else {
            return deny([reserved::NOT_EVALUATED], BTreeSet::new());
        };
        let response = self.authorizer.is_authorized(&request, policies, &entities);
        // A forbid that cannot be evaluated would be left out by Cedar; here it refuses, with its name.
        let mut broken = response.diagnostics().errors().map(policy_of).peekable();
        if broken.peek().is_some() {
            return deny(broken.chain([reserved::NOT_EVALUATED]), BTreeSet::new());
        }
        let reasons: BTreeSet<Name> =
            response.diagnostics().reason().filter_map(|id| text_of(id).parse().ok()).collect();
        match response.decision() {
            cedar_policy::Decision::Allow => Decision::Permit { policies: reasons.into_iter().collect() },
            cedar_policy::Decision::Deny if reasons.is_empty() => {
                deny([reserved::NO_PERMIT], BTreeSet::new())
            }
            cedar_policy::Decision::Deny => {
                let controls =
                    reasons.iter().filter_map(|id| self.controls.get(id)).flatten().cloned().collect();
                deny(reasons.iter().map(Name::as_str), controls)
            }
        }
    }
}

fn policy_of(error: &AuthorizationError) -> &str {
    match error {
        AuthorizationError::PolicyEvaluationError(error) => text_of(error.policy_id()),
    }
}

fn text_of(id: &PolicyId) -> &str {
    id.as_ref()
}

/// A deny for these reasons: ids of policies, which `load` made sure are names, or reserved ones.
fn deny<'a>(reasons: impl IntoIterator<Item = &'a str>, controls: BTreeSet<Name>) -> Decision {
    let policies: BTreeSet<Name> = reasons.into_iter().filter_map(|reason| reason.parse().ok()).collect();
    Decision::Deny { policies: policies.into_iter().collect(), controls: controls.into_iter().collect() }
}
