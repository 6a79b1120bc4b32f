//! Exact bounds and tests on counts: they hold at every sample size, not only in the limit.
//!
//! * Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
//!   Biometrika 26, 1934: [`upper_bound`], [`lower_bound`], [`interval`].
//! * The binomial test; the sign test and McNemar's test as binomial tests of the discordant pairs (Q. McNemar,
//!   Psychometrika 12, 1947, in its exact form).
//! * Fisher's exact test of a two-by-two table (R. A. Fisher, The Design of Experiments, 1935).
//!
//! Two-sided p-values add up everything that is at most as likely as what was seen, as SciPy does.

use crate::decision::Interval;
use crate::special::{beta_tails, last_where, ln_binomial};
use crate::{Error, bounded, inside};

/// Which departures count as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alternative {
    /// The rate is lower than the null's.
    Less,
    /// The rate is higher than the null's.
    Greater,
    /// Either.
    TwoSided,
}

/// Two probabilities within this relative distance count as equal, so that rounding does not break ties.
const TIE: f64 = 1e-7;
/// Sums of probabilities stop where a term no longer changes the sum.
const NEGLIGIBLE: f64 = 1e-18;

fn checked(successes: u64, n: u64) -> Result<(f64, f64), Error> {
    bounded("n", n)?;
    if successes > n {
        return Err(Error::Part { part: "successes", given: successes, whole: n });
    }
    Ok((successes as f64, n as f64))
}

/// The upper Clopper-Pearson bound with confidence `1 - alpha`; 1 where all or none were tried.
pub fn upper_bound(successes: u64, n: u64, alpha: f64) -> Result<f64, Error> {
    let (s, n) = checked(successes, n)?;
    inside("alpha", alpha)?;
    if s >= n {
        return Ok(1.0);
    }
    // The chance of at most s, which falls as the rate rises, is the upper tail of Beta(s + 1, n - s).
    Ok(last_where(0.0, 1.0, |p| beta_tails(s + 1.0, n - s, p).1 > alpha))
}

/// The lower Clopper-Pearson bound with confidence `1 - alpha`; 0 where none succeeded.
pub fn lower_bound(successes: u64, n: u64, alpha: f64) -> Result<f64, Error> {
    let (s, whole) = checked(successes, n)?;
    inside("alpha", alpha)?;
    if successes == 0 {
        return Ok(0.0);
    }
    // The chance of at least s is the lower tail of Beta(s, n - s + 1). The lower end of the last bracket is kept, on
    // the safe side.
    let above = last_where(0.0, 1.0, |p| beta_tails(s, whole - s + 1.0, p).0 <= alpha);
    Ok(above.next_down())
}

/// The two-sided Clopper-Pearson interval with confidence `1 - alpha`.
pub fn interval(successes: u64, n: u64, alpha: f64) -> Result<Interval, Error> {
    inside("alpha", alpha)?;
    let lower = lower_bound(successes, n, alpha / 2.0)?;
    Interval::new(lower, upper_bound(successes, n, alpha / 2.0)?)
}

/// The smallest number of trials that shows a rate of at most `limit` although `failures` were seen.
pub fn trials_needed(failures: u64, limit: f64, alpha: f64) -> Result<u64, Error> {
    inside("limit", limit)?;
    let shows = |n: u64| upper_bound(failures, n, alpha).map(|bound| bound <= limit);
    let (mut low, mut high) = (failures, failures.max(1) * 2);
    while !shows(high)? {
        low = high;
        high = high.saturating_mul(2);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if shows(middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high)
}

/// The chances of at most and of at least `successes` in `n` at rate `p` in [0, 1].
pub fn binomial_tails(successes: u64, n: u64, p: f64) -> Result<(f64, f64), Error> {
    let (s, whole) = checked(successes, n)?;
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::Probability { name: "p", value: p });
    }
    let at_most = if successes == n { 1.0 } else { beta_tails(s + 1.0, whole - s, p).1 };
    let at_least = if successes == 0 { 1.0 } else { beta_tails(s, whole - s + 1.0, p).0 };
    Ok((at_most, at_least))
}

/// The p-value of `successes` in `n` under the rate `p`; 1 where nothing was tried.
pub fn binomial_test(successes: u64, n: u64, p: f64, alternative: Alternative) -> Result<f64, Error> {
    let (at_most, at_least) = binomial_tails(successes, n, p)?;
    inside("p", p)?;
    match alternative {
        Alternative::Less => return Ok(at_most),
        Alternative::Greater => return Ok(at_least),
        Alternative::TwoSided => {}
    }
    if n == 0 {
        return Ok(1.0);
    }
    let chance = |k: u64| ln_binomial(k as f64, n as f64, p, 1.0 - p);
    let seen = chance(successes) + libm::log1p(TIE);
    let mode = libm::floor((n as f64 + 1.0) * p).min(n as f64) as u64;
    // On the other side of the mode, the outermost counts that are at most as likely.
    if successes == mode {
        return Ok(1.0);
    }
    let value = if successes < mode {
        let first = first_where(mode, n, |k| chance(k) <= seen);
        at_most + first.map_or(Ok(0.0), |k| binomial_tails(k, n, p).map(|tails| tails.1))?
    } else {
        // Mirrored: count failures from the other end.
        let first = first_where(n - mode, n, |failures| chance(n - failures) <= seen);
        at_least
            + first.map_or(Ok(0.0), |failures| binomial_tails(n - failures, n, p).map(|tails| tails.0))?
    };
    Ok(value.min(1.0))
}

