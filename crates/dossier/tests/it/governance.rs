//! Persons, policies, slots, states, grants, freezes, holds.

use std::collections::BTreeSet;

use audit::fixture::{DAY_MS, Plan, Realm, SLOT, Who};
use statement::kind::{
    CapabilityLevel, Component, DirectoryEntry, Freeze, FreezeAction, FreezeTarget, Grant, GrantPurpose,
    Hold, HoldAction, Level, ModificationKind, Policy, Purge, Revocation, RevocationTarget, Role,
    ServedState, Slot, Tier,
};
use statement::{Bytes, Digest, PublicKey, Scheme, StateId, StatementId, Tracking};

use crate::keys::{Key, OFFICERS, POLICY, ROOTS, applies, is_refused, refuses, signed};
use crate::roots::{add, next_root};

const R: Tracking = Tracking::Realm;

fn nothing() -> StatementId {
    StatementId::from_digest(Digest::of(b"nothing"))
}

#[test]
fn the_directory_gives_what_it_may_and_no_more() {
    let mut realm = Realm::new();
    let key = Key::new("new");
    for role in Role::ALL {
        let entry = key.entry("n", &[role]);
        if role.delegable() {
            realm.establish(&R, entry, &OFFICERS);
        } else {
            refuses(&mut realm, &R, entry, &OFFICERS, &["CS-FLD-014"]);
            let beside = key.entry("n", &[Role::Proposer, role]);
            refuses(&mut realm, &R, beside, &OFFICERS, &["CS-FLD-014"]);
        }
        if role.delegable() && role != Role::Automation {
            let double = key.entry("n", &[Role::Automation, role]);
            refuses(&mut realm, &R, double, &OFFICERS, &["CS-FLD-014"]);
        }
    }
    refuses(&mut realm, &R, key.entry("n", &[]), &OFFICERS, &["CS-FLD-014"]);
    refuses(&mut realm, &R, key.entry("other", &[Role::Proposer]), &OFFICERS, &["CS-FLD-016"]);
    let in_root =
        DirectoryEntry { key: Who::OfficerOne.public_key(), ..key.entry("o-one", &[Role::Approver]) };
    refuses(&mut realm, &R, in_root, &OFFICERS, &["CS-FLD-014"]);
    for bytes in [vec![0; 32], vec![1; 31], vec![]] {
        let bad = PublicKey { public: Bytes::new(bytes), scheme: Scheme::Ed25519 };
        let entry = DirectoryEntry { key: bad, ..key.entry("n", &[Role::Proposer]) };
        refuses(&mut realm, &R, entry, &OFFICERS, &["CS-FLD-015"]);
    }
}

#[test]
fn a_manifest_lists_each_component_once_and_says_who_made_it() {
    let mut realm = Realm::new();
    let about = Tracking::Change(Plan::tuning("x").change());
    let sound = realm.target_state(Plan::tuning("x"));
    let with = |alter: &dyn Fn(&mut ServedState)| {
        let mut state = sound.clone();
        alter(&mut state);
        state
    };
    let wrong = [
        with(&|state| state.manifest.components.clear()),
        // The same adapter twice is another model than the one that was measured.
        with(&|state| state.manifest.components.push(state.manifest.components[1].clone())),
        with(&|state| {
            let twice = state.manifest.components[1].clone();
            state.manifest.components.push(Component { name: "other".parse().unwrap(), ..twice });
        }),
        with(&|state| {
            let place = state.manifest.components[1].clone();
            state.manifest.components.push(Component { digest: Digest::of(b"other"), ..place });
        }),
        with(&|state| state.made_by = None),
        with(&|state| state.made_by = Some(Plan::tuning("y").change())),
    ];
    for state in wrong {
        refuses(&mut realm, &about, state, &[Who::Ada], &["CS-FLD-033"]);
    }
    refuses(&mut realm, &Tracking::Realm, sound.clone(), &[Who::Ada], &["CS-FLD-033"]);
    realm.establish(&about, sound, &[Who::Ada]);
}

