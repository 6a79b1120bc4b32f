//! From dossier and history to the inputs of the impact score.

use dossier::{Code, Dossier, Refusal, SlotRecord, World};
use statement::kind::Score;

use super::Rules;
use crate::impact::{self, ImpactInput};
use crate::reliability;

/// The score of a change. What was not measured counts as the worst.
pub(super) fn score(
    world: &World,
    dossier: &Dossier,
    slot: &SlotRecord,
    rules: &Rules<'_>,
) -> Result<Score, Refusal> {
    let proposal = &dossier.proposal.body;
    let tables = &rules.policy.rules;
    let class = world.class(proposal.modification);
    let trials = class.successes.saturating_add(class.failures);
    let wrong = |what: &str| Refusal::new(Code::PolicyInvalid, what);
    let reliability =
        reliability::failure_upper_bound(class.failures, trials).map_err(|_| wrong("reliability"))?;
    let input = ImpactInput {
        scope: scope(dossier, slot, rules),
        depth: tables.impact.depth.get(&proposal.modification).copied().unwrap_or(1_000),
        reliability: reliability.number(),
        undetectability: tables.impact.undetectability.get(&proposal.modification).copied().unwrap_or(1_000),
        impact_milli: slot.definition.body.impact_milli,
        level: proposal.level,
    };
    impact::score(&tables.impact, &input).map_err(|error| wrong(error.code()))
}

/// How much of what may be moved is moved, 0 to 1000: for weights cumulatively since persons last approved, so that many
/// small steps count like one large one; for prompts and settings the share of sections or keys.
fn scope(dossier: &Dossier, slot: &SlotRecord, rules: &Rules<'_>) -> i64 {
    let tables = &rules.policy.rules;
    if let Some(moved) = dossier.weights_moved_ppm(tables) {
        return per_mille(slot.automatic_drift_ppm.saturating_add(moved), tables.automatic_drift_ppm_max);
    }
    let shares = dossier.scope_findings(tables).map(|finding| {
        let measure = |name: &str| {
            let named = finding.body.measures.iter().find(|(key, _)| key.as_str() == name);
            named.and_then(|(_, value)| u64::try_from(*value).ok())
        };
        // Part and whole come from one finding, so that no other can make the whole larger.
        let share = |part: &str, whole: &str| Some(per_mille(measure(part)?, measure(whole)?));
        share("sections_changed", "sections").or(share("keys_changed", "keys")).unwrap_or(1_000)
    });
    shares.max().unwrap_or(1_000)
}

/// `part` of `whole` in thousandths, rounded up, 1000 at most; of nothing, everything.
pub(super) fn per_mille(part: u64, whole: u64) -> i64 {
    if whole == 0 {
        return 1_000;
    }
    let share = u128::from(part).saturating_mul(1_000).div_ceil(u128::from(whole)).min(1_000);
    i64::try_from(share).unwrap_or(1_000)
}
