//! E-detectors: has a stream changed, looked at every second, with a stated average run length between false alarms?
//!
//! A test at level 0.001 each second raises 86 false alarms a day. An e-detector adds up e-processes that start at
//! every moment; with an alarm at the value `run_length`, the expected number of looks to a false alarm is at least
//! `run_length`, whatever the distribution under the null hypothesis (Shin, Ramdas, Rinaldo, "E-detectors: a
//! nonparametric framework for sequential change detection", New England Journal of Statistics in Data Science 2,
//! 2024, theorem 2.4: Shiryaev-Roberts form). A finite run length cannot bound the chance of a false alarm over an
//! unlimited time.

use crate::levels::{BET_MOST, BETS, checked, checked_levels, fraction, ln_product};
use crate::{Error, inside};

/// Watches the mean of values in [0, 1] for a rise above `baseline`.
///
/// For each of a mixture of bets it keeps `R = (R + 1) prod (1 + lambda (x - baseline))`. A fall is watched by giving
/// it `1 - x`.
#[derive(Debug, Clone, PartialEq)]
pub struct Detector {
    baseline: f64,
    levels: usize,
    ln_run_length: f64,
    /// `ln R` for each bet.
    ln_values: [f64; BETS],
}

/// What a look shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// `ln` of the detector's value.
    pub ln_value: f64,
    /// Whether it is an alarm.
    pub alarm: Alarm,
}

/// Whether the value has reached the stated run length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alarm {
    /// It has not.
    Quiet,
    /// It has.
    Raised,
}

impl Detector {
    /// A detector with values at `levels` equally spaced levels, and an average of at least `run_length` looks between
    /// false alarms: 2,592,000 for a month of seconds.
    pub fn new(baseline: f64, levels: usize, run_length: f64) -> Result<Self, Error> {
        inside("baseline", baseline)?;
        let levels = checked_levels(levels)?;
        if !(1.0..=1e15).contains(&run_length) {
            return Err(Error::Setting { name: "run_length", value: run_length, range: "1 to 10^15 looks" });
        }
        let ln_values = [f64::NEG_INFINITY; BETS];
        Ok(Self { baseline, levels, ln_run_length: libm::log(run_length), ln_values })
    }

    /// Adds what came since the last look: how many values at each level.
    pub fn look(&mut self, counts: &[u64]) -> Result<Look, Error> {
        checked("counts", counts, self.levels)?;
        for (bet, ln_value) in self.ln_values.iter_mut().enumerate() {
            let factor = ln_product(counts, fraction(bet) * BET_MOST / self.baseline, self.baseline);
            // ln(R + 1) without overflow.
            let raised = if *ln_value > 40.0 { *ln_value } else { libm::log1p(libm::exp(*ln_value)) };
            *ln_value = raised + factor;
        }
        let ln_value = crate::special::ln_sum(self.ln_values.iter().copied()) - libm::log(BETS as f64);
        let alarm = if ln_value >= self.ln_run_length { Alarm::Raised } else { Alarm::Quiet };
        Ok(Look { ln_value, alarm })
    }

    /// Starts anew after an alarm has been dealt with.
    pub fn reset(&mut self) {
        self.ln_values = [f64::NEG_INFINITY; BETS];
    }
}

#[cfg(test)]
mod tests;