#[test]
fn what_is_in_force_is_not_purged() {
    let mut realm = Realm::new();
    let purge = |target| Purge { basis: "gdpr-17".parse().unwrap(), targets: BTreeSet::from([target]) };
    let x = Plan::tuning("x");
    let change = realm.release(x);
    let scope = Digest::of(audit::fixture::SCOPE_FILE);
    let world = realm.ledger().world();
    let base = world.slot(&SLOT.parse().unwrap()).unwrap().definition.body.baseline;
    let components = world.state(&base).unwrap().body.manifest.components.clone();
    let needed = components.iter().map(|component| component.digest).chain([scope, x.adapter()]);
    for digest in needed {
        refuses(&mut realm, &R, purge(digest), &[Who::Eve], &["CS-FLD-034"]);
    }
    realm.roll_back(&change);
    realm.advance_ms(1);
    realm.establish(&R, purge(x.adapter()), &[Who::Eve]);
}

#[test]
fn who_enrolled_whom_is_remembered() {
    let mut realm = Realm::new();
    Key::enrolled("new", "n", &[Role::Proposer], &mut realm);
    let enrolled = realm.ledger().world().enrolments();
    for officer in OFFICERS {
        assert!(enrolled[&officer.person()].contains(&"n".parse().unwrap()));
    }
    assert_eq!(enrolled.len(), 2);
}

#[test]
fn a_root_key_speaks_for_the_root_alone() {
    let mut realm = Realm::new();
    let key = Key::enrolled("new", "n", &[Role::Proposer], &mut realm);
    let mut root = next_root(&realm);
    add(&mut root, Role::Operator, &key, "n");
    realm.establish(&R, root, &ROOTS);
    let actor = realm.ledger().world().actor(&key.id()).unwrap();
    assert_eq!(actor.roles, BTreeSet::from([Role::Operator]));
    assert!(actor.capacities.is_empty());
    let about = Tracking::Change(Plan::tuning("x").change());
    let envelope = signed(&realm, &about, Policy { supersedes: None, ..Realm::policy() }, &key);
    is_refused(&mut realm, &envelope, &["CS-FLD-006"]);
}

#[test]
fn policies_and_slots_follow_the_one_in_force() {
    let mut realm = Realm::new();
    let policy = realm.ledger().world().policy().unwrap().id;
    // Said at the same moment, the first policy would be the same statement.
    realm.advance_ms(1);
    for supersedes in [None, Some(nothing())] {
        refuses(&mut realm, &R, Policy { supersedes, ..Realm::policy() }, &POLICY, &["CS-FLD-016"]);
    }
    realm.establish(&R, Policy { supersedes: Some(policy), ..Realm::policy() }, &POLICY);
    refuses(&mut realm, &R, Policy { supersedes: Some(policy), ..Realm::policy() }, &POLICY, &["CS-FLD-003"]);

    let record = realm.ledger().world().slot(&SLOT.parse().unwrap()).unwrap();
    let (state, definition) = (record.state, record.definition.id);
    for supersedes in [None, Some(nothing())] {
        let slot = Slot { impact_milli: 1, supersedes, ..Realm::slot(SLOT, state) };
        refuses(&mut realm, &R, slot, &POLICY, &["CS-FLD-016"]);
    }
    let first = Slot { supersedes: Some(definition), ..Realm::slot("eu/other", state) };
    refuses(&mut realm, &R, first, &POLICY, &["CS-FLD-016"]);
    let unknown = StateId::from_digest(Digest::of(b"unknown"));
    refuses(&mut realm, &R, Realm::slot("eu/other", unknown), &POLICY, &["CS-FLD-030"]);
    let fallback = Slot { fallback: unknown, ..Realm::slot("eu/other", state) };
    refuses(&mut realm, &R, fallback, &POLICY, &["CS-FLD-030"]);
    realm.establish(&R, Slot { supersedes: Some(definition), ..Realm::slot(SLOT, state) }, &POLICY);
    let level = CapabilityLevel {
        key: Who::Ada.key_id(),
        level: Some(Level::Tuning),
        reason: "drill".parse().unwrap(),
        slot: "eu/other".parse().unwrap(),
    };
    refuses(&mut realm, &R, level.clone(), &POLICY, &["CS-FLD-017"]);
    let none = CapabilityLevel { level: None, slot: SLOT.parse().unwrap(), ..level };
    realm.establish(&R, none, &POLICY);
    assert_eq!(realm.ledger().world().level(&Who::Ada.key_id(), &SLOT.parse().unwrap()), None);
}

