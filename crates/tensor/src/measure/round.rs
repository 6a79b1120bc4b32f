//! Sums with a known error, and integers rounded away from understating.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "each cast here is guarded by a range check, or only widens an error allowance"
)]

/// Where every measure saturates: 2^53 - 1, the largest integer that JSON readers agree on (RFC 8785, 3.2.2.3).
/// A measure with this value means "at least that much".
pub const SATURATED: u64 = (1 << 53) - 1;

/// An upper bound on a true value that is not negative. NaN and infinity mean that nothing is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upper(pub(crate) f64);

/// Lanes of a sum. They are part of the definition of the result, not a matter of the machine.
const LANES: usize = 8;

/// Additions one after another in [`dot`] over a part of at most 4096 elements, with the product and the joining
/// of lanes.
pub(crate) const DOT_CHAIN: usize = 4096 / LANES + LANES + 2;

/// Twice the unit roundoff for each of `operations` roundings: a bound on their joint relative error, second-order
/// terms included, as long as there are fewer than 2^50 (Higham, lemma 3.1).
pub(super) fn gamma(operations: usize) -> f64 {
    operations as f64 * f64::EPSILON
}

/// `Σ x·y` in eight lanes: lane `t` adds the products at `t`, `t+8`, …, in order; lanes are added in order.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    let (x_blocks, x_rest) = x.as_chunks::<LANES>();
    let (y_blocks, y_rest) = y.as_chunks::<LANES>();
    let mut lanes = [0.0_f64; LANES];
    for (x, y) in x_blocks.iter().zip(y_blocks) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    for ((lane, x), y) in lanes.iter_mut().zip(x_rest).zip(y_rest) {
        *lane += x * y;
    }
    lanes.iter().fold(0.0, |sum, lane| sum + lane)
}

/// The largest magnitude; exact. Elements are never NaN here.
pub(crate) fn largest(values: &[f64]) -> f64 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0_f64; LANES];
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            let magnitude = value.abs();
            *lane = if magnitude > *lane { magnitude } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(0.0, |most, value| most.max(value.abs()))
}

/// A lower bound on the root of a sum of squares that took `chain` roundings.
pub(crate) fn lower_root(squares: f64, chain: usize) -> f64 {
    squares.sqrt() * (1.0 - gamma(chain + 8))
}

/// A few more roundings on the way to a result: a factor that covers them.
pub(crate) fn inflate(value: f64, operations: usize) -> f64 {
    value * (1.0 + gamma(operations + 4))
}

/// `change / base`, upwards; no change is none whatever the base, and any change of nothing is beyond measure.
pub(crate) fn ratio(change: Upper, base: f64) -> Upper {
    if change.0 == 0.0 {
        Upper(0.0)
    } else if base > 0.0 {
        Upper(inflate(change.0 / base, 2))
    } else {
        Upper(f64::INFINITY)
    }
}

/// In parts per million, upwards.
pub(crate) fn ppm(value: Upper) -> u64 {
    scaled(value, 1e6)
}

/// In units of 10^-9, upwards.
pub(super) fn nano(value: Upper) -> u64 {
    scaled(value, 1e9)
}

fn scaled(value: Upper, units: f64) -> u64 {
    let scaled = inflate(value.0 * units, 1).ceil();
    // Not a number fails the comparison and saturates.
    if scaled < SATURATED as f64 { scaled as u64 } else { SATURATED }
}

/// `part` of `whole` in parts per million, upwards; none of nothing is none.
pub(super) fn share_ppm(part: usize, whole: usize) -> u64 {
    let (part, whole) = (part as u128, (whole as u128).max(1));
    u64::try_from((part * 1_000_000).div_ceil(whole)).unwrap_or(SATURATED)
}
