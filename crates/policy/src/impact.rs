//! The modification impact score: five factors, integers only, monotone, explained line by line.
//!
//! ```text
//! z    = offset + w_s*S + w_d*D + w_r*R + w_t*T        log-odds of failure, in thousandths
//! risk = calibration(z) + I                            log10 of probability times loss, in thousandths
//! tier = max(cut(risk), floor(level), floor(I), floor(R))
//! ```
//!
//! S is the scope, D the depth, R the upper bound of the failure rate of the class of changes
//! ([`crate::reliability`]), T the undetectability (the upper bound of the rate at which seeded faults are missed),
//! each 0 to 1000 with harm rising; I is the loss, log10 of the currency unit in thousandths. Weights are not
//! negative, steps and floors rise, so more harm in any input never lowers risk or tier.
//!
//! What this module does not do: measure. S is measured against the last state that persons approved, by the
//! caller; and evidence does not lower a tier (`docs/adr/0012-evidence-lowers-no-tier.md`).

#[cfg(test)]
mod tests;
mod valid;

use std::collections::BTreeSet;

use statement::Name;
use statement::kind::{ImpactRules, Level, ModificationKind, Score, ScoreTerm, Tier, ValueFloor};

use crate::error::PolicyError;

pub use valid::validate;

/// The largest loss that is taken: log10 of the currency unit, in thousandths (10^30 units).
pub const IMPACT_MAX_MILLI: i64 = 30_000;

/// What the score is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImpactInput {
    /// S, 0 to 1000: how much is touched, cumulative since the last state that persons approved.
    pub scope: i64,
    /// D, 0 to 1000: how deep the kind of modification goes.
    pub depth: i64,
    /// R, 0 to 1000: upper bound of the failure rate of such changes.
    pub reliability: i64,
    /// T, 0 to 1000: upper bound of the rate at which faults of such changes are missed.
    pub undetectability: i64,
    /// I, 0 to [`IMPACT_MAX_MILLI`]: loss if it goes wrong, log10 of the currency unit in thousandths.
    pub impact_milli: i64,
    /// The capability level that the change claims.
    pub level: Level,
}

impl ImpactInput {
    /// The input for a change of a kind: depth and undetectability are the rules', the rest is measured.
    ///
    /// # Errors
    /// [`PolicyError::Rule`] where the rules say nothing about the kind.
    pub fn of_kind(
        rules: &ImpactRules,
        kind: ModificationKind,
        level: Level,
        measured: Measured,
    ) -> Result<Self, PolicyError> {
        let missing = |member: &str| PolicyError::Rule {
            member: format!("impact.{member}"),
            fault: format!("says nothing about `{kind}`"),
        };
        Ok(Self {
            scope: measured.scope,
            depth: *rules.depth.get(&kind).ok_or_else(|| missing("depth"))?,
            reliability: measured.reliability,
            undetectability: *rules.undetectability.get(&kind).ok_or_else(|| missing("undetectability"))?,
            impact_milli: measured.impact_milli,
            level,
        })
    }

    /// The input on one line: `MIS:1.0/S:12/D:200/R:1000/T:300/I:5000/L:1`.
    pub fn vector(&self) -> String {
        format!(
            "MIS:1.0/S:{}/D:{}/R:{}/T:{}/I:{}/L:{}",
            self.scope,
            self.depth,
            self.reliability,
            self.undetectability,
            self.impact_milli,
            self.level.number()
        )
    }

    fn check(&self) -> Result<(), PolicyError> {
        let thousandths = [
            ("scope", self.scope),
            ("depth", self.depth),
            ("reliability", self.reliability),
            ("undetectability", self.undetectability),
        ];
        for (factor, value) in thousandths {
            within(factor, value, 1000)?;
        }
        within("impact", self.impact_milli, IMPACT_MAX_MILLI)
    }
}

/// The part of the input that comes from the change and its slot, not from the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// S, 0 to 1000.
    pub scope: i64,
    /// R, 0 to 1000.
    pub reliability: i64,
    /// I, 0 to [`IMPACT_MAX_MILLI`].
    pub impact_milli: i64,
}

