//! The searches for scales: `make_q*_quants` of `ggml-quants.c`, for several groups of weights at once.
//!
//! A group's search is a chain of sums that must keep its order to give the same bits, so one group
//! cannot be spread over a processor's vector. Groups do not depend on each other: lane `k` of every
//! array here belongs to group `k`, each lane does what the C does for one group, in the same order,
//! and what a branch decides there is a choice by lane here.

use super::rounding::nearest;

/// Below this a group counts as all zero (`GROUP_MAX_EPS`).
pub(super) const GROUP_MAX_EPS: f32 = 1e-15;

/// `N` values of each of `L` groups.
pub(super) type Lanes<const L: usize, const N: usize> = [[f32; L]; N];

/// Turns `L` groups of `N` values that follow one another into lanes.
pub(super) fn lanes<const L: usize, const N: usize>(groups: &[f32]) -> Lanes<L, N> {
    let mut turned = [[0.0; L]; N];
    for (lane, group) in groups.as_chunks::<N>().0.iter().take(L).enumerate() {
        for (place, value) in turned.iter_mut().zip(group) {
            place[lane] = *value;
        }
    }
    turned
}

/// The levels of one group out of the lanes.
pub(super) fn lane<const L: usize, const N: usize>(levels: &Lanes<L, N>, lane: usize) -> [u8; N] {
    std::array::from_fn(|at| levels[at][lane] as i32 as u8)
}

/// What a search for scale and minimum found.
pub(super) struct Affine<const L: usize, const N: usize> {
    pub(super) scale: [f32; L],
    /// The minimum with its sign turned: never negative.
    pub(super) offset: [f32; L],
    pub(super) levels: Lanes<L, N>,
}

/// How the error of a candidate is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deviation {
    Absolute,
    Squared,
}

/// Where the candidates for the inverse scale begin, how far apart they are, and how many there are.
#[derive(Clone, Copy)]
pub(super) struct Candidates {
    pub(super) first: f32,
    pub(super) apart: f32,
    pub(super) steps: u8,
}

/// How levels outside of the range are brought back while candidates are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clamp {
    /// After rounding (`make_qkx2_quants`).
    AfterRounding,
    /// Before rounding (`make_qkx3_quants`), so that no float is too large for the rounding.
    BeforeRounding,
}