#[test]
fn a_redefined_slot_keeps_its_state() {
    let mut realm = Realm::new();
    realm.release(Plan::tuning("x"));
    let slot = SLOT.parse().unwrap();
    let record = realm.ledger().world().slot(&slot).unwrap();
    let (state, baseline, definition) = (record.state, record.definition.body.baseline, record.definition.id);
    realm.establish(&R, Slot { supersedes: Some(definition), ..Realm::slot(SLOT, baseline) }, &POLICY);
    assert_eq!(realm.ledger().world().slot(&slot).unwrap().state, state);
}

#[test]
fn states_descend_from_states_that_are_known() {
    let mut realm = Realm::new();
    let about = Tracking::Change(Plan::tuning("x").change());
    let state = realm.target_state(Plan::tuning("x"));
    let unknown = StateId::from_digest(Digest::of(b"unknown"));
    let orphan = ServedState { parents: BTreeSet::from([unknown]), ..state.clone() };
    refuses(&mut realm, &about, orphan, &[Who::Ada], &["CS-FLD-030"]);
    realm.establish(&about, state.clone(), &[Who::Ada]);
    // The same manifest is the same state, whatever else is said of it.
    let again = ServedState { made_by: None, ..state };
    refuses(&mut realm, &about, again, &[Who::Lea], &["CS-FLD-003"]);
}

fn grant(realm: &Realm) -> Grant {
    Grant {
        changes_max: 3,
        contexts: BTreeSet::from(["claims".parse().unwrap()]),
        expires_ms: realm.now_ms() + DAY_MS,
        grantee: Who::Automation.key_id(),
        level_max: Level::Tuning,
        modifications: BTreeSet::from([ModificationKind::Adapter]),
        not_before_ms: realm.now_ms(),
        purpose: GrantPurpose::Approve,
        renews: None,
        slots: BTreeSet::from([SLOT.parse().unwrap()]),
        tier_max: Tier::Low,
    }
}

#[test]
fn grants_out_of_order_are_refused() {
    let mut realm = Realm::new();
    let limit = Realm::policy().rules.limits.grant_max_ms;
    let now = realm.now_ms();
    let sound = grant(&realm);
    let wrong = [
        Grant { grantee: Who::Stranger.key_id(), ..sound.clone() },
        Grant { grantee: Who::Kay.key_id(), ..sound.clone() },
        Grant { expires_ms: now + limit + 1, ..sound.clone() },
        Grant { not_before_ms: now - 10 * limit, expires_ms: now + limit + 1, ..sound.clone() },
        Grant { not_before_ms: now + DAY_MS, expires_ms: now + DAY_MS, ..sound.clone() },
        Grant { not_before_ms: now + 2 * DAY_MS, expires_ms: now + DAY_MS, ..sound.clone() },
        Grant { not_before_ms: now - DAY_MS, expires_ms: now, ..sound.clone() },
        Grant { renews: Some(nothing()), ..sound.clone() },
    ];
    for grant in wrong {
        refuses(&mut realm, &R, grant, &[Who::Kay], &["CS-FLD-023"]);
    }
    // To another key of one's own.
    let second = Key::enrolled("kay's second", "p-kay", &[Role::Proposer], &mut realm);
    let own = Grant { grantee: second.id(), ..sound.clone() };
    refuses(&mut realm, &R, own, &[Who::Kay], &["CS-FLD-023"]);
    // Above the clearance.
    let low = Key::new("low");
    let entry = DirectoryEntry { clearance: Tier::Low, ..low.entry("p-low", &[Role::Approver]) };
    realm.establish(&R, entry, &OFFICERS);
    let envelope = signed(&realm, &R, Grant { tier_max: Tier::Medium, ..sound.clone() }, &low);
    is_refused(&mut realm, &envelope, &["CS-FLD-023"]);
    let envelope = signed(&realm, &R, sound.clone(), &low);
    applies(&mut realm, &envelope);
    // Exactly the longest that the policy allows.
    realm.establish(&R, Grant { expires_ms: now + limit, ..sound }, &[Who::Kay]);
}

