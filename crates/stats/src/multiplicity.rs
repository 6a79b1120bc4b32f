//! Many tests at once: how a level is shared so that the chance of any false alarm stays what was promised.

use crate::{Error, inside};

/// At most so many hypotheses at once.
const HYPOTHESES_MAX: usize = 1_000_000;

fn checked(what: &'static str, values: &[f64]) -> Result<(), Error> {
    if values.len() > HYPOTHESES_MAX {
        return Err(Error::TooMany { what, given: values.len(), limit: HYPOTHESES_MAX });
    }
    crate::finite(what, values)
}

fn checked_p(p_values: &[f64]) -> Result<(), Error> {
    checked("p_values", p_values)?;
    match p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        Some(p) => Err(Error::Probability { name: "p_values", value: *p }),
        None => Ok(()),
    }
}

/// The positions of `values` from the smallest to the largest; equal ones in their order.
fn ascending(values: &[f64]) -> Vec<usize> {
    let mut ranked: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
    ranked.sort_by(|left, right| left.1.total_cmp(&right.1).then(left.0.cmp(&right.0)));
    ranked.into_iter().map(|(at, _)| at).collect()
}

/// Marks some positions.
fn marked(length: usize, positions: &[usize]) -> Vec<bool> {
    let mut marks = vec![false; length];
    for at in positions {
        if let Some(mark) = marks.get_mut(*at) {
            *mark = true;
        }
    }
    marks
}

/// Which hypotheses Holm's step-down procedure rejects: the chance of any false rejection is at most `alpha`, whatever
/// the dependence (S. Holm, Scandinavian Journal of Statistics 6, 1979).
pub fn holm(p_values: &[f64], alpha: f64) -> Result<Vec<bool>, Error> {
    checked_p(p_values)?;
    inside("alpha", alpha)?;
    let order = ascending(p_values);
    let holds = |(rank, at): &(usize, &usize)| {
        let p = p_values.get(**at).copied().unwrap_or(1.0);
        p <= alpha / (p_values.len() - rank) as f64
    };
    let rejected: Vec<usize> = order.iter().enumerate().take_while(holds).map(|(_, at)| *at).collect();
    Ok(marked(p_values.len(), &rejected))
}

/// Which hypotheses the procedure of Benjamini and Hochberg rejects: the expected share of false ones among them is at
/// most `alpha` for independent or positively dependent p-values, as conformal ones are (Bates, Candès, Lei, Romano,
/// Sesia, Annals of Statistics 51, 2023).
pub fn benjamini_hochberg(p_values: &[f64], alpha: f64) -> Result<Vec<bool>, Error> {
    checked_p(p_values)?;
    inside("alpha", alpha)?;
    let order = ascending(p_values);
    let last = order.iter().enumerate().rposition(|(rank, at)| {
        let p = p_values.get(*at).copied().unwrap_or(1.0);
        p <= alpha * (rank + 1) as f64 / p_values.len() as f64
    });
    Ok(marked(p_values.len(), order.get(..last.map_or(0, |last| last + 1)).unwrap_or_default()))
}

/// Which hypotheses the e-BH procedure rejects, from e-values at one moment: valid under any dependence (Wang and
/// Ramdas, JRSS B 84, 2022). It is not valid for the largest values that e-processes have ever had.
pub fn e_benjamini_hochberg(e_values: &[f64], alpha: f64) -> Result<Vec<bool>, Error> {
    checked("e_values", e_values)?;
    inside("alpha", alpha)?;
    let mut order = ascending(e_values);
    order.reverse();
    let last = order.iter().enumerate().rposition(|(rank, at)| {
        let e = e_values.get(*at).copied().unwrap_or(0.0);
        e * (rank + 1) as f64 * alpha >= e_values.len() as f64
    });
    Ok(marked(e_values.len(), order.get(..last.map_or(0, |last| last + 1)).unwrap_or_default()))
}

