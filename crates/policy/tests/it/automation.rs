//! The automatic lane: grants, tiers, and the drift that persons allowed.

use std::collections::BTreeSet;

use audit::fixture::{DAY_MS, Plan, Realm, SLOT, Who};
use dossier::ClassHistory;
use statement::kind::{
    Approval, Capacity, DirectoryEntry, EvidenceKind, Grant, GrantPurpose, Level, ModificationKind, Outcome,
    Proposal, Revocation, RevocationTarget, Role, Tier,
};
use statement::{ChangeId, StatementId};

use crate::keys::{Key, OFFICERS, applies, codes, is_refused, refuses, signed};
use crate::stage::*;

pub(crate) fn grant(realm: &Realm, purpose: GrantPurpose, grantee: Who) -> Grant {
    Grant {
        changes_max: 100,
        contexts: BTreeSet::from(["claims".parse().unwrap()]),
        expires_ms: realm.now_ms() + 60 * DAY_MS,
        grantee: grantee.key_id(),
        level_max: Level::Knowledge,
        modifications: BTreeSet::from([ModificationKind::Adapter, ModificationKind::Prompt]),
        not_before_ms: realm.now_ms(),
        purpose,
        renews: None,
        slots: BTreeSet::from([slot_id()]),
        tier_max: Tier::Low,
    }
}

/// A change of the minimal tier, decided.
fn minimal(realm: &mut Realm, plan: Plan<'_>) -> ChangeId {
    let change = decided(realm, plan);
    assert_eq!(tier(realm, &change), Tier::Minimal);
    change
}

fn automatic(realm: &Realm, change: &ChangeId, grant: StatementId) -> Approval {
    Approval { grant: Some(grant), ..realm.approval(change, Capacity::Automation) }
}

#[test]
fn a_grant_covers_what_it_says_and_no_more() {
    let mut realm = Realm::new();
    without_history(&mut realm);
    realm.open_slot("eu/other");
    let now = realm.now_ms();
    let sound = grant(&realm, GrantPurpose::Approve, Who::Automation);
    let wrong: [(&str, Grant); 9] = [
        ("CS-GATE-016", Grant { purpose: GrantPurpose::Propose, ..sound.clone() }),
        ("CS-GATE-016", Grant { grantee: Who::Monitor.key_id(), ..sound.clone() }),
        ("CS-GATE-016", Grant { slots: BTreeSet::from(["eu/other".parse().unwrap()]), ..sound.clone() }),
        ("CS-GATE-016", Grant { contexts: BTreeSet::new(), ..sound.clone() }),
        ("CS-GATE-016", Grant { modifications: BTreeSet::from([ModificationKind::Prompt]), ..sound.clone() }),
        ("CS-GATE-017", Grant { not_before_ms: now + DAY_MS, ..sound.clone() }),
        ("CS-GATE-018", Grant { changes_max: 0, ..sound.clone() }),
        ("CS-GATE-017", Grant { expires_ms: now + 1_000, ..sound.clone() }),
        ("CS-GATE-019", Grant { changes_max: 77, ..sound.clone() }),
    ];
    let grants: Vec<(&str, StatementId)> =
        wrong.into_iter().map(|(code, grant)| (code, realm.establish(&R, grant, &[Who::Kay]))).collect();
    let target = RevocationTarget::Grant(grants.last().unwrap().1);
    realm.establish(&R, Revocation { reason: "drill".parse().unwrap(), target }, &[Who::Kay]);
    realm.advance_ms(1_000);
    let change = minimal(&mut realm, X);
    for (code, grant) in grants {
        let approval = automatic(&realm, &change, grant);
        refuses(&mut realm, &about(&change), approval, &[Who::Automation], &[code]);
    }
    let none = Approval { grant: None, ..realm.approval(&change, Capacity::Automation) };
    refuses(&mut realm, &about(&change), none, &[Who::Automation], &["CS-GATE-016"]);
    let sound = realm.establish(&R, sound, &[Who::Kay]);
    let approval = automatic(&realm, &change, sound);
    realm.establish(&about(&change), approval, &[Who::Automation]);
    let approved = approval_of(&realm, &change).unwrap();
    assert_eq!((approved.signatures(), approved.persons(), approved.tier()), (1, 0, Tier::Minimal));
    realm.order(&change);
}

