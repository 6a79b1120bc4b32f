//! Hostile sequences: one person with every key there is, and one stolen key of any role, never bring a change into a
//! slot. Whatever they do, honest services go on: verdicts that follow are signed, and everything is ordered that can be.

use std::collections::BTreeSet;

use audit::fixture::{DAY_MS, Plan, Realm, SLOT, Who};
use proptest::prelude::*;
use statement::kind::{
    Approval, Artefact, CapabilityLevel, Capacity, EvidenceKind, Finding, Freeze, FreezeAction, FreezeTarget,
    GateDecision, Grant, GrantPurpose, Isolation, Level, ModificationKind, Outcome, Proposal, Proposer,
    ReleaseOrder, Revocation, RevocationTarget, Role, ServedState, Slot, Stage, StageReport, Tier, Verdict,
};
use statement::{Body, ChangeId, Digest, KeyId, PersonId, StatementId, Tracking};

use crate::automation::grant;
use crate::keys::{Key, OFFICERS, POLICY, issued};
use crate::stage::*;

/// A pen of the hostile hand.
#[derive(Debug, Clone)]
enum Pen {
    Who(Who),
    Own(Box<Key>),
}

impl Pen {
    fn id(&self) -> KeyId {
        match self {
            Self::Who(who) => who.key_id(),
            Self::Own(key) => key.id(),
        }
    }
}

fn own(key: Key) -> Pen {
    Pen::Own(Box::new(key))
}

/// The pens of the hostile hand and the person behind them.
struct Hand {
    pens: Vec<Pen>,
    person: PersonId,
}

impl Hand {
    /// Says something; where it stops nobody else, whether it has effect does not matter here.
    fn say(&self, realm: &mut Realm, about: &Tracking, body: impl Into<Body>, pen: usize) {
        let envelope = match &self.pens[pen % self.pens.len()] {
            Pen::Who(who) => issued(realm, about, body, realm.now_ms(), &[*who], &[]),
            Pen::Own(key) => issued(realm, about, body, realm.now_ms(), &[], &[key]),
        };
        realm.submit(&envelope);
        realm.advance_ms(1);
    }
}

/// What the hand tries next. Numbers choose among what is there.
#[derive(Debug, Clone)]
enum Trick {
    Propose { label: u8, level: Level, prompt: bool, model: bool, grant: Option<u8>, rebase: bool },
    Find { change: u8, kind: EvidenceKind, outcome: Outcome, drift: i64, listed: bool },
    Decide { change: u8, claim_pass: bool },
    Approve { change: u8, capacity: Capacity, grant: Option<u8>, tier: Option<Tier> },
    Order { change: u8, lie: bool },
    Grant { to: u8, purpose: GrantPurpose, tier: Tier },
    Level,
    Slot,
    Enrol { role: Role },
    Revoke { key: u8 },
    Report { change: u8 },
    Thaw,
    Wait,
}

const LABELS: [&str; 3] = ["tampered", "smuggled", "slipped in"];

fn changes(realm: &Realm) -> Vec<ChangeId> {
    realm.ledger().dossiers().map(|dossier| dossier.change.clone()).collect()
}

fn pick<T: Clone>(from: &[T], which: u8) -> Option<T> {
    from.get(usize::from(which) % from.len().max(1)).cloned()
}

fn grants(realm: &Realm) -> Vec<StatementId> {
    realm.ledger().world().grants().map(|record| record.grant.id).collect()
}

