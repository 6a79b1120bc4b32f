//! What a stage's evidence says: promote, hold, or roll back.
//!
//! A gate is fed rows, one for each second or whatever the interval is, and may be asked after each. It rolls back the
//! moment a comparison shows the candidate worse than is tolerated, or the arms' sizes show that one loses units. It
//! promotes only when the stage has lasted, enough units were seen, and every metric has been *shown* to be within its
//! margin, and all units together do not say otherwise. Everything else is held; what is still held when the extension is
//! over, rolls back.
//!
//! The comparisons are e-processes (`stats::eprocess`), so looking every second costs nothing in false alarms.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use statement::id::Name;
use statement::kind::{GateDecision, GateResult};
use stats::eprocess::{Categories, Comparison, Direction, Evidence, Multinomial, Paired, Settings};

use crate::Error;
use crate::plan::{Comparing, Measure, Metric, Plan, StagePlan};

mod test;

use test::PairsWithin;

/// How concentrated at equal sizes the alternatives of the sample-ratio test are: finds 1 % in some 100,000 units, 10 %
/// in some 1,000.
const RATIO_CONCENTRATION: f64 = 100.0;

/// The counts of one interval. Only units that have settled count, each once in a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The end of the interval.
    pub at_ms: u64,
    /// For each metric of the plan, in its order.
    pub cells: Vec<Cell>,
    /// Units that were newly assigned to control and to candidate, settled or not. None in a stage of pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<[u64; 2]>,
}

/// A metric's counts in one interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Cell {
    /// Units of both arms by level.
    Arms {
        /// The candidate's.
        candidate: Vec<u64>,
        /// The control's.
        control: Vec<u64>,
    },
    /// Pairs of answers to the same input.
    Pairs {
        /// The candidate's is better.
        better: u64,
        /// They are alike.
        equal: u64,
        /// The candidate's is worse.
        worse: u64,
    },
}

/// A stage's gate, and what it has seen.
#[derive(Debug, Clone)]
pub struct Gate {
    stage: StagePlan,
    alpha_back: f64,
    alpha_pass: f64,
    metrics: Vec<Judged>,
    ratio: Option<(Multinomial, Name)>,
    rows: usize,
    from_ms: u64,
    last_ms: u64,
    settled: u64,
}

/// A metric with its two comparisons: worse than tolerated, within the margin.
#[derive(Debug, Clone)]
struct Judged {
    levels: usize,
    worse: (Test, Name),
    within: (Test, Name),
    settled: [u64; 2],
    margin: f64,
    /// Units by level of control and candidate, over all rows.
    totals: [Vec<u64>; 2],
}

/// An e-process on a metric's counts.
#[derive(Debug, Clone)]
enum Test {
    Pairs(Paired),
    /// The other direction: better and worse exchanged, so that rejecting shows a difference below the margin.
    PairsWithin(PairsWithin),
    Arms(Box<Comparison>),
    Categories(Box<Categories>),
    /// Every category's share within the margin, both ways.
    CategoriesWithin(Vec<[Comparison; 2]>),
}

/// What the gate says, with everything it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What follows.
    pub decision: GateDecision,
    /// Why, for people.
    pub reason: Reason,
    /// Every comparison.
    pub results: BTreeSet<GateResult>,
}

/// Why a gate decided so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A comparison shows that the candidate is worse than is tolerated, or that an arm loses units.
    Shown(Name),
    /// Everything was shown that has to be.
    AllShown,
    /// The stage has not lasted as long as it has to.
    TooEarly,
    /// Too few units have settled.
    TooFew {
        /// In the smaller arm.
        units: u64,
    },
    /// Something has not been shown yet.
    NotShown(Name),
    /// The extension is over and not everything has been shown.
    Undecided(Name),
}

/// Whether a stage's time is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Its extension too.
    Yes,
    /// There is some left.
    NotYet,
}

impl Gate {
    /// The gate of a stage that began at `from_ms`.
    pub fn new(plan: &Plan, stage: usize, from_ms: u64) -> Result<Self, Error> {
        plan.check()?;
        let stage = plan.stage(stage)?.clone();
        let mut metrics = Vec::with_capacity(plan.metrics.len());
        if stage.comparing() != Comparing::Nothing {
            for (metric, margin) in plan.metrics.iter().zip(&stage.margins_ppm) {
                metrics.push(Judged::new(metric, stage.comparing(), *margin)?);
            }
        }
        let ratio = match stage.comparing() {
            Comparing::Arms => Some(sample_ratio(&stage)?),
            Comparing::Pairs | Comparing::Nothing => None,
        };
        let (alpha_back, alpha_pass) = (plan.alpha_back(), plan.alpha_pass());
        Ok(Self {
            stage,
            alpha_back,
            alpha_pass,
            metrics,
            ratio,
            rows: 0,
            from_ms,
            last_ms: from_ms,
            settled: 0,
        })
    }

