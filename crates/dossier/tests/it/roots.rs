//! Trust roots: the first, rotation, expiry, and roots that contradict themselves.

use std::collections::BTreeSet;

use audit::fixture::{BEGIN_MS, DAY_MS, Plan, Realm, SLOT, Who};
use statement::kind::{
    Assurance, Freeze, FreezeAction, FreezeTarget, Role, RoleRule, RootKey, TrustRoot, WitnessKey,
};
use statement::{Bytes, PublicKey, Scheme, Statement, Tracking};

use crate::keys::{Key, OFFICERS, POLICY, ROOTS, applies, is_refused, issued, refuses};

/// The root in force, as the next one.
pub(crate) fn next_root(realm: &Realm) -> TrustRoot {
    let present = realm.ledger().world().root().unwrap();
    TrustRoot { epoch: present.body.epoch + 1, previous: Some(present.id), ..present.body.clone() }
}

/// A realm ready for changes under another first trust root.
pub(crate) fn opened(alter: impl FnOnce(&mut TrustRoot)) -> Realm {
    let mut realm = Realm::found("example");
    let mut root = realm.trust_root();
    alter(&mut root);
    realm.establish(&Tracking::Realm, root, &ROOTS);
    for who in Who::ENROLLED {
        realm.establish(&Tracking::Realm, who.entry(), &OFFICERS);
    }
    realm.establish(&Tracking::Realm, Realm::policy(), &POLICY);
    realm.open_slot(SLOT);
    realm
}

/// Puts a key into a root, with a role.
pub(crate) fn add(root: &mut TrustRoot, role: Role, key: &Key, person: &str) {
    let entry =
        RootKey { assurance: Assurance::Hardware, key: key.public(), person: person.parse().unwrap() };
    root.keys.insert(key.id(), entry);
    let rule = RoleRule { keys: BTreeSet::new(), threshold: 1 };
    root.roles.entry(role).or_insert(rule).keys.insert(key.id());
}

#[test]
fn a_realm_begins_with_its_trust_root_or_never() {
    let sound = Realm::found("example").trust_root();
    let check = |root: TrustRoot, by: &[Who], code: &str| {
        let mut realm = Realm::found("example");
        refuses(&mut realm, &Tracking::Realm, root, by, &[code]);
        refuses(&mut realm, &Tracking::Realm, Who::Ada.entry(), &OFFICERS, &["CS-FLD-004"]);
        // A sound root that comes later founds nothing: it might have been planted.
        refuses(&mut realm, &Tracking::Realm, sound.clone(), &ROOTS, &["CS-FLD-009"]);
        assert!(realm.ledger().realm().is_none());
    };
    for one in ROOTS {
        check(sound.clone(), &[one], "CS-FLD-007");
    }
    check(sound.clone(), &OFFICERS, "CS-FLD-007");
    check(TrustRoot { epoch: 2, ..sound.clone() }, &ROOTS, "CS-FLD-009");
    check(TrustRoot { expires_ms: BEGIN_MS, ..sound.clone() }, &ROOTS, "CS-FLD-008");
    let mut realm = Realm::found("example");
    realm.establish(&Tracking::Realm, sound.clone(), &ROOTS);
    assert_eq!(realm.ledger().realm(), Some(realm.id()));
    refuses(&mut realm, &Tracking::Realm, sound, &ROOTS, &["CS-FLD-003"]);
}

