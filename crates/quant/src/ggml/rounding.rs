//! How ggml turns floats into integers, for every float and not only for those in range.

/// Nearest integer, ties to even, by adding 1.5 * 2^23 and taking the bits (`nearest_int` of
/// `ggml-quants.c`). Outside of ±2^22 the outcome is the low bits of the sum, as there.
pub(super) fn nearest(value: f32) -> i32 {
    let bits = (value + 12_582_912.0).to_bits();
    (bits & 0x007f_ffff) as i32 - 0x0040_0000
}

/// Towards zero; what does not fit and what is not a number becomes the smallest integer, as x86's
/// conversion has it. C leaves those cases open; a block of subnormal weights reaches them.
pub(super) fn towards_zero(value: f32) -> i32 {
    if value < 2_147_483_648.0 { value as i32 } else { i32::MIN }
}

/// Half away from zero (C's `roundf`), then as [`towards_zero`].
pub(super) fn half_away(value: f32) -> i32 {
    // Adding the largest float below one half and cutting off is exact; LLVM lowers `round` the same way.
    towards_zero(value + 0.499_999_97_f32.copysign(value))
}