#[test]
fn a_grant_is_used_up_by_other_changes() {
    let mut realm = Realm::new();
    without_history(&mut realm);
    let one = Grant { changes_max: 1, ..grant(&realm, GrantPurpose::Approve, Who::Automation) };
    let one = realm.establish(&R, one, &[Who::Kay]);
    let first = minimal(&mut realm, X);
    let approval = automatic(&realm, &first, one);
    realm.establish(&about(&first), approval, &[Who::Automation]);
    let second = minimal(&mut realm, Plan::tuning("y"));
    let approval = automatic(&realm, &second, one);
    realm.establish(&about(&second), approval, &[Who::Automation]);
    realm.order(&first);
    // Approved, but the first has used the grant since; and the slot has moved.
    let third = minimal(&mut realm, Plan::tuning("z"));
    let approval = automatic(&realm, &third, one);
    refuses(&mut realm, &about(&third), approval, &[Who::Automation], &["CS-GATE-018"]);
    let order = realm.order_body(&second);
    refuses(&mut realm, &about(&second), order, &[Who::Lea], &["CS-GATE-003"]);
}

#[test]
fn a_grant_that_ends_after_the_approval_takes_it_back() {
    let mut realm = Realm::new();
    without_history(&mut realm);
    let granted = realm.grant_automation(&[SLOT]);
    let change = minimal(&mut realm, X);
    realm.approve(&change, Who::Automation, Capacity::Automation);
    assert!(approval_of(&realm, &change).is_ok());
    let target = RevocationTarget::Grant(granted);
    realm.establish(&R, Revocation { reason: "drill".parse().unwrap(), target }, &[Who::Fay]);
    assert_eq!(unapproved(&realm, &change), ["CS-GATE-019", "CS-GATE-028"]);
}

#[test]
fn the_automation_counts_for_nothing_above_the_low_tier() {
    let mut realm = Realm::new();
    let high = Grant { tier_max: Tier::High, ..grant(&realm, GrantPurpose::Approve, Who::Automation) };
    let high = realm.establish(&R, high, &[Who::Kay]);
    let low = realm.grant_automation(&[SLOT]);
    let change = decided(&mut realm, X);
    assert_eq!(tier(&realm, &change), Tier::Medium);
    let approval = automatic(&realm, &change, high);
    refuses(&mut realm, &about(&change), approval, &[Who::Automation], &["CS-GATE-027"]);
    let approval = automatic(&realm, &change, low);
    refuses(&mut realm, &about(&change), approval, &[Who::Automation], &["CS-GATE-027", "CS-GATE-039"]);
}

#[test]
fn an_automation_without_the_capacity_approves_nothing() {
    let mut realm = Realm::new();
    without_history(&mut realm);
    let key = Key::new("another automation");
    let entry = DirectoryEntry { capacities: BTreeSet::new(), ..key.entry("p-max", &[Role::Automation]) };
    realm.establish(&R, entry, &OFFICERS);
    let body = Grant { grantee: key.id(), ..grant(&realm, GrantPurpose::Approve, Who::Automation) };
    let granted = realm.establish(&R, body, &[Who::Kay]);
    let change = minimal(&mut realm, X);
    let envelope = signed(&realm, &about(&change), automatic(&realm, &change, granted), &key);
    is_refused(&mut realm, &envelope, &["CS-GATE-030"]);
}

