//! Changes: proposals, evidence, orders, rollbacks, and what is refused along the way.

use std::collections::BTreeSet;

use audit::fixture::{Plan, Realm, SLOT, Who};
use dossier::{ClassHistory, State};
use statement::kind::{
    Artefact, Capacity, EvidenceKind, Finding, Freeze, FreezeAction, FreezeTarget, GateDecision, Incident,
    ModificationKind, Outcome, Proposal, Proposer, Rejection, Response, Retirement, Role, RollbackOrder,
    Severity, SignOff, Slot, Stage, StageReport, TraceRoot, Violation,
};
use statement::{ChangeId, Digest, StateId, StatementId, Tracking, example};

use crate::keys::{Key, POLICY, applies, is_refused, refuses, signed};

const X: Plan<'static> = Plan::tuning("x");

fn about(change: &ChangeId) -> Tracking {
    Tracking::Change(change.clone())
}

fn nothing() -> StatementId {
    StatementId::from_digest(Digest::of(b"nothing"))
}

fn slot_state(realm: &Realm) -> StateId {
    realm.ledger().world().slot(&SLOT.parse().unwrap()).unwrap().state
}

/// The way back from the change's order to `to`.
fn rollback(realm: &Realm, change: &ChangeId, to_state: StateId) -> RollbackOrder {
    let order = realm.dossier(change).order.as_ref().unwrap();
    RollbackOrder {
        from_state: order.body.to_state,
        incident: None,
        order: order.id,
        reason: "drill".parse().unwrap(),
        slot: order.body.slot.clone(),
        to_state,
    }
}

#[test]
fn proposals_that_name_wrong_things_are_refused() {
    let mut realm = Realm::new();
    let change = X.change();
    realm.establish(&about(&change), realm.target_state(X), &[Who::Ada]);
    let sound = realm.proposal(X);
    let unknown = StateId::from_digest(Digest::of(b"unknown"));
    let cases: [(&str, Proposal); 6] = [
        ("CS-FLD-021", Proposal { proposer: Proposer::Person(Who::Abe.person()), ..sound.clone() }),
        (
            "CS-FLD-021",
            Proposal {
                proposer: Proposer::Model { sponsor: Who::Abe.person(), state: sound.base_state },
                ..sound.clone()
            },
        ),
        ("CS-FLD-017", Proposal { slot: "eu/other".parse().unwrap(), ..sound.clone() }),
        ("CS-FLD-030", Proposal { base_state: unknown, ..sound.clone() }),
        ("CS-FLD-030", Proposal { target_state: unknown, ..sound.clone() }),
        ("CS-FLD-018", Proposal { replaces: Some(nothing()), ..sound.clone() }),
    ];
    for (code, proposal) in cases {
        refuses(&mut realm, &about(&change), proposal, &[Who::Ada], &[code]);
    }
    refuses(&mut realm, &Tracking::Realm, sound.clone(), &[Who::Ada], &["CS-FLD-020"]);
    // Two persons propose nothing together.
    refuses(&mut realm, &about(&change), sound.clone(), &[Who::Ada, Who::Abe], &["CS-FLD-022"]);
    realm.establish(&about(&change), sound.clone(), &[Who::Ada]);
    let again = Proposal { summary: Some(Digest::of(b"again")), ..sound.clone() };
    refuses(&mut realm, &about(&change), again.clone(), &[Who::Ada], &["CS-FLD-019"]);
    let other = Proposal { replaces: Some(nothing()), ..again };
    refuses(&mut realm, &about(&change), other, &[Who::Ada], &["CS-FLD-019"]);
}

