//! The demo's persons, slots and grants.

use std::collections::{BTreeMap, BTreeSet};

use signer::FileScheme;
use statement::kind::{
    Assurance, Capacity, ComponentRole, GrantPurpose, Level, ModificationKind, Role, Tier,
};
use statement::{KeyId, SlotId, StatementId};

use super::material::Material;
use crate::act;
use crate::failure::Done;
use crate::realm::Realm;

/// The officers' keys.
pub(super) const OFFICERS: [&str; 2] = ["root-ada", "root-ben"];

/// The gateway's key, which signs stage reports.
pub(super) const PERSON_ROLLOUT: &str = "rollout";

/// The key of the launcher, which says which engine serves which state.
pub(super) const PERSON_ENGINES: &str = "engines";

/// Name, role, capacities: one person each, beside the officers.
const PERSONS: [(&str, Role, &[Capacity]); 12] = [
    ("trainer", Role::Proposer, &[]),
    ("pia", Role::Proposer, &[]),
    ("erik", Role::Examiner, &[]),
    ("fiona", Role::Examiner, &[]),
    ("sven", Role::Examiner, &[]),
    ("clara", Role::Compliance, &[]),
    ("tina", Role::Approver, &[Capacity::Technical]),
    ("emil", Role::Approver, &[Capacity::Ethics]),
    ("sora", Role::Approver, &[Capacity::Security]),
    ("otto", Role::Approver, &[Capacity::Technical, Capacity::Oversight]),
    ("olga", Role::Operator, &[]),
    ("mia", Role::Monitor, &[]),
];

/// The two slots.
pub(super) struct Slots {
    /// Where the adapter from outside goes.
    pub(super) large: SlotId,
    /// Where base weights are at hand.
    pub(super) small: SlotId,
}

/// The officers, as those who sign.
pub(super) fn officers() -> Vec<String> {
    OFFICERS.iter().map(ToString::to_string).collect()
}

/// Makes a key for each person and has the officers enrol it.
pub(super) fn enrol_all(realm: &mut Realm) -> Done {
    for (name, role, capacities) in PERSONS {
        let scheme = if name == "olga" { FileScheme::EcdsaP256Sha256 } else { FileScheme::Ed25519 };
        realm.keys.create(name, scheme, Assurance::Sealed)?;
        let mut roles = BTreeSet::from([role]);
        if name == "tina" {
            // She may propose too, which is what makes her self-approval worth trying.
            roles.insert(Role::Proposer);
        }
        act::enrol(
            realm,
            act::Enrolment {
                key: act::EnrolledKey::Here(name.to_owned()),
                person: name.parse()?,
                roles,
                capacities: capacities.iter().copied().collect(),
                clearance: Tier::High,
                days: 365,
                by: officers(),
            },
        )?;
    }
    Ok(())
}

/// Defines the slots with their first states and scopes.
pub(super) fn define_slots(realm: &mut Realm, material: &Material) -> Done<Slots> {
    let slots = Slots { large: "bias-screen".parse()?, small: "small-model".parse()? };
    let modifications = BTreeSet::from([ModificationKind::Adapter, ModificationKind::Prompt]);
    for (slot, weights, scope) in [
        (&slots.large, &material.large_weights, &material.large_scope),
        (&slots.small, &material.small_weights, &material.small_scope),
    ] {
        act::define_slot(
            realm,
            act::SlotRequest {
                slot: slot.clone(),
                components: vec![
                    (ComponentRole::Weights, "base".parse()?, weights.clone()),
                    (ComponentRole::Prompt, "system".parse()?, material.old_prompt.clone()),
                ],
                scopes: BTreeMap::from([(Level::Tuning, scope.clone())]),
                modifications: modifications.clone(),
                contexts: BTreeSet::from(["screening".parse()?]),
                impact_milli: 4_000,
                checkpoint_age_ms: 3_600_000,
                by: officers(),
            },
        )?;
    }
    Ok(slots)
}

/// Gives the trainer a week to propose.
pub(super) fn grant_to_trainer(realm: &mut Realm, slots: &Slots) -> Done<StatementId> {
    give_grant(realm, slots, "trainer")
}

/// Gives a key a week to propose for both slots.
pub(super) fn give_grant(realm: &mut Realm, slots: &Slots, to: &str) -> Done<StatementId> {
    let both = BTreeSet::from([slots.large.clone(), slots.small.clone()]);
    let modifications = BTreeSet::from([ModificationKind::Adapter, ModificationKind::Prompt]);
    let to = act::key_id(realm, to)?;
    act::grant(realm, week_to_propose(to, both, modifications))
}

/// A week to propose up to ten changes of these kinds for these slots.
pub(super) fn week_to_propose(
    to: KeyId,
    slots: BTreeSet<SlotId>,
    modifications: BTreeSet<ModificationKind>,
) -> act::GrantRequest {
    act::GrantRequest {
        to,
        purpose: GrantPurpose::Propose,
        slots,
        modifications,
        contexts: BTreeSet::new(),
        level: Level::Tuning,
        tier: Tier::High,
        changes: 10,
        days: 7,
        renews: None,
        by: "otto".to_owned(),
    }
}
