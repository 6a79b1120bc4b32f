//! Separation of duties over time: whatever persons try, in whatever order, nobody ends up with two hats on one change
//! and nothing is ordered with too few persons behind it.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::quorum;

static DUTIES: LazyLock<Duties> = LazyLock::new(duties);

const NAMES: [&str; 8] = ["ada", "bea", "cy", "dan", "eve", "flo", "gus", "hal"];

/// The acts that put a hat on.
const HATS: [(Action, Role); 6] = [
    (Action::Propose, Role::Proposer),
    (Action::Examine, Role::Examiner),
    (Action::ReviewCompliance, Role::Compliance),
    (Action::Approve, Role::Approver),
    (Action::AutoApprove, Role::Automation),
    (Action::Order, Role::Operator),
];

/// Who tries what: a person of [`NAMES`] (or the machine they answer for), an act of [`HATS`].
fn attempts() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..NAMES.len(), 0..HATS.len()), 0..40)
}

/// One enrolled the other.
fn enrolments() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..NAMES.len(), 0..NAMES.len()), 0..4)
}

/// The record of one change: facts, and who signed approvals as a person and as a machine.
struct Record {
    facts: Facts,
    by_person: BTreeSet<PersonId>,
    enrolled: BTreeMap<PersonId, BTreeSet<PersonId>>,
}

impl Record {
    fn new(tier: Tier, enrolments: &[(usize, usize)]) -> Self {
        let mut enrolled = BTreeMap::<PersonId, BTreeSet<PersonId>>::new();
        for (by, whom) in enrolments {
            enrolled.entry(person(NAMES[*by])).or_default().insert(person(NAMES[*whom]));
        }
        let facts = Facts { approvals: 0, human_approvals: 0, ..complete(tier) };
        Self { facts, by_person: BTreeSet::new(), enrolled }
    }

    /// Tries the act; what is permitted goes on record, as the fold of the log would have it.
    fn attempt(&mut self, name: &str, action: Action, role: Role) -> bool {
        // Everybody has every role of persons here: only the duties stand between them.
        let person_roles = [Role::Proposer, Role::Examiner, Role::Compliance, Role::Approver, Role::Operator];
        let who = match role {
            Role::Automation => actor(name, &[Role::Automation]),
            _ => actor(name, &person_roles),
        };
        if !DUTIES.decide(&who, action, &self.facts, NOW_MS).is_permit() {
            return false;
        }
        let hat = match action {
            Action::Propose => &mut self.facts.proposers,
            Action::Examine => &mut self.facts.examiners,
            Action::ReviewCompliance => &mut self.facts.compliance,
            Action::Approve | Action::AutoApprove => &mut self.facts.approvers,
            Action::Order => &mut self.facts.operators,
            _ => unreachable!(),
        };
        hat.insert(who.person.clone());
        if action == Action::Approve {
            self.by_person.insert(who.person);
        }
        self.facts.approvals = quorum::count(&self.facts.approvers, &self.enrolled).into();
        self.facts.human_approvals = quorum::count(&self.by_person, &self.enrolled).into();
        true
    }

    fn hats(&self, person: &PersonId) -> usize {
        let all = [
            &self.facts.proposers,
            &self.facts.examiners,
            &self.facts.compliance,
            &self.facts.approvers,
            &self.facts.operators,
        ];
        all.into_iter().filter(|set| set.contains(person)).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_gets_two_hats_and_no_order_lacks_persons(
        tier in 0_usize..4, acts in attempts(), enrolments in enrolments(),
    ) {
        let tier = Tier::ALL[tier];
        let mut record = Record::new(tier, &enrolments);
        for (name, act) in acts {
            let (action, role) = HATS[act];
            let done = record.attempt(NAMES[name], action, role);
            for name in NAMES {
                prop_assert!(record.hats(&person(name)) <= 1, "{name} has two hats");
            }
            if done && action == Action::Order {
                let (persons, humans) = (record.facts.approvers.len(), record.by_person.len());
                let (least, least_humans) = match tier {
                    Tier::Minimal => (1, 0),
                    Tier::Low => (2, 1),
                    Tier::Medium => (3, 3),
                    Tier::High => (5, 5),
                };
                prop_assert!(persons >= least && humans >= least_humans);
            }
        }
    }

    #[test]
    fn an_operator_can_always_go_back(tier in 0_usize..4, acts in attempts()) {
        let mut record = Record::new(Tier::ALL[tier], &[]);
        for (name, act) in acts {
            let (action, role) = HATS[act];
            record.attempt(NAMES[name], action, role);
        }
        for frozen in [false, true] {
            let facts = Facts { frozen, authorised_until_ms: 0, ..record.facts.clone() };
            for name in NAMES {
                let operator = actor(name, &[Role::Operator]);
                prop_assert!(DUTIES.decide(&operator, Action::Rollback, &facts, NOW_MS).is_permit());
            }
        }
    }
}

#[test]
fn every_tier_can_be_reached_when_enough_persons_take_part() {
    for tier in Tier::ALL {
        let mut record = Record::new(tier, &[]);
        assert!(record.attempt("ada", Action::Propose, Role::Proposer));
        assert!(record.attempt("bea", Action::Examine, Role::Examiner));
        assert!(record.attempt("cy", Action::ReviewCompliance, Role::Compliance));
        assert!(!record.attempt("oz", Action::Order, Role::Operator));
        let approvers: &[(&str, Action, Role)] = &[
            ("auto", Action::AutoApprove, Role::Automation),
            ("dan", Action::Approve, Role::Approver),
            ("eve", Action::Approve, Role::Approver),
            ("flo", Action::Approve, Role::Approver),
            ("gus", Action::Approve, Role::Approver),
            ("hal", Action::Approve, Role::Approver),
        ];
        let signers = match tier {
            Tier::Minimal => &approvers[..1],
            Tier::Low => &approvers[..2],
            Tier::Medium => &approvers[1..4],
            Tier::High => &approvers[1..],
        };
        for (name, action, role) in signers {
            assert!(record.attempt(name, *action, *role), "{tier:?}: {name}");
        }
        assert!(record.attempt("oz", Action::Order, Role::Operator), "{tier:?}");
    }
}
