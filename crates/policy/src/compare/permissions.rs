//! Who may do what under two texts of duties: the same questions asked of both.
//!
//! A question is an act, a key with its roles, a tier, and one circumstance in which the case differs from one where
//! everything is there: what the person already is on the change, a piece of evidence that is missing, fewer signatures,
//! another level, a freeze, an end that has come. An act on which both texts have the same policies is not asked about.

use std::collections::BTreeSet;

use statement::kind::{Assurance, EvidenceKind, Level, Policy, Role, Tier};
use statement::{Digest, KeyId, Name, PersonId};

use super::Shift;
use crate::duties::{Action, Actor, ActorKind, Decision, Duties, Facts, evidence_name};
use crate::error::PolicyError;

/// The moment of every question, in milliseconds since 1970; what has an end ends a millisecond later, or now.
const NOW_MS: u64 = 1_790_000_000_000;

/// More signatures than any tier asks for by the mission's table.
const SIGNATURES: i64 = 5;

const LEVELS: [Level; 4] = [Level::Tuning, Level::Knowledge, Level::Architecture, Level::Mechanism];

const EVIDENCE: [EvidenceKind; 10] = [
    EvidenceKind::Scope,
    EvidenceKind::Screen,
    EvidenceKind::Probe,
    EvidenceKind::FormalVerification,
    EvidenceKind::Alignment,
    EvidenceKind::SecurityReview,
    EvidenceKind::ComplianceReview,
    EvidenceKind::ExternalAudit,
    EvidenceKind::RedTeam,
    EvidenceKind::Regression,
];

/// A question that the two texts answer otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// The act.
    pub action: Action,
    /// The roles of the key.
    pub roles: BTreeSet<Role>,
    /// What is different from a case where everything is there.
    pub circumstance: String,
    /// The tiers where it is answered so.
    pub tiers: Vec<Tier>,
    /// The answer of the policy in force.
    pub then: Decision,
    /// The other's.
    pub now: Decision,
}

impl Permission {
    /// Which way the answer moved.
    pub fn shift(&self) -> Shift {
        Shift::of(self.then.is_permit(), self.now.is_permit(), self.then == self.now)
    }
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    /// How many questions both texts were asked.
    pub asked: u64,
    /// The acts that were asked about; on the others both texts have the same policies.
    pub actions: Vec<Action>,
    /// Policies that stand in one of the texts alone: they were taken out, or added.
    pub removed: Vec<Name>,
    /// See `removed`.
    pub added: Vec<Name>,
    /// The questions that were answered otherwise; tiers that are answered alike stand together.
    pub differing: Vec<Permission>,
}

/// Asks both policies.
///
/// # Errors
/// A text that cannot be put in force.
pub fn permissions(in_force: &Policy, other: &Policy) -> Result<Permissions, PolicyError> {
    let (then, now) = (super::duties(in_force)?, super::duties(other)?);
    let only_in = |one: &Duties, two: &Duties| -> Vec<Name> {
        one.controls().keys().filter(|id| !two.controls().contains_key(*id)).cloned().collect()
    };
    let actions: Vec<Action> =
        Action::ALL.into_iter().filter(|action| !then.is_alike(&now, *action)).collect();
    let mut found = Permissions {
        asked: 0,
        removed: only_in(&then, &now),
        added: only_in(&now, &then),
        differing: Vec::new(),
        actions,
    };
    let persons = Persons::named()?;
    for circumstance in circumstances(&persons) {
        for tier in Tier::ALL {
            ask(&mut found, (&then, &now), &circumstance, tier);
        }
    }
    found.differing.sort_by_key(Permission::shift);
    Ok(found)
}

/// One circumstance and tier, for every act that is asked about and every key.
fn ask(found: &mut Permissions, (then, now): (&Duties, &Duties), circumstance: &Circumstance, tier: Tier) {
    let facts = circumstance.facts(tier);
    let (then_change, now_change) = (then.change(&facts), now.change(&facts));
    for action in found.actions.clone() {
        for roles in keys() {
            let actor = circumstance.actor(&roles);
            found.asked += 1;
            let answers = (
                then.decide_on(&actor, action, &then_change, NOW_MS),
                now.decide_on(&actor, action, &now_change, NOW_MS),
            );
            if answers.0 == answers.1 {
                continue;
            }
            let is_of = |known: &&mut Permission| {
                known.action == action
                    && known.roles == roles
                    && known.circumstance == circumstance.name
                    && (&known.then, &known.now) == (&answers.0, &answers.1)
            };
            if let Some(known) = found.differing.iter_mut().rev().find(is_of) {
                known.tiers.push(tier);
                continue;
            }
            found.differing.push(Permission {
                action,
                roles,
                circumstance: circumstance.name.clone(),
                tiers: vec![tier],
                then: answers.0,
                now: answers.1,
            });
        }
    }
}

/// Each role by itself, and machines that have a person's role.
fn keys() -> impl Iterator<Item = BTreeSet<Role>> {
    let mixed = [Role::Approver, Role::Operator, Role::Examiner, Role::Proposer];
    let alone = Role::ALL.into_iter().map(|role| BTreeSet::from([role]));
    alone.chain(mixed.into_iter().map(|role| BTreeSet::from([Role::Automation, role])))
}

/// How a case differs from one where everything is there.
struct Circumstance {
    name: String,
    facts: Differ,
    who: PersonId,
    clearance: Tier,
    assurance: Option<Assurance>,
}

