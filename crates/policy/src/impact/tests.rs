use std::collections::BTreeMap;

use proptest::prelude::*;
use statement::kind::{CalibrationStep, LevelFloor};

use super::valid::KINDS;
use super::*;
use crate::rules;

const LEVELS: [Level; 4] = [Level::Tuning, Level::Knowledge, Level::Architecture, Level::Mechanism];

fn defaults() -> ImpactRules {
    rules::default_rules(rules::Workers::new()).unwrap().impact
}

fn input() -> ImpactInput {
    ImpactInput {
        scope: 50,
        depth: 300,
        reliability: 20,
        undetectability: 300,
        impact_milli: 5000,
        level: Level::Tuning,
    }
}

fn points(score: &Score, factor: &str) -> i64 {
    score.terms.iter().find(|term| term.factor.as_str() == factor).unwrap().points
}

fn reasons(score: &Score) -> Vec<&str> {
    score.tier_reasons.iter().map(Name::as_str).collect()
}

#[test]
fn a_small_adapter_with_a_good_record_is_minimal() {
    let score = score(&defaults(), &input()).unwrap();
    // z = -6000 + 2*50 + 3*300 + 3*20 + 2*300 = -4340, in the step from -5000.
    assert_eq!(score.risk, -1745 + 5000);
    assert_eq!(score.tier, Tier::Minimal);
    assert!(score.tier_reasons.is_empty());
    assert_eq!(score.vector, "MIS:1.0/S:50/D:300/R:20/T:300/I:5000/L:1");
    let order: Vec<&str> = score.terms.iter().map(|term| term.factor.as_str()).collect();
    let all = ["offset", "scope", "depth", "reliability", "undetectability", "calibration", "impact"];
    assert_eq!(order, all);
    assert_eq!(points(&score, "offset"), -6000);
    assert_eq!(points(&score, "depth"), 900);
    assert_eq!(points(&score, "calibration"), -1745 + 4340);
    assert_eq!(points(&score, "impact"), 5000);
}

#[test]
fn without_a_history_nothing_is_automated() {
    let mut all = defaults();
    all.cuts.clear();
    for level in LEVELS {
        for kind in KINDS {
            let measured = Measured { scope: 0, reliability: 1000, impact_milli: 0 };
            let input = ImpactInput::of_kind(&all, kind, level, measured).unwrap();
            assert!(score(&all, &input).unwrap().tier >= Tier::Medium);
        }
    }
}

#[test]
fn each_floor_binds_alone() {
    let mut alone = defaults();
    alone.cuts.clear();
    for (change, reason, tier) in [
        (ImpactInput { level: Level::Knowledge, ..input() }, "level-floor", Tier::Low),
        (ImpactInput { level: Level::Mechanism, ..input() }, "level-floor", Tier::High),
        (ImpactInput { reliability: 49, ..input() }, "", Tier::Minimal),
        (ImpactInput { reliability: 50, ..input() }, "reliability-floor", Tier::Low),
        (ImpactInput { reliability: 200, ..input() }, "reliability-floor", Tier::Medium),
        (ImpactInput { impact_milli: 8999, ..input() }, "impact-floor", Tier::Medium),
        (ImpactInput { impact_milli: 9000, ..input() }, "impact-floor", Tier::High),
    ] {
        let score = score(&alone, &change).unwrap();
        assert_eq!((score.tier, reasons(&score).join(" ")), (tier, reason.to_owned()));
    }
}

#[test]
fn the_cut_binds_alone() {
    let score = score(&defaults(), &ImpactInput { scope: 1000, impact_milli: 6500, ..input() }).unwrap();
    // z = -2440, log10 -923, risk 5577.
    assert_eq!((score.risk, score.tier, reasons(&score)), (5577, Tier::High, vec!["cut"]));
}