#[expect(clippy::too_many_lines, reason = "one arm a trick")]
fn play(realm: &mut Realm, hand: &Hand, trick: &Trick, pen: usize) {
    match trick {
        Trick::Propose { label, level, prompt, model, grant, rebase } => {
            let plan = Plan { level: *level, ..Plan::tuning(LABELS[usize::from(*label) % LABELS.len()]) };
            let change = plan.change();
            let place = if *prompt { 2 } else { 1 };
            let base = realm.ledger().world().slot(&slot_id()).unwrap().state;
            let mut state = ServedState {
                manifest: realm.ledger().world().state(&base).unwrap().body.manifest.clone(),
                parents: BTreeSet::from([base]),
                made_by: Some(change.clone()),
            };
            state.manifest.components[place].digest = plan.adapter();
            let name = state.manifest.components[place].name.clone();
            let present = realm.ledger().dossier(&change).map(|dossier| dossier.proposal.id);
            let person = hand.person.clone();
            let proposal = Proposal {
                artefacts: BTreeSet::from([Artefact { bytes: 1, digest: plan.adapter(), name }]),
                base_state: base,
                grant: grant.and_then(|which| pick(&grants(realm), which)),
                modification: if *prompt { ModificationKind::Prompt } else { ModificationKind::Adapter },
                proposer: if *model {
                    Proposer::Model { sponsor: person, state: base }
                } else {
                    Proposer::Person(person)
                },
                replaces: present.filter(|_| *rebase),
                target_state: state.manifest.id().unwrap(),
                ..realm.proposal(plan)
            };
            hand.say(realm, &about(&change), state, pen);
            hand.say(realm, &about(&change), proposal, pen);
        }
        Trick::Find { change, kind, outcome, drift, listed } => {
            let Some(change) = pick(&changes(realm), *change) else { return };
            let mut finding: Finding = realm.finding(&change, *kind);
            finding.outcome = *outcome;
            for name in ["relative_frobenius_ppm_max", "sections_changed"] {
                finding.measures.insert(name.parse().unwrap(), *drift);
            }
            finding.measures.insert("sections".parse().unwrap(), 1_000_000);
            if !listed {
                finding.worker = None;
                finding.isolation = Isolation::Manual;
            }
            hand.say(realm, &about(&change), finding, pen);
        }
        Trick::Decide { change, claim_pass } => {
            let Some(change) = pick(&changes(realm), *change) else { return };
            let mut verdict: Verdict = realm.verdict_body(&change);
            if *claim_pass {
                verdict.outcome = Outcome::Pass;
                verdict.reasons.clear();
                verdict.score.tier = Tier::Minimal;
            }
            hand.say(realm, &about(&change), verdict, pen);
        }
        Trick::Approve { change, capacity, grant, tier } => {
            let Some(change) = pick(&changes(realm), *change) else { return };
            if realm.dossier(&change).verdict.is_none() {
                return;
            }
            let mut approval: Approval = realm.approval(&change, *capacity);
            approval.grant = grant.and_then(|which| pick(&grants(realm), which));
            approval.tier = tier.unwrap_or(approval.tier);
            hand.say(realm, &about(&change), approval, pen);
        }
        Trick::Order { change, lie } => {
            let Some(change) = pick(&changes(realm), *change) else { return };
            if realm.dossier(&change).verdict.is_none() {
                return;
            }
            let mut order: ReleaseOrder = realm.order_body(&change);
            if *lie {
                order.tier = Tier::Minimal;
                order.approvals.clear();
            }
            hand.say(realm, &about(&change), order, pen);
        }
        Trick::Grant { to, purpose, tier } => {
            let mut keys: Vec<KeyId> = hand.pens.iter().map(Pen::id).collect();
            keys.extend([Who::Automation.key_id(), Who::Ada.key_id()]);
            let body = Grant {
                grantee: pick(&keys, *to).unwrap(),
                tier_max: *tier,
                ..grant(realm, *purpose, Who::Ada)
            };
            hand.say(realm, &R, body, pen);
        }
        Trick::Level => {
            let body = CapabilityLevel {
                key: hand.pens[0].id(),
                level: Some(Level::Mechanism),
                reason: "trust-me".parse().unwrap(),
                slot: slot_id(),
            };
            hand.say(realm, &R, body, pen);
        }
        Trick::Slot => {
            let definition = realm.ledger().world().slot(&slot_id()).unwrap().definition.clone();
            let body = Slot { impact_milli: 0, supersedes: Some(definition.id), ..definition.body };
            hand.say(realm, &R, body, pen);
        }
        Trick::Enrol { role } => {
            hand.say(realm, &R, Key::new("puppet").entry("puppet", &[*role]), pen);
        }
        Trick::Revoke { key } => {
            let whos = [Who::Ben, Who::Fay, Who::Ada, Who::PolicyOne];
            let target =
                RevocationTarget::Key { compromised_since: 0, key: pick(&whos, *key).unwrap().key_id() };
            let body = Revocation { reason: "trust-me".parse().unwrap(), target };
            hand.say(realm, &R, body, pen);
        }
        Trick::Report { change } => {
            let Some(change) = pick(&changes(realm), *change) else { return };
            let order = StatementId::from_digest(Digest::of(b"an order"));
            let body = StageReport {
                data: Digest::of(b"data"),
                decision: GateDecision::Promote,
                from_ms: 0,
                gates: BTreeSet::new(),
                order,
                share_ppm: 1_000_000,
                stage: Stage::Full,
                to_ms: 1,
            };
            hand.say(realm, &about(&change), body, pen);
        }
        Trick::Thaw => {
            let body = Freeze {
                action: FreezeAction::End,
                reason: "trust-me".parse().unwrap(),
                target: FreezeTarget::Realm,
            };
            hand.say(realm, &R, body, pen);
        }
        Trick::Wait => realm.advance_ms(DAY_MS),
    }
}

