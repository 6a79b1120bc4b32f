//! The tables of a policy: whether they hold together, and the default ones.
//!
//! The mission's table is a floor: 1, 2, 3 and 5 signatures, automation up to low, oversight from low, formal
//! verification and security review from medium, external audit at high. A policy may ask for more; one that asks for
//! less is refused, whoever signed it.
//!
//! What this module does not do: apply the tables. Gates do.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use statement::Digest;
use statement::json::{self, Limits};
use statement::kind::{
    Capacity, EvidenceKind, Isolation, ModificationKind, Policy, PolicyRules, Tier, TierRule, WorkerRule,
};

use crate::duties;
use crate::error::{PolicyError, tier_name};
use crate::gate::{FAMILIES, is_persons_alone};
use crate::impact;

/// The default tables, as JSON of [`PolicyRules`]; `workers` is empty there.
pub const DEFAULT_TEXT: &str = include_str!("../../../policies/default-rules.json");

/// The default scope of level 1 for adapters, as JSON of [`tensor::scope::Scope`]: attention projections, rank 16, five
/// per cent.
pub const SCOPE_LEVEL_1_ADAPTER_TEXT: &str = include_str!("../../../policies/scopes/level-1-adapter.json");

/// The default scope of level 1 for prompts and settings.
pub const SCOPE_LEVEL_1_PROMPT_TEXT: &str = include_str!("../../../policies/scopes/level-1-prompt.json");

/// The default scope of level 2: attention and feed-forward projections, rank 64, ten per cent, and facts in prompts.
pub const SCOPE_LEVEL_2_TEXT: &str = include_str!("../../../policies/scopes/level-2.json");

/// The most signatures, examiners or persons a tier may ask for: more could never be counted.
const COUNT_MAX: u32 = 32;

/// The longest any limit in time may be: ten years.
const TIME_MAX_MS: u64 = 10 * 366 * 24 * 60 * 60 * 1000;

/// Workers by the digest of their code, each with the kinds of evidence that it may give.
pub type Workers = BTreeMap<Digest, BTreeSet<EvidenceKind>>;

/// The kinds of evidence that the worker of this version gives: it measures changes against their scope, and examines them
/// against what they start from.
pub const WORKER_EVIDENCE: [EvidenceKind; 4] =
    [EvidenceKind::Scope, EvidenceKind::Screen, EvidenceKind::Probe, EvidenceKind::Alignment];

/// The default tables, for these workers.
///
/// # Errors
/// None for the tables as they are shipped, which a test holds; [`PolicyError::RulesText`],
/// [`PolicyError::RulesShape`] for a damaged build.
pub fn default_rules(workers: Workers) -> Result<PolicyRules, PolicyError> {
    let limits = Limits::signed(DEFAULT_TEXT.len());
    let value = json::parse(DEFAULT_TEXT.as_bytes(), limits).map_err(PolicyError::RulesText)?;
    let mut rules: PolicyRules = json::from_value(&value).map_err(PolicyError::RulesShape)?;
    rules.workers = workers;
    validate(&rules)?;
    Ok(rules)
}

/// The default policy, for these workers: default tables, default duties, this version's schema, no predecessor.
///
/// # Errors
/// As [`default_rules`].
pub fn default_policy(workers: Workers) -> Result<Policy, PolicyError> {
    Ok(Policy {
        cedar: duties::DEFAULT_TEXT.to_owned(),
        rules: default_rules(workers)?,
        schema: duties::schema_digest(),
        supersedes: None,
    })
}

/// Checks that tables hold together and ask for no less than the mission's table.
///
/// # Errors
/// [`PolicyError::Rule`] for tables that contradict themselves, [`PolicyError::Laxer`] for a tier that asks for too
/// little. The first fault, tiers first, rising.
pub fn validate(rules: &PolicyRules) -> Result<(), PolicyError> {
    let mut before: Option<(Tier, &TierRule)> = None;
    for tier in Tier::ALL {
        let rule = rules
            .tiers
            .get(&tier)
            .ok_or_else(|| fault(format!("tiers.{}", tier_name(tier)), "is missing".to_owned()))?;
        possible(tier, rule)?;
        not_laxer(tier, rule)?;
        if let Some((below, lower)) = before {
            rising(below, lower, tier, rule)?;
        }
        before = Some((tier, rule));
    }
    limits(rules)?;
    modification_evidence(&rules.modification_evidence)?;
    workers(&rules.workers)?;
    impact::validate(&rules.impact)
}