/// `make_qkx2_quants` and `make_qkx3_quants` with weights: scale and minimum with the least weighted error.
#[inline(always)]
pub(super) fn affine<const L: usize, const N: usize>(
    top: i32,
    x: &Lanes<L, N>,
    weights: &Lanes<L, N>,
    candidates: Candidates,
    deviation: Deviation,
    clamp: Clamp,
) -> Affine<L, N> {
    let top_f = top as f32;
    let mut min = x[0];
    let mut max = x[0];
    let mut sum_w = weights[0];
    let mut sum_x: [f32; L] = std::array::from_fn(|k| weights[0][k] * x[0][k]);
    for (value, weight) in x.iter().zip(weights).skip(1) {
        for k in 0..L {
            min[k] = if value[k] < min[k] { value[k] } else { min[k] };
            max[k] = if value[k] > max[k] { value[k] } else { max[k] };
            sum_w[k] += weight[k];
            sum_x[k] += weight[k] * value[k];
        }
    }
    for low in &mut min {
        *low = if *low > 0.0 { 0.0 } else { *low };
    }
    let flat: [bool; L] = std::array::from_fn(|k| match clamp {
        Clamp::AfterRounding => max[k] == min[k],
        Clamp::BeforeRounding => max[k] <= min[k],
    });
    let flat_min = min;

    let mut levels = [[0.0_f32; L]; N];
    let mut scale = [0.0_f32; L];
    let mut inverse = [0.0_f32; L];
    for k in 0..L {
        inverse[k] = top_f / (max[k] - min[k]);
        scale[k] = 1.0 / inverse[k];
    }
    let mut best = [0.0_f32; L];
    for ((value, weight), level) in x.iter().zip(weights).zip(&mut levels) {
        for k in 0..L {
            let rounded = nearest(inverse[k] * (value[k] - min[k])).min(top).max(0) as f32;
            level[k] = rounded;
            best[k] += weight[k] * deviate(deviation, scale[k] * rounded + min[k] - value[k]);
        }
    }

    let mut tried = [[0.0_f32; L]; N];
    for step in 0..=candidates.steps {
        let numerator = candidates.first + candidates.apart * f32::from(step) + top_f;
        for k in 0..L {
            inverse[k] = numerator / (max[k] - min[k]);
        }
        let mut sum_l = [0.0_f32; L];
        let mut sum_l2 = [0.0_f32; L];
        let mut sum_xl = [0.0_f32; L];
        for ((value, weight), level) in x.iter().zip(weights).zip(&mut tried) {
            for k in 0..L {
                let place = inverse[k] * (value[k] - min[k]);
                let rounded = match clamp {
                    Clamp::AfterRounding => nearest(place).min(top).max(0) as f32,
                    Clamp::BeforeRounding => {
                        let below = if place < top_f { place } else { top_f };
                        let whole = (below + 12_582_912.0) - 12_582_912.0;
                        if place > 0.0 { whole } else { 0.0 }
                    }
                };
                level[k] = rounded;
                let weighted = weight[k] * rounded;
                sum_l[k] += weighted;
                sum_l2[k] += weighted * rounded;
                sum_xl[k] += weighted * value[k];
            }
        }
        let mut this_scale = [0.0_f32; L];
        let mut this_min = [0.0_f32; L];
        let mut solvable = [false; L];
        for k in 0..L {
            let determinant = sum_w[k] * sum_l2[k] - sum_l[k] * sum_l[k];
            solvable[k] = determinant > 0.0;
            let low = (sum_l2[k] * sum_x[k] - sum_l[k] * sum_xl[k]) / determinant;
            let wide = (sum_w[k] * sum_xl[k] - sum_x[k] * sum_l[k]) / determinant;
            this_scale[k] = if low > 0.0 { sum_xl[k] / sum_l2[k] } else { wide };
            this_min[k] = if low > 0.0 { 0.0 } else { low };
        }
        let mut error = [0.0_f32; L];
        for ((value, weight), level) in x.iter().zip(weights).zip(&tried) {
            for k in 0..L {
                error[k] += weight[k] * deviate(deviation, this_scale[k] * level[k] + this_min[k] - value[k]);
            }
        }
        let better: [bool; L] = std::array::from_fn(|k| solvable[k] && error[k] < best[k]);
        if better.contains(&true) {
            for (level, new) in levels.iter_mut().zip(&tried) {
                for k in 0..L {
                    level[k] = if better[k] { new[k] } else { level[k] };
                }
            }
            for k in 0..L {
                best[k] = if better[k] { error[k] } else { best[k] };
                scale[k] = if better[k] { this_scale[k] } else { scale[k] };
                min[k] = if better[k] { this_min[k] } else { min[k] };
            }
        }
    }

    for level in &mut levels {
        for k in 0..L {
            level[k] = if flat[k] { 0.0 } else { level[k] };
        }
    }
    Affine {
        scale: std::array::from_fn(|k| if flat[k] { 0.0 } else { scale[k] }),
        offset: std::array::from_fn(|k| -if flat[k] { flat_min[k] } else { min[k] }),
        levels,
    }
}

#[inline(always)]
fn deviate(deviation: Deviation, difference: f32) -> f32 {
    match deviation {
        Deviation::Absolute => difference.abs(),
        Deviation::Squared => difference * difference,
    }
}

/// What a search for a scale alone found; levels are counted from zero.
pub(super) struct Linear<const L: usize, const N: usize> {
    pub(super) scale: [f32; L],
    pub(super) levels: Lanes<L, N>,
}

/// The value of largest magnitude in each lane, the first of equals, and its magnitude.
pub(super) fn peaks<const L: usize, const N: usize>(x: &Lanes<L, N>) -> ([f32; L], [f32; L]) {
    let mut max = [0.0_f32; L];
    let mut magnitude = [0.0_f32; L];
    for value in x {
        for k in 0..L {
            let this = value[k].abs();
            max[k] = if this > magnitude[k] { value[k] } else { max[k] };
            magnitude[k] = if this > magnitude[k] { this } else { magnitude[k] };
        }
    }
    (max, magnitude)
}