#[test]
fn a_rebase_clears_all_evidence_and_belongs_to_the_same_person() {
    let mut realm = Realm::new();
    realm.open_slot("eu/other");
    let change = realm.propose(X);
    realm.examine(&change, X.drift_ppm);
    realm.verdict(&change);
    let approval = realm.approval(&change, Capacity::Technical);
    realm.approve(&change, Who::Fay, Capacity::Technical);
    let old = realm.dossier(&change).proposal.id;
    let finding = realm.finding(&change, EvidenceKind::Probe);
    let rebased = Proposal { replaces: Some(old), summary: Some(Digest::of(b"again")), ..realm.proposal(X) };
    let others = Proposal { proposer: Proposer::Person(Who::Abe.person()), ..rebased.clone() };
    refuses(&mut realm, &about(&change), others, &[Who::Abe], &["CS-FLD-021"]);
    let elsewhere = Proposal { slot: "eu/other".parse().unwrap(), ..rebased.clone() };
    refuses(&mut realm, &about(&change), elsewhere, &[Who::Ada], &["CS-FLD-021"]);
    realm.establish(&about(&change), rebased, &[Who::Ada]);
    let dossier = realm.dossier(&change);
    assert_eq!(dossier.state, State::Proposed);
    assert!(dossier.findings.is_empty() && dossier.approvals.is_empty() && dossier.verdict.is_none());
    assert_eq!(dossier.replaced.len(), 1);
    // What is said about the old proposal no longer applies.
    refuses(&mut realm, &about(&change), finding, &[Who::Ben], &["CS-FLD-018"]);
    realm.advance_ms(1);
    refuses(&mut realm, &about(&change), approval, &[Who::Gil], &["CS-FLD-018"]);
}

#[test]
fn what_a_person_found_against_is_not_undone_by_proposing_again() {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let mut finding = realm.finding(&change, EvidenceKind::SecurityReview);
    finding.outcome = Outcome::Fail;
    realm.establish(&about(&change), finding, &[Who::Dan]);
    let again = |realm: &Realm| Proposal {
        replaces: Some(realm.dossier(&change).proposal.id),
        summary: Some(Digest::of(b"again")),
        ..realm.proposal(X)
    };
    let same = again(&realm);
    refuses(&mut realm, &about(&change), same, &[Who::Ada], &["CS-FLD-040"]);
    // Nor by a detour over another artefact.
    let mut other = again(&realm);
    other.artefacts = other
        .artefacts
        .iter()
        .map(|artefact| Artefact { digest: Digest::of(b"other"), ..artefact.clone() })
        .collect();
    realm.establish(&about(&change), other, &[Who::Ada]);
    let same = again(&realm);
    refuses(&mut realm, &about(&change), same, &[Who::Ada], &["CS-FLD-040"]);
}

#[test]
fn a_finding_that_contradicts_itself_is_none() {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let sound = realm.finding(&change, EvidenceKind::Scope);
    let counted = Finding { violations_left_out: 1, ..sound.clone() };
    let violation = Violation {
        code: "CS-TSR-106".parse().unwrap(),
        limit: Some(1),
        measured: Some(2),
        place: "q_proj".to_owned(),
    };
    let listed = Finding { violations: BTreeSet::from([violation]), ..sound.clone() };
    let trace = TraceRoot { attachment: Digest::of(b"elsewhere"), leaves: 1, root: Digest::of(b"root") };
    let traced = Finding { trace: Some(trace), ..sound };
    for finding in [counted, listed, traced] {
        refuses(&mut realm, &about(&change), finding, &[Who::Ben], &["CS-FLD-041"]);
    }
}

#[test]
fn what_gave_way_comes_back_when_its_successor_is_taken_back() {
    let mut realm = Realm::new();
    let first = realm.release(X);
    realm.serve(&first);
    let order = realm.dossier(&first).order.as_ref().unwrap().id;
    let second = realm.release(Plan::tuning("y"));
    assert!(matches!(realm.dossier(&first).state, State::Succeeded { .. }));
    realm.roll_back(&second);
    assert_eq!(realm.dossier(&first).state, State::Serving { order });
    let slot = realm.ledger().world().slot(&SLOT.parse().unwrap()).unwrap();
    assert_eq!(slot.order, Some((first.clone(), order)));
    // And can be taken back itself.
    realm.roll_back(&first);
    assert!(matches!(realm.dossier(&first).state, State::RolledBack { .. }));
}