#[test]
fn inputs_out_of_range_are_refused() {
    for change in [
        ImpactInput { scope: 1001, ..input() },
        ImpactInput { depth: -1, ..input() },
        ImpactInput { reliability: i64::MAX, ..input() },
        ImpactInput { undetectability: i64::MIN, ..input() },
        ImpactInput { impact_milli: IMPACT_MAX_MILLI + 1, ..input() },
        ImpactInput { impact_milli: -1, ..input() },
    ] {
        assert_eq!(score(&defaults(), &change).unwrap_err().code(), "CS-POL-013");
    }
}

#[test]
fn unvalidated_rules_are_refused_not_wrapped_around() {
    let mut rules = defaults();
    rules.weight_depth = i64::MAX;
    assert_eq!(score(&rules, &input()).unwrap_err().code(), "CS-POL-014");
    let mut rules = defaults();
    rules.calibration.clear();
    assert_eq!(score(&rules, &input()).unwrap_err().code(), "CS-POL-015");
    let mut rules = defaults();
    rules.depth.clear();
    let measured = Measured { scope: 0, reliability: 0, impact_milli: 0 };
    let error = ImpactInput::of_kind(&rules, ModificationKind::Prompt, Level::Tuning, measured).unwrap_err();
    assert_eq!(error.code(), "CS-POL-015");
}

#[test]
fn kinds_are_all_there() {
    // A kind that is added breaks the build here; then it must be added to KINDS too.
    let number = |kind| match kind {
        ModificationKind::Adapter => 0,
        ModificationKind::Weights => 1,
        ModificationKind::Merge => 2,
        ModificationKind::Quantisation => 3,
        ModificationKind::Distillation => 4,
        ModificationKind::Prompt => 5,
        ModificationKind::Retrieval => 6,
        ModificationKind::Settings => 7,
        ModificationKind::ContinuousLearning => 8,
        ModificationKind::Architecture => 9,
        ModificationKind::Mechanism => 10,
    };
    assert!(KINDS.into_iter().map(number).eq(0..11));
}

#[track_caller]
fn refused(member: &str, break_it: impl FnOnce(&mut ImpactRules)) {
    let mut rules = defaults();
    validate(&rules).unwrap();
    break_it(&mut rules);
    match validate(&rules).unwrap_err() {
        PolicyError::Rule { member: found, .. } => assert_eq!(found, format!("impact.{member}")),
        other => panic!("{other}"),
    }
}

#[test]
fn rules_that_would_not_be_monotone_are_refused() {
    refused("weight_scope", |rules| rules.weight_scope = -1);
    refused("weight_depth", |rules| rules.weight_depth = -1);
    refused("weight_reliability", |rules| rules.weight_reliability = -1);
    refused("weight_undetectability", |rules| rules.weight_undetectability = -1);
    refused("weight_scope", |rules| rules.weight_scope = i64::MAX);
    refused("offset", |rules| rules.offset = i64::MIN);
    refused("calibration", |rules| rules.calibration.clear());
    refused("calibration", |rules| rules.calibration.swap(3, 4));
    refused("calibration", |rules| rules.calibration[3].log10_milli = -3000);
    refused("calibration", |rules| rules.calibration[3].from_z = -4000);
    refused("calibration", |rules| rules.calibration[10].log10_milli = 1);
    refused("calibration", |rules| rules.calibration[10].from_z = i64::MAX);
    refused("calibration", |rules| rules.offset = -6001);
    refused("cuts", |rules| rules.cuts.swap(0, 1));
    refused("cuts", |rules| rules.cuts[2].tier = Tier::Low);
    refused("impact_floors", |rules| rules.impact_floors.swap(0, 2));
    refused("impact_floors", |rules| rules.impact_floors[0].from = -1);
    refused("reliability_floors", |rules| rules.reliability_floors[1].from = 50);
    refused("reliability_floors", |rules| rules.reliability_floors[1].from = 1001);
    refused("level_floors", |rules| {
        rules.level_floors.push(LevelFloor { level: Level::Mechanism, tier: Tier::High });
    });
    refused("level_floors", |rules| rules.level_floors[2].tier = Tier::Minimal);
    refused("depth", |rules| {
        rules.depth.remove(&ModificationKind::Merge);
    });
    refused("depth", |rules| {
        rules.depth.insert(ModificationKind::Merge, 1001);
    });
    refused("undetectability", |rules| {
        rules.undetectability.remove(&ModificationKind::Prompt);
    });
    refused("undetectability", |rules| {
        rules.undetectability.insert(ModificationKind::Prompt, -1);
    });
}