/// `make_qx_quants` with `rmse_type` 1: levels from `-half` to `half - 1`, the scale with the least weighted
/// squared error.
#[inline(always)]
pub(super) fn linear<const L: usize, const N: usize>(
    half: i32,
    x: &Lanes<L, N>,
    weights: &Lanes<L, N>,
) -> Linear<L, N> {
    let (max, magnitude) = peaks(x);
    let mut chosen: [f32; L] = std::array::from_fn(|k| (-half) as f32 / max[k]);
    let (sum_lx, sum_l2) = moments(half, x, weights, &chosen);
    let mut scale: [f32; L] =
        std::array::from_fn(|k| if sum_l2[k] == 0.0 { 0.0 } else { sum_lx[k] / sum_l2[k] });
    let mut best: [f32; L] = std::array::from_fn(|k| scale[k] * sum_lx[k]);
    for step in (-9_i8..=9).filter(|step| *step != 0) {
        let numerator = -(half as f32 + 0.1 * f32::from(step));
        let inverse: [f32; L] = std::array::from_fn(|k| numerator / max[k]);
        let (sum_lx, sum_l2) = moments(half, x, weights, &inverse);
        for k in 0..L {
            let better = sum_l2[k] > 0.0 && sum_lx[k] * sum_lx[k] > best[k] * sum_l2[k];
            chosen[k] = if better { inverse[k] } else { chosen[k] };
            scale[k] = if better { sum_lx[k] / sum_l2[k] } else { scale[k] };
            best[k] = if better { scale[k] * sum_lx[k] } else { best[k] };
        }
    }
    let zero: [bool; L] = std::array::from_fn(|k| magnitude[k] < GROUP_MAX_EPS);
    let mut levels = [[0.0_f32; L]; N];
    for (value, level) in x.iter().zip(&mut levels) {
        for k in 0..L {
            level[k] = if zero[k] { 0.0 } else { limit(half, chosen[k] * value[k]) + half as f32 };
        }
    }
    Linear { scale: std::array::from_fn(|k| if zero[k] { 0.0 } else { scale[k] }), levels }
}

/// The nearest level from `-half` to `half - 1`. In a group that does not count as zero every value times the inverse
/// scale is at most a little more than `half`, so that rounding cannot leave its range, and floats do instead of integers.
#[inline(always)]
fn limit(half: i32, place: f32) -> f32 {
    let whole = (place + 12_582_912.0) - 12_582_912.0;
    let (low, high) = (-half as f32, (half - 1) as f32);
    let below = if whole < high { whole } else { high };
    if below > low { below } else { low }
}

/// The sums of weight times value times level and of weight times level squared.
#[inline(always)]
fn moments<const L: usize, const N: usize>(
    half: i32,
    x: &Lanes<L, N>,
    weights: &Lanes<L, N>,
    inverse: &[f32; L],
) -> ([f32; L], [f32; L]) {
    let mut sum_lx = [0.0_f32; L];
    let mut sum_l2 = [0.0_f32; L];
    for (value, weight) in x.iter().zip(weights) {
        for k in 0..L {
            let level = limit(half, inverse[k] * value[k]);
            sum_lx[k] += weight[k] * value[k] * level;
            sum_l2[k] += weight[k] * level * level;
        }
    }
    (sum_lx, sum_l2)
}