/// Honest services: the verdict that follows, and an order for whatever can be ordered.
fn honest_services(realm: &mut Realm) {
    for change in changes(realm) {
        if realm.dossier(&change).state.name() == "proposed" {
            let verdict = realm.verdict_body(&change);
            realm.say(&about(&change), verdict, &[Who::Automation]);
        }
        if realm.dossier(&change).verdict.is_some() {
            let order = realm.order_body(&change);
            realm.say(&about(&change), order, &[Who::Lea]);
        }
        realm.advance_ms(1);
    }
}

fn level() -> impl Strategy<Value = Level> {
    prop::sample::select(vec![Level::Tuning, Level::Tuning, Level::Knowledge, Level::Architecture])
}

fn capacity() -> impl Strategy<Value = Capacity> {
    prop::sample::select(vec![
        Capacity::Automation,
        Capacity::Oversight,
        Capacity::Technical,
        Capacity::Ethics,
        Capacity::Security,
        Capacity::Business,
    ])
}

fn kind() -> impl Strategy<Value = EvidenceKind> {
    prop::sample::select(vec![
        EvidenceKind::Scope,
        EvidenceKind::Scope,
        EvidenceKind::FormalVerification,
        EvidenceKind::SecurityReview,
        EvidenceKind::ComplianceReview,
        EvidenceKind::ExternalAudit,
    ])
}

fn maybe(which: impl Strategy<Value = u8>) -> impl Strategy<Value = Option<u8>> {
    prop::option::of(which)
}

fn trick() -> impl Strategy<Value = Trick> {
    let tier = || prop::sample::select(Tier::ALL.to_vec());
    let outcome =
        prop::sample::select(vec![Outcome::Pass, Outcome::Pass, Outcome::Fail, Outcome::Inconclusive]);
    prop_oneof![
        3 => (0..3_u8, level(), any::<bool>(), any::<bool>(), maybe(any::<u8>()), any::<bool>()).prop_map(
            |(label, level, prompt, model, grant, rebase)| Trick::Propose { label, level, prompt, model, grant, rebase }
        ),
        5 => (any::<u8>(), kind(), outcome, 0..2_000_i64, any::<bool>()).prop_map(
            |(change, kind, outcome, drift, listed)| Trick::Find { change, kind, outcome, drift, listed }
        ),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(change, claim_pass)| Trick::Decide { change, claim_pass }),
        6 => (any::<u8>(), capacity(), maybe(any::<u8>()), prop::option::weighted(0.2, tier())).prop_map(
            |(change, capacity, grant, tier)| Trick::Approve { change, capacity, grant, tier }
        ),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(change, lie)| Trick::Order { change, lie }),
        2 => (any::<u8>(), prop::sample::select(vec![GrantPurpose::Approve, GrantPurpose::Propose]), tier()).prop_map(
            |(to, purpose, tier)| Trick::Grant { to, purpose, tier }
        ),
        1 => Just(Trick::Level),
        1 => Just(Trick::Slot),
        1 => prop::sample::select(vec![Role::Approver, Role::Operator]).prop_map(|role| Trick::Enrol { role }),
        1 => any::<u8>().prop_map(|key| Trick::Revoke { key }),
        1 => any::<u8>().prop_map(|change| Trick::Report { change }),
        1 => Just(Trick::Thaw),
        1 => Just(Trick::Wait),
    ]
}

/// No change has ever been ordered, and every slot stands where it began.
fn nothing_moved(realm: &Realm) -> bool {
    realm.ledger().dossiers().all(|dossier| dossier.order.is_none())
        && realm.ledger().world().slots().all(|slot| slot.history.len() == 1)
}

/// A change of the honest proposer's with all the evidence and these approvals.
fn honest(realm: &mut Realm, label: &'static str, approvals: &[(Who, Capacity)]) -> ChangeId {
    let change = decided(realm, Plan::tuning(label));
    for (who, capacity) in approvals {
        realm.approve(&change, *who, *capacity);
    }
    change
}

fn tricks() -> impl Strategy<Value = Vec<(Trick, usize)>> {
    prop::collection::vec((trick(), any::<prop::sample::Index>().prop_map(|index| index.index(1_000))), 8..40)
}