#[test]
fn a_root_that_follows_takes_over() {
    let mut realm = Realm::new();
    let (one, two) = (Key::new("new root one"), Key::new("new root two"));
    let mut root = next_root(&realm);
    let old = root.roles[&Role::Root].keys.clone();
    root.keys.retain(|id, _| !old.contains(id));
    root.roles.remove(&Role::Root);
    add(&mut root, Role::Root, &one, "n-one");
    add(&mut root, Role::Root, &two, "n-two");
    root.roles.get_mut(&Role::Root).unwrap().threshold = 2;
    let now = realm.now_ms();
    let by = |realm: &Realm, root: &TrustRoot, who: &[Who], keys: &[&Key]| {
        issued(realm, &Tracking::Realm, root.clone(), now, who, keys)
    };
    // Old quorum alone, new quorum alone, one of each, all but one.
    let short: [(&[Who], &[&Key]); 5] = [
        (&ROOTS, &[]),
        (&[], &[&one, &two]),
        (&[Who::RootOne], &[&one]),
        (&[Who::RootOne], &[&one, &two]),
        (&ROOTS, &[&two]),
    ];
    for (who, keys) in short {
        let envelope = by(&realm, &root, who, keys);
        is_refused(&mut realm, &envelope, &["CS-FLD-007"]);
    }
    let all: (&[Who], &[&Key]) = (&ROOTS, &[&one, &two]);
    for wrong in [
        TrustRoot { epoch: 3, ..root.clone() },
        TrustRoot { epoch: 1, ..root.clone() },
        TrustRoot { previous: None, ..root.clone() },
        TrustRoot { epoch: 1, previous: None, ..root.clone() },
        TrustRoot {
            log: statement::kind::LogIdentity { origin: "other.invalid/log".to_owned(), ..root.log.clone() },
            ..root.clone()
        },
    ] {
        let envelope = by(&realm, &wrong, all.0, all.1);
        is_refused(&mut realm, &envelope, &["CS-FLD-009"]);
    }
    let envelope = by(&realm, &root, all.0, all.1);
    applies(&mut realm, &envelope);
    assert_eq!(realm.ledger().world().roots().len(), 2);
    // The old keys are nobody's now.
    let third = TrustRoot { epoch: 3, previous: Some(envelope.id()), ..root };
    let envelope = by(&realm, &third, &ROOTS, &[]);
    is_refused(&mut realm, &envelope, &["CS-FLD-007"]);
    let envelope = by(&realm, &third, &[], &[&one, &two]);
    applies(&mut realm, &envelope);
}

#[test]
fn a_root_that_contradicts_itself_is_refused() {
    let realm = Realm::found("example");
    let sound = realm.trust_root();
    let check = |code: &str, alter: &dyn Fn(&mut TrustRoot)| {
        let mut realm = Realm::found("example");
        let mut root = sound.clone();
        alter(&mut root);
        refuses(&mut realm, &Tracking::Realm, root, &ROOTS, &[code]);
    };
    let rule = |root: &mut TrustRoot, role| root.roles.get_mut(&role).unwrap().clone();
    for role in [Role::Root, Role::DirectoryOfficer, Role::PolicyOfficer] {
        check("CS-FLD-010", &|root| {
            root.roles.remove(&role);
        });
        // More persons than there are.
        check("CS-FLD-010", &|root| {
            let old = rule(root, role);
            root.roles.insert(role, RoleRule { threshold: 3, ..old });
        });
        check("CS-FLD-010", &|root| {
            let old = rule(root, role);
            root.roles.insert(role, RoleRule { threshold: 0, ..old });
        });
    }
    // Two keys of one person do not reach a threshold of two.
    check("CS-FLD-010", &|root| {
        root.keys.get_mut(&Who::PolicyTwo.key_id()).unwrap().person = Who::PolicyOne.person();
    });
    check("CS-FLD-010", &|root| {
        let old = rule(root, Role::DirectoryOfficer);
        root.roles.insert(Role::DirectoryOfficer, RoleRule { threshold: 1, ..old });
    });
    for role in [Role::Approver, Role::Automation, Role::Proposer] {
        check("CS-FLD-010", &|root| {
            root.roles.insert(role, RoleRule { keys: BTreeSet::new(), threshold: 2 });
        });
    }
    check("CS-FLD-010", &|root| {
        let unlisted = BTreeSet::from([Who::Stranger.key_id()]);
        root.roles.insert(Role::Operator, RoleRule { keys: unlisted, threshold: 1 });
    });
    // More witnesses than there are, than persons run them, than have keys of their own.
    check("CS-FLD-010", &|root| root.witnesses.threshold = 3);
    check("CS-FLD-010", &|root| {
        root.witnesses.threshold = 2;
        let one: statement::PersonId = "w-one".parse().unwrap();
        root.witnesses.keys = root
            .witnesses
            .keys
            .iter()
            .cloned()
            .map(|key| WitnessKey { person: one.clone(), ..key })
            .collect();
        assert_eq!(root.witnesses.keys.len(), 2);
    });
    check("CS-FLD-010", &|root| {
        let first = root.witnesses.keys.first().unwrap().clone();
        let (_, rest) = first.key.split_once('+').unwrap();
        let key = format!("another.invalid/name+{rest}");
        root.witnesses.keys.insert(WitnessKey { key, person: "w-else".parse().unwrap() });
    });
    check("CS-FLD-010", &|root| {
        let first = root.witnesses.keys.first().unwrap().clone();
        let key = format!("{}A", first.key);
        root.witnesses.keys.insert(WitnessKey { key, person: "w-else".parse().unwrap() });
    });
    // A key under another's id, and bytes that are no key.
    check("CS-FLD-015", &|root| {
        let officer = root.keys[&Who::OfficerOne.key_id()].clone();
        root.keys.insert(Who::PolicyOne.key_id(), officer);
    });
    check("CS-FLD-015", &|root| {
        let key = PublicKey { public: Bytes::new(vec![0; 32]), scheme: Scheme::Ed25519 };
        let person = "n".parse().unwrap();
        root.keys.insert(key.id(), RootKey { assurance: Assurance::Sealed, key, person });
    });
}

