//! Acts on the realm: persons, slots, policy, grants, levels, freezes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use statement::kind::{
    Assurance, CapabilityLevel, Capacity, Component, DirectoryEntry, Freeze, FreezeAction, FreezeTarget,
    Grant, GrantPurpose, Level, Manifest, ModificationKind, Policy, Revocation, RevocationTarget, Role,
    ServedState, Slot, Tier,
};
use statement::{Digest, KeyId, Name, PersonId, PublicKey, SlotId, StateId, StatementId, Tracking};

use super::{DAY_MS, propose::store, say_together};
use crate::failure::{Done, Failure};
use crate::realm::{Heads as _, Realm};

/// Who gets which roles.
pub(crate) struct Enrolment {
    pub(crate) key: EnrolledKey,
    pub(crate) person: PersonId,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) capacities: BTreeSet<Capacity>,
    pub(crate) clearance: Tier,
    pub(crate) days: u64,
    pub(crate) by: Vec<String>,
}

/// Which key is enrolled.
pub(crate) enum EnrolledKey {
    /// A key of this machine, by name.
    Here(String),
    /// A key of another machine, and how it is kept there: the officers' word, who sign it.
    Elsewhere(PublicKey, Assurance),
}

/// Binds a key to a person and roles.
pub(crate) fn enrol(realm: &mut Realm, request: Enrolment) -> Done<StatementId> {
    let (key, assurance) = match request.key {
        EnrolledKey::Here(name) => realm.keys.public(&name)?,
        EnrolledKey::Elsewhere(public, assurance) => (public, assurance),
    };
    let entry = DirectoryEntry {
        assurance,
        capacities: request.capacities,
        clearance: request.clearance,
        key,
        not_after_ms: realm.log_time_ms().saturating_add(request.days.saturating_mul(DAY_MS)),
        person: request.person,
        profile: None,
        roles: request.roles,
    };
    say_together(realm, &request.by, Tracking::Realm, entry)
}

/// Ends a key from a leaf on.
pub(crate) fn revoke_key(
    realm: &mut Realm,
    key: KeyId,
    since: Option<u64>,
    reason: Name,
    by: &[String],
) -> Done<StatementId> {
    let compromised_since = since.unwrap_or_else(|| realm.log().size());
    revoke(realm, RevocationTarget::Key { compromised_since, key }, reason, by)
}

/// Revokes a key, a grant or an order.
pub(crate) fn revoke(
    realm: &mut Realm,
    target: RevocationTarget,
    reason: Name,
    by: &[String],
) -> Done<StatementId> {
    say_together(realm, by, Tracking::Realm, Revocation { reason, target })
}

/// A slot to define.
pub(crate) struct SlotRequest {
    pub(crate) slot: SlotId,
    /// Role, name and path of each component of the first state, in the order in which they apply.
    pub(crate) components: Vec<(statement::kind::ComponentRole, Name, PathBuf)>,
    pub(crate) scopes: BTreeMap<Level, PathBuf>,
    pub(crate) modifications: BTreeSet<ModificationKind>,
    pub(crate) contexts: BTreeSet<Name>,
    pub(crate) impact_milli: i64,
    pub(crate) checkpoint_age_ms: u64,
    pub(crate) by: Vec<String>,
}

