//! Two arms at the same time: is the candidate's mean above the control's by more than `delta`?

use super::Evidence;
use crate::levels::{BET_MOST, checked, checked_levels, ln_product, value};
use crate::special::ln_sum;
use crate::{Error, inside};

/// Bets from 2^6 down to 2^-9 of a unit of mean; those above what the row allows are cut to that.
const BETS: usize = 16;
const BET_TOP: f64 = 64.0;
/// The arms' common mean stays this far from 0 and 1.
const EDGE: f64 = 1e-6;

/// What is to be refuted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// That the candidate exceeds the control by at most `delta`. Rejecting says: worse.
    ExceedsByAtMost,
    /// That the candidate exceeds the control by at least `delta`. Rejecting says: not that much worse.
    ExceedsByAtLeast,
}

/// What a comparison is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The tolerated difference of the means, candidate minus control, in (-1, 1).
    pub delta: f64,
    /// What is to be refuted.
    pub direction: Direction,
    /// The mean that the control is expected to have, in (0, 1). A wrong one costs time, not validity.
    pub expected: f64,
    /// How many equally spaced levels from 0 to 1 the values have.
    pub levels: usize,
}

/// The test. Rows are independent units of both arms that came in the same short time.
///
/// For a row with `n_a` control and `n_b` candidate units, the factor is
/// `prod_b (1 + c (x_b - m_b)) prod_a (1 - c n_b/n_a (x_a - m_a))` with `m_b = m_a + delta`. Where the units' means are
/// `mu_a`, `mu_b`, its expectation is at most `exp(n_b c (mu_b - mu_a - delta)) <= 1` under the null hypothesis,
/// because `1 + u <= e^u`: so rates may change over time and arms may differ in size, as long as a row's sizes do not
/// depend on its outcomes. `c` and `m_a` are chosen from earlier rows. With `m_a` the pooled mean this is close to the
/// growth-optimal e-variable of Turner, Ly and Grünwald ("Generic E-variables for exact sequential k-sample tests",
/// 2024; Turner and Grünwald, "Exact anytime-valid confidence intervals for contingency tables and beyond", 2023).
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    settings: Settings,
    wealth: [f64; BETS],
    /// Units and sums of values of both arms in earlier rows.
    units: [f64; 2],
    sums: [f64; 2],
    evidence: Evidence,
}

/// As many units as the expected mean weighs.
const PRIOR_UNITS: f64 = 200.0;

impl Comparison {
    /// A comparison that has seen nothing.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        inside("expected", settings.expected)?;
        checked_levels(settings.levels)?;
        if !(settings.delta > -1.0 && settings.delta < 1.0) {
            return Err(Error::Setting {
                name: "delta",
                value: settings.delta,
                range: "-1 to 1, both excluded",
            });
        }
        Ok(Self {
            settings,
            wealth: [0.0; BETS],
            units: [0.0; 2],
            sums: [0.0; 2],
            evidence: Evidence::default(),
        })
    }

    /// Adds a row: how many units of each arm had each level. A row in which an arm has no units moves nothing.
    pub fn update(&mut self, control: &[u64], candidate: &[u64]) -> Result<Evidence, Error> {
        let levels = self.settings.levels;
        let n_a = checked("control", control, levels)? as f64;
        let n_b = checked("candidate", candidate, levels)? as f64;
        if n_a > 0.0 && n_b > 0.0 {
            self.bet(control, candidate, n_b / n_a);
        }
        for (arm, counts) in [control, candidate].into_iter().enumerate() {
            let sum: f64 = counts.iter().enumerate().map(|(level, n)| value(level, levels) * *n as f64).sum();
            if let (Some(units), Some(sums)) = (self.units.get_mut(arm), self.sums.get_mut(arm)) {
                *units += counts.iter().sum::<u64>() as f64;
                *sums += sum;
            }
        }
        self.evidence.set(ln_sum(self.wealth.iter().copied()) - libm::log(BETS as f64));
        Ok(self.evidence)
    }

    /// What it has come to.
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    fn bet(&mut self, control: &[u64], candidate: &[u64], share: f64) {
        let (m_a, m_b) = self.centres();
        // What would lose everything: on the candidate, on the control. Which side, depends on the direction.
        let (candidate_most, control_most, sign) = match self.settings.direction {
            Direction::ExceedsByAtMost => (1.0 / m_b, 1.0 / (1.0 - m_a), 1.0),
            Direction::ExceedsByAtLeast => (1.0 / (1.0 - m_b), 1.0 / m_a, -1.0),
        };
        let most = BET_MOST * candidate_most.min(control_most / share);
        let mut bet = BET_TOP;
        for wealth in &mut self.wealth {
            let c = sign * bet.min(most);
            *wealth += ln_product(candidate, c, m_b) + ln_product(control, -c * share, m_a);
            bet *= 0.5;
        }
    }

    /// Where the means of control and candidate are assumed under the null hypothesis: the pooled mean of earlier
    /// rows, `delta` apart.
    fn centres(&self) -> (f64, f64) {
        let delta = self.settings.delta;
        let [n_a, n_b] = self.units;
        let [s_a, s_b] = self.sums;
        let pooled =
            (s_a + s_b - n_b * delta + PRIOR_UNITS * self.settings.expected) / (n_a + n_b + PRIOR_UNITS);
        let m_a = pooled.clamp(EDGE - delta.min(0.0), 1.0 - EDGE - delta.max(0.0));
        // A delta so close to 1 that no room is left between the edges leaves the lower edge.
        let m_a = m_a.clamp(EDGE, 1.0 - EDGE);
        (m_a, (m_a + delta).clamp(EDGE, 1.0 - EDGE))
    }
}