#[test]
fn a_grant_renews_only_its_like() {
    let mut realm = Realm::new();
    let old = realm.establish(&R, grant(&realm), &[Who::Kay]);
    let renewal = Grant { renews: Some(old), expires_ms: realm.now_ms() + 2 * DAY_MS, ..grant(&realm) };
    let other_key = Grant { grantee: Who::Ada.key_id(), ..renewal.clone() };
    refuses(&mut realm, &R, other_key, &[Who::Kay], &["CS-FLD-023"]);
    let other_purpose = Grant { purpose: GrantPurpose::Propose, ..renewal.clone() };
    refuses(&mut realm, &R, other_purpose, &[Who::Kay], &["CS-FLD-023"]);
    let renewed = realm.establish(&R, renewal.clone(), &[Who::Kay]);
    // A revoked grant is not renewed, and not revoked again.
    let revocation =
        Revocation { reason: "drill".parse().unwrap(), target: RevocationTarget::Grant(renewed) };
    realm.establish(&R, revocation.clone(), &[Who::Fay]);
    let later = Grant { renews: Some(renewed), ..renewal };
    refuses(&mut realm, &R, later, &[Who::Kay], &["CS-FLD-023"]);
    let again = Revocation { reason: "again".parse().unwrap(), ..revocation };
    refuses(&mut realm, &R, again, &[Who::Fay], &["CS-FLD-024"]);
}

#[test]
fn there_is_no_grant_without_a_policy() {
    let mut realm = Realm::found("example");
    let root = realm.trust_root();
    realm.establish(&R, root, &ROOTS);
    for who in Who::ENROLLED {
        realm.establish(&R, who.entry(), &OFFICERS);
    }
    let body = grant(&realm);
    refuses(&mut realm, &R, body, &[Who::Kay], &["CS-FLD-023"]);
}

#[test]
fn what_is_not_there_is_not_revoked() {
    let mut realm = Realm::new();
    let revoke = |target| Revocation { reason: "drill".parse().unwrap(), target };
    let size = realm.ledger().world().size();
    let key = |key, compromised_since| revoke(RevocationTarget::Key { compromised_since, key });
    refuses(&mut realm, &R, key(Who::Stranger.key_id(), 0), &OFFICERS, &["CS-FLD-024"]);
    refuses(&mut realm, &R, key(Who::Ada.key_id(), size + 2), &OFFICERS, &["CS-FLD-024"]);
    refuses(&mut realm, &R, revoke(RevocationTarget::Grant(nothing())), &[Who::Kay], &["CS-FLD-024"]);
    refuses(&mut realm, &R, revoke(RevocationTarget::Order(nothing())), &[Who::Lea], &["CS-FLD-024"]);
    let change = realm.release(Plan::tuning("x"));
    let order = realm.dossier(&change).order.as_ref().unwrap().id;
    realm.establish(&R, revoke(RevocationTarget::Order(order)), &[Who::Lea]);
    assert!(realm.ledger().world().order_revoked_at(&order).is_some());
    refuses(&mut realm, &R, revoke(RevocationTarget::Order(order)), &[Who::Lea], &["CS-FLD-003"]);
    let again = Revocation { reason: "again".parse().unwrap(), target: RevocationTarget::Order(order) };
    refuses(&mut realm, &R, again, &[Who::Fay], &["CS-FLD-024"]);
}