/// Stores the first state's components, registers the state, defines the slot.
pub(crate) fn define_slot(realm: &mut Realm, request: SlotRequest) -> Done<(StatementId, StateId)> {
    let mut components = Vec::new();
    for (role, name, path) in &request.components {
        let stored = store(realm, path)?;
        components.push(Component { digest: stored.digest, name: name.clone(), role: *role });
    }
    let mut scopes: BTreeMap<Level, Digest> = BTreeMap::new();
    for (level, path) in &request.scopes {
        let bytes = crate::stored::read("scope", path, 1 << 20)?;
        tensor::scope::Scope::read(&bytes)?;
        scopes.insert(*level, realm.vault.put_bytes(&realm.tenant, &bytes)?.digest);
    }
    let manifest = Manifest { components };
    let state = manifest.id()?;
    if realm.ledger().world().state(&state).is_none() {
        let first = ServedState { manifest, parents: BTreeSet::new(), made_by: None };
        say_together(realm, &request.by, Tracking::Realm, first)?;
    }
    let supersedes = realm.ledger().world().slot(&request.slot).map(|record| record.definition.id);
    let slot = Slot {
        baseline: state,
        checkpoint_age_max_ms: request.checkpoint_age_ms,
        contexts: request.contexts,
        fallback: state,
        impact_milli: request.impact_milli,
        modifications: request.modifications,
        scopes,
        slot: request.slot,
        supersedes,
    };
    Ok((say_together(realm, &request.by, Tracking::Realm, slot)?, state))
}

/// Puts another policy in force, after checking it as the gates would.
pub(crate) fn replace_policy(
    realm: &mut Realm,
    cedar: String,
    rules: statement::kind::PolicyRules,
    by: &[String],
) -> Done<StatementId> {
    let supersedes = realm.ledger().world().policy().map(|policy| policy.id);
    let policy = Policy { cedar, rules, schema: policy::duties::schema_digest(), supersedes };
    policy::duties::Duties::load(&policy.cedar, &policy.schema)?;
    policy::rules::validate(&policy.rules)?;
    say_together(realm, by, Tracking::Realm, policy)
}

/// A time-limited authorisation to give.
pub(crate) struct GrantRequest {
    pub(crate) to: KeyId,
    pub(crate) purpose: GrantPurpose,
    pub(crate) slots: BTreeSet<SlotId>,
    pub(crate) modifications: BTreeSet<ModificationKind>,
    /// None: all of the slots'.
    pub(crate) contexts: BTreeSet<Name>,
    pub(crate) level: Level,
    pub(crate) tier: Tier,
    pub(crate) changes: u32,
    pub(crate) days: u64,
    pub(crate) renews: Option<StatementId>,
    pub(crate) by: String,
}

/// Gives a grant.
pub(crate) fn grant(realm: &mut Realm, request: GrantRequest) -> Done<StatementId> {
    let mut contexts = request.contexts;
    for slot in &request.slots {
        let record = realm.ledger().world().slot(slot).ok_or_else(|| Failure::missing("slot", slot))?;
        if contexts.is_empty() {
            contexts.extend(record.definition.body.contexts.iter().cloned());
        }
    }
    let not_before_ms = realm.log_time_ms();
    let body = Grant {
        changes_max: request.changes,
        contexts,
        expires_ms: not_before_ms.saturating_add(request.days.saturating_mul(DAY_MS)),
        grantee: request.to,
        level_max: request.level,
        modifications: request.modifications,
        not_before_ms,
        purpose: request.purpose,
        renews: request.renews,
        slots: request.slots,
        tier_max: request.tier,
    };
    say_together(realm, &[request.by], Tracking::Realm, body)
}

/// Sets what a key may propose without a grant.
pub(crate) fn set_level(
    realm: &mut Realm,
    key: KeyId,
    slot: SlotId,
    level: Option<Level>,
    reason: Name,
    by: &[String],
) -> Done<StatementId> {
    say_together(realm, by, Tracking::Realm, CapabilityLevel { level, key, reason, slot })
}

/// Halts changes, or ends a halt.
pub(crate) fn freeze(
    realm: &mut Realm,
    action: FreezeAction,
    target: FreezeTarget,
    reason: Name,
    by: &[String],
) -> Done<StatementId> {
    let tracking = match &target {
        FreezeTarget::Change(change) => Tracking::Change(change.clone()),
        FreezeTarget::Realm | FreezeTarget::Slot(_) => Tracking::Realm,
    };
    say_together(realm, by, tracking, Freeze { action, reason, target })
}
