//! Products of a panel of floats with activations.

use std::arch::x86_64::{
    __m512, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
};

use crate::kernel::LANES;

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
unsafe fn float_dot_avx512_by<const C: usize>(
    w: &[f32],
    stride: usize,
    x: &[f32],
    x_stride: usize,
    k_len: usize,
    out: &mut [[f32; LANES]],
) {
    if k_len == 0 {
        return;
    }
    let w = &w[..(k_len - 1) * stride + LANES];
    let x: [&[f32]; C] = std::array::from_fn(|c| &x[c * x_stride..c * x_stride + k_len]);
    let out = &mut out[..C];
    // SAFETY: each element of `out` is sixteen floats.
    let mut total: [__m512; C] = std::array::from_fn(|c| unsafe { _mm512_loadu_ps(out[c].as_ptr()) });
    for k in 0..k_len {
        // SAFETY: `w` has `(k_len - 1)·stride + 16` floats and `x[c]` has `k_len`.
        unsafe {
            let w = _mm512_loadu_ps(w.as_ptr().add(k * stride));
            for c in 0..C {
                total[c] = _mm512_fmadd_ps(w, _mm512_set1_ps(*x[c].get_unchecked(k)), total[c]);
            }
        }
    }
    for (out, total) in out.iter_mut().zip(total) {
        // SAFETY: `out` is sixteen floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), total) }
    }
}

/// [`crate::kernel::portable::float_dot`] for as many rows of `x`, `x_stride` apart, as `out` has.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
pub(in crate::kernel) unsafe fn float_dot_avx512(
    w: &[f32],
    stride: usize,
    (mut x, x_stride): (&[f32], usize),
    k_len: usize,
    mut out: &mut [[f32; LANES]],
) {
    // SAFETY: the same features are enabled here.
    unsafe {
        while !out.is_empty() {
            let step = match out.len() {
                12.. => 12,
                6.. => 6,
                3.. => 3,
                _ => 1,
            };
            let (head, tail) = out.split_at_mut(step);
            match step {
                12 => float_dot_avx512_by::<12>(w, stride, x, x_stride, k_len, head),
                6 => float_dot_avx512_by::<6>(w, stride, x, x_stride, k_len, head),
                3 => float_dot_avx512_by::<3>(w, stride, x, x_stride, k_len, head),
                _ => float_dot_avx512_by::<1>(w, stride, x, x_stride, k_len, head),
            }
            out = tail;
            x = x.get(step * x_stride..).unwrap_or_default();
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn float_dot_avx2_by<const C: usize>(
    w: &[f32],
    stride: usize,
    x: &[f32],
    x_stride: usize,
    k_len: usize,
    out: &mut [[f32; LANES]],
) {
    if k_len == 0 {
        return;
    }
    let w = &w[..(k_len - 1) * stride + LANES];
    let x: [&[f32]; C] = std::array::from_fn(|c| &x[c * x_stride..c * x_stride + k_len]);
    let mut total = [[_mm256_setzero_ps(); 2]; C];
    for (total, out) in total.iter_mut().zip(out.iter()) {
        // SAFETY: `out` is sixteen floats.
        *total = unsafe { [_mm256_loadu_ps(out.as_ptr()), _mm256_loadu_ps(out.as_ptr().add(8))] };
    }
    for k in 0..k_len {
        // SAFETY: `w` has `(k_len - 1)·stride + 16` floats.
        let (a, b) = unsafe {
            (_mm256_loadu_ps(w.as_ptr().add(k * stride)), _mm256_loadu_ps(w.as_ptr().add(k * stride + 8)))
        };
        for c in 0..C {
            let x = _mm256_broadcast_ss(&x[c][k]);
            total[c][0] = _mm256_fmadd_ps(a, x, total[c][0]);
            total[c][1] = _mm256_fmadd_ps(b, x, total[c][1]);
        }
    }
    for (out, total) in out.iter_mut().zip(total) {
        // SAFETY: `out` is sixteen floats.
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), total[0]);
            _mm256_storeu_ps(out.as_mut_ptr().add(8), total[1]);
        }
    }
}

/// [`crate::kernel::portable::float_dot`] for as many rows of `x`, `x_stride` apart, as `out` has.
#[target_feature(enable = "avx2,fma")]
pub(in crate::kernel) unsafe fn float_dot_avx2(
    w: &[f32],
    stride: usize,
    (mut x, x_stride): (&[f32], usize),
    k_len: usize,
    mut out: &mut [[f32; LANES]],
) {
    // SAFETY: the same features are enabled here.
    unsafe {
        while !out.is_empty() {
            let step = if out.len() >= 3 { 3 } else { 1 };
            let (head, tail) = out.split_at_mut(step);
            if step == 3 {
                float_dot_avx2_by::<3>(w, stride, x, x_stride, k_len, head);
            } else {
                float_dot_avx2_by::<1>(w, stride, x, x_stride, k_len, head);
            }
            out = tail;
            x = x.get(step * x_stride..).unwrap_or_default();
        }
    }
}
