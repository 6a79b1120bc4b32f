//! The order: a compare-and-swap on the slot, by an operator who did nothing else on the change.

use dossier::{Code, Dossier, Reason, Recorded, Refusal, World};
use statement::kind::ReleaseOrder;

use super::evidence::Evidence;
use super::{Approved, Ordered, Rules, approved, facts};
use crate::duties::Action;

/// Whether the order may move the slot at `now_ms`.
pub fn ordered(
    world: &World,
    dossier: &Dossier,
    rules: &Rules<'_>,
    order: &Recorded<ReleaseOrder>,
    now_ms: u64,
) -> Result<Ordered, Refusal> {
    let approved = approved(world, dossier, rules, now_ms)?;
    let body = &order.body;
    let Some(slot) = world.slot(&body.slot) else { return Err(Refusal::new(Code::UnknownSlot, &body.slot)) };
    let mut reasons = Vec::new();
    if slot.state != body.from_state || dossier.proposal.body.base_state != body.from_state {
        reasons.push(Reason::new(Code::SlotMoved, format!("{} is at {}", body.slot, slot.state.short())));
    }
    reasons.extend(mismatches(world, dossier, rules, body, &approved));
    let definition = &slot.definition.body;
    if body.fallback != definition.fallback || body.checkpoint_age_max_ms > definition.checkpoint_age_max_ms {
        reasons.push(Reason::new(Code::OrderMismatch, "fallback or checkpoint age"));
    }
    let limits = &rules.policy.rules.limits;
    let admit_ms = body.admit_before_ms.saturating_sub(now_ms);
    let serve_ms = body.serve_until_ms.saturating_sub(now_ms);
    if admit_ms == 0 || admit_ms > limits.order_admit_max_ms || serve_ms > limits.order_serve_max_ms {
        reasons.push(Reason::new(Code::OrderWindow, format!("admit {admit_ms} ms, serve {serve_ms} ms")));
    }
    if body.serve_until_ms < body.admit_before_ms {
        reasons.push(Reason::new(Code::OrderWindow, "ends before it may begin"));
    }
    reasons.extend(duties(world, dossier, rules, order, &approved, now_ms));
    Refusal::from_reasons(reasons)?;
    Ok(Ordered { approved, slot: body.slot.clone(), from_state: body.from_state, to_state: body.to_state })
}

/// What the order says otherwise than the record.
fn mismatches(
    world: &World,
    dossier: &Dossier,
    rules: &Rules<'_>,
    order: &ReleaseOrder,
    approved: &Approved,
) -> Vec<Reason> {
    let proposal = &dossier.proposal;
    let checks = [
        ("slot", order.slot == proposal.body.slot),
        ("proposal", order.proposal == proposal.id),
        ("verdict", order.verdict == approved.examined().verdict()),
        ("approvals", order.approvals == *approved.approvals()),
        ("policy", order.policy == rules.id),
        ("tier", order.tier == approved.tier()),
        ("to_state", order.to_state == approved.target_state()),
        ("tree_size", order.tree_size <= world.size()),
    ];
    let wrong = checks.iter().filter(|(_, same)| !same);
    wrong.map(|(member, _)| Reason::new(Code::OrderMismatch, member)).collect()
}

fn duties(
    world: &World,
    dossier: &Dossier,
    rules: &Rules<'_>,
    order: &Recorded<ReleaseOrder>,
    approved: &Approved,
    now_ms: u64,
) -> Vec<Reason> {
    let evidence = Evidence::weigh(world, dossier, rules, approved.tier(), now_ms);
    let mut facts = facts::facts(world, dossier, approved.tier(), &evidence.passing, now_ms);
    facts.approvals = i64::from(approved.signatures());
    facts.human_approvals = i64::from(approved.persons());
    order
        .signers
        .iter()
        .filter_map(|signer| facts::ask(rules, signer, Action::Order, &facts, now_ms).err())
        .collect()
}