#[test]
fn nobody_grants_the_approval_of_their_own_change() {
    let mut realm = Realm::new();
    without_history(&mut realm);
    let ada = Key::enrolled("ada's second", "p-ada", &[Role::Approver], &mut realm);
    let body = grant(&realm, GrantPurpose::Approve, Who::Automation);
    let envelope = signed(&realm, &R, body, &ada);
    let granted = applies(&mut realm, &envelope);
    let change = minimal(&mut realm, X);
    let approval = automatic(&realm, &change, granted);
    refuses(&mut realm, &about(&change), approval, &[Who::Automation], &["CS-GATE-016"]);
    // Of another's, they may.
    let other = minimal(&mut realm, Plan { proposer: Who::Abe, ..Plan::tuning("other") });
    let approval = automatic(&realm, &other, granted);
    realm.establish(&about(&other), approval, &[Who::Automation]);
}

#[test]
fn the_human_behind_the_automation_does_not_count_beside_it() {
    let mut realm = Realm::new();
    without_history(&mut realm);
    let max = Key::enrolled("max's own", "p-max", &[Role::Approver], &mut realm);
    realm.grant_automation(&[SLOT]);
    let plan = Plan { level: Level::Knowledge, ..X };
    let change = decided(&mut realm, plan);
    assert_eq!(tier(&realm, &change), Tier::Low);
    realm.approve(&change, Who::Automation, Capacity::Automation);
    let envelope = signed(&realm, &about(&change), realm.approval(&change, Capacity::Oversight), &max);
    applies(&mut realm, &envelope);
    assert_eq!(unapproved(&realm, &change), ["CS-GATE-028", "CS-GATE-029"]);
    // Another's oversight is oversight. Said at the same moment it would be the same statement.
    realm.advance_ms(1);
    realm.approve(&change, Who::Fay, Capacity::Oversight);
    let approved = approval_of(&realm, &change).unwrap();
    assert_eq!((approved.signatures(), approved.persons()), (2, 1));
    // Who answers for the machine that approved does not order either.
    let operator = Key::enrolled("max's third", "p-max", &[Role::Operator], &mut realm);
    let envelope = signed(&realm, &about(&change), realm.order_body(&change), &operator);
    is_refused(&mut realm, &envelope, &["CS-GATE-027"]);
    realm.order(&change);
}

#[test]
fn a_proposers_grant_covers_level_slot_and_tier() {
    let plan = Plan { level: Level::Knowledge, proposer: Who::Abe, ..X };
    let with = |alter: &dyn Fn(&Realm, &mut Grant)| {
        let mut realm = Realm::new();
        let mut body = grant(&realm, GrantPurpose::Propose, Who::Abe);
        body.tier_max = Tier::High;
        alter(&realm, &mut body);
        let granted = realm.establish(&R, body, &[Who::Kay]);
        realm.advance_ms(1_000);
        let change = proposed(&mut realm, plan, |proposal| proposal.grant = Some(granted));
        let mut codes = against(&realm, &change);
        codes.retain(|code| !["CS-GATE-008", "CS-GATE-015"].contains(code));
        codes
    };
    assert_eq!(with(&|_, _| {}), Vec::<&str>::new());
    assert_eq!(with(&|_, grant| grant.level_max = Level::Tuning), ["CS-GATE-016"]);
    assert_eq!(with(&|_, grant| grant.purpose = GrantPurpose::Approve), ["CS-GATE-016"]);
    assert_eq!(with(&|_, grant| grant.grantee = Who::Ada.key_id()), ["CS-GATE-016"]);
    assert_eq!(with(&|_, grant| grant.tier_max = Tier::Low), ["CS-GATE-016"]);
    assert_eq!(with(&|realm, grant| grant.expires_ms = realm.now_ms() + 1_000), ["CS-GATE-017"]);
    assert_eq!(with(&|_, grant| grant.changes_max = 0), ["CS-GATE-018"]);
    // Without one, the level decides.
    let mut realm = Realm::new();
    let change = realm.propose(plan);
    assert!(against(&realm, &change).contains(&"CS-GATE-016"));
    let unknown = Plan { label: "unknown", ..plan };
    let nothing = StatementId::from_digest(statement::Digest::of(b"nothing"));
    let change = proposed(&mut realm, unknown, |proposal: &mut Proposal| proposal.grant = Some(nothing));
    assert!(against(&realm, &change).contains(&"CS-GATE-016"));
}

