//! Every reason that gates can give, and a way to each.

use std::collections::BTreeSet;

use audit::fixture::{Plan, Realm, SLOT, Who};
use dossier::Code;
use policy::gate::{CheckpointView, admit};
use statement::kind::{
    Approval, Artefact, AttestingHost, Capacity, EvidenceKind, Finding, Freeze, FreezeAction, FreezeTarget,
    Grant, GrantPurpose, Isolation, Level, ModificationKind, Outcome, Policy, Purge, Rejection, Revocation,
    RevocationTarget, TierRule, Verdict, WorkerRule,
};
use statement::{Body, ChangeId, Digest, Envelope, Kind, example};

use crate::automation::grant;
use crate::elsewhere::{fails, washed};
use crate::keys::{OFFICERS, POLICY, ROOTS, codes};
use crate::stage::*;

/// A way to a reason: the codes it leads to.
type Way = fn() -> Vec<&'static str>;

const WAYS: &[(&str, Way)] = &[
    ("CS-GATE-001", no_policy),
    ("CS-GATE-002", policy_invalid),
    ("CS-GATE-003", slot_moved),
    ("CS-GATE-004", || of_proposal(|p| p.modification = ModificationKind::Settings)),
    ("CS-GATE-005", || of_proposal(|p| p.contexts.clear())),
    ("CS-GATE-006", || of_proposal(|p| p.scope = Digest::of(b"wider"))),
    ("CS-GATE-007", || of_proposal(|p| p.artefacts.clear())),
    ("CS-GATE-008", || of_proposal(|_| {})),
    ("CS-GATE-009", || of_finding(|finding| finding.outcome = Outcome::Fail)),
    ("CS-GATE-010", || of_finding(|finding| finding.outcome = Outcome::Inconclusive)),
    ("CS-GATE-011", stale),
    ("CS-GATE-012", purged),
    ("CS-GATE-013", || of_finding(|finding| finding.worker = None)),
    ("CS-GATE-014", || of_finding(|finding| finding.inputs.clear())),
    ("CS-GATE-015", || of_finding(|_| {})),
    ("CS-GATE-016", || of_plan(Plan { level: Level::Knowledge, proposer: Who::Abe, ..X })),
    ("CS-GATE-017", || of_grant(|realm, body| body.not_before_ms = realm.now_ms() + 1_000, false)),
    ("CS-GATE-018", || of_grant(|_, body| body.changes_max = 0, false)),
    ("CS-GATE-019", || of_grant(|_, _| {}, true)),
    ("CS-GATE-020", frozen),
    ("CS-GATE-021", rejected),
    ("CS-GATE-022", no_verdict),
    ("CS-GATE-023", verdict_differs),
    ("CS-GATE-024", verdict_negative),
    ("CS-GATE-025", || of_approval(Who::Fay, |approval| approval.risk += 1)),
    ("CS-GATE-026", || of_approval(Who::Fay, |approval| approval.expires_ms = 0)),
    ("CS-GATE-027", || of_approval(Who::Automation, |_| {})),
    ("CS-GATE-028", too_few),
    ("CS-GATE-029", too_few),
    ("CS-GATE-030", || of_approval(Who::Gil, |_| {})),
    ("CS-GATE-031", order_mismatch),
    ("CS-GATE-032", || of_admission(|realm, _| realm.advance_ms(100 * audit::fixture::DAY_MS), |_| {})),
    ("CS-GATE-033", || of_admission(revoke, |_| {})),
    ("CS-GATE-034", order_window),
    ("CS-GATE-035", || of_admission(|_, _| {}, |view| view.size += 1)),
    ("CS-GATE-036", || of_admission(|_, _| {}, |view| view.witnesses = 0)),
    ("CS-GATE-037", || of_admission(rolled_back, |_| {})),
    ("CS-GATE-038", drift_budget),
    ("CS-GATE-039", tier_not_granted),
    ("CS-GATE-040", time_backwards),
    ("CS-GATE-041", root_stale),
    ("CS-GATE-042", report_missing),
    ("CS-GATE-043", || of_admission(|realm, _| realm.advance_ms(2 * audit::fixture::DAY_MS), |_| {})),
    ("CS-GATE-044", review_by_a_worker),
    ("CS-GATE-045", || of_finding(|finding| finding.isolation = Isolation::Process)),
    ("CS-GATE-046", verified_by_a_worker),
    ("CS-GATE-047", failed_elsewhere),
    ("CS-GATE-048", || {
        of_rule(|rule| rule.worker = Some(WorkerRule { isolation: Isolation::Deep, ..any_box() }))
    }),
    ("CS-GATE-049", || of_rule(|rule| rule.worker = Some(attested()))),
    ("CS-GATE-050", || of_rule(|rule| rule.families = Some(4))),
    ("CS-GATE-051", calibration_unlisted),
    ("CS-GATE-052", served_already),
    ("CS-GATE-053", ordered_already),
];