/// The first of `low..=high` for which a condition holds that, once true, stays true; none if it never does.
fn first_where(low: u64, high: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut low, mut high) = (low, high);
    if !holds(high) {
        return None;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(high)
}

/// The sign test of paired differences: `plus` above zero, `minus` below, ties left out.
pub fn sign_test(plus: u64, minus: u64, alternative: Alternative) -> Result<f64, Error> {
    binomial_test(plus, plus.saturating_add(minus), 0.5, alternative)
}

/// McNemar's exact test. `worse` pairs went from good to bad, `better` pairs from bad to good; the others say nothing.
pub fn mcnemar(worse: u64, better: u64, alternative: Alternative) -> Result<f64, Error> {
    sign_test(worse, better, alternative)
}

/// Successes of two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Successes and failures of the first group.
    pub first: [u64; 2],
    /// Successes and failures of the second group.
    pub second: [u64; 2],
}

/// Fisher's exact test: is the first group's rate of success lower, higher, or other than the second's?
///
/// Terms are added outwards from the observed table until they no longer count: of the order of the square root of
/// the smallest margin.
pub fn fisher(table: Table, alternative: Alternative) -> Result<f64, Error> {
    let [a, b] = table.first;
    let [c, d] = table.second;
    for (name, count) in [("first", a), ("first", b), ("second", c), ("second", d)] {
        bounded(name, count)?;
    }
    let drawn = a + b;
    let hits = a + c;
    let total = drawn + c + d;
    bounded("total", total)?;
    let (least, most) = (hits.saturating_sub(c + d), drawn.min(hits));
    if least == most {
        return Ok(1.0);
    }
    let ln_chance = |k: u64| ln_hypergeometric(k, drawn, hits, total);
    let mode = ((hits as f64 + 1.0) * (drawn as f64 + 1.0) / (total as f64 + 2.0)) as u64;
    let mode = mode.clamp(least, most);
    // Tails that lead away from the mode; their terms fall.
    let down = |from: u64| {
        outwards(libm::exp(ln_chance(from)), (least..from).rev(), |k| {
            ratio(k + 1, drawn, hits, total).recip()
        })
    };
    let up =
        |from: u64| outwards(libm::exp(ln_chance(from)), (from + 1)..=most, |k| ratio(k, drawn, hits, total));
    let at_most = || {
        if a <= mode {
            down(a)
        } else if a == most {
            1.0
        } else {
            1.0 - up(a + 1)
        }
    };
    let at_least = || {
        if a >= mode {
            up(a)
        } else if a == least {
            1.0
        } else {
            1.0 - down(a - 1)
        }
    };
    let value = match alternative {
        Alternative::Less => at_most(),
        Alternative::Greater => at_least(),
        Alternative::TwoSided => {
            let seen = ln_chance(a) + libm::log1p(TIE);
            if ln_chance(mode) <= seen {
                1.0
            } else if a < mode {
                at_most() + first_where(mode, most, |k| ln_chance(k) <= seen).map_or(0.0, up)
            } else {
                let far = first_where(most - mode, most - least, |below| ln_chance(most - below) <= seen);
                at_least() + far.map_or(0.0, |below| down(most - below))
            }
        }
    };
    Ok(value.clamp(0.0, 1.0))
}

/// The hypergeometric chance of `k` hits, as a quotient of binomial ones (Loader, section 5).
fn ln_hypergeometric(k: u64, drawn: u64, hits: u64, total: u64) -> f64 {
    let p = drawn as f64 / total as f64;
    let q = (total - drawn) as f64 / total as f64;
    let misses = total - hits;
    let (k_hits, k_misses) = (k as f64, (drawn - k) as f64);
    ln_binomial(k_hits, hits as f64, p, q) + ln_binomial(k_misses, misses as f64, p, q)
        - ln_binomial(drawn as f64, total as f64, p, q)
}

/// How much likelier `k` is than `k - 1`.
fn ratio(k: u64, drawn: u64, hits: u64, total: u64) -> f64 {
    let (k, drawn, hits, total) = (k as f64, drawn as f64, hits as f64, total as f64);
    (hits - k + 1.0) * (drawn - k + 1.0) / (k * (total - hits - drawn + k))
}

/// The sum of a first chance and of those after it, each got from the one before by a factor, until they no longer
/// count.
fn outwards(first: f64, after: impl Iterator<Item = u64>, factor: impl Fn(u64) -> f64) -> f64 {
    let (mut term, mut sum) = (first, first);
    for k in after {
        term *= factor(k);
        sum += term;
        if term <= sum * NEGLIGIBLE {
            break;
        }
    }
    sum
}
