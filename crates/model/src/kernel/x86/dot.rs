//! Products of a panel of codes with tiles of quantised activations.

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_and_si256, _mm256_cvtepi32_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps,
    _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_slli_epi32, _mm256_srli_epi16, _mm256_storeu_ps, _mm512_cvtepi32_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_setzero_si512, _mm512_storeu_ps,
};

use crate::kernel::{LANES, Panel, QUADS, TileView};

/// [`crate::kernel::portable::dot`] for a tile of `C` activation rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
unsafe fn dot_avx512_by<const C: usize, const Q: usize>(
    panel: &Panel,
    x: TileView<'_>,
    out: &mut [[f32; LANES]],
) {
    let groups = x.sums.len() / C;
    let per_scale = QUADS / Q;
    let codes = &x.quads[..groups * Q * C];
    let scales = &x.scales[..groups / per_scale * C];
    let quads = &panel.quads[..groups * Q * LANES];
    let (d, m) = (&panel.scales[..groups * LANES], &panel.offsets[..groups * LANES]);
    let mut total = [_mm512_setzero_ps(); C];
    let (mut w, mut codes) = (quads.as_ptr(), codes.as_ptr());
    for group in 0..groups {
        let mut integers = [_mm512_setzero_si512(); C];
        for _ in 0..Q {
            // SAFETY: `quads` has `groups·Q·16` dwords and `codes` has `groups·Q·C`; this is step `group·Q + q`.
            unsafe {
                let u = _mm512_loadu_si512(w.cast());
                for (c, integer) in integers.iter_mut().enumerate() {
                    *integer = dpbusd_broadcast(*integer, u, codes.add(c));
                }
                w = w.add(LANES);
                codes = codes.add(C);
            }
        }
        // SAFETY: `d` and `m` have `groups·16` floats, `scales` has `groups / per_scale · C`, `sums` has `groups·C`.
        unsafe {
            let d = _mm512_loadu_ps(d.as_ptr().add(group * LANES));
            let m = _mm512_loadu_ps(m.as_ptr().add(group * LANES));
            for c in 0..C {
                let scale = *scales.get_unchecked(group / per_scale * C + c);
                let sum = *x.sums.get_unchecked(group * C + c);
                let scale = _mm512_mul_ps(d, _mm512_set1_ps(scale));
                total[c] = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(integers[c]), total[c]);
                total[c] = _mm512_fmadd_ps(m, _mm512_set1_ps(sum), total[c]);
            }
        }
    }
    for (out, total) in out.iter_mut().zip(total) {
        // SAFETY: `out` is sixteen writable floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), total) }
    }
}