/// The score of an input under the rules. The waterfall's points add up to the risk; it lists the offset, the four
/// weighted factors, what the calibration makes of their sum, and the impact.
///
/// # Errors
/// [`PolicyError::InputRange`], [`PolicyError::Arithmetic`]; [`PolicyError::Rule`] where the calibration does not
/// reach down to the sum. Rules that [`validate`] accepts cause neither of the last two.
pub fn score(rules: &ImpactRules, input: &ImpactInput) -> Result<Score, PolicyError> {
    input.check()?;
    let weighted = [
        ("scope", input.scope, rules.weight_scope),
        ("depth", input.depth, rules.weight_depth),
        ("reliability", input.reliability, rules.weight_reliability),
        ("undetectability", input.undetectability, rules.weight_undetectability),
    ];
    let mut z = rules.offset;
    let mut terms = vec![term("offset", 0, rules.offset)?];
    for (factor, value, weight) in weighted {
        let points = value.checked_mul(weight).ok_or(PolicyError::Arithmetic(factor))?;
        z = z.checked_add(points).ok_or(PolicyError::Arithmetic(factor))?;
        terms.push(term(factor, value, points)?);
    }
    let calibrated = calibrate(rules, z)?;
    let correction = calibrated.checked_sub(z).ok_or(PolicyError::Arithmetic("calibration"))?;
    terms.push(term("calibration", 0, correction)?);
    terms.push(term("impact", input.impact_milli, input.impact_milli)?);
    let risk = calibrated.checked_add(input.impact_milli).ok_or(PolicyError::Arithmetic("impact"))?;

    let asked = [
        ("cut", reached(&rules.cuts, risk)),
        ("level-floor", level_floor(rules, input.level)),
        ("impact-floor", reached(&rules.impact_floors, input.impact_milli)),
        ("reliability-floor", reached(&rules.reliability_floors, input.reliability)),
    ];
    let tier = asked.iter().map(|(_, tier)| *tier).max().unwrap_or(Tier::High);
    let mut tier_reasons = BTreeSet::new();
    for (reason, asks) in asked {
        // Nothing holds a minimal tier up, so it has no reasons.
        if asks == tier && tier > Tier::Minimal {
            tier_reasons.insert(name(reason)?);
        }
    }
    Ok(Score { risk, terms, tier, tier_reasons, vector: input.vector() })
}

/// log10 of the probability in thousandths: the last step that begins at or below `z`.
fn calibrate(rules: &ImpactRules, z: i64) -> Result<i64, PolicyError> {
    let step = rules.calibration.iter().rev().find(|step| step.from_z <= z);
    step.map(|step| step.log10_milli).ok_or_else(|| PolicyError::Rule {
        member: "impact.calibration".to_owned(),
        fault: format!("no step covers z = {z}"),
    })
}

/// The highest tier whose threshold the value reaches.
fn reached(floors: &[ValueFloor], value: i64) -> Tier {
    floors.iter().filter(|floor| floor.from <= value).map(|floor| floor.tier).max().unwrap_or(Tier::Minimal)
}

/// The highest tier that a floor sets for this level or one below it: more capability never asks for less.
fn level_floor(rules: &ImpactRules, level: Level) -> Tier {
    let floors = rules.level_floors.iter().filter(|floor| floor.level <= level);
    floors.map(|floor| floor.tier).max().unwrap_or(Tier::Minimal)
}

fn within(factor: &'static str, value: i64, max: i64) -> Result<(), PolicyError> {
    if (0..=max).contains(&value) {
        Ok(())
    } else {
        Err(PolicyError::InputRange { factor, value, min: 0, max })
    }
}

fn term(factor: &'static str, input: i64, points: i64) -> Result<ScoreTerm, PolicyError> {
    Ok(ScoreTerm { factor: name(factor)?, input, points })
}

/// The name of a factor or reason. All are fixed in the code and valid.
fn name(text: &'static str) -> Result<Name, PolicyError> {
    text.parse().map_err(|_| PolicyError::Arithmetic(text))
}