#[test]
fn each_kind_of_evidence_comes_from_its_own_role() {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let review = realm.finding(&change, EvidenceKind::ComplianceReview);
    refuses(&mut realm, &about(&change), review.clone(), &[Who::Ben], &["CS-FLD-032"]);
    for evidence in [EvidenceKind::Scope, EvidenceKind::SecurityReview, EvidenceKind::ExternalAudit] {
        let finding = realm.finding(&change, evidence);
        refuses(&mut realm, &about(&change), finding, &[Who::Eve], &["CS-FLD-032"]);
    }
    realm.establish(&about(&change), review, &[Who::Eve]);
    let scope = realm.finding(&change, EvidenceKind::Scope);
    refuses(&mut realm, &Tracking::Realm, scope.clone(), &[Who::Ben], &["CS-FLD-020"]);
    let other = about(&Plan::tuning("other").change());
    refuses(&mut realm, &other, scope, &[Who::Ben], &["CS-FLD-018"]);
}

#[test]
fn steps_out_of_turn_are_refused() {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let approval = statement::kind::Approval {
        proposal: realm.dossier(&change).proposal.id,
        ..match example::body(statement::Kind::Approval) {
            statement::Body::Approval(body) => *body,
            other => panic!("{other:?}"),
        }
    };
    refuses(&mut realm, &about(&change), approval, &[Who::Fay], &["CS-FLD-026"]);
    realm.examine(&change, X.drift_ppm);
    realm.verdict(&change);
    let order = realm.order_body(&change);
    for (who, capacity) in
        [(Who::Fay, Capacity::Technical), (Who::Gil, Capacity::Ethics), (Who::Hal, Capacity::Security)]
    {
        realm.approve(&change, who, capacity);
    }
    // A new finding takes the verdict away; without one nothing is ordered.
    let finding = realm.finding(&change, EvidenceKind::Probe);
    realm.establish(&about(&change), finding, &[Who::Cas]);
    assert_eq!(realm.dossier(&change).state, State::Proposed);
    refuses(&mut realm, &about(&change), order, &[Who::Lea], &["CS-FLD-026"]);
    let reject = Rejection {
        note: None,
        proposal: realm.dossier(&change).proposal.id,
        reason: "drill".parse().unwrap(),
    };
    realm.establish(&about(&change), reject.clone(), &[Who::Eve]);
    assert_eq!(realm.dossier(&change).state, State::Rejected);
    let finding = realm.finding(&change, EvidenceKind::Regression);
    refuses(&mut realm, &about(&change), finding, &[Who::Cas], &["CS-FLD-026"]);
    let again = Rejection { reason: "again".parse().unwrap(), ..reject };
    refuses(&mut realm, &about(&change), again, &[Who::Fay], &["CS-FLD-026"]);
    // What is ordered is rolled back, not rejected or examined.
    let served = realm.release(Plan::tuning("y"));
    let proposal = realm.dossier(&served).proposal.id;
    let reject = Rejection { note: None, proposal, reason: "drill".parse().unwrap() };
    refuses(&mut realm, &about(&served), reject, &[Who::Eve], &["CS-FLD-026"]);
    let finding = realm.finding(&served, EvidenceKind::Probe);
    refuses(&mut realm, &about(&served), finding, &[Who::Cas], &["CS-FLD-026"]);
}

#[test]
fn an_order_swaps_the_slot_only_from_the_state_it_names() {
    let mut realm = Realm::new();
    let base = slot_state(&realm);
    let second = Plan { proposer: Who::Abe, ..Plan::tuning("second") };
    let late = realm.propose(second);
    realm.examine(&late, second.drift_ppm);
    realm.verdict(&late);
    for (who, capacity) in
        [(Who::Fay, Capacity::Technical), (Who::Gil, Capacity::Ethics), (Who::Hal, Capacity::Security)]
    {
        realm.approve(&late, who, capacity);
    }
    let order = realm.order_body(&late);
    let first = realm.release(X);
    let moved = slot_state(&realm);
    assert_ne!(base, moved);
    refuses(&mut realm, &about(&late), order.clone(), &[Who::Lea], &["CS-GATE-003"]);
    let claimed = statement::kind::ReleaseOrder { from_state: moved, ..order };
    refuses(&mut realm, &about(&late), claimed, &[Who::Lea], &["CS-GATE-003"]);
    assert_eq!(slot_state(&realm), moved);
    assert!(matches!(realm.dossier(&first).state, State::Ordered { .. }));
}

