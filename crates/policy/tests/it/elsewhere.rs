//! A fresh tracking id does not wash an artefact: what was found against it elsewhere counts until it is overturned.

use std::collections::BTreeSet;

use audit::fixture::{Plan, Realm, Who};
use statement::kind::{EvidenceKind, Finding, Outcome, Proposal};
use statement::{ChangeId, Digest, StatementId};

use crate::stage::*;

const AGAIN: Plan<'static> = Plan::tuning("again");

/// A finding against a change, as somebody signs it.
pub(crate) fn fails(realm: &mut Realm, change: &ChangeId, kind: EvidenceKind, who: Who) -> StatementId {
    let fail = Finding { outcome: Outcome::Fail, ..realm.finding(change, kind) };
    realm.establish(&about(change), fail, &[who])
}

/// Another change that brings the adapter of `X`, from the same state to the same state.
pub(crate) fn washed(realm: &mut Realm, plan: Plan<'_>, alter: impl FnOnce(&mut Proposal)) -> ChangeId {
    let mut proposal = realm.proposal(X);
    alter(&mut proposal);
    realm.establish(&about(&plan.change()), proposal, &[Who::Ada]);
    plan.change()
}

/// All the evidence that there is to be had, by the listed worker and by reviews that name these findings.
fn examined_again(
    realm: &mut Realm,
    change: &ChangeId,
    overturning: &[(EvidenceKind, Who)],
    fail: StatementId,
) {
    realm.examine(change, X.drift_ppm);
    for (kind, who) in overturning {
        let mut review = realm.finding(change, *kind);
        review.inputs.insert(*fail.digest());
        realm.advance_ms(1);
        realm.establish(&about(change), review, &[*who]);
    }
}

#[track_caller]
fn check(kind: EvidenceKind, who: Who, overturning: &[(EvidenceKind, Who)], expected: &[&str]) {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let fail = fails(&mut realm, &change, kind, who);
    let again = washed(&mut realm, AGAIN, |_| {});
    examined_again(&mut realm, &again, overturning, fail);
    assert_eq!(against(&realm, &again), expected, "{kind} by {who:?}, {overturning:?}");
    assert_eq!(decision(&realm, &again).outcome == Outcome::Pass, expected.is_empty());
}

#[test]
fn a_fail_counts_on_every_change_with_the_same_artefact() {
    use EvidenceKind::{ComplianceReview, Probe, RedTeam, Scope, SecurityReview};
    for (kind, who) in [
        (SecurityReview, Who::Dan),
        (RedTeam, Who::Cas),
        (ComplianceReview, Who::Eve),
        (Probe, Who::Ben),
        (Scope, Who::Ben),
    ] {
        check(kind, who, &[], &["CS-GATE-047"]);
    }
}

#[test]
fn persons_who_look_themselves_overturn_it() {
    use EvidenceKind::{ComplianceReview, ExternalAudit, Probe, RedTeam, SecurityReview};
    // Whoever found against it by looking takes it back.
    check(SecurityReview, Who::Dan, &[(SecurityReview, Who::Dan)], &[]);
    check(ComplianceReview, Who::Eve, &[(ComplianceReview, Who::Eve)], &[]);
    // Another alone does not; two do.
    check(SecurityReview, Who::Dan, &[(SecurityReview, Who::Cas)], &["CS-GATE-047"]);
    check(SecurityReview, Who::Dan, &[(SecurityReview, Who::Cas), (ExternalAudit, Who::Ben)], &[]);
    // A worker's fail is not undone by whoever ran it: neither by running it again nor alone.
    check(Probe, Who::Ben, &[(Probe, Who::Ben)], &["CS-GATE-047"]);
    check(Probe, Who::Ben, &[(Probe, Who::Ben), (Probe, Who::Cas)], &["CS-GATE-047"]);
    check(Probe, Who::Ben, &[(RedTeam, Who::Ben)], &["CS-GATE-047"]);
    check(Probe, Who::Ben, &[(RedTeam, Who::Ben), (RedTeam, Who::Cas)], &[]);
    // Examiners do not answer for compliance, nor compliance for examiners.
    check(ComplianceReview, Who::Eve, &[(RedTeam, Who::Ben), (RedTeam, Who::Cas)], &["CS-GATE-047"]);
    check(SecurityReview, Who::Dan, &[(ComplianceReview, Who::Eve)], &["CS-GATE-047"]);
}

/// A review that does not say what it overturns leaves it standing, and so does one that does not count.
#[test]
fn a_review_overturns_what_it_names() {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let fail = fails(&mut realm, &change, EvidenceKind::SecurityReview, Who::Dan);
    let again = washed(&mut realm, AGAIN, |_| {});
    // Dan passes it, and says nothing of what he said before.
    realm.examine(&again, X.drift_ppm);
    assert_eq!(against(&realm, &again), ["CS-GATE-047"]);
    let mut bare = realm.finding(&again, EvidenceKind::SecurityReview);
    bare.inputs.insert(*fail.digest());
    bare.attachments.clear();
    realm.establish(&about(&again), bare, &[Who::Dan]);
    assert_eq!(against(&realm, &again), ["CS-GATE-047"]);
    let mut review = realm.finding(&again, EvidenceKind::SecurityReview);
    review.inputs.insert(*fail.digest());
    realm.advance_ms(1);
    realm.establish(&about(&again), review, &[Who::Dan]);
    assert_eq!(against(&realm, &again), Vec::<&str>::new());
    // What it was said of is lost all the same.
    assert!(against(&realm, &change).contains(&"CS-GATE-009"));
}

#[test]
fn a_scope_is_measured_again_from_another_state_or_against_another_file() {
    let other_question = |kind| {
        let mut realm = Realm::new();
        let change = realm.propose(X);
        fails(&mut realm, &change, kind, Who::Ben);
        let again = washed(&mut realm, AGAIN, |proposal| proposal.scope = Digest::of(b"another scope"));
        let codes: BTreeSet<&str> = against(&realm, &again).into_iter().collect();
        codes.contains("CS-GATE-047")
    };
    assert!(!other_question(EvidenceKind::Scope));
    assert!(other_question(EvidenceKind::Screen));
}

/// Proposing again in the same change, too: a worker's fail there is not forgotten with the proposal.
#[test]
fn a_fail_outlives_the_proposal_it_was_about() {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    fails(&mut realm, &change, EvidenceKind::Screen, Who::Ben);
    let replaces = Some(realm.dossier(&change).proposal.id);
    realm.advance_ms(1);
    let again = Proposal { replaces, ..realm.proposal(X) };
    realm.establish(&about(&change), again, &[Who::Ada]);
    realm.examine(&change, X.drift_ppm);
    assert_eq!(against(&realm, &change), ["CS-GATE-047"]);
}

/// A fail that comes after everything was signed still keeps the order from being given.
#[test]
fn a_fail_elsewhere_stops_what_was_approved() {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    for (who, capacity) in MEDIUM {
        realm.approve(&change, who, capacity);
    }
    let again = washed(&mut realm, AGAIN, |_| {});
    fails(&mut realm, &again, EvidenceKind::RedTeam, Who::Cas);
    assert!(unapproved(&realm, &change).contains(&"CS-GATE-047"));
}
