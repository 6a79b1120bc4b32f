//! What a gateway asks before it begins to serve, and while it serves.

use std::collections::BTreeSet;

use audit::fixture::{BEGIN_MS, DAY_MS, Plan, Realm, Who};
use policy::gate::{Admitted, CheckpointView, admit, serve};
use proptest::prelude::*;
use statement::kind::{
    Freeze, FreezeAction, FreezeTarget, Retirement, Revocation, RevocationTarget, TrustRoot,
};
use statement::{ChangeId, Digest, StatementId, Tracking};

use crate::keys::{ROOTS, codes, refuses};
use crate::stage::*;

type Answer = Result<Admitted, dossier::Refusal>;

fn both(realm: &Realm, change: &ChangeId, view: CheckpointView, floor_ms: u64) -> (Answer, Answer) {
    let world = realm.ledger().world();
    let (dossier, order) = (realm.dossier(change), order_of(realm, change));
    (
        admit(world, dossier, order, view, realm.now_ms(), floor_ms),
        serve(world, dossier, order, view, realm.now_ms(), floor_ms),
    )
}

/// What admission and serving say now, under a fresh checkpoint.
fn now(realm: &Realm, change: &ChangeId) -> (Vec<&'static str>, Vec<&'static str>) {
    let (admits, serves) = both(realm, change, view(realm), 0);
    let told = |answer: Answer| answer.map_or_else(|refusal| codes(&refusal), |_| Vec::new());
    (told(admits), told(serves))
}

const FINE: (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());

#[test]
fn an_order_in_force_is_admitted_with_what_it_says() {
    let mut realm = Realm::new();
    let change = realm.release(X);
    let (admits, serves) = both(&realm, &change, view(&realm), realm.now_ms());
    let order = realm.dossier(&change).order.clone().unwrap();
    for admitted in [admits.unwrap(), serves.unwrap()] {
        assert_eq!(admitted.order(), order.id);
        assert_eq!(admitted.slot(), &order.body.slot);
        assert_eq!(admitted.state(), order.body.to_state);
        assert_eq!(admitted.fallback(), order.body.fallback);
        assert_eq!(admitted.serve_until_ms(), order.body.serve_until_ms);
        assert_eq!(admitted.tree_size(), realm.ledger().world().size());
    }
}

#[test]
fn a_checkpoint_is_of_exactly_these_leaves_fresh_and_witnessed() {
    let mut realm = Realm::new();
    let change = realm.release(X);
    realm.advance_ms(DAY_MS / 2);
    let good = view(&realm);
    let age_ms = 600_000;
    let cases = [
        ("", good),
        ("CS-GATE-035", CheckpointView { size: good.size - 1, ..good }),
        ("CS-GATE-035", CheckpointView { size: good.size + 1, ..good }),
        ("", CheckpointView { witnessed_ms: good.witnessed_ms - age_ms, ..good }),
        ("CS-GATE-035", CheckpointView { witnessed_ms: good.witnessed_ms - age_ms - 1, ..good }),
        ("CS-GATE-035", CheckpointView { witnessed_ms: 0, ..good }),
        // From the future beyond what clocks differ by.
        ("", CheckpointView { witnessed_ms: good.witnessed_ms + 300_000, ..good }),
        ("CS-GATE-035", CheckpointView { witnessed_ms: good.witnessed_ms + 300_001, ..good }),
        ("CS-GATE-035", CheckpointView { witnessed_ms: u64::MAX, ..good }),
        ("CS-GATE-036", CheckpointView { witnesses: 0, ..good }),
    ];
    for (code, view) in cases {
        for answer in <[Answer; 2]>::from(both(&realm, &change, view, 0)) {
            assert_eq!(
                answer.map_or_else(|refusal| codes(&refusal).join(" "), |_| String::new()),
                code,
                "{view:?}"
            );
        }
    }
}