#[test]
fn a_rollback_goes_to_the_state_before_or_the_fallback_only() {
    let mut realm = Realm::new();
    let base = slot_state(&realm);
    let first = realm.release(X);
    let middle = slot_state(&realm);
    // A definition with another fallback than the baseline.
    let slot: statement::SlotId = SLOT.parse().unwrap();
    let definition = realm.ledger().world().slot(&slot).unwrap().definition.clone();
    let other = Slot { fallback: middle, supersedes: Some(definition.id), ..definition.body };
    realm.establish(&Tracking::Realm, other, &POLICY);
    let second = realm.release(Plan::tuning("y"));
    let present = slot_state(&realm);
    let third = realm.propose(Plan::tuning("z"));
    let untried = realm.dossier(&third).proposal.body.target_state;
    let unknown = StateId::from_digest(Digest::of(b"unknown"));
    for to in [untried, unknown, base, present] {
        let body = rollback(&realm, &second, to);
        refuses(&mut realm, &about(&second), body, &[Who::Lea], &["CS-FLD-028"]);
    }
    let sound = rollback(&realm, &second, middle);
    for who in [Who::Ada, Who::Ben, Who::Eve, Who::Fay, Who::Rollout, Who::Automation] {
        refuses(&mut realm, &about(&second), sound.clone(), &[who], &["CS-FLD-006"]);
    }
    // Of a change that is not in the slot any more, from another state, under another order, of another slot.
    let old = rollback(&realm, &first, base);
    refuses(&mut realm, &about(&first), old, &[Who::Lea], &["CS-FLD-027"]);
    let wrong = RollbackOrder { from_state: base, ..sound.clone() };
    refuses(&mut realm, &about(&second), wrong, &[Who::Lea], &["CS-FLD-027"]);
    let wrong = RollbackOrder { order: nothing(), ..sound.clone() };
    refuses(&mut realm, &about(&second), wrong, &[Who::Lea], &["CS-FLD-027"]);
    refuses(&mut realm, &about(&first), sound.clone(), &[Who::Lea], &["CS-FLD-027"]);
    let wrong = RollbackOrder { slot: "eu/other".parse().unwrap(), ..sound.clone() };
    refuses(&mut realm, &about(&second), wrong, &[Who::Lea], &["CS-FLD-017"]);
    // Frozen as everything may be.
    let freeze =
        Freeze { action: FreezeAction::Begin, reason: "drill".parse().unwrap(), target: FreezeTarget::Realm };
    realm.establish(&Tracking::Realm, freeze, &[Who::Monitor]);
    realm.establish(&about(&second), sound.clone(), &[Who::Monitor]);
    assert_eq!(slot_state(&realm), middle);
    // What gave way to it has the slot again.
    assert_eq!(realm.ledger().world().slot(&slot).unwrap().order.as_ref().unwrap().0, first);
    assert!(matches!(realm.dossier(&second).state, State::RolledBack { .. }));
    // Once.
    let again = RollbackOrder { reason: "again".parse().unwrap(), ..sound };
    refuses(&mut realm, &about(&second), again, &[Who::Lea], &["CS-FLD-027"]);
}

#[test]
fn a_rollback_may_go_to_the_fallback() {
    let mut realm = Realm::new();
    let baseline = slot_state(&realm);
    realm.release(X);
    let second = realm.release(Plan::tuning("y"));
    let body = rollback(&realm, &second, baseline);
    realm.establish(&about(&second), body, &[Who::Lea]);
    assert_eq!(slot_state(&realm), baseline);
}