#[test]
fn automation_needs_a_history_and_stays_within_the_drift_that_persons_allowed() {
    let mut realm = Realm::new();
    let class = |realm: &Realm| realm.ledger().world().class(ModificationKind::Adapter);
    let labels: Vec<String> = (0..80).map(|n| format!("change {n}")).collect();
    let plan = |n: usize, drift_ppm| Plan { drift_ppm, ..Plan::tuning(&labels[n]) };
    let mut tiers = Vec::new();
    for n in 0..60 {
        let change = realm.release(plan(n, 0));
        let now = realm.dossier(&change).verdict.as_ref().unwrap().body.score.tier;
        if tiers.last() != Some(&(n, now)) && tiers.last().is_none_or(|(_, before)| *before != now) {
            tiers.push((n, now));
        }
        realm.serve(&change);
        realm.advance_ms(1);
    }
    assert_eq!(class(&realm), ClassHistory { successes: 60, failures: 0 });
    // Fourteen of fourteen: at most a fifth fails. Sixty of sixty: less than a twentieth.
    assert_eq!(tiers, [(0, Tier::Medium), (14, Tier::Low)]);
    realm.grant_automation(&[SLOT]);
    let drift = |realm: &Realm| realm.ledger().world().slot(&slot_id()).unwrap().automatic_drift_ppm;
    // The budget is 50000: six changes of 8000, rising to the low tier on the way, and no seventh.
    let mut automatic = Vec::new();
    for n in 60..66 {
        let change = realm.release(plan(n, 8_000));
        automatic.push(realm.dossier(&change).verdict.as_ref().unwrap().body.score.tier);
    }
    assert_eq!(automatic[0], Tier::Minimal);
    assert_eq!(automatic[5], Tier::Low);
    assert_eq!(drift(&realm), 48_000);
    let seventh = decided(&mut realm, plan(66, 8_000));
    let approval = realm.approval(&seventh, Capacity::Automation);
    refuses(&mut realm, &about(&seventh), approval, &[Who::Automation], &["CS-GATE-038"]);
    realm.approve(&seventh, Who::Fay, Capacity::Oversight);
    assert_eq!(unapproved(&realm, &seventh), ["CS-GATE-028"]);
    // Persons may, and set a new baseline.
    realm.approve(&seventh, Who::Gil, Capacity::Ethics);
    realm.order(&seventh);
    assert_eq!(drift(&realm), 0);
    let eighth = realm.release(plan(67, 8_000));
    assert_eq!(drift(&realm), 8_000);
    // A failure ends the lane: one of sixty-seven is more than a twentieth at worst.
    realm.roll_back(&eighth);
    let ninth = decided(&mut realm, plan(68, 0));
    assert!(tier(&realm, &ninth) > Tier::Minimal);
}

#[test]
fn an_approval_within_the_budget_does_not_outlast_it() {
    let mut realm = Realm::new();
    without_history(&mut realm);
    realm.open_slot("eu/other");
    realm.grant_automation(&[SLOT]);
    // Approved while there is room; by the time of the order there is none.
    let first = realm.release(Plan { drift_ppm: 12_000, ..X });
    assert_eq!(realm.dossier(&first).verdict.as_ref().unwrap().body.score.tier, Tier::Minimal);
    let plan = Plan { drift_ppm: 39_000, ..Plan::tuning("y") };
    let second = decided(&mut realm, plan);
    let approval = realm.approval(&second, Capacity::Automation);
    let envelope = realm.sign(&about(&second), approval, &[Who::Automation]);
    let index = realm.submit(&envelope);
    assert!(codes(&realm.ledger().noops()[&index]).contains(&"CS-GATE-038"));
}