#[test]
fn after_the_root_ends_only_stops_go_through() {
    let end_ms = BEGIN_MS + 30 * DAY_MS;
    let mut realm = opened(|root| root.expires_ms = end_ms);
    let change = realm.release(Plan::tuning("first"));
    realm.advance_ms(30 * DAY_MS - 1);
    realm.propose(Plan::tuning("second"));
    realm.advance_ms(1);
    let about = Tracking::Change(Plan::tuning("third").change());
    let state = realm.target_state(Plan::tuning("third"));
    refuses(&mut realm, &about, state, &[Who::Ada], &["CS-FLD-008"]);
    let freeze = |action| Freeze { action, reason: "drill".parse().unwrap(), target: FreezeTarget::Realm };
    realm.establish(&Tracking::Realm, freeze(FreezeAction::Begin), &[Who::Lea]);
    refuses(&mut realm, &Tracking::Realm, freeze(FreezeAction::End), &POLICY, &["CS-FLD-008"]);
    realm.roll_back(&change);
    // A rotation by old and new quorum opens the realm again.
    let root = TrustRoot { expires_ms: end_ms + 30 * DAY_MS, ..next_root(&realm) };
    realm.establish(&Tracking::Realm, root, &ROOTS);
    realm.establish(&Tracking::Realm, freeze(FreezeAction::End), &POLICY);
}

#[test]
fn another_realms_statements_do_not_apply() {
    let mut realm = Realm::new();
    let other = "other".parse().unwrap();
    let about = Tracking::Change(Plan::tuning("x").change());
    let state = realm.target_state(Plan::tuning("x"));
    let foreign = Statement::new(statement::RealmId::clone(&other), about, realm.now_ms(), state);
    let envelope = realm.seal(&foreign, &[Who::Ada]);
    is_refused(&mut realm, &envelope, &["CS-FLD-002"]);
    let root = Statement::new(other, Tracking::Realm, realm.now_ms(), next_root(&realm));
    let envelope = realm.seal(&root, &ROOTS);
    is_refused(&mut realm, &envelope, &["CS-FLD-002"]);
}

#[test]
fn a_role_that_the_root_closes_is_nobodys() {
    let mut realm = Realm::new();
    let change = realm.release(Plan::tuning("x"));
    let mut root = next_root(&realm);
    root.roles.remove(&Role::Operator);
    realm.establish(&Tracking::Realm, root, &ROOTS);
    let about = Tracking::Change(change.clone());
    let dossier = realm.dossier(&change);
    let order = dossier.order.as_ref().unwrap();
    let rollback = statement::kind::RollbackOrder {
        from_state: order.body.to_state,
        incident: None,
        order: order.id,
        reason: "drill".parse().unwrap(),
        slot: order.body.slot.clone(),
        to_state: order.body.from_state,
    };
    refuses(&mut realm, &about, rollback.clone(), &[Who::Lea], &["CS-FLD-006"]);
    realm.establish(&about, rollback, &[Who::Monitor]);
}
