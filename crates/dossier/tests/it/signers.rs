//! Signatures, roles, thresholds, expiry and clocks.

use std::collections::{BTreeMap, BTreeSet};

use audit::fixture::{BEGIN_MS, DAY_MS, Plan, Realm, Who};
use statement::kind::{
    Assurance, CapabilityLevel, Freeze, FreezeAction, FreezeTarget, Kind, Revocation, RevocationTarget, Role,
    RoleRule, RootKey, Voice,
};
use statement::{Bytes, Digest, Signature, Statement, StatementId, Tracking, example};

use crate::keys::{Key, OFFICERS, POLICY, ROOTS, applies, is_refused, issued, refuses, signed};
use crate::roots::next_root;

fn freeze(action: FreezeAction) -> Freeze {
    Freeze { action, reason: "drill".parse().unwrap(), target: FreezeTarget::Realm }
}

/// Somebody for every role there is, and how they sign.
fn one_of_each(realm: &mut Realm) -> BTreeMap<Role, (Vec<Who>, Vec<Key>)> {
    let mut root = next_root(realm);
    for role in [Role::Log, Role::Witness] {
        let key = Key::new(&format!("{role:?}"));
        let rule = RoleRule { keys: BTreeSet::from([key.id()]), threshold: 1 };
        let entry = RootKey {
            assurance: Assurance::Sealed,
            key: key.public(),
            person: format!("x-{role:?}").to_lowercase().parse().unwrap(),
        };
        root.keys.insert(key.id(), entry);
        root.roles.insert(role, rule);
    }
    realm.establish(&Tracking::Realm, root, &ROOTS);
    let mut all = BTreeMap::new();
    for role in Role::ALL {
        let by = match role {
            Role::Root => (ROOTS.to_vec(), vec![]),
            Role::DirectoryOfficer => (OFFICERS.to_vec(), vec![]),
            Role::PolicyOfficer => (POLICY.to_vec(), vec![]),
            Role::Log | Role::Witness => (vec![], vec![Key::new(&format!("{role:?}"))]),
            _ => {
                let person = format!("x-{role:?}").to_lowercase();
                (vec![], vec![Key::enrolled(&format!("{role:?}"), &person, &[role], realm)])
            }
        };
        all.insert(role, by);
    }
    all
}

#[test]
fn every_kind_is_refused_from_every_role_that_may_not_say_it() {
    let mut realm = Realm::new();
    let signers = one_of_each(&mut realm);
    let mut pairs = 0;
    for kind in Kind::ALL.iter().filter(|kind| **kind != Kind::TrustRoot) {
        let statement = example::statement(*kind);
        for (role, (who, keys)) in &signers {
            let keys: Vec<&Key> = keys.iter().collect();
            let by = |realm: &Realm| {
                issued(realm, &statement.header.change, statement.body.clone(), realm.now_ms(), who, &keys)
            };
            let envelope = by(&realm);
            if kind.signers().contains(role) {
                continue;
            }
            let envelope = match kind.voice() {
                // One key's own word has one signer, whoever it is.
                Voice::Own if who.len() > 1 => issued(
                    &realm,
                    &statement.header.change,
                    statement.body.clone(),
                    realm.now_ms(),
                    &who[..1],
                    &[],
                ),
                _ => envelope,
            };
            is_refused(&mut realm, &envelope, &["CS-FLD-006"]);
            pairs += 1;
        }
    }
    let open: usize =
        Kind::ALL.iter().filter(|kind| **kind != Kind::TrustRoot).map(|kind| kind.signers().len()).sum();
    assert_eq!(pairs, (Kind::ALL.len() - 1) * Role::ALL.len() - open);
}

#[test]
fn a_trust_root_is_refused_from_everybody_but_the_root_quorum() {
    let mut realm = Realm::new();
    let signers = one_of_each(&mut realm);
    for (role, (who, keys)) in &signers {
        if *role == Role::Root {
            continue;
        }
        let keys: Vec<&Key> = keys.iter().collect();
        let envelope = issued(&realm, &Tracking::Realm, next_root(&realm), realm.now_ms(), who, &keys);
        is_refused(&mut realm, &envelope, &["CS-FLD-007"]);
    }
}

