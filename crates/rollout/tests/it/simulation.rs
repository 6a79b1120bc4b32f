//! Simulated rollouts: traffic from a generator with a seed, gates as they are.

use rollout::gate::{Cell, Gate, Reason, Row};
use rollout::plan::{Comparing, Measure, Metric, Plan, StagePlan};
use statement::kind::GateDecision;
use stats::eprocess::{Bernoulli, Comparison, Direction, Null, Prior, Settings};
use stats::random::Random;

/// Units a second in all: each is one request here.
pub(crate) const UNITS_PER_SECOND: f64 = 900.0;

/// How a simulated rollout ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    /// Every comparing stage passed.
    Passed,
    /// A comparison rolled it back.
    Shown(usize, String),
    /// A stage could not be decided in its time.
    Undecided(usize, String),
}

/// Draws the counts of `n` units of a metric whose level probabilities are its expected ones, raised by `excess`.
fn draw(random: &mut Random, metric: &Metric, n: u64, excess: f64) -> Vec<u64> {
    let expected: Vec<f64> = metric.expected_ppm.iter().map(|ppm| f64::from(*ppm) / 1e6).collect();
    if metric.measure == Measure::Categories {
        let (mut left, mut mass) = (n, 1.0);
        let mut counts: Vec<u64> = Vec::new();
        for share in expected.iter().take(expected.len() - 1) {
            let count = random.binomial(left, (share / mass).clamp(0.0, 1.0));
            counts.push(count);
            (left, mass) = (left - count, mass - share);
        }
        counts.push(left);
        return counts;
    }
    let hits = random.binomial(n, (expected[0] + excess).clamp(0.0, 1.0));
    vec![n - hits, hits]
}

/// One row of a stage that lasts `seconds`.
fn row(random: &mut Random, plan: &Plan, stage: &StagePlan, at_ms: u64, seconds: f64, excess: &[f64]) -> Row {
    // The counts of a Poisson stream, by a binomial of many small chances.
    let arrivals = |random: &mut Random, share: f64| {
        let mean = UNITS_PER_SECOND * seconds * share;
        random.binomial(1_000_000_000, mean / 1e9)
    };
    if stage.comparing() == Comparing::Pairs {
        let n = arrivals(random, 0.01);
        let cells = plan.metrics.iter().zip(excess).map(|(metric, excess)| {
            // Answers to the same input differ in one in fifty, as often for the worse as for the better.
            let worse = random.binomial(n, 0.01 + excess.max(0.0));
            let better = random.binomial(n - worse, 0.01);
            assert!(!metric.expected_ppm.is_empty());
            Cell::Pairs { better, equal: n - worse - better, worse }
        });
        return Row { at_ms, cells: cells.collect(), assigned: None };
    }
    let (candidate, control) =
        (f64::from(stage.share_ppm) / 1e6, f64::from(stage.share().control_ppm()) / 1e6);
    let assigned = [arrivals(random, control), arrivals(random, candidate)];
    let cells = plan.metrics.iter().zip(excess).map(|(metric, excess)| Cell::Arms {
        control: draw(random, metric, assigned[0], 0.0),
        candidate: draw(random, metric, assigned[1], *excess),
    });
    Row { at_ms, cells: cells.collect(), assigned: Some(assigned) }
}

/// Runs all stages with a row every `interval_s` seconds, looking after each. `excess` is by how much the candidate's
/// rate is above the expected one, by metric.
pub(crate) fn rollout(plan: &Plan, seed: u64, interval_s: u64, excess: &[f64]) -> End {
    let mut random = Random::new(seed);
    for (at, stage) in plan.stages.iter().enumerate() {
        if stage.comparing() == Comparing::Nothing {
            continue;
        }
        let mut gate = Gate::new(plan, at, 0).unwrap();
        let mut now_ms = 0;
        loop {
            now_ms += interval_s * 1_000;
            gate.push(&row(&mut random, plan, stage, now_ms, interval_s as f64, excess)).unwrap();
            let judgement = gate.judge(now_ms);
            match (judgement.decision, judgement.reason) {
                (GateDecision::Hold, _) => {}
                (GateDecision::Promote, _) => break,
                (GateDecision::RollBack, Reason::Shown(name)) => return End::Shown(at, name.to_string()),
                (GateDecision::RollBack, reason) => return End::Undecided(at, format!("{reason:?}")),
            }
        }
    }
    End::Passed
}

/// The median number of seconds until an alarm when a rate of 0.5 % rises to `rate`, with `per_second` units in the
/// candidate's arm and `control` times as many in the other; without one, against a known rate.
pub(crate) fn median_alarm_s(per_second: u64, control: Option<u64>, rate: f64, alpha: f64, runs: u64) -> u64 {
    let mut seconds: Vec<u64> = (0..runs).map(|run| alarm_s(per_second, control, rate, alpha, run)).collect();
    seconds.sort_unstable();
    seconds[seconds.len() / 2]
}

fn alarm_s(per_second: u64, control: Option<u64>, rate: f64, alpha: f64, run: u64) -> u64 {
    let mut random = Random::new(run);
    let settings = Settings { delta: 0.0, direction: Direction::ExceedsByAtMost, expected: 0.005, levels: 2 };
    let mut arms = Comparison::new(settings).unwrap();
    let mut known = Bernoulli::new(0.005, Null::AtMost, Prior { a: 0.5, b: 50.0 }).unwrap();
    let alarm = |second: &u64| {
        assert!(*second < 200_000);
        let s = random.binomial(per_second, rate);
        let evidence = match control {
            None => known.update(s, per_second - s),
            Some(times) => {
                let n = times * per_second;
                let base = random.binomial(n, 0.005);
                arms.update(&[n - base, base], &[per_second - s, s])
            }
        };
        evidence.unwrap().rejects(alpha).unwrap()
    };
    (1..=200_000).find(alarm).unwrap_or(u64::MAX)
}