#[test]
fn the_table_is_complete() {
    let of_gates: BTreeSet<&str> =
        Code::ALL.iter().map(|code| code.as_str()).filter(|code| code.starts_with("CS-GATE-")).collect();
    let listed: Vec<&str> = WAYS.iter().map(|(code, _)| *code).collect();
    assert_eq!(listed.len(), of_gates.len());
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), of_gates);
}

#[test]
fn there_is_a_way_to_every_reason() {
    for (code, way) in WAYS {
        let given = way();
        assert!(given.contains(code), "{code}: {given:?}");
    }
}

#[test]
fn every_reason_has_a_code_of_its_own_a_text_and_a_hint() {
    let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes.len(), Code::ALL.len());
    assert!(Code::ALL.iter().all(|code| !code.text().is_empty() && !code.hint().is_empty()));
}

/// What the fold says to an envelope.
fn told(realm: &mut Realm, envelope: &Envelope) -> Vec<&'static str> {
    let index = realm.submit(envelope);
    realm.ledger().noops().get(&index).map(codes).unwrap_or_default()
}

fn say(realm: &mut Realm, change: &ChangeId, body: impl Into<Body>, by: Who) -> Vec<&'static str> {
    let envelope = realm.sign(&about(change), body, &[by]);
    told(realm, &envelope)
}

fn of_plan(plan: Plan<'_>) -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.propose(plan);
    against(&realm, &change)
}

fn of_proposal(alter: fn(&mut statement::kind::Proposal)) -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = proposed(&mut realm, X, alter);
    against(&realm, &change)
}

/// A screen is asked for, and the one that there is was judged by another calibration than the policy lists.
fn calibration_unlisted() -> Vec<&'static str> {
    let screened = |inputs: &[&[u8]]| {
        let mut realm = Realm::new();
        under_policy(&mut realm, |policy| {
            policy.rules.calibrations = BTreeSet::from([Digest::of(b"listed"), Digest::of(b"listed too")]);
            policy.rules.tiers.values_mut().for_each(|rule| {
                rule.evidence.insert(EvidenceKind::Screen);
            });
        });
        let change = realm.propose(X);
        realm.examine(&change, X.drift_ppm);
        let mut finding = realm.finding(&change, EvidenceKind::Screen);
        finding.inputs.extend(inputs.iter().map(|bytes| Digest::of(bytes)));
        realm.establish(&about(&change), finding, &[Who::Ben]);
        against(&realm, &change)
    };
    assert!(!screened(&[b"listed too"]).contains(&"CS-GATE-051"));
    assert!(screened(&[]).contains(&"CS-GATE-051"));
    screened(&[b"another"])
}

/// What is said of a change with all that was asked for before every tier asked for this too.
fn of_rule(alter: fn(&mut TierRule)) -> Vec<&'static str> {
    let mut realm = Realm::new();
    under_policy(&mut realm, |policy| policy.rules.tiers.values_mut().for_each(alter));
    let change = realm.propose(X);
    realm.examine(&change, X.drift_ppm);
    against(&realm, &change)
}

fn attested() -> WorkerRule {
    WorkerRule { attested_by: BTreeSet::from([AttestingHost::Tpm2, AttestingHost::Tdx]), ..any_box() }
}

fn of_finding(alter: fn(&mut Finding)) -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let mut finding = realm.finding(&change, EvidenceKind::Scope);
    alter(&mut finding);
    realm.establish(&about(&change), finding, &[Who::Ben]);
    against(&realm, &change)
}

fn of_grant(alter: fn(&Realm, &mut Grant), revoked: bool) -> Vec<&'static str> {
    let mut realm = Realm::new();
    let mut body = grant(&realm, GrantPurpose::Propose, Who::Ada);
    alter(&realm, &mut body);
    let id = realm.establish(&R, body, &[Who::Kay]);
    if revoked {
        let target = RevocationTarget::Grant(id);
        realm.establish(&R, Revocation { reason: "drill".parse().unwrap(), target }, &[Who::Kay]);
    }
    let change = proposed(&mut realm, X, |proposal| proposal.grant = Some(id));
    against(&realm, &change)
}