/// Whether what a tier asks for can be given at all.
fn possible(tier: Tier, rule: &TierRule) -> Result<(), PolicyError> {
    let refuse = |member: &str, what: String| Err(fault(format!("tiers.{}.{member}", tier_name(tier)), what));
    if !(1..=COUNT_MAX).contains(&rule.approvals) {
        return refuse("approvals", format!("{} is outside 1 to {COUNT_MAX}", rule.approvals));
    }
    if !(1..=COUNT_MAX).contains(&rule.examiners) {
        return refuse("examiners", format!("{} is outside 1 to {COUNT_MAX}", rule.examiners));
    }
    if rule.families.is_some_and(|families| !(1..=FAMILIES).contains(&families)) {
        return refuse("families", format!("is outside 1 to {FAMILIES}"));
    }
    if rule.worker.as_ref().is_some_and(|worker| worker.isolation < Isolation::Standard) {
        return refuse("worker.isolation", "is no box".to_owned());
    }
    // One signature, one capacity.
    if u32::try_from(rule.capacities.len()).is_ok_and(|asked| asked > rule.approvals) {
        let asked = rule.capacities.len();
        return refuse("capacities", format!("{asked} capacities, but {} signatures", rule.approvals));
    }
    if rule.capacities.contains(&Capacity::Automation) && !rule.automated {
        return refuse("capacities", "asks for the automation key where `automated` is false".to_owned());
    }
    Ok(())
}

/// Whether a tier asks for at least what the mission's table does.
fn not_laxer(tier: Tier, rule: &TierRule) -> Result<(), PolicyError> {
    use EvidenceKind::{ExternalAudit, FormalVerification, Scope, SecurityReview};
    let (approvals, evidence): (u32, &[EvidenceKind]) = match tier {
        Tier::Minimal => (1, &[Scope]),
        Tier::Low => (2, &[Scope]),
        Tier::Medium => (3, &[Scope, FormalVerification, SecurityReview]),
        Tier::High => (5, &[Scope, FormalVerification, SecurityReview, ExternalAudit]),
    };
    let refuse = |floor: String| Err(PolicyError::Laxer { tier, floor });
    if rule.approvals < approvals {
        return refuse(format!("{approvals} signatures"));
    }
    if let Some(kind) = evidence.iter().find(|kind| !rule.evidence.contains(kind)) {
        return refuse(format!("the evidence `{}`", duties::evidence_name(*kind)));
    }
    match tier {
        // Automatic with oversight: beside the automation key a person must have signed in a capacity of their own.
        Tier::Low if rule.automated && rule.capacities.iter().all(|it| *it == Capacity::Automation) => {
            refuse("a person's oversight beside the automation key".to_owned())
        }
        Tier::Minimal | Tier::Low => Ok(()),
        Tier::Medium | Tier::High if rule.automated => refuse("persons alone".to_owned()),
        Tier::Medium | Tier::High => {
            let both = [Capacity::Technical, Capacity::Ethics];
            if both.iter().all(|capacity| rule.capacities.contains(capacity)) {
                Ok(())
            } else {
                refuse("a technical and an ethics sign-off".to_owned())
            }
        }
    }
}