/// One person with a key in every role the directory gives, cleared for everything, with every level, and with grants
/// by another person: where even a first change may be of the minimal tier.
fn one_person() -> (Realm, Hand) {
    let mut realm = Realm::new();
    without_history(&mut realm);
    let roles = [
        Role::Proposer,
        Role::Examiner,
        Role::Compliance,
        Role::Approver,
        Role::Operator,
        Role::Rollout,
        Role::Monitor,
    ];
    let mut pens: Vec<Pen> = roles
        .iter()
        .map(|role| own(Key::enrolled(&format!("mallory's {role:?}"), "mallory", &[*role], &mut realm)))
        .collect();
    // All of them in one key, and a machine's.
    pens.push(own(Key::enrolled("mallory's all", "mallory", &roles, &mut realm)));
    let machine = Key::new("mallory's machine");
    let mut entry = machine.entry("mallory", &[Role::Automation]);
    entry.capacities = BTreeSet::from([Capacity::Automation]);
    realm.establish(&R, entry, &OFFICERS);
    for pen in [&pens[0], &pens[7]] {
        let body = CapabilityLevel {
            key: pen.id(),
            level: Some(Level::Architecture),
            reason: "earned".parse().unwrap(),
            slot: slot_id(),
        };
        realm.establish(&R, body, &POLICY);
        let body = Grant {
            grantee: pen.id(),
            tier_max: Tier::High,
            level_max: Level::Architecture,
            ..grant(&realm, GrantPurpose::Propose, Who::Ada)
        };
        realm.establish(&R, body, &[Who::Kay]);
    }
    let body = Grant { grantee: machine.id(), ..grant(&realm, GrantPurpose::Approve, Who::Ada) };
    realm.establish(&R, body, &[Who::Kay]);
    pens.push(own(machine));
    honest(&mut realm, "honest", &[]);
    (realm, Hand { pens, person: "mallory".parse().unwrap() })
}

/// Who loses a key, and as which person the thief must speak.
const STOLEN: [Who; 15] = [
    Who::Ada,
    Who::Abe,
    Who::Ben,
    Who::Cas,
    Who::Dan,
    Who::Eve,
    Who::Hal,
    Who::Kay,
    Who::Lea,
    Who::Rollout,
    Who::Monitor,
    Who::Automation,
    Who::RootOne,
    Who::OfficerOne,
    Who::PolicyOne,
];

/// Changes that lack a person each: one approval where the key approves nothing, two where it does; one that an
/// examiner is against; one that nobody has looked at.
fn one_stolen(who: Who) -> (Realm, Hand) {
    let mut realm = Realm::new();
    realm.grant_automation(&[SLOT]);
    let short: &[(Who, Capacity)] = if who == Who::Hal { &MEDIUM[..1] } else { &MEDIUM[..2] };
    honest(&mut realm, "short", short);
    let failed = honest(&mut realm, "failed", &MEDIUM);
    let finding = Finding { outcome: Outcome::Fail, ..realm.finding(&failed, EvidenceKind::Probe) };
    realm.establish(&about(&failed), finding, &[Who::Cas]);
    realm.propose(Plan::tuning("unseen"));
    (realm, Hand { pens: vec![Pen::Who(who)], person: who.person() })
}

/// The same sequences with everybody honest do move the slot: what the tests below rely on can happen at all.
#[test]
fn the_last_signature_would_have_moved_the_slot() {
    let (mut realm, _) = one_stolen(Who::Ada);
    let change = Plan::tuning("short").change();
    honest_services(&mut realm);
    assert!(nothing_moved(&realm));
    realm.approve(&change, Who::Hal, Capacity::Security);
    honest_services(&mut realm);
    assert!(realm.dossier(&change).order.is_some());

    let (mut realm, hand) = one_person();
    let change = Plan::tuning("honest").change();
    let body = realm.approval(&change, Capacity::Technical);
    hand.say(&mut realm, &about(&change), body, 3);
    let body = realm.order_body(&change);
    hand.say(&mut realm, &about(&change), body, 4);
    assert!(nothing_moved(&realm));
    // Mallory may well approve another's change: with an operator who is somebody else it goes on.
    realm.order(&change);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn one_person_with_every_key_moves_nothing(tricks in tricks()) {
        let (mut realm, hand) = one_person();
        for (trick, pen) in &tricks {
            play(&mut realm, &hand, trick, *pen);
            prop_assert!(nothing_moved(&realm), "after {trick:?} with pen {}", pen % hand.pens.len());
        }
    }

    #[test]
    fn one_stolen_key_moves_nothing(who in prop::sample::select(STOLEN.to_vec()), tricks in tricks()) {
        let (mut realm, hand) = one_stolen(who);
        for (trick, pen) in &tricks {
            play(&mut realm, &hand, trick, *pen);
            honest_services(&mut realm);
            prop_assert!(nothing_moved(&realm), "after {trick:?}");
        }
    }
}
