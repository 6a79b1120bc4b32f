//! The world as the record has it: trust root, persons, policy, slots, grants, freezes, holds, history.

use std::collections::{BTreeMap, BTreeSet};

use statement::kind::{
    EvidenceKind, Finding, FreezeTarget, Grant, Isolation, Level, ModificationKind, Policy, Role,
    ServedState, Slot, Tier, TrustRoot,
};
use statement::{ChangeId, Digest, KeyId, Name, PersonId, SlotId, StateId, StatementId};

use crate::actor::Actor;
use crate::change::{Dossier, Recorded};

/// The statement in force of a kind of which there is one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current<T> {
    /// Its id.
    pub id: StatementId,
    /// Its place in the log.
    pub index: u64,
    /// What it says.
    pub body: T,
}

/// A slot and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRecord {
    /// Its definition.
    pub definition: Current<Slot>,
    /// The state it is in.
    pub state: StateId,
    /// The change and order that put it there; none for the baseline.
    pub order: Option<(ChangeId, StatementId)>,
    /// Every state it was in, with the leaf that put it there.
    pub history: Vec<(u64, StateId)>,
    /// Relative Frobenius change, in parts per million, summed over automatic releases since persons last approved.
    pub automatic_drift_ppm: u64,
}

/// A grant and how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    /// The grant.
    pub grant: Recorded<Grant>,
    /// Changes that used it.
    pub used_by: BTreeSet<ChangeId>,
    /// The leaf that revoked it.
    pub revoked_at: Option<u64>,
}

/// That an examiner or a person found against something, kept where other proposals of the same thing find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail {
    /// The finding.
    pub finding: StatementId,
    /// The change it was about.
    pub change: ChangeId,
    /// The proposal it was about.
    pub proposal: StatementId,
    /// Its kind of evidence.
    pub evidence: EvidenceKind,
    /// How it was made.
    pub isolation: Isolation,
    /// Who signed it.
    pub persons: BTreeSet<PersonId>,
    /// The state that the proposal started from.
    pub base_state: StateId,
    /// The scope file that the proposal promised to stay in.
    pub scope: Digest,
}

impl Fail {
    pub(crate) fn new(dossier: &Dossier, finding: &Recorded<Finding>) -> Self {
        let proposal = &dossier.proposal;
        Self {
            finding: finding.id,
            change: dossier.change.clone(),
            proposal: proposal.id,
            evidence: finding.body.evidence,
            isolation: finding.body.isolation,
            persons: finding.signers.iter().map(|signer| signer.person.clone()).collect(),
            base_state: proposal.body.base_state,
            scope: proposal.body.scope,
        }
    }
}

impl GrantRecord {
    /// Whether it may be used for the change: not revoked, within its time, and not used up by others.
    pub fn is_in_force(&self, change: &ChangeId, at_ms: u64) -> bool {
        let grant = &self.grant.body;
        let in_time = (grant.not_before_ms..grant.expires_ms).contains(&at_ms);
        self.revoked_at.is_none() && in_time && !self.is_used_up(change)
    }

    /// Whether other changes have used up all that it gives.
    pub fn is_used_up(&self, change: &ChangeId) -> bool {
        let others = self.used_by.iter().filter(|user| *user != change).count();
        u64::try_from(others).unwrap_or(u64::MAX) >= u64::from(self.grant.body.changes_max)
    }
}

/// How releases of one kind of modification went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassHistory {
    /// Releases that went well: they reached all traffic.
    pub successes: u64,
    /// Releases that went wrong: rolled back, or with an incident; each counts once.
    pub failures: u64,
}

/// What is frozen, and since which leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrozenBy {
    /// The statement that froze it.
    pub id: StatementId,
    /// Its place in the log.
    pub index: u64,
}

/// The world at one point of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct World {
    pub(crate) root: Option<Current<TrustRoot>>,
    pub(crate) roots: Vec<StatementId>,
    pub(crate) directory: BTreeMap<KeyId, Actor>,
    pub(crate) enrolled_by: BTreeMap<PersonId, BTreeSet<PersonId>>,
    pub(crate) policy: Option<Current<Policy>>,
    pub(crate) slots: BTreeMap<SlotId, SlotRecord>,
    pub(crate) states: BTreeMap<StateId, Recorded<ServedState>>,
    pub(crate) grants: BTreeMap<StatementId, GrantRecord>,
    pub(crate) levels: BTreeMap<(KeyId, SlotId), Level>,
    pub(crate) frozen: BTreeMap<FreezeTarget, FrozenBy>,
    /// For each digest the matters it is held for.
    pub(crate) held: BTreeMap<Digest, BTreeSet<Name>>,
    pub(crate) purged: BTreeMap<Digest, u64>,
    pub(crate) revoked_orders: BTreeMap<StatementId, u64>,
    pub(crate) classes: BTreeMap<ModificationKind, ClassHistory>,
    /// Findings against something, by the digests of the artefacts and of the state they were about.
    pub(crate) fails: BTreeMap<Digest, BTreeMap<StatementId, Fail>>,
    pub(crate) size: u64,
    pub(crate) stamp_ms: u64,
}

impl World {
    /// The trust root in force.
    pub const fn root(&self) -> Option<&Current<TrustRoot>> {
        self.root.as_ref()
    }

    /// Every trust root so far, in order.
    pub fn roots(&self) -> &[StatementId] {
        &self.roots
    }

    /// The policy in force.
    pub const fn policy(&self) -> Option<&Current<Policy>> {
        self.policy.as_ref()
    }

    /// A slot.
    pub fn slot(&self, slot: &SlotId) -> Option<&SlotRecord> {
        self.slots.get(slot)
    }

    /// Every slot.
    pub fn slots(&self) -> impl Iterator<Item = &SlotRecord> {
        self.slots.values()
    }