/// `sum + u·x`, four unsigned by four signed bytes in each lane, `x` being one dword of memory for all lanes. As
/// an intrinsic the compiler takes the broadcast out of the instruction and runs out of registers.
///
/// SAFETY: `x` points to a readable dword.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
unsafe fn dpbusd_broadcast(mut sum: __m512i, u: __m512i, x: *const u32) -> __m512i {
    // SAFETY: one dword is read at `x`; nothing else is touched.
    unsafe {
        std::arch::asm!(
            "vpdpbusd {sum}, {u}, dword ptr [{x}]{{1to16}}",
            sum = inout(zmm_reg) sum,
            u = in(zmm_reg) u,
            x = in(reg) x,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    sum
}

/// The products of a panel with a tile.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
pub(in crate::kernel) unsafe fn dot_avx512(
    panel: &Panel,
    group_len: usize,
    tile: TileView<'_>,
    out: &mut [[f32; LANES]],
) {
    // SAFETY: the same features are enabled here.
    unsafe {
        match (tile.width, group_len) {
            (8, 32) => dot_avx512_by::<8, 8>(panel, tile, out),
            (8, _) => dot_avx512_by::<8, 4>(panel, tile, out),
            (4, 32) => dot_avx512_by::<4, 8>(panel, tile, out),
            (4, _) => dot_avx512_by::<4, 4>(panel, tile, out),
            (_, 32) => dot_avx512_by::<1, 8>(panel, tile, out),
            (_, _) => dot_avx512_by::<1, 4>(panel, tile, out),
        }
    }
}
/// Sums over quads of four unsigned by four signed bytes, for codes of at most eight bits: the codes' nibbles
/// are taken apart where their products would overflow sixteen bits.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn dpbusd_avx2<const WIDE: bool>(sum: __m256i, u: __m256i, x: __m256i) -> __m256i {
    let ones = _mm256_set1_epi16(1);
    if WIDE {
        let low = _mm256_set1_epi8(15);
        let a = _mm256_maddubs_epi16(_mm256_and_si256(u, low), x);
        let b = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16::<4>(u), low), x);
        let b = _mm256_slli_epi32::<4>(_mm256_madd_epi16(b, ones));
        _mm256_add_epi32(sum, _mm256_add_epi32(_mm256_madd_epi16(a, ones), b))
    } else {
        _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(u, x), ones))
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn dot_avx2_by<const C: usize, const Q: usize, const WIDE: bool>(
    panel: &Panel,
    x: TileView<'_>,
    from: usize,
    out: &mut [[f32; LANES]],
) {
    let width = x.width;
    let groups = x.sums.len() / width;
    let per_scale = QUADS / Q;
    let quads = &panel.quads[..groups * Q * LANES];
    let (d, m) = (&panel.scales[..groups * LANES], &panel.offsets[..groups * LANES]);
    for half in [0, 8] {
        let mut total = [_mm256_setzero_ps(); C];
        for group in 0..groups {
            let mut integers = [_mm256_setzero_si256(); C];
            for quad in group * Q..(group + 1) * Q {
                // SAFETY: `quads` has `groups·Q·16` dwords, of which eight are read at `quad·16 + half`.
                let u = unsafe { _mm256_loadu_si256(quads.as_ptr().add(quad * LANES + half).cast()) };
                for c in 0..C {
                    let x = _mm256_set1_epi32(x.quads[quad * width + from + c] as i32);
                    integers[c] = dpbusd_avx2::<WIDE>(integers[c], u, x);
                }
            }
            // SAFETY: `d` and `m` have `groups·16` floats.
            let (d, m) = unsafe {
                (
                    _mm256_loadu_ps(d.as_ptr().add(group * LANES + half)),
                    _mm256_loadu_ps(m.as_ptr().add(group * LANES + half)),
                )
            };
            for c in 0..C {
                let scale = _mm256_mul_ps(d, _mm256_set1_ps(x.scales[group / per_scale * width + from + c]));
                total[c] = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(integers[c]), total[c]);
                total[c] = _mm256_fmadd_ps(m, _mm256_set1_ps(x.sums[group * width + from + c]), total[c]);
            }
        }
        for (out, total) in out.iter_mut().zip(total) {
            // SAFETY: `out` is sixteen floats, of which eight are written at `half`.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(half), total) }
        }
    }
}

/// The products of a panel with a tile.
#[target_feature(enable = "avx2,fma")]
pub(in crate::kernel) unsafe fn dot_avx2(
    panel: &Panel,
    (group_len, wide): (usize, bool),
    tile: TileView<'_>,
    out: &mut [[f32; LANES]],
) {
    // Sixteen registers hold the sums of four rows; a tile of eight is worked on in two parts.
    for (part, out) in out.chunks_mut(4).enumerate() {
        let from = part * 4;
        // SAFETY: the same features are enabled here.
        unsafe {
            match (out.len(), group_len, wide) {
                (4, 32, false) => dot_avx2_by::<4, 8, false>(panel, tile, from, out),
                (4, 32, true) => dot_avx2_by::<4, 8, true>(panel, tile, from, out),
                (4, _, _) => dot_avx2_by::<4, 4, false>(panel, tile, from, out),
                (_, 32, false) => dot_avx2_by::<1, 8, false>(panel, tile, from, out),
                (_, 32, true) => dot_avx2_by::<1, 8, true>(panel, tile, from, out),
                (_, _, _) => dot_avx2_by::<1, 4, false>(panel, tile, from, out),
            }
        }
    }
}
