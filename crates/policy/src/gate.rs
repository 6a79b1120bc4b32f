//! The gates: pure functions from dossier, policy and time to a token, or a refusal with its reasons.
//!
//! | gate | token | what it opens |
//! |---|---|---|
//! | [`decide`] | none: a [`Decision`] that a verdict states | |
//! | [`examined`] | [`Examined`] | approving |
//! | [`approved`] | [`Approved`] | ordering |
//! | [`ordered`] | [`Ordered`] | the slot |
//! | [`admit`] | [`Admitted`] | serving |
//!
//! A token is bound to what was checked, and is neither `Clone` nor readable from bytes: whoever holds one came through
//! the gate. Cannot decide = refuse.
//!
//! Invariant: [`Bench`] judges leaves in the fold with the same functions that programs ask before they sign. There is
//! no second way to count signatures.

mod admit;
mod approve;
mod bench;
mod boxed;
mod elsewhere;
mod evidence;
mod facts;
mod family;
mod grant;
mod order;
mod retrial;
mod scoring;
mod target;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeSet;

use dossier::{Code, Reason, Refusal, World};
use statement::kind::{Outcome, Policy, Score, Tier, TierRule};
use statement::{ChangeId, SlotId, StateId, StatementId};

pub use admit::{CheckpointView, admit, serve};
pub use approve::{Counted, approved, counted, may_approve};
pub use bench::Bench;
pub(crate) use evidence::is_persons_alone;
pub use evidence::{decide, examined};
pub(crate) use family::FAMILIES;
pub use order::ordered;
pub use retrial::{Decided, Retrial, Retried, Ruling};

use crate::duties::{self, Duties};

/// Name and version of the code that decides, recorded in verdicts.
pub const DECIDER: &str = concat!("countersign-policy/", env!("CARGO_PKG_VERSION"));

/// The policy in force, ready to decide by.
#[derive(Debug)]
pub struct Rules<'a> {
    /// The statement that put it in force.
    pub id: StatementId,
    /// Its tables and text.
    pub policy: &'a Policy,
    /// Its duties, parsed and validated.
    pub duties: &'a Duties,
    /// What the duties were asked so far and said: gates ask the same of the same facts more than once.
    asked: RefCell<Vec<Asked>>,
}

/// About how many facts, and how many answers to each, are kept: more than gates ask about one change.
const ASKED_MAX: usize = 64;

/// Facts that the duties were asked about, and their answers.
#[derive(Debug)]
struct Asked {
    facts: duties::Facts,
    change: duties::Change,
    answers: Vec<Answer>,
}

/// What the duties said.
#[derive(Debug)]
struct Answer {
    actor: duties::Actor,
    action: duties::Action,
    now_ms: u64,
    decision: duties::Decision,
}

impl<'a> Rules<'a> {
    /// The policy in force of the world with the duties made from it.
    pub fn new(world: &'a World, duties: &'a Duties) -> Result<Self, Refusal> {
        let Some(policy) = world.policy() else { return Err(Refusal::new(Code::NoPolicy, "policy")) };
        if let Err(error) = crate::rules::validate(&policy.body.rules) {
            return Err(Refusal::new(Code::PolicyInvalid, error.code()));
        }
        Ok(Self { id: policy.id, policy: &policy.body, duties, asked: RefCell::default() })
    }

    /// What the duties say. The same facts are made ready once, and the same question is evaluated once.
    fn ask(
        &self,
        actor: duties::Actor,
        action: duties::Action,
        facts: &duties::Facts,
        now_ms: u64,
    ) -> duties::Decision {
        let mut asked = self.asked.borrow_mut();
        if asked.len() >= ASKED_MAX {
            asked.clear();
        }
        let at = asked.iter().position(|about| about.facts == *facts).unwrap_or_else(|| {
            let (facts, change) = (facts.clone(), self.duties.change(facts));
            asked.push(Asked { facts, change, answers: Vec::new() });
            asked.len() - 1
        });
        let Some(about) = asked.get_mut(at) else { return self.duties.decide(&actor, action, facts, now_ms) };
        let is_same = |one: &&Answer| one.now_ms == now_ms && one.action == action && one.actor == actor;
        if let Some(known) = about.answers.iter().find(is_same) {
            return known.decision.clone();
        }
        if about.answers.len() >= ASKED_MAX {
            about.answers.clear();
        }
        let decision = self.duties.decide_on(&actor, action, &about.change, now_ms);
        about.answers.push(Answer { actor, action, now_ms, decision: decision.clone() });
        decision
    }