    /// A served state's manifest and descent.
    pub fn state(&self, state: &StateId) -> Option<&Recorded<ServedState>> {
        self.states.get(state)
    }

    /// A grant.
    pub fn grant(&self, grant: &StatementId) -> Option<&GrantRecord> {
        self.grants.get(grant)
    }

    /// The grant under which a change stands that names `named`: that grant, or, once its time is over or it is used up,
    /// the first of its renewals that is in force, and of theirs. None where none is; a grant that was revoked ends its
    /// line, for whoever revokes one means to end what rests on it.
    pub fn grant_in_force(&self, named: &StatementId, change: &ChangeId, at_ms: u64) -> Option<&GrantRecord> {
        let first = self.grants.get(named).filter(|record| record.revoked_at.is_none())?;
        if first.is_in_force(change, at_ms) {
            return Some(first);
        }
        let mut renewals: Vec<&GrantRecord> =
            self.grants.values().filter(|record| record.grant.body.renews.is_some()).collect();
        renewals.sort_by_key(|record| record.grant.index);
        let mut line = BTreeSet::from([*named]);
        for record in renewals {
            let renews = record.grant.body.renews.is_some_and(|renewed| line.contains(&renewed));
            if !renews || record.revoked_at.is_some() {
                continue;
            }
            if record.is_in_force(change, at_ms) {
                return Some(record);
            }
            line.insert(record.grant.id);
        }
        None
    }

    /// What examiners and persons found against any of these digests of artefacts and states, each finding once.
    pub fn fails<'a>(&'a self, about: impl IntoIterator<Item = &'a Digest>) -> Vec<&'a Fail> {
        let found = about.into_iter().filter_map(|digest| self.fails.get(digest)).flatten();
        found.collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// Every grant.
    pub fn grants(&self) -> impl Iterator<Item = &GrantRecord> {
        self.grants.values()
    }

    /// The highest level at which the key may propose for the slot without a grant.
    pub fn level(&self, key: &KeyId, slot: &SlotId) -> Option<Level> {
        self.levels.get(&(*key, slot.clone())).copied()
    }

    /// What freezes the change, if something does.
    pub fn freeze(&self, slot: &SlotId, change: &ChangeId) -> Option<&FrozenBy> {
        self.frozen
            .get(&FreezeTarget::Realm)
            .or_else(|| self.frozen.get(&FreezeTarget::Slot(slot.clone())))
            .or_else(|| self.frozen.get(&FreezeTarget::Change(change.clone())))
    }

    /// Everything that is frozen.
    pub fn freezes(&self) -> impl Iterator<Item = (&FreezeTarget, &FrozenBy)> {
        self.frozen.iter()
    }

    /// What is held, and for which matters.
    pub fn holds(&self) -> impl Iterator<Item = (&Digest, &BTreeSet<Name>)> {
        self.held.iter()
    }

    /// Whether the content is under legal hold.
    pub fn is_held(&self, digest: &Digest) -> bool {
        self.held.contains_key(digest)
    }

    /// The leaf at which the content was purged, if it was.
    pub fn purged_at(&self, digest: &Digest) -> Option<u64> {
        self.purged.get(digest).copied()
    }

    /// Every purged digest and the leaf that purged it.
    pub fn purged(&self) -> impl Iterator<Item = (&Digest, u64)> {
        self.purged.iter().map(|(digest, index)| (digest, *index))
    }

    /// The leaf at which the order was revoked, if it was.
    pub fn order_revoked_at(&self, order: &StatementId) -> Option<u64> {
        self.revoked_orders.get(order).copied()
    }

    /// How releases of the kind of modification went.
    pub fn class(&self, modification: ModificationKind) -> ClassHistory {
        self.classes.get(&modification).copied().unwrap_or_default()
    }

    /// How many leaves the world rests on.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The stamp of the last leaf.
    pub const fn stamp_ms(&self) -> u64 {
        self.stamp_ms
    }

    /// Who was enrolled by whom: for each person, those whom they enrolled.
    pub fn enrolments(&self) -> BTreeMap<PersonId, BTreeSet<PersonId>> {
        let mut enrolled: BTreeMap<PersonId, BTreeSet<PersonId>> = BTreeMap::new();
        for (person, officers) in &self.enrolled_by {
            for officer in officers {
                enrolled.entry(officer.clone()).or_default().insert(person.clone());
            }
        }
        enrolled
    }

    /// Who stands behind a key, with the roles that trust root and directory give it.
    pub fn actor(&self, key: &KeyId) -> Option<Actor> {
        let root = &self.root.as_ref()?.body;
        if let Some(root_key) = root.keys.get(key) {
            let roles: BTreeSet<Role> = root
                .roles
                .iter()
                .filter(|(_, rule)| rule.keys.contains(key))
                .map(|(role, _)| *role)
                .collect();
            return Some(Actor {
                key: *key,
                person: root_key.person.clone(),
                roles,
                clearance: Tier::Minimal,
                capacities: BTreeSet::new(),
                assurance: root_key.assurance,
                not_after_ms: root.expires_ms,
            });
        }
        let mut actor = self.directory.get(key).cloned()?;
        // The directory gives only what the trust root has opened.
        actor.roles.retain(|role| root.roles.contains_key(role));
        Some(actor)
    }

    /// Every actor of the directory.
    pub fn actors(&self) -> impl Iterator<Item = &Actor> {
        self.directory.values()
    }

    /// How many distinct persons must sign as the role.
    pub fn threshold(&self, role: Role) -> usize {
        let rule = self.root.as_ref().and_then(|root| root.body.roles.get(&role));
        rule.map_or(1, |rule| usize::try_from(rule.threshold).unwrap_or(usize::MAX))
    }
}