#[test]
fn releases_are_counted_once_each() {
    let mut realm = Realm::new();
    let class = |realm: &Realm| realm.ledger().world().class(ModificationKind::Adapter);
    let first = realm.release(X);
    assert_eq!(class(&realm), ClassHistory::default());
    realm.serve(&first);
    assert_eq!(class(&realm), ClassHistory { successes: 1, failures: 0 });
    let second = realm.release(Plan::tuning("y"));
    assert!(matches!(realm.dossier(&first).state, State::Succeeded { .. }));
    assert_eq!(class(&realm), ClassHistory { successes: 1, failures: 0 });
    // What gave way before it served all traffic proves nothing.
    realm.release(Plan::tuning("z"));
    assert_eq!(class(&realm), ClassHistory { successes: 1, failures: 0 });
    let third = Plan::tuning("z").change();
    realm.serve(&third);
    realm.roll_back(&third);
    assert_eq!(class(&realm), ClassHistory { successes: 2, failures: 1 });
    assert!(matches!(realm.dossier(&second).state, State::Ordered { .. }));
}

#[test]
fn an_incident_counts_against_its_kind_of_change_once() {
    let mut realm = Realm::new();
    let class = |realm: &Realm| realm.ledger().world().class(ModificationKind::Adapter);
    let incident = |realm: &Realm, change: &ChangeId, severity| Incident {
        observations: BTreeSet::new(),
        order: realm.dossier(change).order.as_ref().unwrap().id,
        response: Response::Watch,
        severity,
        slot: SLOT.parse().unwrap(),
        summary: None,
    };
    let first = realm.release(X);
    realm.serve(&first);
    assert!(!realm.dossier(&first).has_failed());
    for severity in [Severity::Warning, Severity::Critical] {
        let body = incident(&realm, &first, severity);
        realm.establish(&about(&first), body, &[Who::Monitor]);
        assert!(realm.dossier(&first).has_failed());
        assert_eq!(class(&realm), ClassHistory { successes: 1, failures: 1 });
    }
    // Going back after an incident is the same failure; an incident after going back too.
    realm.roll_back(&first);
    assert_eq!(class(&realm), ClassHistory { successes: 1, failures: 1 });
    let second = realm.release(Plan::tuning("y"));
    realm.roll_back(&second);
    let body = incident(&realm, &second, Severity::Critical);
    realm.establish(&about(&second), body, &[Who::Monitor]);
    assert_eq!(class(&realm), ClassHistory { successes: 1, failures: 2 });
    // What came to light after another change took the slot counts all the same.
    let third = realm.release(Plan::tuning("z"));
    realm.release(Plan::tuning("w"));
    let body = incident(&realm, &third, Severity::Warning);
    realm.establish(&about(&third), body, &[Who::Monitor]);
    assert_eq!(class(&realm), ClassHistory { successes: 1, failures: 3 });
}

#[test]
fn a_sign_off_is_of_a_report_that_promotes_by_somebody_else_than_the_proposer() {
    let mut realm = Realm::new();
    let change = realm.release(X);
    let order = realm.dossier(&change).order.as_ref().unwrap().id;
    let report = |decision| StageReport {
        data: Digest::of(b"data"),
        decision,
        from_ms: 0,
        gates: BTreeSet::new(),
        order,
        share_ppm: 10_000,
        stage: Stage::Canary,
        to_ms: 1,
    };
    let held = realm.establish(&about(&change), report(GateDecision::Hold), &[Who::Rollout]);
    let passed = realm.establish(&about(&change), report(GateDecision::Promote), &[Who::Rollout]);
    let sign_off = |order, report, role| SignOff { note: None, order, report, role };
    for (body, by, code) in [
        (sign_off(nothing(), passed, Role::Operator), Who::Lea, "CS-FLD-027"),
        (sign_off(order, held, Role::Operator), Who::Lea, "CS-FLD-037"),
        (sign_off(order, nothing(), Role::Operator), Who::Lea, "CS-FLD-037"),
        // Lea operates; she does not approve.
        (sign_off(order, passed, Role::Approver), Who::Lea, "CS-FLD-006"),
        // A monitor signs off nothing.
        (sign_off(order, passed, Role::Monitor), Who::Monitor, "CS-FLD-006"),
    ] {
        refuses(&mut realm, &about(&change), body, &[by], &[code]);
    }
    assert!(realm.dossier(&change).sign_offs.is_empty());
    realm.establish(&about(&change), sign_off(order, passed, Role::Operator), &[Who::Lea]);
    realm.establish(&about(&change), sign_off(order, passed, Role::Approver), &[Who::Fay]);
    assert_eq!(realm.dossier(&change).sign_offs.len(), 2);
}

