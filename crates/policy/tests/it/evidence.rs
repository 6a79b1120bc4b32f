//! Which findings count, and what stands against a change before anybody looks.

use std::collections::BTreeSet;

use audit::fixture::{Plan, Realm, Who};
use statement::kind::{
    Artefact, AttestedBy, AttestingHost, Component, ComponentRole, EvidenceKind, Finding, Isolation, Level,
    Manifest, ModificationKind, Outcome, Proposal, Purge, Role, ServedState, TierRule, WorkerRule,
};
use statement::{ChangeId, Digest};

use crate::keys::{Key, applies, signed};
use crate::stage::*;

/// Proposed and examined at the medium tier, but for the scope finding, which is altered.
#[track_caller]
fn scoped(realm: &mut Realm, plan: Plan<'_>, alter: impl FnOnce(&mut Finding)) -> ChangeId {
    let change = realm.propose(plan);
    let reviews = [
        (EvidenceKind::FormalVerification, Who::Cas),
        (EvidenceKind::SecurityReview, Who::Dan),
        (EvidenceKind::ComplianceReview, Who::Eve),
    ];
    found(realm, &change, &reviews, |_| {});
    let mut finding = realm.finding(&change, EvidenceKind::Scope);
    measure(&mut finding);
    alter(&mut finding);
    realm.establish(&about(&change), finding, &[Who::Ben]);
    change
}

fn measure(finding: &mut Finding) {
    finding.measures.insert("relative_frobenius_ppm_max".parse().unwrap(), 2_000);
}

/// Findings of these kinds by these persons, a scope's with its measure.
#[track_caller]
fn found(realm: &mut Realm, change: &ChangeId, by: &[(EvidenceKind, Who)], alter: impl Fn(&mut Finding)) {
    for (evidence, who) in by {
        let mut finding = realm.finding(change, *evidence);
        if *evidence == EvidenceKind::Scope {
            measure(&mut finding);
        }
        alter(&mut finding);
        realm.establish(&about(change), finding, &[*who]);
    }
}

/// What is done to a finding.
type Altered<'a> = &'a dyn Fn(&mut Finding);