#[test]
fn the_end_of_a_freeze_and_each_revocation_have_signers_of_their_own() {
    let mut realm = Realm::new();
    let signers = one_of_each(&mut realm);
    realm.establish(&Tracking::Realm, freeze(FreezeAction::Begin), &[Who::Lea]);
    let nothing = StatementId::from_digest(Digest::of(b"nothing"));
    let revoke = |target| Revocation { reason: "drill".parse().unwrap(), target };
    let cases: [(statement::Body, &[Role]); 4] = [
        (freeze(FreezeAction::End).into(), &[Role::PolicyOfficer]),
        (
            revoke(RevocationTarget::Key { compromised_since: 0, key: Who::Ada.key_id() }).into(),
            &[Role::DirectoryOfficer],
        ),
        (revoke(RevocationTarget::Grant(nothing)).into(), &[Role::Approver]),
        (revoke(RevocationTarget::Order(nothing)).into(), &[Role::Operator, Role::Approver]),
    ];
    for (body, may) in cases {
        for (role, (who, keys)) in &signers {
            if may.contains(role) {
                continue;
            }
            let keys: Vec<&Key> = keys.iter().collect();
            let envelope = issued(&realm, &Tracking::Realm, body.clone(), realm.now_ms(), who, &keys);
            is_refused(&mut realm, &envelope, &["CS-FLD-006"]);
        }
    }
}

#[test]
fn unknown_and_missing_signers_are_refused() {
    let mut realm = Realm::new();
    let about = Tracking::Change(Plan::tuning("x").change());
    let state = realm.target_state(Plan::tuning("x"));
    refuses(&mut realm, &about, state.clone(), &[Who::Stranger], &["CS-FLD-005"]);
    // Nobody signs: neither for the key that is named, nor where several would.
    refuses(&mut realm, &about, state.clone(), &[], &["CS-FLD-022"]);
    let joint = Statement::new(realm.id().clone(), about.clone(), realm.now_ms(), state.clone());
    let envelope = realm.seal(&joint, &[]);
    is_refused(&mut realm, &envelope, &["CS-FLD-005"]);
    // Where several sign, a stranger beside somebody who may takes nothing away.
    realm.establish(&about, state, &[Who::Ada, Who::Stranger]);
}

#[test]
fn forged_signatures_are_no_signatures() {
    let mut realm = Realm::new();
    let about = Tracking::Change(Plan::tuning("x").change());
    let target = realm.target_state(Plan::tuning("x"));
    let named = Statement::new(realm.id().clone(), about.clone(), realm.now_ms(), target);
    let unsigned = realm.seal(&named.signed_by(&[Who::Ada.key_id()]), &[]);
    // A stranger's signature under Ada's name, Ada's over other bytes, no signature at all.
    let forged = [
        Who::Stranger.sign(&unsigned.message()).sig,
        Who::Ada.sign(b"something else").sig,
        Bytes::new(vec![0; 64]),
        Bytes::new(vec![]),
    ];
    for sig in forged {
        let mut envelope = unsigned.clone();
        envelope.add(Signature { keyid: Who::Ada.key_id(), sig }).unwrap();
        is_refused(&mut realm, &envelope, &["CS-FLD-005"]);
    }
    // Beside a good signature, a forged one does not make a quorum.
    let key = Key::new("new");
    let mut envelope = realm.sign(&Tracking::Realm, key.entry("n", &[Role::Proposer]), &[Who::OfficerOne]);
    let sig = Who::Stranger.sign(&envelope.message()).sig;
    envelope.add(Signature { keyid: Who::OfficerTwo.key_id(), sig }).unwrap();
    is_refused(&mut realm, &envelope, &["CS-FLD-007"]);
    // What was signed was changed afterwards.
    let signed = realm.sign(&about, realm.target_state(Plan::tuning("x")), &[Who::Ada]);
    let mut other = realm.sign(&about, realm.target_state(Plan::tuning("y")), &[Who::Ada]);
    other.signatures = signed.signatures;
    is_refused(&mut realm, &other, &["CS-FLD-005"]);
}

#[test]
fn a_key_signs_once() {
    let mut realm = Realm::new();
    let key = Key::new("new");
    let mut envelope = realm.sign(&Tracking::Realm, key.entry("n", &[Role::Proposer]), &[Who::OfficerOne]);
    let again = envelope.signatures[0].clone();
    assert_eq!(envelope.add(again.clone()).unwrap_err().code(), "CS-STM-018");
    envelope.signatures.push(again);
    is_refused(&mut realm, &envelope, &["CS-FLD-001"]);
    let (_, refusal) = realm.ledger().noops().last_key_value().unwrap();
    assert_eq!(refusal.reasons().next().unwrap().about, "CS-STM-018");
}

