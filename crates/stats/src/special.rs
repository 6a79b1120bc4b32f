//! Special functions: binomial probabilities, incomplete beta, normal and t distributions.
//!
//! Saddle-point forms keep relative accuracy at counts of 10^10, where differences of `lgamma` have lost all of it.
//! Arguments are assumed to be in range; the modules that use these functions check them.
//!
//! References: C. Loader, "Fast and Accurate Computation of Binomial Probabilities", 2000 (`stirling_error`,
//! `deviance`); Press et al., Numerical Recipes, 3rd ed., section 6.4 (continued fraction, modified Lentz).

use std::f64::consts::PI;

/// `ln(sqrt(2 pi))`.
const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_8;
/// The continued fraction needs of the order of the square root of its larger parameter.
const FRACTION_STEPS_MAX: u32 = 4_000_000;
/// Halvings of an interval: its ends are neighbours before that, unless they are below 2^-77, where 2^-130 is near enough.
const HALVINGS_MAX: u32 = 130;

/// `ln Gamma(x)` for positive `x`.
pub fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// `ln(n!) - ln(Stirling's formula)` for `n >= 0`, not only whole numbers.
pub fn stirling_error(n: f64) -> f64 {
    if n <= 0.0 {
        // Only called for the product with a zero count, where the limit is not used.
        return 0.0;
    }
    if n < 16.0 {
        return ln_gamma(n + 1.0) - (n + 0.5) * libm::log(n) + n - LN_SQRT_2PI;
    }
    let square = n * n;
    (1.0 / 12.0
        - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / 1188.0 / square) / square) / square) / square)
        / n
}

/// `x ln(x/m) + m - x`, without cancellation where `x` is close to `m`.
pub fn deviance(x: f64, m: f64) -> f64 {
    if x <= 0.0 {
        return m;
    }
    if (x - m).abs() < 0.1 * (x + m) {
        let v = (x - m) / (x + m);
        let mut sum = (x - m) * v;
        let mut term = 2.0 * x * v;
        let square = v * v;
        for step in 1..1_000 {
            term *= square;
            let next = sum + term / f64::from(2 * step + 1);
            if next.to_bits() == sum.to_bits() {
                return next;
            }
            sum = next;
        }
        return sum;
    }
    x * libm::log(x / m) + m - x
}

/// `ln` of the binomial probability of `k` in `n` at rate `p`, `q = 1 - p`; real `k` and `n` are allowed.
pub fn ln_binomial(k: f64, n: f64, p: f64, q: f64) -> f64 {
    if k < 0.0 || k > n {
        return f64::NEG_INFINITY;
    }
    if p <= 0.0 {
        return if k <= 0.0 { 0.0 } else { f64::NEG_INFINITY };
    }
    if q <= 0.0 {
        return if k >= n { 0.0 } else { f64::NEG_INFINITY };
    }
    if n <= 0.0 {
        return 0.0;
    }
    if k <= 0.0 {
        return n * if p < 0.1 { libm::log1p(-p) } else { libm::log(q) };
    }
    if k >= n {
        return n * if q < 0.1 { libm::log1p(-q) } else { libm::log(p) };
    }
    let rest = n - k;
    let centre = stirling_error(n) - stirling_error(k) - stirling_error(rest);
    centre - deviance(k, n * p) - deviance(rest, n * q) + 0.5 * libm::log(n / (2.0 * PI * k * rest))
}

/// `ln B(a, b)` for positive `a`, `b`.
pub fn ln_beta(a: f64, b: f64) -> f64 {
    if a.min(b) < 1.0 {
        // One of them is small: no cancellation to speak of for the other below 10^10.
        if a.max(b) < 1e6 {
            return ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
        }
        return ln_beta(a + 1.0, b + 1.0) + libm::log((a + b) / a) + libm::log((a + b + 1.0) / b);
    }
    let errors = stirling_error(a) + stirling_error(b) - stirling_error(a + b);
    errors - a * libm::log1p(b / a) - b * libm::log1p(a / b) + LN_SQRT_2PI
        - 0.5 * (libm::log(a) + libm::log(b / (a + b)))
}

/// The regularised incomplete beta function `I_x(a, b)` and its complement, for positive `a`, `b` and `x` in [0, 1].
///
/// Both are computed without subtraction where they are small.
pub fn beta_tails(a: f64, b: f64, x: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if x >= 1.0 {
        return (1.0, 0.0);
    }
    let y = 1.0 - x;
    // x^a y^b / B(a, b), as a binomial probability of real counts.
    let front = libm::exp(ln_binomial(a, a + b, x, y)) * a * b / (a + b);
    if x < (a + 1.0) / (a + b + 2.0) {
        let lower = (front * fraction(a, b, x) / a).clamp(0.0, 1.0);
        (lower, 1.0 - lower)
    } else {
        let upper = (front * fraction(b, a, y) / b).clamp(0.0, 1.0);
        (1.0 - upper, upper)
    }
}

/// The continued fraction of the incomplete beta function, by the modified Lentz method.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for step in 1..FRACTION_STEPS_MAX {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a - 1.0 + 2.0 * m) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 1.0 + 2.0 * m));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        let change = d * c;
        h *= change;
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    h
}

/// The chance that a standard normal variable exceeds `z`.
pub fn normal_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2)
}

/// The value that a standard normal variable exceeds with chance `alpha`, for `alpha` in (0, 1).
pub fn normal_quantile(alpha: f64) -> f64 {
    if alpha > 0.5 {
        return -normal_quantile(1.0 - alpha);
    }
    last_where(0.0, 40.0, |z| normal_tail(z) > alpha)
}

/// The chance that a t variable with `degrees` of freedom exceeds `t >= 0`.
pub fn t_tail(t: f64, degrees: f64) -> f64 {
    0.5 * beta_tails(0.5 * degrees, 0.5, degrees / (degrees + t * t)).0
}

/// The value that a t variable exceeds with chance `alpha`, for `alpha` in (0, 0.5].
pub fn t_quantile(alpha: f64, degrees: f64) -> f64 {
    let mut high = 2.0;
    while t_tail(high, degrees) > alpha && high < 1e150 {
        high *= high;
    }
    last_where(0.0, high, |t| t_tail(t, degrees) > alpha)
}

/// `ln(e^a + e^b + ..)` of some logarithms, without overflow; minus infinity for none.
pub fn ln_sum(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if top.is_infinite() {
        return top;
    }
    top + libm::log(logs.map(|log| libm::exp(log - top)).sum::<f64>())
}

/// The upper neighbour, up to the last bit, of the point where `holds` stops to hold between `low` and `high`.
pub(crate) fn last_where(low: f64, high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (low, high);
    for _ in 0..HALVINGS_MAX {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}
