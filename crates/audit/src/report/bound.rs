//! Which engines served what was released: as strongly tied to the state as the policy asked in the order's tier, or not.

use std::collections::BTreeMap;

use dossier::{Checked, Dossier};
use statement::kind::{BindingLevel, Policy, Stage};
use statement::{Body, Content, Leaf, StatementId};

use super::text;
use crate::check::Record;

/// Changes that users got from engines that nothing in the record tied to the state as strongly as the policy of their order
/// asked, by the first report of a stage with users.
pub(super) fn unbound(record: &Record<'_>) -> Vec<String> {
    let policies: BTreeMap<StatementId, &Policy> = record.leaves.iter().filter_map(policy).collect();
    record.ledger.dossiers().filter_map(|dossier| told(dossier, &policies)).collect()
}

fn told(dossier: &Dossier, policies: &BTreeMap<StatementId, &Policy>) -> Option<String> {
    let order = dossier.order.as_ref()?;
    let needed = policies.get(&order.body.policy)?.rules.tiers.get(&order.body.tier)?.binding;
    let has_users = |stage: Stage| match stage {
        Stage::Synthetic | Stage::Shadow => false,
        Stage::Canary | Stage::Ramp | Stage::Full => true,
    };
    let mut stages = dossier.stages.iter();
    let first = stages.find(|report| report.body.order == order.id && has_users(report.body.stage))?;
    let bound = dossier.bindings.iter().filter(|it| it.body.order == order.id && it.index < first.index);
    // As gateways have it: a binding carries no evidence of hardware.
    let levels = bound.map(|binding| binding.body.level.min(BindingLevel::Launched));
    let strongest = levels.max().unwrap_or(BindingLevel::Declared);
    (strongest < needed).then(|| {
        format!(
            "change `{}`, tier {}: `{}` is asked for, and `{}` was in the record when a stage with users was reported at \
             leaf {}",
            dossier.change.short(),
            text::word(&order.body.tier),
            text::word(&needed),
            text::word(&strongest),
            first.index
        )
    })
}

fn policy(entry: &Checked) -> Option<(StatementId, &Policy)> {
    let leaf = entry.leaf().ok()?;
    match leaf {
        Leaf { content: Content::Known(statement), .. } => match &statement.body {
            Body::Policy(policy) => Some((leaf.id, policy)),
            _ => None,
        },
        Leaf { .. } => None,
    }
}
