//! Who stands behind a key, as the record has it.

use std::collections::BTreeSet;

use statement::kind::{Assurance, Capacity, Role, Tier};
use statement::{KeyId, PersonId};

/// Whether a person or a machine uses the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActorKind {
    /// A person.
    Person,
    /// The automation key.
    Automation,
}

/// A key and who stands behind it, at one point of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The key.
    pub key: KeyId,
    /// The person who has it, or answers for the machine that has it.
    pub person: PersonId,
    /// What it may speak as.
    pub roles: BTreeSet<Role>,
    /// The highest tier the person may approve.
    pub clearance: Tier,
    /// In which capacities the person may approve.
    pub capacities: BTreeSet<Capacity>,
    /// How well the key is kept.
    pub assurance: Assurance,
    /// When it ends to count.
    pub not_after_ms: u64,
}

impl Actor {
    /// Whether a person or a machine uses it.
    pub fn kind(&self) -> ActorKind {
        if self.roles.contains(&Role::Automation) { ActorKind::Automation } else { ActorKind::Person }
    }

    /// Whether it has one of the roles.
    pub fn has_any(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.roles.contains(role))
    }
}
