//! The circumstances of questions: how a case differs from one where everything is there.

use std::collections::BTreeSet;

use statement::kind::{Assurance, EvidenceKind, Level, Role, Tier};
use statement::{Digest, KeyId, PersonId};

use crate::duties::{Actor, ActorKind, Facts, Literals, evidence_name};
use crate::error::PolicyError;

/// The moment of questions, in milliseconds since 1970; what has an end ends a millisecond later, or now.
const NOW_MS: u64 = 1_790_000_000_000;

/// More signatures than any tier asks for by the mission's table.
const SIGNATURES: i64 = 5;

/// Numbers from here on are taken for times: milliseconds since 1970, from 1970 on.
const TIME_MIN: i64 = 1_000_000_000;

/// Numbers up to here are taken for signatures too.
const SIGNATURES_MAX: i64 = 32;

/// The most literals of each kind that are asked about.
const LITERALS_MAX: usize = 8;

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

/// How the facts of a circumstance differ.
type Differ = Box<dyn Fn(&mut Facts)>;

/// One of the sets of persons in them.
type Set = fn(&mut Facts) -> &mut BTreeSet<PersonId>;

/// How a case differs from one where everything is there.
pub(super) struct Circumstance {
    pub(super) name: String,
    facts: Differ,
    cast: Cast,
    clearance: Tier,
    assurance: Option<Assurance>,
}

impl Circumstance {
    pub(super) fn facts(&self, tier: Tier) -> Facts {
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
            authorised_until_ms: self.cast.now_ms.saturating_add(1),
        };
        (self.facts)(&mut facts);
        facts
    }

    pub(super) fn actor(&self, roles: &BTreeSet<Role>) -> Actor {
        let kind = ActorKind::of_roles(roles);
        let by_kind = match kind {
            ActorKind::Person => Assurance::Sealed,
            ActorKind::Automation => Assurance::Unsealed,
        };
        Actor {
            key: self.cast.key,
            person: self.cast.who.clone(),
            roles: roles.clone(),
            clearance: self.clearance,
            assurance: self.assurance.unwrap_or(by_kind),
            kind,
        }
    }

    /// The time at which it is asked.
    pub(super) const fn now_ms(&self) -> u64 {
        self.cast.now_ms
    }

    /// Whether nothing in it comes from a literal.
    pub(super) const fn is_plain(&self) -> bool {
        self.cast.name.is_none()
    }
}

/// Who stands in the questions, and when they are asked.
#[derive(Debug, Clone)]
struct Cast {
    /// What comes from a literal.
    name: Option<String>,
    /// Who acts.
    who: PersonId,
    /// Somebody else.
    other: PersonId,
    /// The key of who acts.
    key: KeyId,
    now_ms: u64,
}

impl Cast {
    fn plain() -> Result<Self, PolicyError> {
        let person = |name: &str| -> Result<PersonId, PolicyError> {
            name.parse().map_err(|_| PolicyError::Schema(format!("`{name}` names no person")))
        };
        Ok(Self {
            name: None,
            who: person("who-acts")?,
            other: person("somebody-else")?,
            key: KeyId::from_digest(Digest::of(b"who acts")),
            now_ms: NOW_MS,
        })
    }

    fn named(&self, name: String) -> Self {
        Self { name: Some(name), ..self.clone() }
    }

    /// Persons and keys that texts name, each as who acts, persons as somebody else too; and times that they name, one
    /// millisecond before, then, and one after.
    fn of_literals(&self, literals: &Literals) -> Vec<Self> {
        let mut all = Vec::new();
        let persons = literals.strings.iter().filter_map(|text| text.parse::<PersonId>().ok());
        for person in persons.take(LITERALS_MAX) {
            all.push(Self { who: person.clone(), ..self.named(format!("`{person}` acts")) });
            all.push(Self { other: person.clone(), ..self.named(format!("`{person}` is somebody else")) });
        }
        let is_key = |of_type: &str| matches!(of_type, "PersonKey" | "AutomationKey");
        let keys = literals.entities.iter().filter(|(of_type, _)| is_key(of_type));
        for key in keys.filter_map(|(_, id)| id.parse::<KeyId>().ok()).take(LITERALS_MAX) {
            all.push(Self { key, ..self.named(format!("key {key}")) });
        }
        let times = literals.numbers.iter().filter(|number| **number >= TIME_MIN);
        for time in times.filter_map(|number| u64::try_from(*number).ok()).take(LITERALS_MAX) {
            for now_ms in [time.saturating_sub(1), time, time.saturating_add(1)] {
                all.push(Self { now_ms, ..self.named(format!("at {now_ms}")) });
            }
        }
        all
    }
}

/// All circumstances: first with nobody and no time that a text names, then with each of those.
pub(super) fn circumstances(literals: &Literals) -> Result<Vec<Circumstance>, PolicyError> {
    let plain = Cast::plain()?;
    let named = plain.of_literals(literals);
    let mut signatures: BTreeSet<i64> = (0..SIGNATURES).collect();
    for number in literals.numbers.iter().filter(|number| (0..=SIGNATURES_MAX).contains(*number)) {
        signatures.extend([number.saturating_sub(1).max(0), *number, number.saturating_add(1)]);
    }
    signatures.remove(&SIGNATURES);
    Ok(std::iter::once(plain).chain(named).flat_map(|cast| of(&cast, &signatures)).collect())
}

/// The circumstances of a cast.
fn of(cast: &Cast, signatures: &BTreeSet<i64>) -> Vec<Circumstance> {
    let of = |name: String, facts: Differ| Circumstance {
        name: cast.name.as_ref().map_or_else(|| name.clone(), |cast| format!("{cast}, {name}")),
        facts,
        cast: cast.clone(),
        clearance: Tier::High,
        assurance: None,
    };
    let plain = |name: &str, facts: fn(&mut Facts)| of(name.to_owned(), Box::new(facts));
    let mut all = vec![plain("everything is there", |_| ())];
    all.extend(hats(cast).into_iter().map(|(name, facts)| of(name, facts)));
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
    for signed in signatures.iter().copied() {
        let by_persons = move |facts: &mut Facts| {
            (facts.approvals, facts.human_approvals) = (signed, signed);
        };
        all.push(of(format!("{signed} signatures of persons"), Box::new(by_persons)));
        let with_machine = move |facts: &mut Facts| {
            (facts.approvals, facts.human_approvals) = (signed.saturating_add(1), signed);
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
        plain("the authorisation has ended", |facts| {
            facts.authorised_until_ms = facts.authorised_until_ms.saturating_sub(1);
        }),
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

/// What the person is on the change already, and what somebody else is.
fn hats(cast: &Cast) -> Vec<(String, Differ)> {
    let sets: [(&str, Set); 5] = [
        ("proposed it", |facts| &mut facts.proposers),
        ("examined it", |facts| &mut facts.examiners),
        ("reviewed it for compliance", |facts| &mut facts.compliance),
        ("approved it", |facts| &mut facts.approvers),
        ("ordered it", |facts| &mut facts.operators),
    ];
    let mut hats: Vec<(String, Differ)> = Vec::new();
    for (did, set) in sets {
        for (name, person) in [("the same person", &cast.who), ("somebody else", &cast.other)] {
            let person = person.clone();
            let wear = move |facts: &mut Facts| {
                set(facts).insert(person.clone());
            };
            hats.push((format!("{name} {did}"), Box::new(wear)));
        }
    }
    hats
}