/// Whether a tier asks for at least what the tier below it asks for.
fn rising(below: Tier, lower: &TierRule, tier: Tier, rule: &TierRule) -> Result<(), PolicyError> {
    let falls = if rule.approvals < lower.approvals {
        "approvals"
    } else if rule.automated && !lower.automated {
        "automated"
    } else if rule.binding < lower.binding {
        "binding"
    } else if rule.capacities.len() < lower.capacities.len() {
        "capacities"
    } else if !rule.evidence.is_superset(&lower.evidence) {
        "evidence"
    } else if rule.examiners < lower.examiners {
        "examiners"
    } else if rule.families < lower.families {
        "families"
    } else if lower.worker.as_ref().is_some_and(|lower| !is_stricter(rule.worker.as_ref(), lower)) {
        "worker"
    } else {
        return Ok(());
    };
    let what = format!("asks for less than tier `{}`", tier_name(below));
    Err(fault(format!("tiers.{}.{falls}", tier_name(tier)), what))
}

/// Whether a tier asks of its workers' boxes at least what the one below it does. Of the hosts that may attest, fewer are
/// stricter, and none is nothing asked.
fn is_stricter(rule: Option<&WorkerRule>, lower: &WorkerRule) -> bool {
    rule.is_some_and(|rule| {
        let attested = lower.attested_by.is_empty()
            || (!rule.attested_by.is_empty() && rule.attested_by.is_subset(&lower.attested_by));
        rule.isolation >= lower.isolation && rule.boundaries.is_superset(&lower.boundaries) && attested
    })
}

/// The least that clocks may be apart, in milliseconds.
const CLOCK_MIN_MS: u64 = 1_000;

fn limits(rules: &PolicyRules) -> Result<(), PolicyError> {
    let limits = &rules.limits;
    let bounds = [
        ("limits.approval_max_ms", limits.approval_max_ms, TIME_MAX_MS),
        ("limits.clock_ahead_max_ms", limits.clock_ahead_max_ms, TIME_MAX_MS),
        ("limits.clock_behind_max_ms", limits.clock_behind_max_ms, TIME_MAX_MS),
        ("limits.finding_max_ms", limits.finding_max_ms, TIME_MAX_MS),
        ("limits.grant_max_ms", limits.grant_max_ms, TIME_MAX_MS),
        ("limits.order_admit_max_ms", limits.order_admit_max_ms, TIME_MAX_MS),
        ("limits.order_serve_max_ms", limits.order_serve_max_ms, TIME_MAX_MS),
        ("automatic_drift_ppm_max", rules.automatic_drift_ppm_max, 1_000_000),
    ];
    // Under a second, no honest clock would do, not even for the policy that puts it right.
    for (member, value) in
        bounds.iter().filter(|(name, ..)| name.contains("clock")).map(|(name, value, _)| (name, value))
    {
        if *value < CLOCK_MIN_MS {
            return Err(fault((*member).to_owned(), format!("{value} is less than {CLOCK_MIN_MS}")));
        }
    }
    match bounds.into_iter().find(|(_, value, max)| !(1..=*max).contains(value)) {
        Some((member, value, max)) => Err(fault(member.to_owned(), format!("{value} is outside 1 to {max}"))),
        None => Ok(()),
    }
}

/// A kind of modification that is listed asks for something, or it would say nothing.
fn modification_evidence(
    table: &BTreeMap<ModificationKind, BTreeSet<EvidenceKind>>,
) -> Result<(), PolicyError> {
    match table.iter().find(|(_, evidence)| evidence.is_empty()) {
        Some((kind, _)) => {
            Err(fault("modification_evidence".to_owned(), format!("asks for nothing for `{kind}`")))
        }
        None => Ok(()),
    }
}

/// A worker that is listed may give something, and nothing that a person gives by looking.
fn workers(listed: &Workers) -> Result<(), PolicyError> {
    for (worker, kinds) in listed {
        let refuse = |what: String| Err(fault(format!("workers.{worker}"), what));
        if kinds.is_empty() {
            return refuse("may give no evidence at all".to_owned());
        }
        if let Some(kind) = kinds.iter().find(|kind| is_persons_alone(**kind)) {
            return refuse(format!("may give `{}`, which no code can", duties::evidence_name(*kind)));
        }
    }
    Ok(())
}

const fn fault(member: String, fault: String) -> PolicyError {
    PolicyError::Rule { member, fault }
}
