//! Who may do what under two texts of duties: the same questions asked of both.
//!
//! A question is an act, a key with its roles, a tier, and one circumstance in which the case differs from one where
//! everything is there: what the person already is on the change, a piece of evidence that is missing, fewer signatures,
//! another level, a freeze, an end that has come. A key has one role, or two that policies on the act name. Persons, keys
//! and times that stand in words that differ are asked about by name. An act on which both texts have the same policies
//! is not asked about.

use std::collections::{BTreeMap, BTreeSet};

use statement::kind::{Policy, Role, Tier};

use super::Shift;
use super::circumstances::{Circumstance, circumstances};
use super::texts::{Text, Texts, stops};
use crate::duties::{Action, Decision, Duties, Literals};
use crate::error::PolicyError;

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
    /// Which way the answer moved. To refuse somebody who would stop or go back is not the safe side.
    pub fn shift(&self) -> Shift {
        match Shift::of(self.then.is_permit(), self.now.is_permit(), self.then == self.now) {
            Shift::Tighter if stops(self.action) => Shift::Unclear,
            shift => shift,
        }
    }
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    /// How many questions both texts were asked.
    pub asked: u64,
    /// The acts that were asked about; on the others both texts have the same policies.
    pub actions: Vec<Action>,
    /// The policies whose words differ: the looser first.
    pub texts: Vec<Text>,
    /// The questions that were answered otherwise; tiers that are answered alike stand together.
    pub differing: Vec<Permission>,
}

/// Asks both policies.
///
/// # Errors
/// A text that cannot be put in force.
pub fn permissions(in_force: &Policy, other: &Policy) -> Result<Permissions, PolicyError> {
    let (then, now) = (super::duties(in_force)?, super::duties(other)?);
    let texts = Texts::of(&then, &now);
    let alike = |action: &Action| then.is_alike(&now, *action);
    let actions: Vec<Action> = Action::ALL.into_iter().filter(|action| !alike(action)).collect();
    let mut found = Permissions { actions, ..Permissions::default() };
    let keys: BTreeMap<Action, Keys> =
        found.actions.iter().map(|action| (*action, Keys::of(&texts, *action))).collect();
    let mut literals = Literals::default();
    for (_, then, now) in texts.changed() {
        then.into_iter().chain(now).for_each(|written| literals.extend(written.literals.clone()));
    }
    if !found.actions.is_empty() {
        for circumstance in circumstances(&literals)? {
            let from = found.differing.len();
            for tier in Tier::ALL {
                ask(&mut found, from, &keys, (&then, &now), &circumstance, tier);
            }
        }
    }
    found.differing.sort_by_key(Permission::shift);
    found.texts = texts.told(&found.differing);
    found.texts.sort_by_key(|text| text.shift);
    Ok(found)
}

/// One circumstance and tier, for every act that is asked about and every key. What differs in this circumstance stands
/// from `from` on.
fn ask(
    found: &mut Permissions,
    from: usize,
    keys: &BTreeMap<Action, Keys>,
    (then, now): (&Duties, &Duties),
    circumstance: &Circumstance,
    tier: Tier,
) {
    let facts = circumstance.facts(tier);
    let (then_change, now_change) = (then.change(&facts), now.change(&facts));
    let at_ms = circumstance.now_ms();
    for (action, keys) in keys {
        for roles in keys.of_circumstance(circumstance) {
            let actor = circumstance.actor(roles);
            found.asked += 1;
            let answers = (
                then.decide_on(&actor, *action, &then_change, at_ms),
                now.decide_on(&actor, *action, &now_change, at_ms),
            );
            if answers.0 == answers.1 {
                continue;
            }
            let is_of = |known: &&mut Permission| {
                known.action == *action
                    && known.roles == *roles
                    && (&known.then, &known.now) == (&answers.0, &answers.1)
            };
            if let Some(known) = found.differing.iter_mut().skip(from).find(is_of) {
                known.tiers.push(tier);
                continue;
            }
            found.differing.push(Permission {
                action: *action,
                roles: roles.clone(),
                circumstance: circumstance.name.clone(),
                tiers: vec![tier],
                then: answers.0,
                now: answers.1,
            });
        }
    }
}

/// The keys that an act is asked about with, by their roles.
struct Keys {
    /// Each role by itself, machines that have a person's role, and pairs of roles that the act's policies name. To
    /// policies, roles that they do not name are no roles.
    all: Vec<BTreeSet<Role>>,
    /// Of those, the roles that are named, and one that is not, by themselves.
    some: Vec<BTreeSet<Role>>,
}

impl Keys {
    fn of(texts: &Texts, action: Action) -> Self {
        let of_action = texts.all().filter(|written| written.actions.contains(&action));
        let named: BTreeSet<Role> = of_action.flat_map(|written| written.literals.roles()).collect();
        let persons = [Role::Approver, Role::Operator, Role::Examiner, Role::Proposer];
        let machines = persons.into_iter().chain(named.iter().copied());
        let machines = machines.map(|role| BTreeSet::from([Role::Automation, role]));
        let pairs = named.iter().flat_map(|one| named.iter().map(|two| BTreeSet::from([*one, *two])));
        let alone = Role::ALL.into_iter().map(|role| BTreeSet::from([role]));
        let mut all: Vec<BTreeSet<Role>> = Vec::new();
        for roles in alone.chain(machines).chain(pairs) {
            if !all.contains(&roles) {
                all.push(roles);
            }
        }
        let unnamed = Role::ALL.into_iter().find(|role| !named.contains(role));
        Self { all, some: named.into_iter().chain(unnamed).map(|role| BTreeSet::from([role])).collect() }
    }

    /// All of them where nothing comes from a literal; else some.
    fn of_circumstance(&self, circumstance: &Circumstance) -> &[BTreeSet<Role>] {
        if circumstance.is_plain() { &self.all } else { &self.some }
    }
}