fn of_approval(by: Who, alter: fn(&mut Approval)) -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    let mut approval = realm.approval(&change, Capacity::Technical);
    alter(&mut approval);
    say(&mut realm, &change, approval, by)
}

fn of_admission(before: fn(&mut Realm, &ChangeId), alter: fn(&mut CheckpointView)) -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.release(X);
    let order = order_of(&realm, &change);
    before(&mut realm, &change);
    let mut view = view(&realm);
    alter(&mut view);
    let world = realm.ledger().world();
    codes(&admit(world, realm.dossier(&change), order, view, realm.now_ms(), 0).unwrap_err())
}

fn revoke(realm: &mut Realm, change: &ChangeId) {
    let target = RevocationTarget::Order(order_of(realm, change));
    realm.establish(&R, Revocation { reason: "drill".parse().unwrap(), target }, &[Who::Lea]);
}

fn rolled_back(realm: &mut Realm, change: &ChangeId) {
    realm.roll_back(change);
}

fn example_verdict(realm: &Realm, change: &ChangeId) -> Verdict {
    let Body::Verdict(body) = example::body(Kind::Verdict) else { panic!("a verdict") };
    Verdict { proposal: realm.dossier(change).proposal.id, ..*body }
}

fn no_policy() -> Vec<&'static str> {
    let mut realm = Realm::found("example");
    let root = realm.trust_root();
    realm.establish(&R, root, &ROOTS);
    for who in Who::ENROLLED {
        realm.establish(&R, who.entry(), &OFFICERS);
    }
    realm.open_slot(SLOT);
    let change = realm.propose(X);
    let verdict = example_verdict(&realm, &change);
    say(&mut realm, &change, verdict, Who::Automation)
}

/// A policy that cannot be used never comes into force.
fn policy_invalid() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let present = realm.ledger().world().policy().unwrap().clone();
    let mut refused = |alter: fn(&mut Policy)| {
        let mut policy = Policy { supersedes: Some(present.id), ..present.body.clone() };
        alter(&mut policy);
        realm.advance_ms(1);
        realm.say(&R, policy, &POLICY);
        let last = realm.ledger().noops().values().last().unwrap();
        assert_eq!(realm.ledger().world().policy().unwrap().id, present.id);
        last.reasons().map(|reason| reason.code.as_str()).collect::<Vec<_>>()
    };
    let laxer = refused(|policy| policy.rules.tiers.clear());
    assert_eq!(refused(|policy| policy.cedar.push_str("permit")), laxer);
    assert_eq!(refused(|policy| policy.rules.limits.clock_ahead_max_ms = 1), laxer);
    laxer
}

fn slot_moved() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let late = realm.propose(Plan::tuning("late"));
    realm.release(X);
    against(&realm, &late)
}

fn ordered_already() -> Vec<&'static str> {
    let mut realm = Realm::new();
    realm.release(X);
    unapproved(&realm, &X.change())
}

/// The weights that are served, declared as an artefact.
fn served_already() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let base = realm.ledger().world().slot(&slot_id()).unwrap().state;
    let served = realm.ledger().world().state(&base).unwrap().body.manifest.components[0].clone();
    let artefact = Artefact { bytes: 1, digest: served.digest, name: served.name };
    let change = proposed(&mut realm, X, |proposal| proposal.artefacts.extend([artefact]));
    against(&realm, &change)
}

fn stale() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    realm.examine(&change, X.drift_ppm);
    realm.advance_ms(Realm::policy().rules.limits.finding_max_ms + 1);
    against(&realm, &change)
}

fn purged() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    realm.examine(&change, X.drift_ppm);
    let purge = Purge { basis: "gdpr-17".parse().unwrap(), targets: BTreeSet::from([X.adapter()]) };
    realm.establish(&R, purge, &[Who::Eve]);
    against(&realm, &change)
}

fn freeze(realm: &mut Realm, action: FreezeAction) {
    let body = Freeze { action, reason: "drill".parse().unwrap(), target: FreezeTarget::Realm };
    realm.establish(&R, body, &POLICY);
}

fn frozen() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    freeze(&mut realm, FreezeAction::Begin);
    against(&realm, &change)
}

fn rejected() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let proposal = realm.dossier(&change).proposal.id;
    let body = Rejection { note: None, proposal, reason: "drill".parse().unwrap() };
    realm.establish(&about(&change), body, &[Who::Eve]);
    against(&realm, &change)
}

fn no_verdict() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    unexamined(&realm, &change)
}