fn any_floors(from: std::ops::Range<i64>) -> impl Strategy<Value = Vec<ValueFloor>> {
    let thresholds = prop::collection::btree_set(from, 0..4);
    (thresholds, prop::collection::vec(0_usize..4, 4)).prop_map(|(thresholds, mut tiers)| {
        tiers.sort_unstable();
        let floor = |(from, tier): (i64, usize)| ValueFloor { from, tier: Tier::ALL[tier] };
        thresholds.into_iter().zip(tiers).map(floor).collect()
    })
}

/// Rules that `validate` accepts, at random.
fn any_rules() -> impl Strategy<Value = ImpactRules> {
    let steps = prop::collection::btree_map(-5000_i64..5000, -6000_i64..=0, 0..8);
    let floors = (any_floors(-6000..12000), any_floors(0..10000), any_floors(0..1001));
    let weights = prop::collection::vec(0_i64..6, 4);
    (steps, floors, -7000_i64..1000, weights).prop_map(|(steps, floors, offset, weights)| {
        let mut probabilities: Vec<i64> = steps.values().copied().collect();
        probabilities.sort_unstable();
        let above = steps
            .into_keys()
            .zip(probabilities)
            .map(|(from_z, log10_milli)| CalibrationStep { from_z, log10_milli })
            .filter(|step| step.from_z > offset);
        let mut calibration = vec![CalibrationStep { from_z: offset, log10_milli: -6000 }];
        calibration.extend(above);
        let (cuts, impact_floors, reliability_floors) = floors;
        ImpactRules {
            calibration,
            cuts,
            impact_floors,
            reliability_floors,
            offset,
            weight_scope: weights[0],
            weight_depth: weights[1],
            weight_reliability: weights[2],
            weight_undetectability: weights[3],
            ..defaults()
        }
    })
}

fn any_input() -> impl Strategy<Value = ImpactInput> {
    let thousandths = || 0_i64..=1000;
    (thousandths(), thousandths(), thousandths(), thousandths(), 0_i64..=12_000, 0_usize..4).prop_map(
        |(scope, depth, reliability, undetectability, impact_milli, level)| ImpactInput {
            scope,
            depth,
            reliability,
            undetectability,
            impact_milli,
            level: LEVELS[level],
        },
    )
}

proptest! {
    #[test]
    fn more_harm_in_any_input_never_lowers_risk_or_tier(
        rules in any_rules(), input in any_input(), which in 0_usize..6, more in 0_i64..=1000,
    ) {
        validate(&rules).unwrap();
        let mut worse = input;
        match which {
            0 => worse.scope = (input.scope + more).min(1000),
            1 => worse.depth = (input.depth + more).min(1000),
            2 => worse.reliability = (input.reliability + more).min(1000),
            3 => worse.undetectability = (input.undetectability + more).min(1000),
            4 => worse.impact_milli = input.impact_milli + more,
            _ => worse.level = Level::Mechanism,
        }
        let (before, after) = (score(&rules, &input).unwrap(), score(&rules, &worse).unwrap());
        prop_assert!(after.risk >= before.risk && after.tier >= before.tier);
    }

    #[test]
    fn the_waterfall_adds_up_and_names_its_inputs(rules in any_rules(), input in any_input()) {
        let score = score(&rules, &input).unwrap();
        prop_assert_eq!(score.terms.iter().map(|term| term.points).sum::<i64>(), score.risk);
        let inputs: BTreeMap<&str, i64> =
            score.terms.iter().map(|term| (term.factor.as_str(), term.input)).collect();
        prop_assert_eq!(inputs["reliability"], input.reliability);
        prop_assert_eq!(inputs["impact"], input.impact_milli);
        prop_assert_eq!(score.tier_reasons.is_empty(), score.tier == Tier::Minimal);
    }
}