#[test]
fn every_way_in_which_a_finding_does_not_count() {
    let cases: [(&str, Altered<'_>); 8] = [
        ("CS-GATE-009", &|finding| finding.outcome = Outcome::Fail),
        ("CS-GATE-010", &|finding| finding.outcome = Outcome::Inconclusive),
        ("CS-GATE-013", &|finding| finding.worker = Some(Digest::of(b"another worker"))),
        ("CS-GATE-013", &|finding| finding.worker = None),
        // A person's eyes are no measure of bytes.
        ("CS-GATE-013", &|finding| {
            finding.worker = None;
            finding.isolation = Isolation::Manual;
        }),
        ("CS-GATE-014", &|finding| finding.inputs = BTreeSet::from([Digest::of(b"other bytes")])),
        // The scope file was not read.
        ("CS-GATE-014", &|finding| {
            finding.inputs.remove(&Digest::of(audit::fixture::SCOPE_FILE));
        }),
        ("CS-GATE-008", &|finding| finding.evidence = EvidenceKind::Probe),
    ];
    for (code, alter) in cases {
        let mut realm = Realm::new();
        let change = scoped(&mut realm, X, alter);
        assert_eq!(against(&realm, &change), [code]);
        let outcome = decision(&realm, &change).outcome;
        assert_eq!(outcome, if code == "CS-GATE-009" { Outcome::Fail } else { Outcome::Inconclusive });
        // The verdict that says so applies, and opens nothing.
        realm.verdict(&change);
        assert_eq!(unapproved(&realm, &change), [code]);
    }
}

/// A scope finding in a box with everything that a tier may ask for.
fn fortified(finding: &mut Finding) {
    let attachment = *finding.attachments.first().unwrap();
    finding.isolation = Isolation::Deep;
    finding.boundaries = ["landlock", "network-namespace"].map(|name| name.parse().unwrap()).into();
    finding.attested = Some(AttestedBy { attachment, hosts: BTreeSet::from([AttestingHost::Tdx]) });
}

fn asked() -> WorkerRule {
    WorkerRule {
        attested_by: BTreeSet::from([AttestingHost::Tdx, AttestingHost::SevSnp]),
        boundaries: BTreeSet::from(["landlock".parse().unwrap()]),
        isolation: Isolation::Deep,
    }
}

#[test]
fn a_tier_may_ask_what_box_a_finding_comes_from() {
    let cases: [(&[&str], Altered<'_>); 8] = [
        (&[], &|_| {}),
        (&["CS-GATE-048"], &|finding| finding.isolation = Isolation::Standard),
        (&["CS-GATE-048"], &|finding| finding.boundaries.clear()),
        (&["CS-GATE-048"], &|finding| {
            finding.boundaries.pop_first();
        }),
        (&["CS-GATE-049"], &|finding| finding.attested = None),
        (&["CS-GATE-049"], &|finding| finding.attested.as_mut().unwrap().hosts.clear()),
        // Attested, by a host of another kind than the tier believes.
        (&["CS-GATE-049"], &|finding| {
            finding.attested.as_mut().unwrap().hosts = BTreeSet::from([AttestingHost::Tpm2]);
        }),
        (&["CS-GATE-048", "CS-GATE-049"], &|finding| {
            (finding.attested, finding.isolation) = (None, Isolation::Standard);
        }),
    ];
    for (codes, alter) in cases {
        let mut realm = Realm::new();
        under_policy(&mut realm, |policy| {
            for rule in policy.rules.tiers.values_mut() {
                rule.worker = Some(asked());
            }
        });
        let change = scoped(&mut realm, X, |finding| {
            fortified(finding);
            alter(finding);
        });
        assert_eq!(against(&realm, &change), codes);
        realm.verdict(&change);
        if !codes.is_empty() {
            assert_eq!(unapproved(&realm, &change), codes);
        }
    }
    // What a person looked at has no box; and a fail counts from any.
    let mut realm = Realm::new();
    under_policy(&mut realm, |policy| {
        for rule in policy.rules.tiers.values_mut() {
            rule.worker = Some(asked());
        }
    });
    let change = scoped(&mut realm, X, |finding| finding.outcome = Outcome::Fail);
    assert_eq!(against(&realm, &change), ["CS-GATE-009"]);
}

#[test]
fn what_is_said_of_a_box_belongs_to_a_worker_and_is_attached() {
    let cases: [Altered<'_>; 3] = [
        &|finding| finding.attested.as_mut().unwrap().attachment = Digest::of(b"nowhere"),
        &|finding| (finding.worker, finding.attested) = (None, None),
        &|finding| {
            finding.worker = None;
            finding.boundaries.clear();
        },
    ];
    for alter in cases {
        let mut realm = Realm::new();
        let change = realm.propose(X);
        let mut finding = realm.finding(&change, EvidenceKind::Scope);
        fortified(&mut finding);
        alter(&mut finding);
        let envelope = realm.sign(&about(&change), finding, &[Who::Ben]);
        let index = realm.submit(&envelope);
        assert_eq!(crate::keys::codes(realm.ledger().noops().get(&index).unwrap()), ["CS-FLD-041"]);
    }
}

#[test]
fn a_tier_may_ask_for_families_of_examination_by_different_persons() {
    let families = |realm: &mut Realm, count: u32| {
        under_policy(realm, |policy| {
            let of = |tier: &mut TierRule| tier.families = Some(count);
            policy.rules.tiers.values_mut().for_each(of);
        });
    };
    // Bytes by Ben, proof by Cas, a review by Dan; compliance examines papers.
    for (count, codes) in [(1, &[][..]), (2, &[]), (3, &[]), (4, &["CS-GATE-050"])] {
        let mut realm = Realm::new();
        families(&mut realm, count);
        let change = scoped(&mut realm, X, |_| {});
        assert_eq!(against(&realm, &change), codes, "{count} families");
    }
    // All of it by one examiner, and compliance beside: two persons, and one family. This is the default policy.
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let by = [
        (EvidenceKind::Scope, Who::Ben),
        (EvidenceKind::FormalVerification, Who::Ben),
        (EvidenceKind::SecurityReview, Who::Ben),
        (EvidenceKind::ComplianceReview, Who::Eve),
    ];
    found(&mut realm, &change, &by, |_| {});
    assert_eq!(against(&realm, &change), ["CS-GATE-050"]);
    let second = realm.finding(&change, EvidenceKind::SecurityReview);
    realm.establish(&about(&change), second, &[Who::Dan]);
    assert_eq!(against(&realm, &change), [] as [&str; 0]);
}

#[test]
fn a_fail_counts_from_any_worker_and_beside_any_pass() {
    for worker in [Some(Digest::of(b"another worker")), None] {
        let mut realm = Realm::new();
        let change = decided(&mut realm, X);
        for (who, capacity) in MEDIUM {
            realm.approve(&change, who, capacity);
        }
        let fail = Finding { outcome: Outcome::Fail, worker, ..realm.finding(&change, EvidenceKind::Scope) };
        realm.establish(&about(&change), fail, &[Who::Cas]);
        assert_eq!(against(&realm, &change), ["CS-GATE-009"]);
        assert_eq!(decision(&realm, &change).outcome, Outcome::Fail);
    }
}

#[test]
fn a_listed_workers_pass_makes_up_for_one_that_does_not_count() {
    let mut realm = Realm::new();
    let change = scoped(&mut realm, X, |finding| finding.outcome = Outcome::Inconclusive);
    let mut again = realm.finding(&change, EvidenceKind::Scope);
    again.measures.insert("relative_frobenius_ppm_max".parse().unwrap(), 2_000);
    realm.establish(&about(&change), again, &[Who::Cas]);
    assert_eq!(against(&realm, &change), Vec::<&str>::new());
}

#[test]
fn findings_grow_old() {
    let mut realm = Realm::new();
    let change = scoped(&mut realm, X, |_| {});
    let limit = Realm::policy().rules.limits.finding_max_ms;
    realm.advance_ms(limit);
    assert_eq!(against(&realm, &change), Vec::<&str>::new());
    realm.advance_ms(1);
    // What is too old examines nothing either.
    assert_eq!(against(&realm, &change), ["CS-GATE-011", "CS-GATE-015"]);
}

#[test]
fn reviews_need_a_report() {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    realm.examine(&change, X.drift_ppm);
    let bare = Finding { attachments: BTreeSet::new(), ..realm.finding(&change, EvidenceKind::RedTeam) };
    realm.establish(&about(&change), bare, &[Who::Dan]);
    assert_eq!(against(&realm, &change), Vec::<&str>::new());
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let by = [
        (EvidenceKind::Scope, Who::Ben),
        (EvidenceKind::FormalVerification, Who::Cas),
        (EvidenceKind::ComplianceReview, Who::Eve),
        (EvidenceKind::SecurityReview, Who::Dan),
    ];
    found(&mut realm, &change, &by, |finding| {
        if finding.evidence == EvidenceKind::SecurityReview {
            finding.attachments.clear();
        }
    });
    assert_eq!(against(&realm, &change), ["CS-GATE-042"]);
}

#[test]
fn purged_evidence_never_counts_as_passed() {
    let purge = |target| Purge { basis: "gdpr-17".parse().unwrap(), targets: BTreeSet::from([target]) };
    let report = |realm: &Realm, change: &ChangeId| {
        let finding =
            realm.dossier(change).findings.values().find(|f| f.body.evidence == EvidenceKind::Scope);
        finding.unwrap().body.attachments.first().copied().unwrap()
    };
    // Before the verdict.
    let mut realm = Realm::new();
    let change = scoped(&mut realm, X, |_| {});
    let target = report(&realm, &change);
    realm.establish(&R, purge(target), &[Who::Eve]);
    assert_eq!(against(&realm, &change), ["CS-GATE-012"]);
    // After it, and after the approvals.
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    for (who, capacity) in MEDIUM {
        realm.approve(&change, who, capacity);
    }
    let order = realm.order_body(&change);
    let target = report(&realm, &change);
    realm.establish(&R, purge(target), &[Who::Eve]);
    crate::keys::refuses(&mut realm, &about(&change), order, &[Who::Lea], &["CS-GATE-012"]);
    // The artefact itself.
    let mut realm = Realm::new();
    let change = realm.propose(X);
    realm.establish(&R, purge(X.adapter()), &[Who::Eve]);
    assert!(against(&realm, &change).contains(&"CS-GATE-012"));
}

#[test]
fn examiners_are_independent_persons() {
    let mut realm = Realm::new();
    with_slot(&mut realm, |slot| slot.impact_milli = 9_000);
    let second = Key::enrolled("ben's second", "p-ben", &[Role::Examiner], &mut realm);
    let change = realm.propose(X);
    let kinds = [
        EvidenceKind::Scope,
        EvidenceKind::FormalVerification,
        EvidenceKind::SecurityReview,
        EvidenceKind::ExternalAudit,
    ];
    for (place, evidence) in kinds.into_iter().enumerate() {
        let finding = realm.finding(&change, evidence);
        let envelope = if place % 2 == 0 {
            signed(&realm, &about(&change), finding, &second)
        } else {
            realm.sign(&about(&change), finding, &[Who::Ben])
        };
        applies(&mut realm, &envelope);
    }
    let review = realm.finding(&change, EvidenceKind::ComplianceReview);
    realm.establish(&about(&change), review, &[Who::Eve]);
    assert_eq!(against(&realm, &change), ["CS-GATE-015"]);
    // An officer who examines is not independent of whom they enrolled.
    let officer = Key::enrolled("officer's second", "o-one", &[Role::Examiner], &mut realm);
    let envelope = signed(&realm, &about(&change), realm.finding(&change, EvidenceKind::Probe), &officer);
    applies(&mut realm, &envelope);
    assert_eq!(against(&realm, &change), ["CS-GATE-015"]);
    realm.advance_ms(1);
    let probe = realm.finding(&change, EvidenceKind::Probe);
    realm.establish(&about(&change), probe, &[Who::Cas]);
    assert_eq!(against(&realm, &change), Vec::<&str>::new());
}

#[test]
fn the_proposers_person_examines_nothing() {
    let mut realm = Realm::new();
    let ada = Key::enrolled("ada's second", "p-ada", &[Role::Examiner], &mut realm);
    let change = realm.propose(X);
    let mut finding = realm.finding(&change, EvidenceKind::Scope);
    finding.measures.insert("relative_frobenius_ppm_max".parse().unwrap(), 2_000);
    let envelope = signed(&realm, &about(&change), finding, &ada);
    applies(&mut realm, &envelope);
    assert!(against(&realm, &change).contains(&"CS-GATE-027"));
}

#[test]
fn what_is_not_open_is_refused() {
    let with = |alter: &dyn Fn(&mut Proposal)| {
        let mut realm = Realm::new();
        let change = proposed(&mut realm, X, alter);
        let mut codes = against(&realm, &change);
        // Without findings the evidence is missing too.
        codes.retain(|code| !["CS-GATE-008", "CS-GATE-015"].contains(code));
        codes
    };
    assert_eq!(with(&|_| {}), Vec::<&str>::new());
    // Weights are not among the slot's kinds, bring another role, and ask for a higher level.
    assert!(with(&|proposal| proposal.modification = ModificationKind::Weights).contains(&"CS-GATE-004"));
    assert!(with(&|proposal| proposal.level = Level::Mechanism).contains(&"CS-GATE-004"));
    assert_eq!(with(&|proposal| proposal.contexts.clear()), ["CS-GATE-005"]);
    assert_eq!(with(&|p| p.contexts.extend(["other".parse().unwrap()])), ["CS-GATE-005"]);
    assert_eq!(with(&|proposal| proposal.scope = Digest::of(b"wider")), ["CS-GATE-006"]);
    // A prompt change that brings an adapter.
    assert_eq!(with(&|proposal| proposal.modification = ModificationKind::Prompt), ["CS-GATE-007"]);
}

/// Against a change whose target state and artefacts were altered, beside missing evidence.
#[track_caller]
fn built(alter: impl FnOnce(&mut Vec<Component>, &mut BTreeSet<Artefact>)) -> Vec<&'static str> {
    let mut realm = Realm::new();
    let change = X.change();
    let mut state = realm.target_state(X);
    let mut artefacts = realm.proposal(X).artefacts;
    alter(&mut state.manifest.components, &mut artefacts);
    let target_state = state.manifest.id().unwrap();
    realm.establish(&about(&change), state, &[Who::Ada]);
    let proposal = Proposal { target_state, artefacts, ..realm.proposal(X) };
    realm.establish(&about(&change), proposal, &[Who::Ada]);
    let mut codes = against(&realm, &change);
    codes.retain(|code| !["CS-GATE-008", "CS-GATE-015"].contains(code));
    codes
}

#[test]
fn the_target_differs_by_its_artefacts_alone() {
    let extra = |name: &str, role| Component {
        digest: Digest::of(format!("extra {name}").as_bytes()),
        name: name.parse().unwrap(),
        role,
    };
    let artefact =
        |component: &Component| Artefact { bytes: 1, digest: component.digest, name: component.name.clone() };
    assert_eq!(built(|_, _| {}), Vec::<&str>::new());
    // Another component changed, came or went without being declared.
    assert_eq!(built(|components, _| components[2].digest = Digest::of(b"other prompt")), ["CS-GATE-007"]);
    assert_eq!(built(|components, _| components[0].digest = Digest::of(b"other base")), ["CS-GATE-007"]);
    assert_eq!(built(|components, _| components.push(extra("b", ComponentRole::Adapter))), ["CS-GATE-007"]);
    assert_eq!(built(|components, _| components.truncate(2)), ["CS-GATE-007"]);
    assert_eq!(built(|components, _| components[2].name = "renamed".parse().unwrap()), ["CS-GATE-007"]);
    // Other order.
    assert_eq!(built(|components, _| components.swap(0, 2)), ["CS-GATE-007"]);
    // An artefact that is not in the target, or was there before, or none.
    let other = extra("b", ComponentRole::Adapter);
    assert_eq!(built(|_, artefacts| artefacts.extend([artefact(&other)])), ["CS-GATE-007"]);
    assert_eq!(built(|components, artefacts| artefacts.extend([artefact(&components[0])])), ["CS-GATE-052"]);
    assert_eq!(built(|_, artefacts| artefacts.clear()), ["CS-GATE-007"]);
    // Declared under another name or in another place than the kind of change is about.
    let renamed = |components: &mut Vec<Component>, artefacts: &mut BTreeSet<Artefact>| {
        *artefacts =
            BTreeSet::from([Artefact { name: "other".parse().unwrap(), ..artefact(&components[1]) }]);
    };
    assert_eq!(built(renamed), ["CS-GATE-007"]);
    let weights = extra("base.safetensors", ComponentRole::Weights);
    assert_eq!(
        built(|components, artefacts| {
            artefacts.insert(artefact(&weights));
            components[0] = weights.clone();
        }),
        ["CS-GATE-007"]
    );
    // A second adapter that is declared.
    let second = extra("second.safetensors", ComponentRole::Adapter);
    assert_eq!(
        built(|components, artefacts| {
            artefacts.insert(artefact(&second));
            components.insert(2, second.clone());
        }),
        Vec::<&str>::new()
    );
}

#[test]
fn what_differs_is_named() {
    let told = |alter: fn(&mut Proposal)| {
        let mut realm = Realm::new();
        let change = proposed(&mut realm, X, alter);
        let reasons = decision(&realm, &change).reasons;
        let found = reasons.into_iter().find(|reason| reason.code.as_str() == "CS-GATE-007");
        found.map(|reason| reason.about).unwrap_or_default()
    };
    assert_eq!(told(|proposal| proposal.artefacts.clear()), "no artefact is declared");
    assert_eq!(
        told(|proposal| proposal.modification = ModificationKind::Prompt),
        "adapter adapter.safetensors, as a change of kind prompt"
    );
    assert_eq!(
        told(|proposal| proposal.target_state = proposal.base_state),
        "artefact adapter.safetensors is not in the target state"
    );
}

#[test]
fn an_ordered_change_is_not_told_to_rebase() {
    let mut realm = Realm::new();
    let change = X.change();
    realm.release(X);
    let reasons = decision(&realm, &change).reasons;
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["CS-GATE-053"]);
    assert_eq!(reasons[0].about, order_of(&realm, &change).to_string());
    // Of two that started from the same state, the one that came too late is.
    let mut realm = Realm::new();
    let late = realm.propose(Plan::tuning("late"));
    realm.release(X);
    assert_eq!(against(&realm, &late), ["CS-GATE-003", "CS-GATE-008", "CS-GATE-015"]);
}

