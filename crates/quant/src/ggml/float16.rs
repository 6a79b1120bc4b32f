//! Half precision and power-of-two scales, converted as `ggml-impl.h` does.

/// Rounds to half precision, ties to even; what is too large becomes infinite
/// (`ggml_compute_fp32_to_fp16`).
pub(super) fn to_half(value: f32) -> u16 {
    let to_infinity = f32::from_bits(0x7780_0000);
    let to_zero = f32::from_bits(0x0880_0000);
    let base = (value.abs() * to_infinity) * to_zero;
    let word = value.to_bits();
    let doubled = word.wrapping_add(word);
    let sign = word & 0x8000_0000;
    let bias = (doubled & 0xff00_0000).max(0x7100_0000);
    let bits = (f32::from_bits((bias >> 1).wrapping_add(0x0780_0000)) + base).to_bits();
    let exponent = (bits >> 13) & 0x7c00;
    let mantissa = bits & 0x0fff;
    let magnitude = if doubled > 0xff00_0000 { 0x7e00 } else { exponent.wrapping_add(mantissa) };
    ((sign >> 16) | magnitude) as u16
}

/// Widens half precision; exact (`ggml_compute_fp16_to_fp32`).
pub(super) fn from_half(half: u16) -> f32 {
    let word = u32::from(half) << 16;
    let sign = word & 0x8000_0000;
    let doubled = word.wrapping_add(word);
    let normal = f32::from_bits((doubled >> 4).wrapping_add(0xe0 << 23)) * f32::from_bits(0x0780_0000);
    let subnormal = f32::from_bits((doubled >> 17) | (126 << 23)) - 0.5;
    f32::from_bits(sign | if doubled < 1 << 27 { subnormal.to_bits() } else { normal.to_bits() })
}

/// Half of the power of two that an E8M0 scale stands for (`ggml_e8m0_to_fp32_half`); the levels of
/// E2M1 are kept doubled.
pub(super) fn from_e8m0_half(exponent: u8) -> f32 {
    if exponent < 2 {
        f32::from_bits(0x0020_0000 << exponent)
    } else {
        f32::from_bits(u32::from(exponent - 1) << 23)
    }
}