    fn tier(&self, tier: Tier) -> Result<&TierRule, Refusal> {
        self.policy.rules.tiers.get(&tier).ok_or_else(|| Refusal::new(Code::PolicyInvalid, tier))
    }
}

/// What follows from a change's findings under the policy: the content of a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Pass, fail or inconclusive.
    pub outcome: Outcome,
    /// What is missing or against it; empty exactly when it passes.
    pub reasons: Vec<Reason>,
    /// The score.
    pub score: Score,
    /// Every finding on the proposal.
    pub findings: BTreeSet<StatementId>,
}

/// The change's evidence suffices, and a verdict in the record says so.
#[derive(Debug)]
pub struct Examined {
    change: ChangeId,
    proposal: StatementId,
    verdict: StatementId,
    decision: Decision,
}

impl Examined {
    /// The change.
    pub const fn change(&self) -> &ChangeId {
        &self.change
    }

    /// The proposal that was examined.
    pub const fn proposal(&self) -> StatementId {
        self.proposal
    }

    /// The verdict.
    pub const fn verdict(&self) -> StatementId {
        self.verdict
    }

    /// What was decided.
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }
}

/// Enough persons who count have approved exactly what was examined.
#[derive(Debug)]
pub struct Approved {
    examined: Examined,
    target_state: StateId,
    approvals: BTreeSet<StatementId>,
    signatures: u32,
    persons: u32,
}

impl Approved {
    /// What was examined.
    pub const fn examined(&self) -> &Examined {
        &self.examined
    }

    /// The state that was approved.
    pub const fn target_state(&self) -> StateId {
        self.target_state
    }

    /// The approvals that count.
    pub const fn approvals(&self) -> &BTreeSet<StatementId> {
        &self.approvals
    }

    /// How many signatures they count as.
    pub const fn signatures(&self) -> u32 {
        self.signatures
    }

    /// How many of them are persons who count.
    pub const fn persons(&self) -> u32 {
        self.persons
    }

    /// The tier they suffice for.
    pub const fn tier(&self) -> Tier {
        self.examined.decision.score.tier
    }
}

/// The order may move the slot.
#[derive(Debug)]
pub struct Ordered {
    approved: Approved,
    slot: SlotId,
    from_state: StateId,
    to_state: StateId,
}

impl Ordered {
    /// What was approved.
    pub const fn approved(&self) -> &Approved {
        &self.approved
    }

    /// The slot it moves.
    pub const fn slot(&self) -> &SlotId {
        &self.slot
    }

    /// From which state.
    pub const fn from_state(&self) -> StateId {
        self.from_state
    }

    /// To which state.
    pub const fn to_state(&self) -> StateId {
        self.to_state
    }
}

/// A gateway may serve the state.
#[derive(Debug)]
pub struct Admitted {
    order: StatementId,
    slot: SlotId,
    state: StateId,
    serve_until_ms: u64,
    fallback: StateId,
    tree_size: u64,
}

impl Admitted {
    /// The order.
    pub const fn order(&self) -> StatementId {
        self.order
    }

    /// The slot.
    pub const fn slot(&self) -> &SlotId {
        &self.slot
    }

    /// The state to serve.
    pub const fn state(&self) -> StateId {
        self.state
    }

    /// Until when.
    pub const fn serve_until_ms(&self) -> u64 {
        self.serve_until_ms
    }

    /// What to serve afterwards.
    pub const fn fallback(&self) -> StateId {
        self.fallback
    }

    /// The size of the log it was judged by.
    pub const fn tree_size(&self) -> u64 {
        self.tree_size
    }
}