impl Circumstance {
    fn facts(&self, tier: Tier) -> Facts {
        let mut facts = Facts {
            proposers: BTreeSet::new(),
            examiners: BTreeSet::new(),
            compliance: BTreeSet::new(),
            approvers: BTreeSet::new(),
            operators: BTreeSet::new(),
            tier,
            level: match tier {
                Tier::Minimal => Level::Tuning,
                Tier::Low => Level::Knowledge,
                Tier::Medium => Level::Architecture,
                Tier::High => Level::Mechanism,
            },
            approvals: SIGNATURES,
            human_approvals: SIGNATURES,
            evidence: EVIDENCE.into_iter().collect(),
            in_bounds: true,
            frozen: false,
            on_hold: false,
            authorised_until_ms: NOW_MS + 1,
        };
        (self.facts)(&mut facts);
        facts
    }

    fn actor(&self, roles: &BTreeSet<Role>) -> Actor {
        let kind = ActorKind::of_roles(roles);
        let by_kind = match kind {
            ActorKind::Person => Assurance::Sealed,
            ActorKind::Automation => Assurance::Unsealed,
        };
        Actor {
            key: KeyId::from_digest(Digest::of(b"who acts")),
            person: self.who.clone(),
            roles: roles.clone(),
            clearance: self.clearance,
            assurance: self.assurance.unwrap_or(by_kind),
            kind,
        }
    }
}

/// Who stands in the questions.
struct Persons {
    /// Who acts.
    who: PersonId,
    /// Somebody else.
    other: PersonId,
}

impl Persons {
    fn named() -> Result<Self, PolicyError> {
        let person = |name: &str| -> Result<PersonId, PolicyError> {
            name.parse().map_err(|_| PolicyError::Schema(format!("`{name}` names no person")))
        };
        Ok(Self { who: person("who-acts")?, other: person("somebody-else")? })
    }
}

/// All circumstances.
fn circumstances(persons: &Persons) -> Vec<Circumstance> {
    let of = |name: String, facts: Differ| Circumstance {
        name,
        facts,
        who: persons.who.clone(),
        clearance: Tier::High,
        assurance: None,
    };
    let plain = |name: &str, facts: fn(&mut Facts)| of(name.to_owned(), Box::new(facts));
    let mut all = vec![plain("everything is there", |_| ())];
    all.extend(hats(persons).into_iter().map(|(name, facts)| of(name, facts)));
    all.extend(EVIDENCE.into_iter().map(|kind| {
        let name = format!("no {} evidence", evidence_name(kind));
        of(
            name,
            Box::new(move |facts| {
                facts.evidence.remove(&kind);
            }),
        )
    }));
    all.push(plain("no evidence at all", |facts| facts.evidence.clear()));
    for signed in 0..SIGNATURES {
        let by_persons = move |facts: &mut Facts| {
            (facts.approvals, facts.human_approvals) = (signed, signed);
        };
        all.push(of(format!("{signed} signatures of persons"), Box::new(by_persons)));
        let with_machine = move |facts: &mut Facts| {
            (facts.approvals, facts.human_approvals) = (signed + 1, signed);
        };
        all.push(of(format!("{signed} signatures of persons and a machine's"), Box::new(with_machine)));
    }
    all.extend(
        LEVELS
            .into_iter()
            .map(|level| of(format!("level {}", level.number()), Box::new(move |facts| facts.level = level))),
    );
    all.extend([
        plain("out of bounds", |facts| facts.in_bounds = false),
        plain("frozen", |facts| facts.frozen = true),
        plain("on legal hold", |facts| facts.on_hold = true),
        plain("the authorisation has ended", |facts| facts.authorised_until_ms = NOW_MS),
        plain("no authorisation is needed", |facts| facts.authorised_until_ms = u64::MAX),
    ]);
    for clearance in [Tier::Minimal, Tier::Low, Tier::Medium] {
        let name = format!("clearance {}", clearance.number());
        all.push(Circumstance { clearance, ..of(name, Box::new(|_| ())) });
    }
    for (assurance, name) in [
        (Assurance::Unsealed, "an unsealed key"),
        (Assurance::Sealed, "a sealed key"),
        (Assurance::Hardware, "a key in hardware"),
    ] {
        all.push(Circumstance { assurance: Some(assurance), ..of(name.to_owned(), Box::new(|_| ())) });
    }
    all
}

/// How the facts of a circumstance differ.
type Differ = Box<dyn Fn(&mut Facts)>;

/// One of the sets of persons in them.
type Set = fn(&mut Facts) -> &mut BTreeSet<PersonId>;

/// What the person is on the change already, and what somebody else is.
fn hats(persons: &Persons) -> Vec<(String, Differ)> {
    let sets: [(&str, Set); 5] = [
        ("proposed it", |facts| &mut facts.proposers),
        ("examined it", |facts| &mut facts.examiners),
        ("reviewed it for compliance", |facts| &mut facts.compliance),
        ("approved it", |facts| &mut facts.approvers),
        ("ordered it", |facts| &mut facts.operators),
    ];
    let mut hats: Vec<(String, Differ)> = Vec::new();
    for (did, set) in sets {
        for (name, person) in [("the same person", &persons.who), ("somebody else", &persons.other)] {
            let person = person.clone();
            let wear = move |facts: &mut Facts| {
                set(facts).insert(person.clone());
            };
            hats.push((format!("{name} {did}"), Box::new(wear)));
        }
    }
    hats
}
