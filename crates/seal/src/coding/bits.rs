//! Values moved between floating-point types by their bits alone, so that no rounding mode, no flushing of
//! subnormals and no quieting of NaNs on any machine can change them.

#![expect(
    clippy::cast_possible_truncation,
    clippy::verbose_bit_mask,
    reason = "the parts of words are cut out on purpose, and masks say which"
)]

/// F16 to F32: always exact; a NaN keeps its payload.
pub(crate) const fn f32_of_f16(half: u16) -> u32 {
    let sign = ((half & 0x8000) as u32) << 16;
    let exponent = (half >> 10) & 31;
    let mantissa = (half & 0x3ff) as u32;
    let magnitude = match exponent {
        31 => 0x7f80_0000 | mantissa << 13,
        0 if mantissa == 0 => 0,
        0 => {
            // mantissa · 2^-24, normalised.
            let top = mantissa.ilog2();
            ((127 - 24 + top) << 23) | (mantissa << (23 - top)) & 0x7f_ffff
        }
        _ => ((exponent as u32 + 127 - 15) << 23) | mantissa << 13,
    };
    sign | magnitude
}

/// F32 to F16, where that is exact; a NaN must keep its payload.
pub(crate) const fn f16_of_f32(bits: u32) -> Option<u16> {
    let sign = (bits >> 16) as u16 & 0x8000;
    let exponent = (bits >> 23) & 0xff;
    let mantissa = bits & 0x7f_ffff;
    match exponent {
        0 if mantissa == 0 => Some(sign),
        // Infinities, NaNs and normal numbers keep the upper ten bits of the mantissa.
        255 if mantissa & 0x1fff == 0 => Some(sign | 0x7c00 | (mantissa >> 13) as u16),
        113..=142 if mantissa & 0x1fff == 0 => {
            Some(sign | ((exponent - 112) << 10) as u16 | (mantissa >> 13) as u16)
        }
        // Subnormal as F16: a multiple of 2^-24.
        103..=112 => {
            let full = mantissa | 0x80_0000;
            let shift = 126 - exponent;
            if full & ((1 << shift) - 1) == 0 { Some(sign | (full >> shift) as u16) } else { None }
        }
        _ => None,
    }
}

/// F64 to F32, where that is exact; a NaN must keep its payload.
pub(crate) fn f32_of_f64(bits: u64) -> Option<u32> {
    let value = f64::from_bits(bits);
    if value.is_nan() {
        let sign = ((bits >> 32) as u32) & 0x8000_0000;
        let payload = bits & 0xf_ffff_ffff_ffff;
        let exact = payload & 0x1fff_ffff == 0;
        return exact.then_some(sign | 0x7f80_0000 | (payload >> 29) as u32);
    }
    let narrow = value as f32;
    (f64::from(narrow).to_bits() == bits).then_some(narrow.to_bits())
}

/// F32 to F64: always exact; a NaN keeps its payload.
pub(crate) fn f64_of_f32(bits: u32) -> u64 {
    let value = f32::from_bits(bits);
    if value.is_nan() {
        return u64::from(bits & 0x8000_0000) << 32
            | 0x7ff0_0000_0000_0000
            | u64::from(bits & 0x7f_ffff) << 29;
    }
    f64::from(value).to_bits()
}