/// How the level is spent over looks at known fractions of the information (Lan and DeMets, Biometrika 70, 1983).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spending {
    /// In equal parts of the information.
    Even,
    /// Little at first, as O'Brien and Fleming's boundaries do: `2 - 2 Phi(z / sqrt(t))`.
    ObrienFleming,
    /// More at first, as Pocock's: `alpha ln(1 + (e - 1) t)`.
    Pocock,
}

impl Spending {
    /// What may have been spent in all when a fraction `t` in [0, 1] of the information is there.
    pub fn spent(self, alpha: f64, t: f64) -> Result<f64, Error> {
        inside("alpha", alpha)?;
        if !(0.0..=1.0).contains(&t) {
            return Err(Error::Setting { name: "t", value: t, range: "0 to 1" });
        }
        if t <= 0.0 {
            return Ok(0.0);
        }
        Ok(match self {
            Self::Even => alpha * t,
            Self::ObrienFleming => {
                let z = crate::special::normal_quantile(alpha / 2.0);
                (2.0 * crate::special::normal_tail(z / t.sqrt())).min(alpha)
            }
            Self::Pocock => (alpha * libm::log1p((std::f64::consts::E - 1.0) * t)).min(alpha),
        })
    }

    /// The level of each look. By the union bound the looks' tests together have at most level `alpha`, whatever
    /// they are; boundaries computed from the joint distribution of one kind of test would be a little lower.
    pub fn levels(self, alpha: f64, fractions: &[f64]) -> Result<Vec<f64>, Error> {
        checked("fractions", fractions)?;
        let mut before = 0.0;
        let mut levels = Vec::with_capacity(fractions.len());
        for fraction in fractions {
            let spent = self.spent(alpha, *fraction)?;
            if spent < before {
                return Err(Error::Setting {
                    name: "fractions",
                    value: *fraction,
                    range: "rising fractions",
                });
            }
            levels.push(spent - before);
            before = spent;
        }
        Ok(levels)
    }
}

/// The level of each test when `alpha` is split evenly over `tests` (Bonferroni).
pub fn split(alpha: f64, tests: u32) -> Result<f64, Error> {
    inside("alpha", alpha)?;
    if tests == 0 {
        return Err(Error::TooFew { what: "tests", given: 0, needed: 1 });
    }
    Ok(alpha / f64::from(tests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_steps_down_until_the_first_that_holds() {
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005], 0.05).unwrap(), [true, false, false, true]);
        assert_eq!(holm(&[0.013, 0.01, 0.02], 0.05).unwrap(), [true, true, true]);
        assert_eq!(holm(&[], 0.05).unwrap(), Vec::<bool>::new());
        assert_eq!(holm(&[f64::NAN], 0.05).unwrap_err().code(), "CS-STA-004");
        assert_eq!(holm(&[1.5], 0.05).unwrap_err().code(), "CS-STA-001");
    }

    #[test]
    fn benjamini_and_hochberg_step_up() {
        // Their own example has 15 p-values; at 0.05 four are rejected.
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
            0.6528, 0.7590, 1.0,
        ];
        assert_eq!(benjamini_hochberg(&p, 0.05).unwrap().iter().filter(|hit| **hit).count(), 4);
        assert_eq!(e_benjamini_hochberg(&[100.0, 3.0, 45.0], 0.05).unwrap(), [true, false, true]);
    }

    #[test]
    fn looks_spend_no_more_than_there_is() {
        let looks = [0.25, 0.5, 0.75, 1.0];
        for spending in [Spending::Even, Spending::ObrienFleming, Spending::Pocock] {
            let levels = spending.levels(0.05, &looks).unwrap();
            let sum: f64 = levels.iter().sum();
            assert!((sum - 0.05).abs() < 1e-12, "{spending:?}: {sum}");
            assert!(levels.iter().all(|level| *level >= 0.0));
        }
        assert_eq!(Spending::Even.levels(0.05, &[0.5, 0.4]).unwrap_err().code(), "CS-STA-008");
    }
}
