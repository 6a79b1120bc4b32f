//! Exact bounds on shares (Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 26, 1934).
//!
//! A bound is found by halving: the chance of so few (or so many) successes is monotone in the share.

/// What the bounds say about a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The share is within the limit.
    Pass,
    /// It is beyond.
    Fail,
    /// It may be either.
    Inconclusive,
}

/// Halvings: more than a double's digits.
const HALVINGS: u32 = 60;

/// The chance of at most `successes` of `n` at the share `p`.
fn at_most(successes: u64, n: u64, p: f64) -> f64 {
    if p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return if successes >= n { 1.0 } else { 0.0 };
    }
    let whole = n as f64;
    let ln_chance = |s: f64| {
        libm::lgamma(whole + 1.0) - libm::lgamma(s + 1.0) - libm::lgamma(whole - s + 1.0)
            + s * libm::log(p)
            + (whole - s) * libm::log1p(-p)
    };
    (0..=successes.min(n)).map(|s| libm::exp(ln_chance(s as f64))).sum::<f64>().min(1.0)
}

/// The upper bound with confidence `1 - alpha`; 1 where all or none were tried.
pub fn upper_bound(successes: u64, n: u64, alpha: f64) -> f64 {
    if successes >= n {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if at_most(successes, n, middle) > alpha { low = middle } else { high = middle }
    }
    high
}

/// The lower bound with confidence `1 - alpha`; 0 where none succeeded.
pub fn lower_bound(successes: u64, n: u64, alpha: f64) -> f64 {
    if successes == 0 {
        return 0.0;
    }
    1.0 - upper_bound(n.saturating_sub(successes), n, alpha)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_tables() {
        // 1 - alpha^(1/n) where nothing happened.
        assert!((upper_bound(0, 59, 0.05) - (1.0 - 0.05_f64.powf(1.0 / 59.0))).abs() < 1e-12);
        assert!(upper_bound(0, 59, 0.05) < 0.05 && upper_bound(0, 58, 0.05) > 0.05);
        assert!(upper_bound(1, 93, 0.05) < 0.05 && upper_bound(1, 92, 0.05) > 0.05);
        assert!((lower_bound(32, 32, 0.05) - 0.05_f64.powf(1.0 / 32.0)).abs() < 1e-12);
        // R: binom.test(7, 20)$conf.int, two-sided 95 %.
        assert!((lower_bound(7, 20, 0.025) - 0.153_909_2).abs() < 1e-6);
        assert!((upper_bound(7, 20, 0.025) - 0.592_188_5).abs() < 1e-6);
        assert_eq!(
            (upper_bound(5, 5, 0.05), lower_bound(0, 5, 0.05), upper_bound(0, 0, 0.05)),
            (1.0, 0.0, 1.0)
        );
    }
}