#[test]
fn reports_belong_to_the_order_in_force() {
    let mut realm = Realm::new();
    let change = realm.release(X);
    let order = realm.dossier(&change).order.as_ref().unwrap().id;
    let report = |order| StageReport {
        data: Digest::of(b"data"),
        decision: GateDecision::Promote,
        from_ms: 0,
        gates: BTreeSet::new(),
        order,
        share_ppm: 10_000,
        stage: Stage::Canary,
        to_ms: 1,
    };
    let incident = |order| Incident {
        observations: BTreeSet::new(),
        order,
        response: Response::Watch,
        severity: Severity::Warning,
        slot: SLOT.parse().unwrap(),
        summary: None,
    };
    refuses(&mut realm, &about(&change), report(nothing()), &[Who::Rollout], &["CS-FLD-027"]);
    refuses(&mut realm, &about(&change), incident(nothing()), &[Who::Monitor], &["CS-FLD-027"]);
    let engine = Key::enrolled("engine", "p-max", &[Role::Engine], &mut realm);
    let mut binding = match example::body(statement::Kind::EngineBinding) {
        statement::Body::EngineBinding(body) => *body,
        other => panic!("{other:?}"),
    };
    let envelope = signed(&realm, &about(&change), binding.clone(), &engine);
    is_refused(&mut realm, &envelope, &["CS-FLD-027"]);
    binding.order = order;
    let envelope = signed(&realm, &about(&change), binding.clone(), &engine);
    is_refused(&mut realm, &envelope, &["CS-FLD-037"]);
    let elsewhere = Incident { slot: "eu/other".parse().unwrap(), ..incident(order) };
    refuses(&mut realm, &about(&change), elsewhere, &[Who::Monitor], &["CS-FLD-037"]);
    binding.state = slot_state(&realm);
    let envelope = signed(&realm, &about(&change), binding, &engine);
    applies(&mut realm, &envelope);
    realm.establish(&about(&change), report(order), &[Who::Rollout]);
    realm.establish(&about(&change), incident(order), &[Who::Monitor]);
    let dossier = realm.dossier(&change);
    assert_eq!((dossier.bindings.len(), dossier.stages.len(), dossier.incidents.len()), (1, 1, 1));
    assert_eq!(dossier.state, State::Ordered { order, stage: Some(Stage::Canary) });
}

#[test]
fn a_retirement_empties_the_slot_to_its_fallback() {
    let mut realm = Realm::new();
    let fallback = slot_state(&realm);
    let first = realm.release(X);
    let state = slot_state(&realm);
    let body = Retirement { reason: "drill".parse().unwrap(), slot: SLOT.parse().unwrap(), state };
    let wrong = Retirement { state: fallback, ..body.clone() };
    refuses(&mut realm, &about(&first), wrong, &[Who::Lea], &["CS-GATE-003"]);
    let wrong = Retirement { slot: "eu/other".parse().unwrap(), ..body.clone() };
    refuses(&mut realm, &about(&first), wrong, &[Who::Lea], &["CS-FLD-017"]);
    let other = realm.propose(Plan::tuning("y"));
    refuses(&mut realm, &about(&other), body.clone(), &[Who::Lea], &["CS-GATE-003"]);
    realm.establish(&about(&first), body, &[Who::Lea]);
    assert_eq!(slot_state(&realm), fallback);
    assert!(matches!(realm.dossier(&first).state, State::Retired { .. }));
}