#[test]
fn time_never_runs_below_its_floor() {
    let mut realm = Realm::new();
    let change = realm.release(X);
    let floor = realm.now_ms() + 1;
    let (admits, serves) = both(&realm, &change, view(&realm), floor);
    assert_eq!(codes(&admits.unwrap_err()), ["CS-GATE-040"]);
    assert_eq!(codes(&serves.unwrap_err()), ["CS-GATE-040"]);
}

#[test]
fn an_order_ends() {
    let mut realm = Realm::new();
    let change = realm.release(X);
    realm.advance_ms(DAY_MS - 1);
    assert_eq!(now(&realm, &change), FINE);
    // Too late to begin, not too late to go on.
    realm.advance_ms(1);
    assert_eq!(now(&realm, &change), (vec!["CS-GATE-043"], vec![]));
    realm.advance_ms(89 * DAY_MS - 1);
    assert_eq!(now(&realm, &change).1, Vec::<&str>::new());
    realm.advance_ms(1);
    assert_eq!(now(&realm, &change).1, ["CS-GATE-032"]);
}

#[test]
fn a_freeze_stops_what_is_new_and_not_what_runs() {
    let mut realm = Realm::new();
    let change = realm.release(X);
    let targets = [FreezeTarget::Realm, FreezeTarget::Slot(slot_id()), FreezeTarget::Change(change.clone())];
    for target in targets {
        let freeze = |action| Freeze { action, reason: "drill".parse().unwrap(), target: target.clone() };
        realm.establish(&R, freeze(FreezeAction::Begin), &[Who::Monitor]);
        assert_eq!(now(&realm, &change), (vec!["CS-GATE-020"], vec![]));
        realm.advance_ms(1);
        realm.establish(&R, freeze(FreezeAction::End), &crate::keys::POLICY);
        assert_eq!(now(&realm, &change), FINE);
        realm.advance_ms(1);
    }
}

#[test]
fn a_revoked_order_is_served_no_more() {
    let mut realm = Realm::new();
    let change = realm.release(X);
    let target = RevocationTarget::Order(order_of(&realm, &change));
    realm.establish(&R, Revocation { reason: "drill".parse().unwrap(), target }, &[Who::Fay]);
    assert_eq!(now(&realm, &change), (vec!["CS-GATE-033"], vec!["CS-GATE-033"]));
}

#[test]
fn a_stale_trust_root_admits_nothing() {
    let mut realm = Realm::new();
    let present = realm.ledger().world().root().unwrap();
    let root = TrustRoot {
        epoch: 2,
        expires_ms: BEGIN_MS + DAY_MS / 2,
        previous: Some(present.id),
        ..present.body.clone()
    };
    realm.establish(&R, root, &ROOTS);
    let change = realm.release(X);
    realm.advance_ms(DAY_MS / 2 - 1);
    assert_eq!(now(&realm, &change), FINE);
    realm.advance_ms(1);
    assert_eq!(now(&realm, &change), (vec!["CS-GATE-041"], vec!["CS-GATE-041"]));
}

#[test]
fn only_the_order_in_force_is_served() {
    let mut realm = Realm::new();
    let first = realm.release(X);
    let nothing = StatementId::from_digest(Digest::of(b"nothing"));
    let world = realm.ledger().world();
    let unknown = admit(world, realm.dossier(&first), nothing, view(&realm), realm.now_ms(), 0);
    assert_eq!(codes(&unknown.unwrap_err()), ["CS-FLD-027"]);
    let second = realm.release(Plan::tuning("y"));
    assert_eq!(now(&realm, &first), (vec!["CS-GATE-037"], vec!["CS-GATE-037"]));
    assert_eq!(now(&realm, &second), FINE);
    realm.roll_back(&second);
    assert_eq!(now(&realm, &second), (vec!["CS-GATE-037"], vec!["CS-GATE-037"]));
    let third = realm.release(Plan::tuning("z"));
    let state = realm.dossier(&third).order.as_ref().unwrap().body.to_state;
    let retirement = Retirement { reason: "drill".parse().unwrap(), slot: slot_id(), state };
    realm.establish(&Tracking::Change(third.clone()), retirement, &[Who::Lea]);
    assert_eq!(now(&realm, &third), (vec!["CS-GATE-037"], vec!["CS-GATE-037"]));
}