#[test]
fn every_threshold_is_refused_one_short() {
    let mut realm = Realm::new();
    let level = CapabilityLevel {
        key: Who::Abe.key_id(),
        level: None,
        reason: "drill".parse().unwrap(),
        slot: audit::fixture::SLOT.parse().unwrap(),
    };
    let policy = statement::kind::Policy {
        supersedes: realm.ledger().world().policy().map(|policy| policy.id),
        ..Realm::policy()
    };
    let record = realm.ledger().world().slot(&level.slot).unwrap();
    let slot = statement::kind::Slot {
        supersedes: Some(record.definition.id),
        ..Realm::slot(audit::fixture::SLOT, record.state)
    };
    let revocation = Revocation {
        reason: "drill".parse().unwrap(),
        target: RevocationTarget::Key { compromised_since: 0, key: Who::Ada.key_id() },
    };
    realm.establish(&Tracking::Realm, freeze(FreezeAction::Begin), &[Who::Monitor]);
    let root = next_root(&realm);
    let entry = Key::new("new").entry("n", &[Role::Proposer]);
    let cases: [(statement::Body, [Who; 2]); 7] = [
        (root.into(), ROOTS),
        (entry.into(), OFFICERS),
        (revocation.into(), OFFICERS),
        (policy.into(), POLICY),
        (slot.into(), POLICY),
        (level.into(), POLICY),
        (freeze(FreezeAction::End).into(), POLICY),
    ];
    for (body, quorum) in cases {
        for one in quorum {
            refuses(&mut realm, &Tracking::Realm, body.clone(), &[one], &["CS-FLD-007"]);
        }
        realm.establish(&Tracking::Realm, body, &quorum);
    }
}

#[test]
fn two_keys_of_one_person_count_once() {
    let mut realm = Realm::new();
    let second = Key::new("second key of the first officer");
    let mut root = next_root(&realm);
    root.keys.insert(
        second.id(),
        RootKey { assurance: Assurance::Hardware, key: second.public(), person: Who::OfficerOne.person() },
    );
    for role in [Role::DirectoryOfficer, Role::Root] {
        root.roles.get_mut(&role).unwrap().keys.insert(second.id());
    }
    realm.establish(&Tracking::Realm, root, &ROOTS);
    let entry = Key::new("new").entry("n", &[Role::Proposer]);
    let now = realm.now_ms();
    let envelope = issued(&realm, &Tracking::Realm, entry.clone(), now, &[Who::OfficerOne], &[&second]);
    is_refused(&mut realm, &envelope, &["CS-FLD-007"]);
    let envelope = issued(&realm, &Tracking::Realm, entry, now, &[Who::OfficerTwo], &[&second]);
    applies(&mut realm, &envelope);
}

#[test]
fn an_expired_key_still_stops_and_does_nothing_else() {
    let mut realm = Realm::new();
    let end_ms = BEGIN_MS + DAY_MS;
    for (label, role) in [("p", Role::Proposer), ("o", Role::Operator)] {
        let entry =
            statement::kind::DirectoryEntry { not_after_ms: end_ms, ..Key::new(label).entry(label, &[role]) };
        realm.establish(&Tracking::Realm, entry, &OFFICERS);
    }
    let about = Tracking::Change(Plan::tuning("x").change());
    realm.advance_ms(DAY_MS - 1);
    let envelope = signed(&realm, &about, realm.target_state(Plan::tuning("x")), &Key::new("p"));
    applies(&mut realm, &envelope);
    realm.advance_ms(1);
    let envelope = signed(&realm, &about, realm.target_state(Plan::tuning("y")), &Key::new("p"));
    is_refused(&mut realm, &envelope, &["CS-FLD-012"]);
    let envelope = signed(&realm, &Tracking::Realm, freeze(FreezeAction::Begin), &Key::new("o"));
    applies(&mut realm, &envelope);
}

#[test]
fn clocks_may_differ_by_as_much_as_the_policy_says() {
    let mut realm = Realm::new();
    let limits = Realm::policy().rules.limits;
    let at = |realm: &Realm, label: &'static str, issued_ms| {
        let about = Tracking::Change(Plan::tuning(label).change());
        issued(realm, &about, realm.target_state(Plan::tuning(label)), issued_ms, &[Who::Ada], &[])
    };
    let (ahead, behind) = (limits.clock_ahead_max_ms, limits.clock_behind_max_ms);
    let now = realm.now_ms();
    for issued_ms in [now + ahead + 1, now - behind - 1, 0] {
        let envelope = at(&realm, "wrong", issued_ms);
        is_refused(&mut realm, &envelope, &["CS-FLD-011"]);
    }
    for (label, issued_ms) in [("ahead", now + ahead), ("behind", now - behind)] {
        let envelope = at(&realm, label, issued_ms);
        applies(&mut realm, &envelope);
    }
}
