//! Past decisions asked again by another policy, each on the record as it stood when it was made.
//!
//! The fold goes on by what the record decided; beside it the other policy is asked. What was said about the tier and the
//! risk that held then is read as said about those that the other policy gives: the same persons, having seen the same
//! evidence. What disagreed with the record then disagrees still.
//!
//! What this module does not do: foresee. Had another policy been in force, other persons would have been asked.

use std::cell::RefCell;
use std::collections::BTreeMap;

use dossier::{Actor, Dossier, Judge, RealmAct, Reason, Recorded, Refusal, World};
use statement::kind::{Approval, Outcome, Policy, ReleaseOrder, Tier, Verdict};
use statement::{ChangeId, StatementId};

use super::{Bench, Decision, Rules, approved, decide, may_approve, ordered};
use crate::duties::Duties;
use crate::error::PolicyError;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decided {
    /// A verdict.
    Verdict,
    /// Whether an approval counts.
    Approval,
    /// Whether an order moves its slot.
    Order,
}

impl Decided {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Approval => "approval",
            Self::Order => "order",
        }
    }
}

/// The answer of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// What it lets: a verdict that passes, an approval that counts, an order that moves the slot.
    pub allows: bool,
    /// The verdict, where one was asked for.
    pub outcome: Option<Outcome>,
    /// The tier that it gives the change; none where it could not be told.
    pub tier: Option<Tier>,
    /// The risk, where a verdict was asked for: log10 of probability times loss, in thousandths.
    pub risk: Option<i64>,
    /// What is missing or against it, in order.
    pub reasons: Vec<Reason>,
}

/// A decision of the record, and what both policies say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried {
    /// The leaf that states it.
    pub leaf: u64,
    /// The statement.
    pub statement: StatementId,
    /// The change it is about.
    pub change: ChangeId,
    /// What was decided.
    pub decided: Decided,
    /// By the policy that was in force.
    pub then: Ruling,
    /// By the other.
    pub now: Ruling,
}

/// Judges by the policies of the record, and asks another one beside them.
#[derive(Debug)]
pub struct Retrial<'a> {
    bench: Bench,
    policy: &'a Policy,
    duties: Duties,
    /// By leaf: a log that is folded anew states each decision again.
    retried: RefCell<BTreeMap<u64, Retried>>,
}

impl<'a> Retrial<'a> {
    /// A retrial by that policy.
    ///
    /// # Errors
    /// What makes the policy one that could not be put in force.
    pub fn by(policy: &'a Policy) -> Result<Self, PolicyError> {
        crate::rules::validate(&policy.rules)?;
        let duties = Duties::load(&policy.cedar, &policy.schema)?;
        Ok(Self { bench: Bench::new(), policy, duties, retried: RefCell::default() })
    }

    /// What was asked again, in the order of the log.
    pub fn into_retried(self) -> Vec<Retried> {
        self.retried.into_inner().into_values().collect()
    }

    /// The other policy, in the place of the one in force.
    fn rules(&self, world: &World) -> Result<Rules<'_>, Refusal> {
        let in_force = world.policy().ok_or_else(|| Refusal::new(dossier::Code::NoPolicy, "policy"))?;
        Ok(Rules { id: in_force.id, policy: self.policy, duties: &self.duties, asked: RefCell::default() })
    }

    fn keep<T>(&self, decided: Decided, about: (&Dossier, &Recorded<T>), then: Ruling, now: Ruling) {
        let (dossier, said) = about;
        let (leaf, statement, change) = (said.index, said.id, dossier.change.clone());
        let retried = Retried { leaf, statement, change, decided, then, now };
        self.retried.borrow_mut().insert(leaf, retried);
    }
}

impl Ruling {
    fn of_verdict(decision: Result<Decision, Refusal>) -> Self {
        match decision {
            Ok(decision) => Self {
                allows: decision.outcome == Outcome::Pass,
                outcome: Some(decision.outcome),
                tier: Some(decision.score.tier),
                risk: Some(decision.score.risk),
                reasons: decision.reasons,
            },
            Err(refusal) => {
                Self { allows: false, outcome: None, tier: None, risk: None, reasons: refusal.into_reasons() }
            }
        }
    }

    fn of_act(answer: Result<(), Refusal>, tier: Option<Tier>) -> Self {
        let reasons = answer.err().map(Refusal::into_reasons).unwrap_or_default();
        Self { allows: reasons.is_empty(), outcome: None, tier, risk: None, reasons }
    }
}

