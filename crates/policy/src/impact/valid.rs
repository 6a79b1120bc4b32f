//! Whether the tables of the impact score hold together.

use std::collections::BTreeMap;

use statement::kind::{CalibrationStep, ImpactRules, LevelFloor, ModificationKind, ValueFloor};

use super::IMPACT_MAX_MILLI;
use crate::error::PolicyError;

/// The largest magnitude of a weight.
const WEIGHT_MAX: i64 = 1_000_000;
/// The largest magnitude of offset, z and thresholds. Sums of such numbers stay far inside 64 bits, and inside what
/// signed bytes may hold.
const VALUE_MAX: i64 = 1_000_000_000_000;
/// Entries of a table at most.
const TABLE_MAX: usize = 256;

/// Every kind of modification: the tables must cover them all.
pub(crate) const KINDS: [ModificationKind; 11] = [
    ModificationKind::Adapter,
    ModificationKind::Weights,
    ModificationKind::Merge,
    ModificationKind::Quantisation,
    ModificationKind::Distillation,
    ModificationKind::Prompt,
    ModificationKind::Retrieval,
    ModificationKind::Settings,
    ModificationKind::ContinuousLearning,
    ModificationKind::Architecture,
    ModificationKind::Mechanism,
];

/// Checks that the score is monotone and defined for every input: weights not negative, calibration, cuts and
/// floors rising, the calibration reaching down to the least z, both tables covering every kind.
///
/// # Errors
/// [`PolicyError::Rule`], naming the member.
pub fn validate(rules: &ImpactRules) -> Result<(), PolicyError> {
    let weights = [
        ("weight_scope", rules.weight_scope),
        ("weight_depth", rules.weight_depth),
        ("weight_reliability", rules.weight_reliability),
        ("weight_undetectability", rules.weight_undetectability),
    ];
    for (member, weight) in weights {
        if !(0..=WEIGHT_MAX).contains(&weight) {
            return Err(fault(member, format!("{weight} is outside 0 to {WEIGHT_MAX}")));
        }
    }
    if !(-VALUE_MAX..=VALUE_MAX).contains(&rules.offset) {
        return Err(fault("offset", format!("{} is outside plus or minus {VALUE_MAX}", rules.offset)));
    }
    calibration(&rules.calibration, rules.offset)?;
    floors("cuts", &rules.cuts, -VALUE_MAX, VALUE_MAX)?;
    floors("impact_floors", &rules.impact_floors, 0, IMPACT_MAX_MILLI)?;
    floors("reliability_floors", &rules.reliability_floors, 0, 1000)?;
    levels(&rules.level_floors)?;
    kinds("depth", &rules.depth)?;
    kinds("undetectability", &rules.undetectability)
}

fn calibration(steps: &[CalibrationStep], z_min: i64) -> Result<(), PolicyError> {
    const MEMBER: &str = "calibration";
    if steps.len() > TABLE_MAX {
        return Err(fault(MEMBER, format!("{} steps, more than {TABLE_MAX}", steps.len())));
    }
    // Weights are not negative, so the least z is the offset.
    match steps.first() {
        None => return Err(fault(MEMBER, "no steps".to_owned())),
        Some(first) if first.from_z > z_min => {
            return Err(fault(MEMBER, format!("begins at {}, above the least z, {z_min}", first.from_z)));
        }
        Some(_) => {}
    }
    for step in steps {
        if !(-VALUE_MAX..=0).contains(&step.log10_milli) {
            return Err(fault(MEMBER, format!("{} is no log10 of a probability", step.log10_milli)));
        }
        if !(-VALUE_MAX..=VALUE_MAX).contains(&step.from_z) {
            return Err(fault(MEMBER, format!("{} is outside plus or minus {VALUE_MAX}", step.from_z)));
        }
    }
    let rising = |pair: &[CalibrationStep]| match pair {
        [before, after] => before.from_z < after.from_z && before.log10_milli <= after.log10_milli,
        _ => true,
    };
    if steps.windows(2).all(rising) { Ok(()) } else { Err(fault(MEMBER, "does not rise".to_owned())) }
}

fn floors(member: &str, floors: &[ValueFloor], min: i64, max: i64) -> Result<(), PolicyError> {
    if floors.len() > TABLE_MAX {
        return Err(fault(member, format!("{} entries, more than {TABLE_MAX}", floors.len())));
    }
    if let Some(floor) = floors.iter().find(|floor| !(min..=max).contains(&floor.from)) {
        return Err(fault(member, format!("{} is outside {min} to {max}", floor.from)));
    }
    let rising = |pair: &[ValueFloor]| match pair {
        [before, after] => before.from < after.from && before.tier <= after.tier,
        _ => true,
    };
    if floors.windows(2).all(rising) { Ok(()) } else { Err(fault(member, "does not rise".to_owned())) }
}

fn levels(floors: &[LevelFloor]) -> Result<(), PolicyError> {
    let rising = |pair: &[LevelFloor]| match pair {
        [before, after] => before.level < after.level && before.tier <= after.tier,
        _ => true,
    };
    if floors.windows(2).all(rising) {
        Ok(())
    } else {
        Err(fault("level_floors", "does not rise".to_owned()))
    }
}

fn kinds(member: &str, table: &BTreeMap<ModificationKind, i64>) -> Result<(), PolicyError> {
    if let Some(kind) = KINDS.iter().find(|kind| !table.contains_key(kind)) {
        return Err(fault(member, format!("says nothing about `{kind}`")));
    }
    match table.iter().find(|(_, value)| !(0..=1000).contains(*value)) {
        Some((kind, value)) => Err(fault(member, format!("{value} for `{kind}` is outside 0 to 1000"))),
        None => Ok(()),
    }
}

fn fault(member: &str, fault: String) -> PolicyError {
    PolicyError::Rule { member: format!("impact.{member}"), fault }
}