#[test]
fn a_replaced_component_stays_in_its_place() {
    let mut realm = Realm::new();
    // Another adapter behind the first, and both in force.
    let second = Component {
        digest: Digest::of(b"second"),
        name: "second.safetensors".parse().unwrap(),
        role: ComponentRole::Adapter,
    };
    let base = realm.ledger().world().slot(&slot_id()).unwrap().state;
    let mut components = realm.ledger().world().state(&base).unwrap().body.manifest.components.clone();
    components.insert(2, second);
    let first = ServedState { manifest: Manifest { components }, parents: BTreeSet::new(), made_by: None };
    let baseline = first.manifest.id().unwrap();
    realm.establish(&R, first, &crate::keys::POLICY);
    realm.establish(&R, Realm::slot("eu/two", baseline), &crate::keys::POLICY);
    let plan = Plan { slot: "eu/two", ..X };
    for moved in [false, true] {
        let plan = Plan { label: if moved { "moved" } else { "kept" }, ..plan };
        let mut state = realm.target_state(plan);
        for component in &mut state.manifest.components {
            // The fixture replaces every adapter; here the second one stays.
            if component.name.as_str() == "second.safetensors" {
                component.digest = Digest::of(b"second");
            }
        }
        if moved {
            state.manifest.components.swap(1, 2);
        }
        let target_state = state.manifest.id().unwrap();
        let change = plan.change();
        realm.establish(&about(&change), state, &[Who::Ada]);
        let proposal = Proposal { target_state, ..realm.proposal(plan) };
        realm.establish(&about(&change), proposal, &[Who::Ada]);
        assert_eq!(against(&realm, &change).contains(&"CS-GATE-007"), moved);
    }
}

