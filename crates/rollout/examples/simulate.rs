//! The figures of `docs/rollout.md`: simulated rollouts with the standard plan.
//!
//! `cargo run --release -p rollout --example simulate -- 400` prints the tables; the number is how many rollouts are
//! simulated for each row.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "it shares its simulation with the tests, whose helpers fail as tests do"
)]

#[path = "../tests/it/simulation.rs"]
mod simulation;

use rollout::plan::Plan;
use simulation::{End, median_alarm_s, rollout};
use stats::exact;

/// Seconds between looks in whole rollouts; the promise holds for every interval.
const INTERVAL_S: u64 = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runs: u64 = std::env::args().nth(1).map_or(Ok(100), |runs| runs.parse())?;
    let plan = Plan::standard()?;
    println!(
        "| the candidate's errors | rollouts | passed | rolled back by a comparison (95 % bounds) | undecided |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for (name, excess) in [
        ("0.5 %, as the control's", 0.0),
        ("0.6 %", 0.001),
        ("0.7 %, what is tolerated", 0.002),
        ("1.0 %, the last margin", 0.005),
        ("1.5 %", 0.010),
    ] {
        let mut excesses = vec![0.0; plan.metrics.len()];
        if let Some(first) = excesses.first_mut() {
            *first = excess;
        }
        let ends: Vec<End> = (0..runs).map(|seed| rollout(&plan, seed, INTERVAL_S, &excesses)).collect();
        let count = |wanted: &dyn Fn(&End) -> bool| ends.iter().filter(|end| wanted(end)).count() as u64;
        let shown = count(&|end| matches!(end, End::Shown(..)));
        let bounds = exact::interval(shown, runs, 0.05)?;
        println!(
            "| {name} | {runs} | {} | {shown} ({:.2} to {:.2} %) | {} |",
            count(&|end| *end == End::Passed),
            bounds.lower * 100.0,
            bounds.upper * 100.0,
            count(&|end| matches!(end, End::Undecided(..))),
        );
    }
    println!();
    println!(
        "| candidate units a second | errors rise to | known rate | control 20 times as large | equal control |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for per_second in [9, 45, 225, 450] {
        for rate in [0.05, 0.02, 0.01] {
            let median = |control| median_alarm_s(per_second, control, rate, 0.01 / 48.0, 201);
            println!(
                "| {per_second} | {} % | {} s | {} s | {} s |",
                rate * 100.0,
                median(None),
                median(Some(20)),
                median(Some(1)),
            );
        }
    }
    Ok(())
}
