//! The promised rates, on short rollouts; `cargo run --release -p rollout --example simulate` does long ones.

#[allow(dead_code, reason = "the example uses all of it")]
#[path = "simulation.rs"]
mod simulation;

use rollout::plan::Plan;
use simulation::{End, rollout};
use stats::exact;

/// The standard plan with two metrics and stages of a tenth of their time.
fn short() -> Plan {
    let mut plan = Plan::standard().unwrap();
    let kept = [0, 3];
    plan.metrics = kept.map(|at| plan.metrics[at].clone()).to_vec();
    for stage in &mut plan.stages {
        stage.margins_ppm = kept.map(|at| stage.margins_ppm[at]).to_vec();
        stage.duration_ms /= 10;
        stage.units_min /= 10;
    }
    // More false alarms, so that a few hundred runs could show too many.
    plan.alpha_ppm = 200_000;
    plan
}

#[test]
fn what_is_not_worse_is_hardly_ever_rolled_back() {
    let (plan, runs) = (short(), 120);
    let ends: Vec<End> = (0..runs).map(|seed| rollout(&plan, seed, 10, &[0.0, 0.0])).collect();
    let shown = ends.iter().filter(|end| matches!(end, End::Shown(..))).count() as u64;
    let passed = ends.iter().filter(|end| **end == End::Passed).count();
    println!("of {runs}: {passed} passed, {shown} rolled back by a comparison");
    assert!(exact::lower_bound(shown, runs, 1e-6).unwrap() <= 0.2, "{ends:?}");
    assert!(passed * 10 >= runs as usize * 8, "{ends:?}");
}

#[test]
fn what_is_at_its_margin_does_not_pass() {
    let plan = short();
    let last = plan.stages.iter().rev().find(|stage| stage.share_ppm == 500_000).unwrap();
    let margin = f64::from(last.margins_ppm[0]) / 1e6;
    let ends: Vec<End> = (0..40).map(|seed| rollout(&plan, seed, 10, &[margin, 0.0])).collect();
    let passed = ends.iter().filter(|end| **end == End::Passed).count() as u64;
    assert!(exact::lower_bound(passed, 40, 1e-6).unwrap() <= plan.alpha_pass(), "{ends:?}");
}

#[test]
fn ten_times_the_errors_are_found_in_the_first_stage_that_serves() {
    let plan = short();
    let first = plan.stages.iter().position(|stage| stage.share_ppm > 0).unwrap();
    for seed in 0..20 {
        // Shadow traffic shows it as well; here it appears with real users alone.
        let mut live = plan.clone();
        live.stages.drain(..first);
        live.alpha_ppm = 10_000;
        let end = rollout(&live, seed, 1, &[0.045, 0.0]);
        assert_eq!(end, End::Shown(0, "errors:worse".to_owned()), "{seed}");
    }
}