fn verdict_differs() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    realm.examine(&change, X.drift_ppm);
    let sound = realm.verdict_body(&change);
    let wrong: [&dyn Fn(&mut Verdict); 6] = [
        &|verdict| verdict.outcome = Outcome::Fail,
        &|verdict| verdict.score.risk -= 1,
        &|verdict| verdict.findings.clear(),
        &|verdict| verdict.policy = verdict.proposal,
        &|verdict| verdict.reasons.extend(["CS-GATE-008".parse().unwrap()]),
        &|verdict| verdict.tree_size += 1_000,
    ];
    let mut all = BTreeSet::new();
    for alter in wrong {
        let mut verdict = sound.clone();
        alter(&mut verdict);
        all.insert(say(&mut realm, &change, verdict, Who::Automation));
    }
    assert_eq!(all.len(), 1);
    all.pop_first().unwrap()
}

fn verdict_negative() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    realm.examine(&change, X.drift_ppm);
    freeze(&mut realm, FreezeAction::Begin);
    realm.verdict(&change);
    freeze(&mut realm, FreezeAction::End);
    unexamined(&realm, &change)
}

fn too_few() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    realm.approve(&change, Who::Fay, Capacity::Technical);
    let order = realm.order_body(&change);
    say(&mut realm, &change, order, Who::Lea)
}

fn to_order() -> (Realm, ChangeId) {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    for (who, capacity) in MEDIUM {
        realm.approve(&change, who, capacity);
    }
    (realm, change)
}

fn order_mismatch() -> Vec<&'static str> {
    let (mut realm, change) = to_order();
    let mut order = realm.order_body(&change);
    order.fallback = realm.dossier(&change).proposal.body.target_state;
    say(&mut realm, &change, order, Who::Lea)
}

fn order_window() -> Vec<&'static str> {
    let (mut realm, change) = to_order();
    let mut order = realm.order_body(&change);
    order.admit_before_ms = realm.now_ms();
    say(&mut realm, &change, order, Who::Lea)
}

fn drift_budget() -> Vec<&'static str> {
    let mut realm = Realm::new();
    without_history(&mut realm);
    realm.grant_automation(&[SLOT]);
    let change = decided(&mut realm, Plan { drift_ppm: 50_001, ..X });
    let approval = realm.approval(&change, Capacity::Automation);
    say(&mut realm, &change, approval, Who::Automation)
}

fn tier_not_granted() -> Vec<&'static str> {
    let mut realm = Realm::new();
    realm.grant_automation(&[SLOT]);
    let change = decided(&mut realm, X);
    let approval = realm.approval(&change, Capacity::Automation);
    say(&mut realm, &change, approval, Who::Automation)
}

fn time_backwards() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.release(X);
    let (world, order) = (realm.ledger().world(), order_of(&realm, &change));
    let floor_ms = realm.now_ms() + 1;
    codes(&admit(world, realm.dossier(&change), order, view(&realm), realm.now_ms(), floor_ms).unwrap_err())
}

fn root_stale() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.release(X);
    realm.advance_ms(3_650 * audit::fixture::DAY_MS);
    let (world, order) = (realm.ledger().world(), order_of(&realm, &change));
    codes(&admit(world, realm.dossier(&change), order, view(&realm), realm.now_ms(), 0).unwrap_err())
}

fn report_missing() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let mut review = realm.finding(&change, EvidenceKind::SecurityReview);
    review.attachments.clear();
    realm.establish(&about(&change), review, &[Who::Dan]);
    against(&realm, &change)
}

fn review_by_a_worker() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let mut review = realm.finding(&change, EvidenceKind::SecurityReview);
    review.worker = realm.finding(&change, EvidenceKind::Scope).worker;
    realm.establish(&about(&change), review, &[Who::Dan]);
    against(&realm, &change)
}

/// The fixture's worker is listed, and not for this.
fn verified_by_a_worker() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let mut finding = realm.finding(&change, EvidenceKind::FormalVerification);
    let scope = realm.finding(&change, EvidenceKind::Scope);
    (finding.worker, finding.isolation) = (scope.worker, scope.isolation);
    realm.establish(&about(&change), finding, &[Who::Cas]);
    let reasons = decision(&realm, &change).reasons;
    let of_worker = reasons.iter().find(|reason| reason.code == Code::WorkerKindUnlisted).unwrap();
    assert!(of_worker.about.contains(&Realm::worker().to_string()), "{of_worker}");
    against(&realm, &change)
}

fn failed_elsewhere() -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    fails(&mut realm, &change, EvidenceKind::SecurityReview, Who::Dan);
    let again = washed(&mut realm, Plan::tuning("again"), |_| {});
    against(&realm, &again)
}