#[test]
fn freezes_begin_with_one_and_end_with_the_officers() {
    let mut realm = Realm::new();
    let change = Plan::tuning("x").change();
    let slot: statement::SlotId = SLOT.parse().unwrap();
    let targets =
        [FreezeTarget::Realm, FreezeTarget::Slot(slot.clone()), FreezeTarget::Change(change.clone())];
    let freeze = |action, target: &FreezeTarget| Freeze {
        action,
        reason: "drill".parse().unwrap(),
        target: target.clone(),
    };
    for (target, by) in targets.iter().zip([Who::Lea, Who::Eve, Who::Monitor]) {
        refuses(&mut realm, &R, freeze(FreezeAction::End, target), &POLICY, &["CS-FLD-025"]);
        let begun = realm.establish(&R, freeze(FreezeAction::Begin, target), &[by]);
        assert_eq!(realm.ledger().world().freeze(&slot, &change).map(|by| by.id), Some(begun));
        for one in [Who::Lea, Who::Eve, Who::Monitor] {
            refuses(&mut realm, &R, freeze(FreezeAction::End, target), &[one], &["CS-FLD-006"]);
        }
        realm.advance_ms(1);
        realm.establish(&R, freeze(FreezeAction::End, target), &POLICY);
        assert!(realm.ledger().world().freeze(&slot, &change).is_none());
        realm.advance_ms(1);
    }
    // Policy officers begin one together only: other roles are there for haste.
    refuses(&mut realm, &R, freeze(FreezeAction::Begin, &FreezeTarget::Realm), &POLICY[..1], &["CS-FLD-007"]);
    realm.establish(&R, freeze(FreezeAction::Begin, &FreezeTarget::Realm), &POLICY);
}

#[test]
fn what_is_held_is_not_purged() {
    let mut realm = Realm::new();
    let (kept, other) = (Digest::of(b"kept"), Digest::of(b"other"));
    let hold = |action, matter: &str| Hold {
        action,
        matter: matter.parse().unwrap(),
        targets: BTreeSet::from([kept]),
    };
    let purge = |targets: &[Digest]| Purge {
        basis: "gdpr-17".parse().unwrap(),
        targets: targets.iter().copied().collect(),
    };
    refuses(&mut realm, &R, hold(HoldAction::Lift, "matter-1"), &[Who::Eve], &["CS-FLD-039"]);
    realm.advance_ms(1);
    realm.establish(&R, hold(HoldAction::Place, "matter-1"), &[Who::Eve]);
    realm.establish(&R, hold(HoldAction::Place, "matter-2"), &[Who::Eve]);
    refuses(&mut realm, &R, purge(&[kept, other]), &[Who::Eve], &["CS-FLD-029"]);
    assert_eq!(realm.ledger().world().purged_at(&other), None);
    // The end of one matter does not end the other.
    realm.establish(&R, hold(HoldAction::Lift, "matter-1"), &[Who::Eve]);
    assert!(realm.ledger().world().is_held(&kept));
    realm.advance_ms(1);
    refuses(&mut realm, &R, purge(&[kept]), &[Who::Eve], &["CS-FLD-029"]);
    realm.establish(&R, hold(HoldAction::Lift, "matter-2"), &[Who::Eve]);
    assert!(!realm.ledger().world().is_held(&kept));
    realm.advance_ms(1);
    realm.establish(&R, purge(&[kept]), &[Who::Eve]);
    let at = realm.ledger().world().size() - 1;
    assert_eq!(realm.ledger().world().purged_at(&kept), Some(at));
    // The first purge is the one that counts.
    realm.establish(&R, purge(&[kept, other]), &[Who::Eve]);
    assert_eq!(realm.ledger().world().purged_at(&kept), Some(at));
    assert_eq!(realm.ledger().world().purged_at(&other), Some(at + 1));
}
