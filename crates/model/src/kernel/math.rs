//! Elementwise mathematics with a fixed order of rounding.
//!
//! Sums run in sixteen lanes that are added in pairs at the end; exponentials are a polynomial. Nothing here asks
//! the platform's mathematics library, so results are the same everywhere. Each function is compiled again for
//! each level (see [`super::x86`]); that changes its speed and not its result.

#![allow(clippy::inline_always, reason = "each level compiles its own copy with that level's instructions")]

/// Lanes of a sum.
const LANES: usize = 16;

/// Adds lanes in pairs: always in this order.
#[inline(always)]
fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `Σ (x - mean)²`.
#[inline(always)]
pub(super) fn squares(x: &[f32], mean: f32) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            let value = chunk[lane] - mean;
            lanes[lane] = value.mul_add(value, lanes[lane]);
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        let value = value - mean;
        lanes[lane] = value.mul_add(value, lanes[lane]);
    }
    fold(lanes)
}

/// `Σ x`.
#[inline(always)]
pub(super) fn sum(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += chunk[lane];
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        lanes[lane] += value;
    }
    fold(lanes)
}

/// The largest element; negative infinity for none. NaN is passed over.
#[inline(always)]
pub(super) fn largest(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        lanes[lane] = if value > lanes[lane] { value } else { lanes[lane] };
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// `eˣ`: within two units in the last place; 0 below -87.3, infinity above 88.7.
///
/// Cephes' `expf`: `x = n·ln 2 + r`, a polynomial of degree six for `eʳ`, `2ⁿ` through the exponent's bits.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5·2^23: adding it rounds to an integer, which stands in the low bits.
    let clamped = if x < -87.336_54 { -87.336_54 } else { x };
    let clamped = if clamped > 88.722_83 { 88.722_83 } else { clamped };
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let whole = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let n = shifted - ROUND;
    let r = n.mul_add(-0.693_359_4, clamped);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4_f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 0.166_666_66);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r * r, r) + 1.0;
    // Two factors, so that 2^128 is reached without leaving the exponent's range.
    let first = whole >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    let value = p * power(first) * power(whole.wrapping_sub(first));
    if x < -87.336_54 {
        0.0
    } else if x > 88.722_83 {
        f32::INFINITY
    } else if x.is_nan() {
        x
    } else {
        value
    }
}

/// `1 / (1 + e⁻ˣ)`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent, through the exponential of twice the argument.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    // Below 0.3 the difference 1 - e⁻²ˣ would cancel; an odd polynomial (Taylor to x⁹) serves there.
    let square = x * x;
    let small = 0.021_869_488_f32;
    let small = small.mul_add(square, -0.053_968_254);
    let small = small.mul_add(square, 0.133_333_34);
    let small = small.mul_add(square, -0.333_333_34);
    let small = (small * square).mul_add(x, x);
    let e = exp(-2.0 * magnitude);
    let large = ((1.0 - e) / (1.0 + e)).copysign(x);
    if magnitude < 0.3 { small } else { large }
}

/// The error function: Abramowitz and Stegun 7.1.26 (error below 1.5e-7).
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let magnitude = x.abs();
    let t = 1.0 / 0.327_591_1_f32.mul_add(magnitude, 1.0);
    let p = 1.061_405_4_f32;
    let p = p.mul_add(t, -1.453_152);
    let p = p.mul_add(t, 1.421_413_8);
    let p = p.mul_add(t, -0.284_496_72);
    let p = p.mul_add(t, 0.254_829_6) * t;
    (1.0 - p * exp(-magnitude * magnitude)).copysign(x)
}

/// What a multi-layer perceptron applies between its matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x·sigmoid(x)`.
    Silu,
    /// The Gaussian error linear unit, by the error function.
    Gelu,
    /// Its approximation by a hyperbolic tangent (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
}

/// Applies an activation to one value.
#[inline(always)]
pub(super) fn activated(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::Silu => x * sigmoid(x),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)),
        Activation::GeluTanh => {
            let inner = 0.797_884_6 * 0.044_715_f32.mul_add(x * x * x, x);
            0.5 * x * (1.0 + tanh(inner))
        }
    }
}

/// `x = activation(x)`.
#[inline(always)]
pub(super) fn activate(activation: Activation, x: &mut [f32]) {
    match activation {
        Activation::Silu => x.iter_mut().for_each(|x| *x = activated(Activation::Silu, *x)),
        Activation::Gelu => x.iter_mut().for_each(|x| *x = activated(Activation::Gelu, *x)),
        Activation::GeluTanh => x.iter_mut().for_each(|x| *x = activated(Activation::GeluTanh, *x)),
    }
}

/// `x = scale·x`, or `cap·tanh(scale·x / cap)` where there is a cap.
#[inline(always)]
pub(super) fn scale_cap(x: &mut [f32], scale: f32, cap: Option<f32>) {
    match cap {
        None => x.iter_mut().for_each(|x| *x *= scale),
        Some(cap) => x.iter_mut().for_each(|x| *x = cap * tanh(*x * scale / cap)),
    }
}

/// Replaces `x` by `e^(x - largest)` and answers the sum of these.
#[inline(always)]
pub(super) fn exponentials(x: &mut [f32], largest: f32) -> f32 {
    for x in x.iter_mut() {
        *x = exp(*x - largest);
    }
    sum(x)
}

/// `ln Σ e^x` without changing `x`.
#[inline(always)]
pub(super) fn log_sum_exp(x: &[f32], largest: f32) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0_f64; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += f64::from(exp(chunk[lane] - largest));
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        lanes[lane] += f64::from(exp(value - largest));
    }
    let total: f64 = lanes.into_iter().sum();
    (f64::from(largest) + libm::log(total)) as f32
}

/// Quantises 32 activations: codes in -127..=127 and their scale, `max |x| / 127` (ggml, `quantize_row_q8_0`,
/// with ties to even). What is not finite makes the scale so.
#[inline(always)]
pub(super) fn quantise(x: &[f32; 32], codes: &mut [i8; 32]) -> (f32, [i32; 2]) {
    // The order of magnitudes is that of their bits, with infinity and NaN above all numbers.
    let most = x.iter().fold(0_u32, |most, x| most.max(x.to_bits() & 0x7fff_ffff));
    let scale = f32::from_bits(most) / 127.0;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    for (code, &x) in codes.iter_mut().zip(x) {
        // Adding 1.5·2^23 rounds to an integer, ties to even.
        let shifted = x.mul_add(inverse, 12_582_912.0).to_bits().wrapping_sub(0x4b40_0000) as i32;
        *code = shifted.clamp(-127, 127) as i8;
    }
    let sum = |codes: &[i8]| codes.iter().map(|&code| i32::from(code)).sum();
    (scale, [sum(&codes[..16]), sum(&codes[16..])])
}
