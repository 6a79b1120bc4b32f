//! The judge's bench: the gates, asked again by the fold for every verdict, approval and order it meets.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use dossier::{Actor, Code, Dossier, Judge, RealmAct, Reason, Recorded, Refusal, World};
use statement::kind::{Approval, ReleaseOrder, Verdict};
use statement::{Name, StatementId};

use super::{Rules, decide, facts, may_approve, ordered};
use crate::duties::Duties;

/// Judges by the policy in force at each leaf. Duties are parsed once per policy.
#[derive(Debug, Default)]
pub struct Bench {
    duties: RefCell<BTreeMap<StatementId, Result<Rc<Duties>, Refusal>>>,
}

impl Bench {
    /// A bench that has seen no policy yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The duties of the policy in force.
    pub fn duties(&self, world: &World) -> Result<Rc<Duties>, Refusal> {
        let Some(policy) = world.policy() else { return Err(Refusal::new(Code::NoPolicy, "policy")) };
        let mut known = self.duties.borrow_mut();
        let entry = known.entry(policy.id).or_insert_with(|| {
            Duties::load(&policy.body.cedar, &policy.body.schema)
                .map(Rc::new)
                .map_err(|error| Refusal::new(Code::PolicyInvalid, error.code()))
        });
        entry.clone()
    }

    /// Acts by the policy in force.
    pub(super) fn with_rules<T>(
        &self,
        world: &World,
        act: impl FnOnce(&Rules<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let duties = self.duties(world)?;
        act(&Rules::new(world, &duties)?)
    }
}

impl Judge for Bench {
    fn verdict(&self, world: &World, dossier: &Dossier, verdict: &Recorded<Verdict>) -> Result<(), Refusal> {
        self.with_rules(world, |rules| {
            let decision = decide(world, dossier, rules, verdict.stamp_ms)?;
            let body = &verdict.body;
            let codes: std::collections::BTreeSet<&str> =
                decision.reasons.iter().map(|reason| reason.code.as_str()).collect();
            let stated: std::collections::BTreeSet<&str> = body.reasons.iter().map(Name::as_str).collect();
            let checks = [
                ("policy", body.policy == rules.id),
                ("findings", body.findings == decision.findings),
                ("outcome", body.outcome == decision.outcome),
                ("score", body.score == decision.score),
                ("reasons", stated == codes),
                ("tree_size", body.tree_size <= world.size()),
            ];
            let wrong = checks.iter().filter(|(_, same)| !same);
            Refusal::from_reasons(wrong.map(|(member, _)| Reason::new(Code::VerdictDiffers, member)))
        })
    }

    fn approval(
        &self,
        world: &World,
        dossier: &Dossier,
        approval: &Recorded<Approval>,
    ) -> Result<(), Refusal> {
        self.with_rules(world, |rules| may_approve(world, dossier, rules, approval, approval.stamp_ms))
    }

    fn realm(&self, world: &World, act: RealmAct<'_>, signers: &[Actor], at_ms: u64) -> Result<(), Refusal> {
        if let RealmAct::Policy(policy) = act {
            let unusable = |error: crate::PolicyError| Refusal::new(Code::PolicyInvalid, error.code());
            crate::rules::validate(&policy.rules).map_err(unusable)?;
            return Duties::load(&policy.cedar, &policy.schema).map(drop).map_err(unusable);
        }
        self.with_rules(world, |rules| {
            let Some((action, facts)) = facts::realm(world, act) else { return Ok(()) };
            let asked =
                signers.iter().filter_map(|signer| facts::ask(rules, signer, action, &facts, at_ms).err());
            Refusal::from_reasons(asked)
        })
    }

    fn order(&self, world: &World, dossier: &Dossier, order: &Recorded<ReleaseOrder>) -> Result<(), Refusal> {
        self.with_rules(world, |rules| ordered(world, dossier, rules, order, order.stamp_ms).map(drop))
    }
}
