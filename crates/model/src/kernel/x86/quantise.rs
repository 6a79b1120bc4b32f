//! Activations quantised to eight bits.

use std::arch::x86_64::{
    __m512, _mm_storeu_si128, _mm512_and_si512, _mm512_castps_si512, _mm512_cvtepi32_epi8, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_max_epi32, _mm512_min_epi32, _mm512_reduce_add_epi32, _mm512_reduce_max_epi32,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_sub_epi32,
};

use crate::kernel::math;
use crate::kernel::{Quantised, quantise_rows};

/// [`math::quantise`] of whole rows.
#[target_feature(enable = "avx2,fma")]
pub(in crate::kernel) unsafe fn quantise_avx2(x: &[f32], columns: usize, out: &mut Quantised) {
    quantise_rows(x, columns, out, math::quantise);
}

/// [`math::quantise`] of whole rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
pub(in crate::kernel) unsafe fn quantise_avx512(x: &[f32], columns: usize, out: &mut Quantised) {
    quantise_rows(x, columns, out, |x, codes| {
        // SAFETY: the closure runs in this function alone, where the features are enabled.
        unsafe { quantise_group(x, codes) }
    });
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
#[inline]
unsafe fn quantise_group(x: &[f32; 32], codes: &mut [i8; 32]) -> (f32, [i32; 2]) {
    // SAFETY: `x` is 32 readable floats, `codes` 32 writable bytes.
    unsafe {
        let (a, b) = (_mm512_loadu_ps(x.as_ptr()), _mm512_loadu_ps(x.as_ptr().add(16)));
        let magnitude = _mm512_set1_epi32(0x7fff_ffff);
        let bits = |v: __m512| _mm512_and_si512(_mm512_castps_si512(v), magnitude);
        let most = _mm512_reduce_max_epi32(_mm512_max_epi32(bits(a), bits(b)));
        let scale = f32::from_bits(most as u32) / 127.0;
        let inverse = _mm512_set1_ps(if scale > 0.0 { 1.0 / scale } else { 0.0 });
        let code = |v: __m512| {
            let shifted = _mm512_fmadd_ps(v, inverse, _mm512_set1_ps(12_582_912.0));
            let whole = _mm512_sub_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(0x4b40_0000));
            _mm512_max_epi32(_mm512_min_epi32(whole, _mm512_set1_epi32(127)), _mm512_set1_epi32(-127))
        };
        let (a, b) = (code(a), code(b));
        _mm_storeu_si128(codes.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(a));
        _mm_storeu_si128(codes.as_mut_ptr().add(16).cast(), _mm512_cvtepi32_epi8(b));
        (scale, [_mm512_reduce_add_epi32(a), _mm512_reduce_add_epi32(b)])
    }
}
