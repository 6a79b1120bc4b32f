//! Super-blocks of 256 weights with a signed scale for each group: Q3_K, Q6_K, Q8_K.

use super::affine_k::{SUPER, important, pack_pairs, squares};
use super::float16::{from_half, to_half};
use super::rounding::nearest;
use super::search::{GROUP_MAX_EPS, Lanes, Linear, lane, lanes, linear, stepwise};

type Groups = Lanes<16, 16>;

/// The scale of largest magnitude, the first of equals, and its magnitude.
fn peak(scales: &[f32; 16]) -> (f32, f32) {
    scales.iter().fold(
        (0.0, 0.0),
        |(peak, most): (f32, f32), scale| {
            if scale.abs() > most { (*scale, scale.abs()) } else { (peak, most) }
        },
    )
}

/// Levels again, now that the scales have been rounded. Where a group's scale is zero the search's levels stay.
fn requantise(x: &[f32; SUPER], found: &Linear<16, 16>, scales: [f32; 16], half: i32) -> [u8; SUPER] {
    let mut levels = [0_u8; SUPER];
    let groups = levels.as_chunks_mut::<16>().0.iter_mut().zip(x.as_chunks::<16>().0);
    for (k, (levels, x)) in groups.enumerate() {
        if scales[k] == 0.0 {
            *levels = lane(&found.levels, k);
            continue;
        }
        for (level, value) in levels.iter_mut().zip(x) {
            *level = (nearest(value / scales[k]).min(half - 1).max(-half) + half) as u8;
        }
    }
    levels
}

fn put_half(out: &mut [u8], value: f32) -> f32 {
    let half = to_half(value);
    out.copy_from_slice(&half.to_le_bytes());
    from_half(half)
}

/// `quantize_row_q3_K_ref`; with an importance matrix `quantize_row_q3_K_impl`.
pub(super) fn q3(x: &[f32; SUPER], importance: Option<&[f32; SUPER]>, out: &mut [u8; 110]) {
    let turned: Groups = lanes(x);
    let found;
    let scale;
    // Scales as levels from 0 to 63.
    let levels: [u8; 16];
    if let Some(importance) = importance {
        let (weights, sums) = important(&turned, importance, 2.0 * squares(x) / 256.0);
        found = linear(4, &turned, &weights);
        let of_scales = linear::<1, 16>(32, &found.scale.map(|scale| [scale]), &sums.map(|sum| [sum]));
        levels = lane(&of_scales.levels, 0);
        scale = of_scales.scale[0];
    } else {
        found = stepwise(4, &turned);
        let (peak, _) = peak(&found.scale);
        if peak == 0.0 {
            // C leaves the twelve bytes at zero here.
            levels = [0; 16];
            scale = 0.0;
        } else {
            let inverse = -32.0 / peak;
            levels = found
                .scale
                .map(|scale| ((nearest(inverse * scale) as i8).clamp(-32, 31) + 32).cast_unsigned());
            scale = 1.0 / inverse;
        }
    }
    let (high_bits, rest) = out.split_at_mut(32);
    let (pairs, rest) = rest.split_at_mut(64);
    let (packed, tail) = rest.split_at_mut(12);
    packed.fill(0);
    for (j, level) in levels.iter().enumerate() {
        packed[j % 8] |= (level & 0x0f) << (4 * (j / 8));
        packed[j % 4 + 8] |= (level >> 4) << (2 * (j / 4));
    }
    let scale = put_half(tail, scale);
    let scales = levels.map(|level| scale * f32::from(level.cast_signed() - 32));
    let mut levels = requantise(x, &found, scales, 4);
    high_bits.fill(0);
    for (turn, levels) in levels.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        for (mask, level) in high_bits.iter_mut().zip(levels) {
            *mask |= (*level >> 2) << turn;
            *level &= 3;
        }
    }
    pack_pairs(&levels, pairs);
}

/// `dequantize_row_q3_K`.
pub(super) fn from_q3(block: &[u8; 110], out: &mut [f32; SUPER]) {
    let scale = from_half(u16::from_le_bytes([block[108], block[109]]));
    for (k, group) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let low = (block[96 + k % 8] >> (4 * (k / 8))) & 0x0f;
        let high = (block[104 + k % 4] >> (2 * (k / 4))) & 3;
        let wide = scale * f32::from((low | (high << 4)).cast_signed() - 32);
        let half = 16 * (k % 2);
        let bytes = &block[32 + 32 * (k / 8) + half..][..16];
        for ((value, byte), mask) in group.iter_mut().zip(bytes).zip(&block[half..half + 16]) {
            let level = ((byte >> (2 * (k % 8 / 2))) & 3).cast_signed();
            let below = if (mask >> (k / 2)) & 1 == 1 { 0 } else { 4 };
            *value = wide * f32::from(level - below);
        }
    }
}