#[test]
fn an_orders_times_stay_within_the_policys() {
    let mut realm = Realm::new();
    let limits = Realm::policy().rules.limits;
    let change = decided(&mut realm, X);
    for (who, capacity) in MEDIUM {
        realm.approve(&change, who, capacity);
    }
    let sound = realm.order_body(&change);
    let now_ms = realm.now_ms();
    let times = [
        (now_ms, now_ms + DAY_MS),
        (now_ms - 1, now_ms + DAY_MS),
        (now_ms + limits.order_admit_max_ms + 1, now_ms + limits.order_serve_max_ms),
        (now_ms + DAY_MS, now_ms + limits.order_serve_max_ms + 1),
        (now_ms + DAY_MS, now_ms + DAY_MS - 1),
        (now_ms + DAY_MS, 0),
    ];
    for (admit_before_ms, serve_until_ms) in times {
        let order = statement::kind::ReleaseOrder { admit_before_ms, serve_until_ms, ..sound.clone() };
        refuses(&mut realm, &about(&change), order, &[Who::Lea], &["CS-GATE-034"]);
    }
    let other = statement::StateId::from_digest(Digest::of(b"other"));
    let nothing = StatementId::from_digest(Digest::of(b"nothing"));
    let wrong: [&dyn Fn(&mut statement::kind::ReleaseOrder); 8] = [
        &|order| order.fallback = other,
        &|order| order.checkpoint_age_max_ms += 1,
        &|order| order.verdict = nothing,
        &|order| order.policy = nothing,
        &|order| order.tier = statement::kind::Tier::Low,
        &|order| order.to_state = other,
        &|order| order.tree_size = u64::from(u32::MAX),
        &|order| order.approvals = BTreeSet::from([nothing]),
    ];
    for alter in wrong {
        let mut order = sound.clone();
        alter(&mut order);
        refuses(&mut realm, &about(&change), order, &[Who::Lea], &["CS-GATE-031"]);
    }
    let longest = statement::kind::ReleaseOrder {
        admit_before_ms: now_ms + limits.order_admit_max_ms,
        serve_until_ms: now_ms + limits.order_serve_max_ms,
        ..sound
    };
    realm.establish(&about(&change), longest, &[Who::Lea]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    /// Whatever the clock and the checkpoint say, the gates answer; and who is admitted may also be served.
    #[test]
    fn gates_answer_at_any_time(
        times in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>(), any::<bool>()), 64)
    ) {
        let mut realm = Realm::new();
        let served = realm.release(X);
        let open = decided(&mut realm, Plan::tuning("y"));
        let world = realm.ledger().world();
        let order = order_of(&realm, &served);
        for (now_ms, floor_ms, witnessed_ms, witnesses, near) in times {
            let now_ms = if near { realm.now_ms() + now_ms % (100 * DAY_MS) } else { now_ms };
            let floor_ms = if near { 0 } else { floor_ms };
            let witnessed_ms = if near { now_ms } else { witnessed_ms };
            let view = CheckpointView { size: world.size(), witnessed_ms, witnesses };
            let admits = admit(world, realm.dossier(&served), order, view, now_ms, floor_ms).is_ok();
            let serves = serve(world, realm.dossier(&served), order, view, now_ms, floor_ms).is_ok();
            prop_assert!(serves || !admits);
            for change in [&served, &open] {
                let dossier = realm.dossier(change);
                let decision = ask(&realm, |rules| policy::gate::decide(world, dossier, rules, now_ms)).unwrap();
                prop_assert_eq!(decision.reasons.is_empty(), decision.outcome == statement::kind::Outcome::Pass);
                let examined = ask(&realm, |rules| policy::gate::examined(world, dossier, rules, now_ms)).is_ok();
                let approved = ask(&realm, |rules| policy::gate::approved(world, dossier, rules, now_ms)).is_ok();
                prop_assert!(examined || !approved);
            }
        }
    }
}