/// `make_q3_quants` with `do_rmse`: one level after the other is moved while that lessens the error.
#[inline(always)]
pub(super) fn stepwise<const L: usize, const N: usize>(half: i32, x: &Lanes<L, N>) -> Linear<L, N> {
    let (max, magnitude) = peaks(x);
    let mut levels = [[0.0_f32; L]; N];
    let mut sum_lx = [0.0_f32; L];
    let mut sum_l2 = [0.0_f32; L];
    let inverse: [f32; L] = std::array::from_fn(|k| (-half) as f32 / max[k]);
    for (value, level) in x.iter().zip(&mut levels) {
        for k in 0..L {
            level[k] = nearest(inverse[k] * value[k]).min(half - 1).max(-half) as f32;
            let weight = value[k] * value[k];
            sum_lx[k] += weight * value[k] * level[k];
            sum_l2[k] += weight * level[k] * level[k];
        }
    }
    // A lane that did not change in one round does not change in the next: its sums are the same.
    for _ in 0..5 {
        let mut changed = [false; L];
        for (value, level) in x.iter().zip(&mut levels) {
            for k in 0..L {
                let weight = value[k] * value[k];
                let rest_lx = sum_lx[k] - weight * value[k] * level[k];
                let rest_l2 = sum_l2[k] - weight * level[k] * level[k];
                let new = nearest(value[k] * rest_l2 / rest_lx).min(half - 1).max(-half) as f32;
                let new_lx = rest_lx + weight * value[k] * new;
                let new_l2 = rest_l2 + weight * new * new;
                let better = rest_lx > 0.0
                    && new != level[k]
                    && new_l2 > 0.0
                    && new_lx * new_lx * sum_l2[k] > sum_lx[k] * sum_lx[k] * new_l2;
                level[k] = if better { new } else { level[k] };
                sum_lx[k] = if better { new_lx } else { sum_lx[k] };
                sum_l2[k] = if better { new_l2 } else { sum_l2[k] };
                changed[k] |= better;
            }
        }
        if !changed.contains(&true) {
            break;
        }
    }
    let zero: [bool; L] = std::array::from_fn(|k| magnitude[k] < GROUP_MAX_EPS);
    for level in &mut levels {
        for k in 0..L {
            level[k] = if zero[k] { 0.0 } else { level[k] + half as f32 };
        }
    }
    Linear {
        scale: std::array::from_fn(|k| if !zero[k] && sum_l2[k] > 0.0 { sum_lx[k] / sum_l2[k] } else { 0.0 }),
        levels,
    }
}

/// `make_qp_quants`: levels from 0 to `top` for values that are not negative, in one group.
pub(super) fn positive<const N: usize>(top: i32, x: &[f32; N], weights: &[f32; N]) -> (f32, [u8; N]) {
    let top_f = top as f32;
    let mut max = 0.0_f32;
    for value in x {
        max = if max > *value { max } else { *value };
    }
    if max < GROUP_MAX_EPS {
        return (0.0, [0; N]);
    }
    let mut inverse = top_f / max;
    let scale = 1.0 / inverse;
    let mut best = 0.0_f32;
    for (value, weight) in x.iter().zip(weights) {
        // C keeps this level in a byte, unclamped.
        let level = f32::from(nearest(inverse * value) as u8);
        let difference = value - scale * level;
        best += weight * difference * difference;
    }
    for step in (-4_i8..=4).filter(|step| *step != 0) {
        let candidate = (0.1 * f32::from(step) + top_f) / max;
        let scale = 1.0 / candidate;
        let mut error = 0.0_f32;
        for (value, weight) in x.iter().zip(weights) {
            let difference = value - scale * nearest(candidate * value).min(top) as f32;
            error += weight * difference * difference;
        }
        if error < best {
            best = error;
            inverse = candidate;
        }
    }
    let mut levels = [0_u8; N];
    let mut sum_lx = 0.0_f32;
    let mut sum_l2 = 0.0_f32;
    for ((value, weight), level) in x.iter().zip(weights).zip(&mut levels) {
        let rounded = nearest(inverse * value).min(top);
        *level = rounded as u8;
        sum_lx += weight * value * rounded as f32;
        sum_l2 += weight * rounded as f32 * rounded as f32;
    }
    for _ in 0..5 {
        let mut changed = false;
        for ((value, weight), level) in x.iter().zip(weights).zip(&mut levels) {
            let old = f32::from(*level);
            let rest_lx = sum_lx - weight * value * old;
            let rest_l2 = sum_l2 - weight * old * old;
            if rest_lx > 0.0 && rest_l2 > 0.0 {
                let new = nearest(value * rest_l2 / rest_lx).min(top);
                if new != i32::from(*level) {
                    let new_lx = rest_lx + weight * value * new as f32;
                    let new_l2 = rest_l2 + weight * new as f32 * new as f32;
                    if new_lx * new_lx * sum_l2 > sum_lx * sum_lx * new_l2 {
                        *level = new as u8;
                        sum_lx = new_lx;
                        sum_l2 = new_l2;
                        changed = true;
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    (if sum_l2 > 0.0 { sum_lx / sum_l2 } else { 0.0 }, levels)
}
