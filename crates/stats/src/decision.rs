//! The three answers: pass, fail, inconclusive.
//!
//! Silence is not evidence: an interval that reaches over the limit decides nothing, and what follows from that is the
//! caller's rule.

use crate::Error;

/// What the evidence says about a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The whole interval is within the limit.
    Pass,
    /// The whole interval is beyond the limit.
    Fail,
    /// The interval reaches over the limit.
    Inconclusive,
}

/// An interval that holds the truth with the confidence it was made with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl Interval {
    /// An interval from its ends, which are finite or infinite and in order.
    pub fn new(lower: f64, upper: f64) -> Result<Self, Error> {
        if lower <= upper {
            Ok(Self { lower, upper })
        } else {
            Err(Error::Setting { name: "lower", value: lower, range: "values up to the upper end" })
        }
    }

    /// Whether it stays at or below `limit`: an upper limit such as a tolerated difference.
    pub fn against(self, limit: f64) -> Decision {
        if self.upper <= limit {
            Decision::Pass
        } else if self.lower > limit {
            Decision::Fail
        } else {
            Decision::Inconclusive
        }
    }

    /// Half its width.
    pub fn radius(self) -> f64 {
        (self.upper - self.lower) / 2.0
    }
}

impl Decision {
    /// Both decisions at once: one failure fails, and all have to pass.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fail, _) | (_, Self::Fail) => Self::Fail,
            (Self::Pass, Self::Pass) => Self::Pass,
            _ => Self::Inconclusive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_over_the_limit_decides_nothing() {
        let interval = |lower, upper| Interval::new(lower, upper).unwrap();
        assert_eq!(interval(0.0, 0.05).against(0.05), Decision::Pass);
        assert_eq!(interval(0.06, 0.07).against(0.05), Decision::Fail);
        assert_eq!(interval(0.04, 0.06).against(0.05), Decision::Inconclusive);
        assert_eq!(interval(f64::NEG_INFINITY, f64::INFINITY).against(0.05), Decision::Inconclusive);
        assert_eq!(Interval::new(f64::NAN, 0.0).unwrap_err().code(), "CS-STA-008");
        assert_eq!(Interval::new(1.0, 0.0).unwrap_err().code(), "CS-STA-008");
    }

    #[test]
    fn one_failure_fails_and_one_doubt_holds() {
        use Decision::{Fail, Inconclusive, Pass};
        assert_eq!(Pass.and(Pass), Pass);
        assert_eq!(Pass.and(Inconclusive), Inconclusive);
        assert_eq!(Inconclusive.and(Fail), Fail);
        assert_eq!(Fail.and(Pass), Fail);
    }
}