#[test]
fn prompts_take_nothing_from_the_budget_of_weights() {
    let mut realm = Realm::new();
    without_history(&mut realm);
    realm.grant_automation(&[SLOT]);
    let prompt = |realm: &mut Realm, label: &'static str, measures: &[(&str, i64)]| {
        let plan = Plan::tuning(label);
        let change = plan.change();
        let mut state = realm.target_state(plan);
        let base = realm.ledger().world().state(&realm.proposal(plan).base_state).unwrap().body.clone();
        state.manifest.components = base.manifest.components;
        state.manifest.components[2].digest = plan.adapter();
        let target_state = state.manifest.id().unwrap();
        realm.establish(&about(&change), state, &[Who::Ada]);
        let mut proposal = realm.proposal(plan);
        let artefact = proposal.artefacts.pop_first().unwrap();
        let name = "system-prompt.txt".parse().unwrap();
        proposal.artefacts.insert(statement::kind::Artefact { name, ..artefact });
        proposal.modification = ModificationKind::Prompt;
        proposal.target_state = target_state;
        realm.establish(&about(&change), proposal, &[Who::Ada]);
        let mut finding = realm.finding(&change, EvidenceKind::Scope);
        assert_eq!(finding.outcome, Outcome::Pass);
        finding.measures = measures.iter().map(|(name, value)| (name.parse().unwrap(), *value)).collect();
        realm.establish(&about(&change), finding, &[Who::Ben]);
        change
    };
    let first = prompt(&mut realm, "p1", &[("sections", 20), ("sections_changed", 1)]);
    assert!(decision(&realm, &first).score.vector.contains("/S:50/"));
    realm.verdict(&first);
    assert_eq!(tier(&realm, &first), Tier::Minimal);
    realm.approve(&first, Who::Automation, Capacity::Automation);
    realm.order(&first);
    assert_eq!(realm.ledger().world().slot(&slot_id()).unwrap().automatic_drift_ppm, 0);
    // Another finding cannot make the whole larger than it is.
    let second = prompt(&mut realm, "p2", &[("sections", 4), ("sections_changed", 2)]);
    let mut finding = realm.finding(&second, EvidenceKind::Scope);
    finding.measures = [("sections", 1_000_000), ("sections_changed", 1)]
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value))
        .collect();
    realm.establish(&about(&second), finding, &[Who::Cas]);
    assert!(decision(&realm, &second).score.vector.contains("/S:500/"));
}

/// A proposal, and an automatic approval, that names a grant stands under its renewal once the grant is over; what it uses
/// up is the renewal's.
#[test]
fn what_names_a_renewed_grant_stands_under_the_renewal() {
    let mut realm = Realm::new();
    without_history(&mut realm);
    let automation = realm.grant_automation(&[SLOT]);
    let body = Grant {
        expires_ms: realm.now_ms() + DAY_MS,
        changes_max: 1,
        ..grant(&realm, GrantPurpose::Propose, Who::Ada)
    };
    let first = realm.establish(&R, body.clone(), &[Who::Kay]);
    let change = proposed(&mut realm, X, |proposal| proposal.grant = Some(first));
    realm.examine(&change, X.drift_ppm);
    assert_eq!(against(&realm, &change), Vec::<&str>::new());
    realm.advance_ms(DAY_MS);
    assert_eq!(against(&realm, &change), ["CS-GATE-017"]);
    let renewal = Grant {
        expires_ms: realm.now_ms() + 20 * DAY_MS,
        not_before_ms: realm.now_ms(),
        renews: Some(first),
        ..body
    };
    let second = realm.establish(&R, renewal, &[Who::Kay]);
    assert_eq!(against(&realm, &change), Vec::<&str>::new());
    realm.verdict(&change);
    let approval = automatic(&realm, &change, automation);
    realm.establish(&about(&change), approval, &[Who::Automation]);
    realm.order(&change);
    let used = |id: &StatementId| realm.ledger().world().grant(id).unwrap().used_by.contains(&change);
    assert!(used(&second) && !used(&first));
    // A renewal that covers less covers less.
    let other = Plan::tuning("other");
    let later = proposed(&mut realm, other, |proposal| proposal.grant = Some(first));
    assert!(against(&realm, &later).contains(&"CS-GATE-017"), "used up by another change");
}