    /// Adds a row.
    pub fn push(&mut self, row: &Row) -> Result<(), Error> {
        let at = self.rows;
        if row.at_ms < self.last_ms {
            return Err(Error::Order { row: at, at_ms: row.at_ms });
        }
        if row.cells.len() != self.metrics.len() {
            return Err(Error::Row { row: at, reason: "it has not one cell for each metric" });
        }
        match (&mut self.ratio, row.assigned) {
            (Some((test, name)), Some(assigned)) => {
                let result = test.update(&assigned);
                result.map_err(|source| Error::Statistics { gate: name.clone(), source })?;
            }
            (None, None) => {}
            (Some(_), None) => {
                return Err(Error::Row { row: at, reason: "it does not say who was assigned" });
            }
            (None, Some(_)) => {
                return Err(Error::Row { row: at, reason: "nobody is assigned in this stage" });
            }
        }
        for (metric, cell) in self.metrics.iter_mut().zip(&row.cells) {
            metric.push(cell, at)?;
        }
        self.last_ms = row.at_ms;
        self.rows += 1;
        // The metric that fewest units have settled for counts.
        let fewest = self.metrics.iter().map(|metric| metric.settled[0].min(metric.settled[1])).min();
        self.settled = fewest.unwrap_or(0);
        Ok(())
    }

    /// What the evidence up to the last row says at `now_ms`.
    pub fn judge(&self, now_ms: u64) -> Judgement {
        let results = self.results();
        let (decision, reason) = self.decide(now_ms.max(self.last_ms));
        Judgement { decision, reason, results }
    }

    fn decide(&self, now_ms: u64) -> (GateDecision, Reason) {
        for (evidence, name) in self.back() {
            if rejects(evidence, self.alpha_back) {
                return (GateDecision::RollBack, Reason::Shown(name.clone()));
            }
        }
        let lasted = now_ms.saturating_sub(self.from_ms);
        if lasted < self.stage.duration_ms {
            return (GateDecision::Hold, Reason::TooEarly);
        }
        // What was shown once stays shown, and rows in which an arm has nobody move no test: so units that came late, or by
        // themselves, could pass unseen. Totals that exceed the margin stand against a promotion.
        let is_shown = |metric: &Judged| {
            rejects(metric.within.0.evidence(), self.alpha_pass) && metric.totals_are_within()
        };
        let missing = self.metrics.iter().find(|metric| !is_shown(metric));
        let over = self.over(now_ms) == Over::Yes;
        let enough = self.stage.comparing() == Comparing::Nothing || self.settled >= self.stage.units_min;
        match (missing, enough, over) {
            (None, true, _) => (GateDecision::Promote, Reason::AllShown),
            (Some(metric), _, true) => (GateDecision::RollBack, Reason::Undecided(metric.within.1.clone())),
            (None, false, true) => (GateDecision::RollBack, Reason::TooFew { units: self.settled }),
            (None, false, false) => (GateDecision::Hold, Reason::TooFew { units: self.settled }),
            (Some(metric), _, false) => (GateDecision::Hold, Reason::NotShown(metric.within.1.clone())),
        }
    }

    /// Everything that can roll back.
    fn back(&self) -> impl Iterator<Item = (Evidence, &Name)> {
        let worse = self.metrics.iter().map(|metric| (metric.worse.0.evidence(), &metric.worse.1));
        worse.chain(self.ratio.iter().map(|(test, name)| (test.evidence(), name)))
    }

    /// The comparisons as a report has them: the natural logarithm of the largest value of the e-process against that
    /// of what rejects, both in parts per million.
    fn results(&self) -> BTreeSet<GateResult> {
        let ln_ppm = |value: f64| (value * 1e6).clamp(-9e15, 9e15) as i64;
        let result =
            |evidence: Evidence, name: &Name, alpha: f64, shown: GateDecision, else_: GateDecision| {
                let decision = if rejects(evidence, alpha) { shown } else { else_ };
                let (statistic_ppm, limit_ppm) = (ln_ppm(evidence.ln_most()), ln_ppm(ln_limit(alpha)));
                GateResult { decision, gate: name.clone(), limit_ppm, statistic_ppm }
            };
        let back = self.back().map(|(evidence, name)| {
            result(evidence, name, self.alpha_back, GateDecision::RollBack, GateDecision::Promote)
        });
        let pass = self.metrics.iter().map(|metric| {
            let (test, name) = &metric.within;
            result(test.evidence(), name, self.alpha_pass, GateDecision::Promote, GateDecision::Hold)
        });
        back.chain(pass).collect()
    }

    /// Whether the stage's extension is over: what is not shown now will not be.
    pub fn over(&self, now_ms: u64) -> Over {
        let most = self.stage.duration_ms.saturating_add(self.stage.extension_ms);
        if now_ms.saturating_sub(self.from_ms) >= most { Over::Yes } else { Over::NotYet }
    }