#[test]
fn a_target_says_that_it_comes_from_the_base() {
    let mut realm = Realm::new();
    let change = X.change();
    let state = ServedState { parents: BTreeSet::new(), ..realm.target_state(X) };
    realm.establish(&about(&change), state, &[Who::Ada]);
    let proposal = realm.proposal(X);
    realm.establish(&about(&change), proposal, &[Who::Ada]);
    assert!(against(&realm, &change).contains(&"CS-GATE-007"));
}

#[test]
fn measures_only_ever_raise_the_score() {
    let mut realm = Realm::new();
    let change = realm.propose(X);
    let worst = decision(&realm, &change).score.risk;
    let measured = |realm: &Realm, measures: &[(&str, i64)]| {
        let mut finding = realm.finding(&X.change(), EvidenceKind::Scope);
        finding.measures = measures.iter().map(|(name, value)| (name.parse().unwrap(), *value)).collect();
        finding
    };
    // Nothing measured, a negative measure, shares of a prompt: the weights are as good as all moved.
    for measures in
        [&[][..], &[("relative_frobenius_ppm_max", -1)], &[("sections", 1_000), ("sections_changed", 0)]]
    {
        let finding = measured(&realm, measures);
        realm.establish(&about(&change), finding, &[Who::Ben]);
        assert_eq!(decision(&realm, &change).score.risk, worst);
        realm.advance_ms(1);
    }
    // A worker that is not listed measures nothing.
    let mut unlisted = measured(&realm, &[("relative_frobenius_ppm_max", 0)]);
    unlisted.worker = Some(Digest::of(b"another worker"));
    realm.establish(&about(&change), unlisted, &[Who::Ben]);
    assert_eq!(decision(&realm, &change).score.risk, worst);
    let finding = measured(&realm, &[("relative_frobenius_ppm_max", 20_000)]);
    realm.establish(&about(&change), finding, &[Who::Ben]);
    let large = decision(&realm, &change).score;
    assert!(large.risk < worst && large.vector.contains("/S:400/"));
    let finding = measured(&realm, &[("relative_frobenius_ppm_max", 10)]);
    realm.establish(&about(&change), finding, &[Who::Cas]);
    assert_eq!(decision(&realm, &change).score, large);
}