/// A dossier, of which what was said about the score that held then is said about the one that the rules give.
struct Restated {
    dossier: Dossier,
    then: Option<(Tier, i64)>,
    now: (Tier, i64),
}

impl Restated {
    fn by(world: &World, dossier: &Dossier, rules: &Rules<'_>, now_ms: u64) -> Result<Self, Refusal> {
        let decision = decide(world, dossier, rules, now_ms)?;
        let now = (decision.score.tier, decision.score.risk);
        let then = dossier.verdict.as_ref().map(|verdict| (verdict.body.score.tier, verdict.body.score.risk));
        let mut restated = Self { dossier: dossier.clone(), then, now };
        if let Some(verdict) = &mut restated.dossier.verdict {
            verdict.body.outcome = decision.outcome;
            verdict.body.score = decision.score;
        }
        let mut approvals = std::mem::take(&mut restated.dossier.approvals);
        for approval in approvals.values_mut() {
            restated.approval(&mut approval.body);
        }
        restated.dossier.approvals = approvals;
        Ok(restated)
    }

    /// An approval of the score that held then is one of the score that holds now; any other stays what it is.
    fn approval(&self, approval: &mut Approval) {
        if self.then == Some((approval.tier, approval.risk)) {
            (approval.tier, approval.risk) = self.now;
        }
    }

    fn order(&self, order: &mut ReleaseOrder) {
        if self.then.is_some_and(|(tier, _)| tier == order.tier) {
            order.tier = self.now.0;
        }
    }
}

impl Judge for Retrial<'_> {
    fn verdict(&self, world: &World, dossier: &Dossier, verdict: &Recorded<Verdict>) -> Result<(), Refusal> {
        let follows = self.bench.verdict(world, dossier, verdict);
        // A verdict that did not follow decided nothing.
        if follows.is_ok() {
            let body = &verdict.body;
            let then = self.bench.with_rules(world, |rules| decide(world, dossier, rules, verdict.stamp_ms));
            let mut then = Ruling::of_verdict(then);
            then.allows = body.outcome == Outcome::Pass;
            let now = self.rules(world).and_then(|rules| decide(world, dossier, &rules, verdict.stamp_ms));
            self.keep(Decided::Verdict, (dossier, verdict), then, Ruling::of_verdict(now));
        }
        follows
    }

    fn approval(
        &self,
        world: &World,
        dossier: &Dossier,
        approval: &Recorded<Approval>,
    ) -> Result<(), Refusal> {
        let counts = self.bench.approval(world, dossier, approval);
        let at_ms = approval.stamp_ms;
        let mut tier = None;
        let again = self.rules(world).and_then(|rules| {
            let restated = Restated::by(world, dossier, &rules, at_ms)?;
            tier = Some(restated.now.0);
            let mut approval = approval.clone();
            restated.approval(&mut approval.body);
            may_approve(world, &restated.dossier, &rules, &approval, at_ms)
        });
        let then = Ruling::of_act(counts.clone(), Some(approval.body.tier));
        self.keep(Decided::Approval, (dossier, approval), then, Ruling::of_act(again, tier));
        counts
    }

    fn realm(&self, world: &World, act: RealmAct<'_>, signers: &[Actor], at_ms: u64) -> Result<(), Refusal> {
        self.bench.realm(world, act, signers, at_ms)
    }

    fn order(&self, world: &World, dossier: &Dossier, order: &Recorded<ReleaseOrder>) -> Result<(), Refusal> {
        let moves = self.bench.order(world, dossier, order);
        let at_ms = order.stamp_ms;
        let mut tier = None;
        let again = self.rules(world).and_then(|rules| {
            let restated = Restated::by(world, dossier, &rules, at_ms)?;
            tier = Some(restated.now.0);
            let mut order = order.clone();
            restated.order(&mut order.body);
            // An order that named all approvals that counted then names all that count now.
            let counted = self.bench.with_rules(world, |rules| approved(world, dossier, rules, at_ms)).ok();
            if counted.is_none_or(|counted| *counted.approvals() == order.body.approvals) {
                let now = approved(world, &restated.dossier, &rules, at_ms)?;
                order.body.approvals.clone_from(now.approvals());
            }
            ordered(world, &restated.dossier, &rules, &order, at_ms).map(drop)
        });
        let then = Ruling::of_act(moves.clone(), Some(order.body.tier));
        self.keep(Decided::Order, (dossier, order), then, Ruling::of_act(again, tier));
        moves
    }
}