/// `quantize_row_q6_K_ref`; with an importance matrix `quantize_row_q6_K_impl`.
pub(super) fn q6(x: &[f32; SUPER], importance: Option<&[f32; SUPER]>, out: &mut [u8; 210]) {
    let turned: Groups = lanes(x);
    let weights = match importance {
        Some(importance) => lanes(importance),
        None => turned.map(|value| value.map(|value| value * value)),
    };
    let found = linear(32, &turned, &weights);
    let (peak, magnitude) = peak(&found.scale);
    if magnitude < GROUP_MAX_EPS {
        out.fill(0);
        return;
    }
    let inverse = -128.0 / peak;
    let (low_bits, rest) = out.split_at_mut(128);
    let (high_bits, rest) = rest.split_at_mut(64);
    let (packed, tail) = rest.split_at_mut(16);
    let scale = put_half(tail, 1.0 / inverse);
    let mut scales = [0.0; 16];
    for (k, byte) in packed.iter_mut().enumerate() {
        let level = nearest(inverse * found.scale[k]).min(127) as i8;
        *byte = level.cast_unsigned();
        scales[k] = scale * f32::from(level);
    }
    let levels = requantise(x, &found, scales, 32);
    let halves = low_bits.as_chunks_mut::<64>().0.iter_mut().zip(high_bits.as_chunks_mut::<32>().0);
    for (levels, (low_bits, high_bits)) in levels.as_chunks::<128>().0.iter().zip(halves) {
        for at in 0..32 {
            let [one, two, three, four] = [0, 32, 64, 96].map(|apart| levels[at + apart]);
            low_bits[at] = (one & 0x0f) | (three << 4);
            low_bits[at + 32] = (two & 0x0f) | (four << 4);
            high_bits[at] = (one >> 4) | (two >> 4 << 2) | (three >> 4 << 4) | (four >> 4 << 6);
        }
    }
}

/// `dequantize_row_q6_K`.
pub(super) fn from_q6(block: &[u8; 210], out: &mut [f32; SUPER]) {
    let scale = from_half(u16::from_le_bytes([block[208], block[209]]));
    let (low_bits, rest) = block.split_at(128);
    let (high_bits, scales) = rest.split_at(64);
    let halves = low_bits.as_chunks::<64>().0.iter().zip(high_bits.as_chunks::<32>().0);
    for (half, (out, (low_bits, high_bits))) in
        out.as_chunks_mut::<128>().0.iter_mut().zip(halves).enumerate()
    {
        for (group, values) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let wide = scale * f32::from(scales[8 * half + group].cast_signed());
            let quarter = group / 2;
            let first = 16 * (group % 2);
            let low_bits = &low_bits[32 * (quarter % 2) + first..][..16];
            for ((value, low), high) in values.iter_mut().zip(low_bits).zip(&high_bits[first..first + 16]) {
                let low = (low >> (4 * (quarter / 2))) & 0x0f;
                let high = (high >> (2 * quarter)) & 3;
                *value = wide * f32::from((low | (high << 4)).cast_signed() - 32);
            }
        }
    }
}

/// `quantize_row_q8_K_ref`.
pub(super) fn q8(x: &[f32; SUPER], out: &mut [u8; 292]) {
    let magnitude = super::small::largest(x);
    let Some(peak) = x.iter().find(|value| value.abs() == magnitude && magnitude != 0.0) else {
        // C leaves the sums as they were; here they are zero.
        out.fill(0);
        return;
    };
    let inverse = -127.0 / peak;
    let (scale, rest) = out.split_at_mut(4);
    let (levels, sums) = rest.split_at_mut(SUPER);
    scale.copy_from_slice(&(1.0 / inverse).to_le_bytes());
    for (byte, value) in levels.iter_mut().zip(x) {
        *byte = nearest(inverse * value).min(127) as u8;
    }
    for (sum, levels) in sums.as_chunks_mut::<2>().0.iter_mut().zip(levels.as_chunks::<16>().0) {
        *sum = levels.iter().map(|level| i16::from(level.cast_signed())).sum::<i16>().to_le_bytes();
    }
}

/// `dequantize_row_q8_K`.
pub(super) fn from_q8(block: &[u8; 292], out: &mut [f32; SUPER]) {
    let scale = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
    for (value, byte) in out.iter_mut().zip(&block[4..4 + SUPER]) {
        *value = scale * f32::from(byte.cast_signed());
    }
}