    /// How many rows it has seen.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// `ln(1 / alpha)`, by the same function on every machine.
fn ln_limit(alpha: f64) -> f64 {
    stats::eprocess::ln_limit(alpha)
}

fn rejects(evidence: Evidence, alpha: f64) -> bool {
    evidence.ln_most() >= ln_limit(alpha)
}

/// The name of a metric's comparison.
fn named(metric: &Metric, what: &str) -> Result<Name, Error> {
    let too_long =
        |_| Error::Plan { what: format!("metric `{}`", metric.name), reason: "its name is too long" };
    format!("{}:{what}", metric.name).parse().map_err(too_long)
}

fn sample_ratio(stage: &StagePlan) -> Result<(Multinomial, Name), Error> {
    let invalid = |_| Error::Plan { what: "sample-ratio".to_owned(), reason: "it is no name" };
    let name: Name = "sample-ratio".parse().map_err(invalid)?;
    let (candidate, control) = (f64::from(stage.share_ppm), f64::from(stage.share().control_ppm()));
    let shares = [control / (candidate + control), candidate / (candidate + control)];
    let test = Multinomial::new(&shares, RATIO_CONCENTRATION)
        .map_err(|source| Error::Statistics { gate: name.clone(), source })?;
    Ok((test, name))
}

impl Judged {
    fn new(metric: &Metric, comparing: Comparing, margin_ppm: u32) -> Result<Self, Error> {
        let (worse_name, within_name) = (named(metric, "worse")?, named(metric, "within")?);
        let (tolerated, margin) = (f64::from(metric.tolerated_ppm) / 1e6, f64::from(margin_ppm) / 1e6);
        let expected: Vec<f64> = metric.expected_ppm.iter().map(|ppm| f64::from(*ppm) / 1e6).collect();
        let tests = match (comparing, &metric.measure) {
            (Comparing::Pairs | Comparing::Nothing, _) => Paired::new(tolerated)
                .and_then(|worse| Ok((Test::Pairs(worse), PairsWithin::new(margin)?.into()))),
            (Comparing::Arms, Measure::Categories) => {
                Categories::new(tolerated, &expected).and_then(|worse| {
                    let within = test::categories_within(margin, &expected)?;
                    Ok((Test::Categories(Box::new(worse)), Test::CategoriesWithin(within)))
                })
            }
            (Comparing::Arms, _) => {
                let expected = expected.first().copied().unwrap_or(0.5);
                let settings =
                    |delta, direction| Settings { delta, direction, expected, levels: metric.levels() };
                Comparison::new(settings(tolerated, Direction::ExceedsByAtMost)).and_then(|worse| {
                    let within = Comparison::new(settings(margin, Direction::ExceedsByAtLeast))?;
                    Ok((Test::Arms(Box::new(worse)), Test::Arms(Box::new(within))))
                })
            }
        };
        let (worse, within) =
            tests.map_err(|source| Error::Statistics { gate: worse_name.clone(), source })?;
        let levels = metric.levels();
        let totals = [vec![0; levels], vec![0; levels]];
        let (worse, within) = ((worse, worse_name), (within, within_name));
        Ok(Self { levels, worse, within, settled: [0; 2], margin, totals })
    }

    /// Whether all units together are within the margin. Of pairs every row has both halves, so that the tests have seen all.
    fn totals_are_within(&self) -> bool {
        let [control, candidate] = self.totals.each_ref().map(|counts| {
            let all = counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count)).max(1) as f64;
            counts.iter().map(|count| *count as f64 / all).collect::<Vec<f64>>()
        });
        let mut differences = candidate.iter().zip(&control).map(|(new, old)| new - old);
        match self.within.0 {
            Test::Pairs(_) | Test::PairsWithin(_) => true,
            Test::Categories(_) | Test::CategoriesWithin(_) => {
                differences.all(|difference| difference.abs() <= self.margin)
            }
            Test::Arms(_) => {
                let highest = self.levels.saturating_sub(1).max(1) as f64;
                let excess: f64 = differences
                    .enumerate()
                    .map(|(level, difference)| level as f64 / highest * difference)
                    .sum();
                excess <= self.margin
            }
        }
    }

    fn push(&mut self, cell: &Cell, row: usize) -> Result<(), Error> {
        let added = match cell {
            Cell::Arms { candidate, control } => {
                if candidate.len() != self.levels || control.len() != self.levels {
                    return Err(Error::Row { row, reason: "a cell has not as many levels as its metric" });
                }
                for (totals, counts) in self.totals.iter_mut().zip([control, candidate]) {
                    for (total, count) in totals.iter_mut().zip(counts) {
                        *total = total.saturating_add(*count);
                    }
                }
                let all = |counts: &[u64]| counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
                [all(control), all(candidate)]
            }
            Cell::Pairs { better, equal, worse } => [better.saturating_add(*equal).saturating_add(*worse); 2],
        };
        for (test, name) in [&mut self.worse, &mut self.within] {
            test.push(cell, row, name)?;
        }
        for (settled, more) in self.settled.iter_mut().zip(added) {
            *settled = settled.saturating_add(more);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
